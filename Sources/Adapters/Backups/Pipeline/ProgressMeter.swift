internal import SerinCatalogue
internal import SerinLocks
internal import SerinModel

/// Turns numbers of bytes into progress with a rate, at most twice a second.
final class ProgressMeter: Sendable {
    typealias Report = @Sendable (JobProgress) -> Void

    private struct Reading {
        var stage = ""
        var total: Int64?
        var began = ContinuousClock.now
        var reported = ContinuousClock.now
    }

    private let report: Report
    private let reading = Locked(Reading())

    init(_ report: @escaping Report) { self.report = report }

    /// A stage begins.
    func begin(_ stage: String, total: Int64? = nil) {
        reading.withLock {
            $0 = Reading()
            $0.stage = stage
            $0.total = total
        }
        report(JobProgress(stage: stage, done: 0, total: total))
    }

    /// So many bytes of the stage are done.
    func note(_ done: Int64) {
        let progress: JobProgress? = reading.withLock { reading in
            let now = ContinuousClock.now
            guard reading.reported.duration(to: now) >= .milliseconds(500) else { return nil }
            reading.reported = now
            let passed = reading.began.duration(to: now).components
            let seconds = Double(passed.seconds) + Double(passed.attoseconds) / 1e18
            return JobProgress(
                stage: reading.stage, done: done, total: reading.total.map { max($0, done) },
                rate: Double(done) / max(seconds, 0.001))
        }
        if let progress { report(progress) }
    }
}
