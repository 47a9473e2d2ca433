internal import SerinAPI
internal import SerinController
internal import SerinModel
internal import SerinRollouts

/// Follows one rollout until there is an answer.
struct RolloutWatch {
    let operations: any RolloutOperations
    let name: String
    let session: Session
    /// When to stop waiting.
    var deadline: ContinuousClock.Instant?
    /// How often an unreachable controller is asked again, a second apart.
    var retries = 30
    /// For how long "rollback incomplete" is no answer yet: who takes such a rollout up gives it this time to reach 0.
    var grace = Duration.zero

    /// What a wait came to.
    struct Result: Sendable {
        var status: RolloutStatus
        var code: ExitCode
        /// Since when nobody has answered, so that the status is as old; nil when it was answered last.
        var silentSince: ContinuousClock.Instant?
    }

    init(_ operations: any RolloutOperations, name: String, session: Session, timeout: Duration?) {
        self.operations = operations
        self.name = name
        self.session = session
        deadline = timeout.map { ContinuousClock().now + .milliseconds($0.milliseconds) }
    }

    /// Returns when the rollout has an exit code, when `isEnough` says so (exit 0), when the deadline is over (exit 124), or when the
    /// controller has not answered for long after it once did (exit 75).
    func run(
        after sequence: Int64, until isEnough: (RolloutStatus) -> Bool = { _ in false }
    ) async throws(OperationError) -> Result {
        var progress = Progress(session)
        defer { progress.end() }
        var seen: RolloutStatus?
        var last = sequence
        var failures = 0
        var heard = ContinuousClock().now
        let graceEnd = ContinuousClock().now + .milliseconds(grace.milliseconds)
        while true {
            do throws(OperationError) {
                let status = try await operations.statusChange(
                    of: seen?.id.description ?? name, from: seen, timeout: patience(progress, until: graceEnd))
                let decisions = try await operations.decisions(of: status.id.description, after: last, limit: 1000)
                failures = 0
                heard = ContinuousClock().now
                seen = status
                last = decisions.last?.sequence ?? last
                await progress.show(status, decisions: decisions)
                if let code = ExitCode(status), code != .rollbackIncomplete || ContinuousClock().now >= graceEnd {
                    return Result(status: status, code: code)
                }
                if isEnough(status) { return Result(status: status, code: .ok) }
                if let deadline, ContinuousClock().now >= deadline { return Result(status: status, code: .timedOut) }
            } catch {
                guard case .unavailable(let text) = error, let known = seen, !Task.isCancelled else { throw error }
                guard failures < retries else {
                    session.complain(plainLines(text))
                    return Result(status: known, code: .unreachable, silentSince: heard)
                }
                failures += 1
                if failures == 1 { session.note("serin: \(plain(text)); trying again") }
                if let deadline, ContinuousClock().now >= deadline {
                    return Result(status: known, code: .timedOut, silentSince: heard)
                }
                // A cancelled pause ends in the guard above.
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }

    private func patience(_ progress: Progress, until graceEnd: ContinuousClock.Instant) -> Duration {
        let isInGrace = grace > .zero && ContinuousClock().now < graceEnd
        guard let end = isInGrace ? min(deadline ?? graceEnd, graceEnd) : deadline else { return progress.patience }
        let left = (end - ContinuousClock().now).components
        let milliseconds = left.seconds * 1000 + left.attoseconds / 1_000_000_000_000_000
        return min(progress.patience, .milliseconds(max(1, milliseconds)))
    }

    /// The number of the last decision already taken, so that only later ones are shown.
    func lastDecision() async throws(OperationError) -> Int64 {
        var last: Int64 = 0
        while true {
            let page = try await operations.decisions(of: name, after: last, limit: 1000)
            last = page.last?.sequence ?? last
            if page.count < 1000 { return last }
        }
    }
}
