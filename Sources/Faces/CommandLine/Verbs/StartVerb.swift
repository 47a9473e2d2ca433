internal import Glibc
internal import SerinAPI
internal import SerinController
internal import SerinModel
internal import SerinRollouts

extension Subcommand {
    static let start = Subcommand(
        "start", summary: "start a rollout in the daemon, and leave it to it",
        examples: ["serin start policy.yaml --version 1.9.0 --previous 1.8.3", "serin start policy.yaml --version 1.9.0 --wait"]
    ) { input throws(UsageError) in
        let wait = try input.flag("--wait", help: "wait for its end, and end with its exit code")
        let junit = try input.junitFile(help: "with --wait, write a report in JUnit's XML")
        let arguments = try PolicyArguments(&input, needsVersion: true)
        return { session in
            let locator = ControllerLocator(session)
            guard let daemon = try locator.daemon() else {
                throw OperationError.unavailable(
                    "no daemon answers at \(session.state.daemonSocket)\nhint: serin daemon starts one; serin run needs none")
            }
            let source = try await arguments.source()
            guard !wait else { return try await startAndWait(source, on: daemon, junit: junit, session: session) }
            let status = try await daemon.start(source.startRequest, by: .uid(getuid()))
            session.data(StatusDocument.encode(status)) { _ in [status.id.description] }
            session.note("started; serin wait \(status.id) waits for its end")
            return .ok
        }
    }

    /// Starts a rollout in a daemon and follows it.
    static func startAndWait(
        _ source: PolicySource, on daemon: RemoteController, junit: String?, session: Session
    ) async throws -> ExitCode {
        let status = try await daemon.start(source.startRequest, by: .uid(getuid()))
        session.note("started \(status.id) in the daemon at \(daemon.socket)")
        let watch = RolloutWatch(daemon, name: status.id.description, session: session, timeout: session.globals.timeout)
        return finish(try await watch.run(after: 0), junit: junit, session: session)
    }
}
