internal import SerinAPI
internal import SerinCatalogue
internal import SerinController
internal import SerinModel
internal import SerinServer

extension Subcommand {
    static let daemon = Subcommand(
        "daemon", summary: "a controller of many rollouts, asked over its unix socket, and over HTTP",
        details: """
            Listens at daemon.sock in the state folder; every other command finds it there. SIGTERM or Ctrl-C ends it in order; live
            rollouts wait for the next one, or for their watchdog. --backup also does what a backup plan schedules: backups,
            verification, retention, drills, and its mirror and heartbeat.
            Members of the socket group may see everything, and halt, hold, resume, promote, roll back and approve. Only the daemon's own
            user may start rollouts, since a policy's programs run as that user and its secrets are read as that user; with
            --group-may-start members can do whatever that user can.
            --listen serves the API over TCP as well: on the loopback address, or anywhere with TLS. There everyone needs credentials;
            only /healthz, /readyz, /metrics and /v1/openapi.json show themselves to all. A browser finds the pages there, under the
            names of this computer itself or those that --page-host lets.
            """,
        examples: [
            "serin daemon", "serin daemon --socket-group deploy --state /var/lib/serin",
            "serin daemon --backup backups/checkout.yaml",
            "serin daemon --listen 0.0.0.0:8443 --tls-certificate tls.crt --tls-key tls.key --tls-client-ca clients.crt",
        ], interruption: .handled
    ) { input throws(UsageError) in
        let group = try input.text("--socket-group", value: "GROUP", help: "a group whose members may ask it too")
        let groupMayStart = try input.flag(
            "--group-may-start", help: "let the group start rollouts, and so run programs as this user")
        guard !groupMayStart || group != nil || input.isDescribing else {
            throw UsageError("--group-may-start needs --socket-group GROUP")
        }
        let plans = try input.every("--backup", value: "PLAN", help: "a backup plan; may stand several times") {
            $0.isEmpty ? nil : $0
        }
        let listening = try Listening(&input)
        let pageHosts = try input.every(
            "--page-host", value: "NAME", help: "a name by which browsers may reach the pages; may stand several times"
        ) { $0.isEmpty ? nil : $0 }
        return { session in
            // A plan that is wrong stops the start, when somebody still looks.
            let loaded = try plans.map { try PlanArgument.load($0, session) }
            try session.state.create()
            try UnixSocket.check(session.state.daemonSocket, group: group)
            // So is an address that is taken, or a certificate that is wrong.
            let listeners = try listening.listeners()
            let queue = BackupQueue(session, plans: loaded)
            let controller = try await session.assembly.openDaemon(session.state)
            var faces = DaemonFaces(
                controller.operations, session, backups: queue, checks: { await controller.readiness() },
                othersMayStart: groupMayStart,
                metrics: { await queue.metrics() })
            let server: HTTPServer
            do {
                let socket = try UnixSocket(listeningAt: session.state.daemonSocket, group: group)
                try faces.addPages(
                    of: controller.operations, session, backups: queue, hosts: pageHosts,
                    checks: { await controller.readiness() })
                server = try HTTPServer(listeners: [.unix(socket)] + listeners, router: faces.router)
            } catch {
                await controller.abandon()
                throw error
            }
            for place in [session.state.daemonSocket] + listeners.map(\.place) { session.note("listening at \(place)") }
            guard !loaded.isEmpty else { return await serve(controller, server, session, beside: { await queue.run() }) }
            return try await BackupSession.with(session) { backups in
                await withTaskGroup(of: ExitCode?.self) { group in
                    for plan in loaded {
                        group.addTask {
                            await BackupScheduler(
                                backups: backups, loaded: plan, clock: SystemClock(), chance: BackupAgenda.steadyChance
                            ).run()
                            return nil
                        }
                    }
                    group.addTask { await serve(controller, server, session, beside: { await queue.run() }) }
                    var code: ExitCode?
                    while code == nil, let ended = await group.next() { code = ended }
                    // A backup under way is given up in order; the next run removes what it began.
                    group.cancelAll()
                    return code ?? .ok
                }
            }
        }
    }

    private static func serve(
        _ controller: any OpenedController, _ server: HTTPServer, _ session: Session,
        beside work: @escaping @Sendable () async -> Void
    ) async -> ExitCode {
        await withTaskGroup(of: ExitCode?.self) { group in
            group.addTask {
                await work()
                return nil
            }
            group.addTask {
                await server.run()
                return nil
            }
            group.addTask {
                do throws(Failure) {
                    try await controller.run()
                    return .ok
                } catch {
                    session.complain(error.description)
                    return .unexpected
                }
            }
            group.addTask {
                await stopWhenInterrupted(controller, server, session)
                return nil
            }
            var code: ExitCode?
            while code == nil, let ended = await group.next() { code = ended }
            server.stop()
            await controller.stop()
            group.cancelAll()
            return code ?? .ok
        }
    }

    /// The first signal stops the daemon in order; the second ends the process at once, however far that has come.
    private static func stopWhenInterrupted(
        _ controller: any OpenedController, _ server: HTTPServer, _ session: Session
    ) async {
        await withDiscardingTaskGroup { group in
            var count = 0
            for await signal in session.interruptions {
                count += 1
                guard count == 1 else {
                    session.endNow(.interrupted)
                    continue
                }
                session.note("stopping after \(Interruptions.name(of: signal)); a second signal ends at once")
                server.stop()
                group.addTask { await controller.stop() }
            }
        }
    }
}
