internal import Glibc
internal import SerinAPI
internal import SerinController
internal import SerinModel
internal import SerinPolicies
internal import SerinRollouts

extension Subcommand {
    static let start = Subcommand(
        "start", summary: "start a rollout in the daemon, and leave it to it",
        details: """
            Refused with exit 7 while a rollout of the service is live. With --join one of the same versions is not in the way: its name
            is the answer, for a pipeline whose first start was not answered, or that is run again.
            """,
        examples: ["serin start policy.yaml --version 1.9.0 --previous 1.8.3", "serin start policy.yaml --version 1.9.0 --wait"]
    ) { input throws(UsageError) in
        let wait = try input.flag("--wait", help: "wait for its end, and end with its exit code")
        let joins = try input.flag("--join", help: "take up what is live already, when it is of the same versions")
        let junit = try input.junitFile(help: "with --wait, write a report in JUnit's XML")
        let arguments = try PolicyArguments(&input, needsVersion: true)
        return { session in
            let locator = ControllerLocator(session)
            guard let daemon = try locator.daemon() else {
                throw OperationError.unavailable(
                    "no daemon answers at \(session.state.daemonSocket)\nhint: serin daemon starts one; serin run needs none")
            }
            let source = try await arguments.source()
            guard !wait else { return try await startAndWait(source, joining: joins, on: daemon, junit: junit, session: session) }
            let status = try await start(source, joining: joins, on: daemon, session)
            session.data(StatusDocument.encode(status)) { _ in [status.id.description] }
            session.note("started; serin wait \(status.id) waits for its end")
            return .ok
        }
    }

    /// Starts a rollout in a daemon and follows it.
    static func startAndWait(
        _ source: PolicySource, joining: Bool = false, on daemon: RemoteController, junit: String?, session: Session
    ) async throws -> ExitCode {
        let status = try await start(source, joining: joining, on: daemon, session)
        session.note("started \(status.id) in the daemon at \(daemon.socket)")
        let watch = RolloutWatch(daemon, name: status.id.description, session: session, timeout: session.globals.timeout)
        return finish(try await watch.run(after: 0), junit: junit, session: session)
    }

    /// Starts a rollout, or finds the one of the same versions that is live.
    private static func start(
        _ source: PolicySource, joining: Bool, on daemon: RemoteController, _ session: Session
    ) async throws(OperationError) -> RolloutStatus {
        do throws(OperationError) {
            return try await daemon.start(source.startRequest, by: .uid(getuid()))
        } catch {
            guard joining, case .refused = error else { throw error }
            let policy = try session.assembly.readPolicy(source).policy
            let live = try await daemon.status(of: policy.service.description)
            guard !live.isFinal, live.ending == nil, live.version == source.version,
                source.previous == nil || live.previous == source.previous
            else { throw error }
            session.note("\(live.id) is live already with the same versions: it is taken up")
            return live
        }
    }
}
