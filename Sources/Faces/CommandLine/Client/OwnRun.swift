internal import Glibc
internal import SerinAPI
internal import SerinController
internal import SerinModel
internal import SerinPolicies
internal import SerinProcesses
internal import SerinRollouts
internal import SerinServer

/// A rollout whose controller is this process: it drives, serves the service's socket, and watches for Ctrl-C.
struct OwnRun: Sendable {
    let session: Session
    let source: PolicySource
    let isContinued: Bool
    let socketGroup: String?

    private enum Part: Sendable {
        case ended(RolloutWatch.Result)
        case failed(OperationError)
        case controllerEnded(String?)
        case serverEnded
        case signalsEnded
    }

    /// Runs to the end of the rollout, or to the deadline of its rollback.
    func result() async throws -> RolloutWatch.Result {
        let loaded = try session.assembly.readPolicy(source)
        let service = loaded.policy.service
        if !isContinued {
            try loaded.checkVersions()
            try await refuseUnfinished(service)
        }
        // What is wrong with the socket is said before anything is made or taken over.
        try UnixSocket.check(session.state.socket(of: service), group: socketGroup)
        try session.state.create(for: service)
        let controller = try await session.assembly.openController(service, session.state)
        let server: HTTPServer
        do {
            // Only now: taking the lock closes the folder to everyone but its owner, and the socket lets its group in.
            let socket = try UnixSocket(
                listeningAt: session.state.socket(of: service), group: socketGroup, within: session.state.path)
            let checkpoints = CheckpointAPI(controller.operations, signer: SigningKey.signer(of: session.state))
            server = try HTTPServer(
                socket: socket,
                router: Router([HealthAPI.alive] + RolloutAPI(controller.operations).routes + checkpoints.routes))
        } catch {
            await controller.abandon()
            throw error
        }
        return try await drive(controller, service, server)
    }

    /// Looks before the lock is taken: opening the journal as its controller would take an unfinished rollout over.
    private func refuseUnfinished(_ service: ServiceName) async throws(OperationError) {
        let statuses: [RolloutStatus]
        do throws(OperationError) {
            statuses = try await session.assembly.openJournal(service, session.state)?.statuses() ?? []
        } catch .unavailable {
            // A controller holds it, or it cannot be read: opening it tells which.
            return
        }
        guard let live = statuses.last, !live.isFinal else { return }
        throw .refused(
            Refusal(
                "rollout \(live.id) of '\(service)' is not over (\(live.state)), and no controller is in charge of it; nothing was changed",
                hint: "take it up: \(continuation)"))
    }

    /// The command that takes the unfinished rollout up.
    var continuation: String {
        let state = session.globals.state.map { " --state \(shellWord($0))" } ?? ""
        let file = source.isStandardInput ? "POLICY" : shellWord(source.file)
        return "serin run \(file) --continue\(state)"
    }

    private func drive(
        _ controller: any OpenedController, _ service: ServiceName, _ server: HTTPServer
    ) async throws -> RolloutWatch.Result {
        try await withThrowingTaskGroup(of: Part.self) { group in
            group.addTask {
                await server.run()
                return .serverEnded
            }
            group.addTask {
                do throws(Failure) {
                    try await controller.run()
                    return .controllerEnded(nil)
                } catch {
                    return .controllerEnded(error.description)
                }
            }
            group.addTask {
                await haltWhenInterrupted(controller.operations, service)
                return .signalsEnded
            }
            group.addTask {
                do throws(OperationError) {
                    return .ended(try await follow(controller.operations, service))
                } catch {
                    return .failed(error)
                }
            }
            var outcome: Result<RolloutWatch.Result, any Error>?
            var isServing = true
            var isControllerDone = false
            // Once there is an outcome, those who wait for it over the socket get their answers before the controller ends.
            while outcome == nil || isServing, let part = try await group.next() {
                switch part {
                case .ended(let result): outcome = .success(result)
                case .failed(let error): outcome = .failure(error)
                case .controllerEnded(let reason):
                    isControllerDone = true
                    guard outcome == nil else { break }
                    let words = reason ?? "it stopped by itself"
                    outcome = .failure(
                        Failure(
                            .transient, "the controller ended before the rollout: \(words)",
                            hint: "\(continuation) takes it up"))
                case .serverEnded: isServing = false
                case .signalsEnded: break
                }
                if outcome != nil { server.stop() }
            }
            await controller.stop()
            // The controller hands over its last notices, and closes the journal, before anything is cancelled.
            while !isControllerDone, let part = try await group.next() {
                if case .controllerEnded = part { isControllerDone = true }
            }
            group.cancelAll()
            return try (outcome ?? .failure(CancellationError())).get()
        }
    }

    private func follow(_ operations: any RolloutOperations, _ service: ServiceName) async throws(OperationError)
        -> RolloutWatch.Result
    {
        let status: RolloutStatus
        if isContinued {
            status = try await operations.status(of: service.description)
            guard !status.isFinal else {
                throw .refused(
                    Refusal(
                        "the last rollout of \(service) is over: \(status.state)",
                        hint: "serin run POLICY --version starts another"))
            }
        } else {
            status = try await operations.start(source.startRequest, by: .uid(getuid()))
        }
        session.note(
            "\(isContinued ? "took up" : "started") \(status.id); serin halt \(service) stops it, serin why \(service) explains it"
        )
        var watch = RolloutWatch(operations, name: status.id.description, session: session, timeout: nil)
        if isContinued { watch.grace = .seconds(15) }
        return try await watch.run(after: isContinued ? try await watch.lastDecision() : 0)
    }

    /// The first signal halts the rollout, which lowers the weight and takes everything back; the second ends the process at once.
    private func haltWhenInterrupted(_ operations: any RolloutOperations, _ service: ServiceName) async {
        await withDiscardingTaskGroup { group in
            var count = 0
            for await signal in session.interruptions {
                count += 1
                guard count == 1 else {
                    session.complain(
                        "ended by a second signal, \(Interruptions.name(of: signal)), before everything was taken back\nhint: \(continuation) goes on; serin status \(service) shows the weight, which the load balancer must show as 0"
                    )
                    session.endNow(.rollbackIncomplete)
                    break
                }
                session.note(
                    "interrupted by \(Interruptions.name(of: signal)): the weight goes to 0 and everything is taken back; a second signal ends at once"
                )
                group.addTask { await halt(operations, service, signal) }
            }
            group.cancelAll()
        }
    }

    /// Asks for a halt until it is accepted. Before the rollout is durable there is none to halt, or only a finished one, which
    /// refuses; a live one never does.
    private func halt(_ operations: any RolloutOperations, _ service: ServiceName, _ signal: Int32) async {
        let name = Interruptions.name(of: signal)
        let command = Command(.halt, by: Principal(channel: "signal", identity: name), reason: "interrupted by \(name)")
        while !Task.isCancelled {
            do throws(OperationError) {
                _ = try await operations.perform(command, on: service.description)
                return
            } catch {
                // A cancelled pause ends the loop.
                try? await Task.sleep(for: .milliseconds(100))
            }
        }
    }
}
