internal import SerinAPI
internal import SerinController
internal import SerinModel
internal import SerinRollouts

extension Subcommand {
    static let wait = Subcommand(
        "wait", summary: "wait for a rollout and end with its exit code",
        details: """
            Exit 0 promoted or passed, 3 failed, 4 halted, 5 inconclusive, 6 rollback incomplete; 124 when --timeout is over
            first. With --for step=N it ends with 0 once step N is entered. Ctrl-C ends the waiting, never the rollout.
            A rollout that nobody controls ends the wait at once, with 75.
            """,
        examples: ["serin wait checkout --timeout 90m", "serin wait checkout --for step=2"]
    ) { input throws(UsageError) in
        let goal = try input.option("--for", value: "final|step=N", help: "what to wait for (default: final)", read: Goal.init)
        let junit = try input.junitFile(help: "write a report in JUnit's XML")
        let name = try input.positional("ROLLOUT", help: "a rollout or a service")
        return { session in
            let locator = ControllerLocator(session)
            let (watch, after) = try await locator.find(name) {
                let reader = try await locator.reader(for: name, assembly: session.assembly)
                let watch = RolloutWatch(reader, name: name, session: session, timeout: session.globals.timeout)
                return (watch, try await watch.lastDecision())
            }
            let result = try await watch.run(after: after) { goal?.isReached($0) ?? false }
            return finish(result, junit: junit, session: session)
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
        Reports.write(status, code: result.code, junit: junit, session: session)
        switch result.code {
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
        case .ok, .unexpected, .usage, .verificationFailed, .unreachable, .interrupted: break
        }
        return result.code
    }
}
