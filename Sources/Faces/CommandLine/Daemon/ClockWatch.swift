internal import SerinAPI
internal import SerinLocks
internal import SerinModel
internal import SerinPorts

/// Says when the computer's clock was set while the daemon ran. Journals and deadlines go on by the time before; signed messages and
/// sign-ins are judged by the clock as it is.
final class ClockWatch: Sendable {
    /// A smaller difference is the ordinary correction of a clock.
    static let tolerance = Duration.minutes(1)

    private let clock: any Clock
    private let report: @Sendable (String) -> Void
    private let said = Locked<String?>(nil)

    init(_ clock: any Clock, report: @escaping @Sendable (String) -> Void) {
        self.clock = clock
        self.report = report
    }

    /// What is amiss; nil when both clocks agree.
    private var complaint: String? {
        let offset = clock.wallClockOffset()
        // What is shown changes with a step, not with each look.
        let apart = Duration.seconds((abs(offset) + 500) / 1000)
        guard apart > Self.tolerance else { return nil }
        return
            "the computer's clock was set \(apart) \(offset > 0 ? "ahead" : "back") since the daemon started: journals go on by the "
            + "time before until it is started again"
    }

    /// For those who ask whether the daemon is ready. It drives rollouts all the same.
    var readiness: ReadinessCheck { ReadinessCheck("clock", complaint: complaint, isFatal: false) }

    /// Looks once, and says what is new.
    func look() {
        let complaint = complaint
        let isNews = said.withLock { said in
            defer { said = complaint }
            return (said == nil) != (complaint == nil)
        }
        if isNews { report(complaint ?? "the computer's clock is again what it was") }
    }

    /// Looks every ten seconds until the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            look()
            await clock.sleep(for: .seconds(10))
        }
    }
}
