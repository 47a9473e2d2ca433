internal import SerinAPI
internal import SerinController
internal import SerinModel
internal import SerinPolicies
internal import SerinRollouts

extension Subcommand {
    static let wait = Subcommand(
        "wait", summary: "wait for a rollout and end with its exit code",
        details: """
            Exit 0 promoted or passed, 3 failed, 4 halted, 5 inconclusive, 6 rollback incomplete; 124 when --timeout is over
            first. With --for step=N it ends with 0 once step N is entered. Ctrl-C ends the waiting, never the rollout.
            A rollout that nobody controls ends the wait at once, with 75; with --away it is waited for until somebody does.
            """,
        examples: ["serin wait checkout --timeout 90m --away 5m", "serin wait checkout --for step=2"]
    ) { input throws(UsageError) in
        let goal = try input.option("--for", value: "final|step=N", help: "what to wait for (default: final)", read: Goal.init)
        let junit = try input.junitFile(help: "write a report in JUnit's XML")
        let away = try input.option(
            "--away", value: "TIME", help: "for how long nobody may answer, as while a daemon starts anew",
            read: { Duration(policyText: $0) })
        let name = try input.positional("ROLLOUT", help: "a rollout or a service")
        return { session in
            do {
                let result = try await patiently(away ?? .zero, until: session.globals.timeout) { end in
                    try await follow(name, goal, until: end, session)
                }
                return finish(result, junit: junit, session: session)
            } catch OperationError.unavailable(let text) {
                Reports.writeSilence(of: name, text, junit: junit, session: session)
                throw OperationError.unavailable(text)
            }
        }
    }

    /// Follows a rollout once, for a time.
    private static func follow(
        _ name: String, _ goal: Goal?, until end: ContinuousClock.Instant?, _ session: Session
    ) async throws -> RolloutWatch.Result {
        let locator = ControllerLocator(session)
        let (watch, after) = try await locator.find(name) {
            let reader = try await locator.reader(for: name, assembly: session.assembly)
            var watch = RolloutWatch(reader, name: name, session: session, timeout: nil)
            watch.deadline = end
            return (watch, try await watch.lastDecision())
        }
        return try await watch.run(after: after) { goal?.isReached($0) ?? false }
    }

    /// Follows again while nobody answers, until that has lasted too long or the time is over.
    private static func patiently(
        _ away: Duration, until timeout: Duration?, _ follow: (ContinuousClock.Instant?) async throws -> RolloutWatch.Result
    ) async throws -> RolloutWatch.Result {
        let clock = ContinuousClock()
        let end = timeout.map { clock.now + .milliseconds($0.milliseconds) }
        var heard = clock.now
        var known: RolloutStatus?
        while true {
            var silence: OperationError?
            do {
                let result = try await follow(end)
                guard result.code == .unreachable else { return result }
                known = result.status
                heard = max(heard, result.silentSince ?? heard)
            } catch OperationError.unavailable(let text) {
                silence = .unavailable(text)
            }
            let isOver = end.map { clock.now >= $0 } ?? false
            guard clock.now - heard < .milliseconds(away.milliseconds), !isOver, !Task.isCancelled else {
                guard let known else { throw silence ?? .unavailable("nobody answers") }
                return RolloutWatch.Result(status: known, code: isOver ? .timedOut : .unreachable, silentSince: heard)
            }
            // A cancelled pause ends in the guard above.
            try? await Task.sleep(for: .seconds(1))
        }
    }

    /// What `wait` waits for.
    private enum Goal: Sendable {
        case final
        case step(Int)

        init?(_ text: String) {
            if text == "final" {
                self = .final
                return
            }
            guard text.hasPrefix("step="), let number = Int(text.dropFirst(5)), (1...100).contains(number) else { return nil }
            self = .step(number)
        }

        func isReached(_ status: RolloutStatus) -> Bool {
            switch self {
            case .final: status.isFinal
            case .step(let number): status.step >= number && status.ending == nil
            }
        }
    }

    /// Writes what a wait came to, and the reports; returns its exit code. With `continuation`, the controller ends with this process,
    /// and that command is the next one.
    static func finish(
        _ result: RolloutWatch.Result, junit: String?, continuation: String? = nil, session: Session
    ) -> ExitCode {
        let status = result.status
        let first = continuation.map { "\($0) first, it takes the rollout up; beside it " } ?? ""
        if session.globals.output != .jsonl {
            session.data(StatusDocument.encode(status)) { style in
                let sentence = status.cause.isEmpty ? "" : ": " + status.cause
                return [style.paint(plain(status.state), StatusView.colour(status)) + plain("  \(status.id)\(sentence)")]
            }
        }
        Reports.write(result, junit: junit, session: session)
        switch result.code {
        case .timedOut where result.silentSince != nil, .unreachable:
            session.complain(
                "nobody answers, so what is said of \(status.id) is old; the rollout may go on\nhint: look at the load balancer; serin wait \(status.id) waits again"
            )
        case .timedOut: session.complain("stopped waiting; the rollout goes on\nhint: serin wait \(status.id) waits again")
        case .rollbackIncomplete:
            let previous = status.previous.isEmpty ? "the previous version" : status.previous
            let what = status.isCodeBack ? "the schema or the data is not as it was" : "\(previous) is not back"
            let fence = Explanation.fence(status).map { "; \($0)" } ?? ""
            session.complain(
                status.observedWeight == .zero && status.wantedWeight == .zero
                    ? "ROLLBACK INCOMPLETE\(fence): the weight is 0, but \(what): \(status.cause)\nhint: \(first)serin rollback \(status.id) \(status.isCodeBack ? "looks at it again" : "tries again"); serin resume \(status.id) says that it is \(status.isCodeBack ? "as it should be" : "done")"
                    : "ROLLBACK INCOMPLETE: the weight is not confirmed at 0\(status.unconfirmedZero.map { ": \($0.words)" } ?? "")\nhint: set it to 0 at the load balancer, then \(continuation.map { "\($0) takes the rest back; " } ?? "look at ")serin why \(status.id)\(continuation == nil ? "" : " tells more")"
            )
        case .failed, .halted, .inconclusive, .refused: session.note("serin why \(status.id) tells more")
        case .ok, .unexpected, .usage, .verificationFailed, .interrupted: break
        }
        return result.code
    }
}
