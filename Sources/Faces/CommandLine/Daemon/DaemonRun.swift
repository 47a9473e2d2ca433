internal import Glibc
internal import SerinAPI
internal import SerinCatalogue
internal import SerinController
internal import SerinIdentity
internal import SerinLocks
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinServer

/// One run of the daemon: opens everything in order, tells the service manager, takes over a changed configuration, ends in order.
struct DaemonRun: Sendable {
    /// What the command line says.
    struct Flags: Sendable {
        var configuration: String?
        var socketGroup: String?
        var groupMayStart = false
        var identities: String?
        var plans: [String] = []
        var pageHosts: [String] = []
        var listening = Listening()
        var logsAsJSON = false
    }

    /// Everything that a configuration means, read and checked, before any of it is used.
    private struct Prepared: Sendable {
        var files: DaemonFiles
        var places: [DaemonDoors.Place]
        var settings: DaemonSettings { files.settings }
        var plans: [LoadedBackupPlan] { files.plans }
        var warnings: [Diagnostic] { files.warnings }
    }

    /// Everything that is open.
    private struct Opened: Sendable {
        var controller: any OpenedController
        var messages: (any DaemonMessages)?
        var queue: BackupQueue
        var remote: ExchangedAuthenticator
        var local: ExchangedAuthenticator
        var identification: Locked<Identification>
        var router: Router
        var server: HTTPServer
        var keeper: ConfigurationKeeper
    }

    let session: Session
    let flags: Flags
    private let manager: ServiceNotifier
    private let doors: DaemonDoors
    private let schedules = RunningParts<LoadedBackupPlan>()
    private let clockWatch: ClockWatch
    /// What the command line had opened, with its certificates.
    private let listeners = Locked<[Listener]>([])

    init(_ session: Session, _ flags: Flags) {
        self.session = session
        self.flags = flags
        manager = ServiceNotifier(environment: session.environment)
        doors = DaemonDoors { session.note($0) }
        clockWatch = ClockWatch(SystemClock()) { session.complain($0) }
    }

    /// Runs until a signal, or until rollouts cannot be driven any more.
    func run() async throws -> ExitCode {
        // What is wrong stops the start, when somebody still looks.
        let found = try DaemonFiles.read(flags, session)
        let given = try prepare(found)
        // Before the first line that is said.
        if flags.configuration != nil { Interruptions.catchHangups() }
        if flags.logsAsJSON || given.settings.log == .json { session.console.logAsJSON() }
        try session.state.create()
        let keeper = await ConfigurationKeeper.opened(session)
        do {
            let code = try await run(found, keeper)
            await keeper.close()
            return code
        } catch {
            await keeper.close()
            throw error
        }
    }

    /// Runs with what is in force, which the files may say otherwise.
    private func run(_ found: DaemonFiles, _ keeper: ConfigurationKeeper) async throws -> ExitCode {
        let chosen = await keeper.choose(found.texts)
        let prepared = try prepare(chosen == found.texts ? found : try DaemonFiles(of: chosen, session))
        let settings = prepared.settings
        if settings.log == .json { session.console.logAsJSON() }
        for warning in prepared.warnings { session.note(plainLines(warning.description)) }
        let group = prepared.files.socketGroup
        try UnixSocket.check(session.state.daemonSocket, group: group)
        // So does an address that is taken, or a certificate that is wrong.
        let listeners = try flags.listening.listeners()
        self.listeners.withLock { $0 = listeners }
        let opened = try await open(prepared, group: group, listeners, keeper)
        for place in [session.state.daemonSocket] + listeners.map(\.place) { session.note("listening at \(place)") }
        // The rollouts that were found are driven at once; an address that cannot be had is said and tried at the next reload.
        do throws(Failure) {
            try await doors.open(prepared.places, router: opened.router, connections: settings.connections)
        } catch { session.complain(error.description) }
        opened.messages?.open(opened.controller.operations)
        schedule(prepared.plans, opened)
        await keeper.begin(
            ConfigurationKeeper.Hands(
                read: { try DaemonFiles.read(flags, session).texts },
                check: {
                    let prepared = try prepare(try DaemonFiles(of: $0, session))
                    _ = try opened.messages?.prepare(prepared.settings, of: prepared.files.identities.people)
                },
                use: { try await use(try prepare(try DaemonFiles(of: $0, session)), opened) },
                tell: { [messages = opened.messages] in await messages?.notifier.notify($0) }))
        let code = await serve(opened)
        doors.forget()
        await opened.identification.withLock { $0 }.close()
        await opened.messages?.close()
        return code
    }

    private func open(
        _ prepared: Prepared, group: String?, _ listeners: [Listener], _ keeper: ConfigurationKeeper
    ) async throws -> Opened {
        let settings = prepared.settings
        var messages: (any DaemonMessages)?
        if flags.configuration != nil {
            messages = try await session.assembly.daemon.openMessages(session.state)
            try messages?.prepare(settings, of: prepared.files.identities.people)()
        }
        let identification = try await identification(prepared, keeper, previous: nil)
        let present = Locked(identification)
        let (remote, local) = (
            ExchangedAuthenticator(identification.remote), ExchangedAuthenticator(identification.local)
        )
        let controller: any OpenedController
        do {
            controller = try await session.assembly.openDaemon(session.state, local, messages?.notifier) {
                service, text throws(OperationError) in try keeper.permit(service, text)
            }
        } catch {
            await messages?.close()
            throw error
        }
        let queue = BackupQueue(session, plans: prepared.plans)
        let checks = { @Sendable [messages, clockWatch] in
            await controller.readiness() + [keeper.readiness, certificates, clockWatch.readiness]
                + (await messages?.readiness() ?? [])
        }
        var faces = DaemonFaces(
            controller.operations, session, backups: queue, configuration: keeper, checks: checks,
            authenticators: [remote, local],
            notifications: { [messages] () throws(Failure) in
                try await messages?.notifications() ?? NotificationAPI.nothing
            },
            metrics: { [messages] in await queue.metrics() + (await messages?.metrics() ?? "") + keeper.metrics })
        faces.others += messages?.routes ?? []
        do {
            try faces.addPages(
                of: controller.operations, session, backups: queue, hosts: flags.pageHosts + settings.pageHosts,
                desk: keeper, signIn: Identification.ways { present.withLock { $0 } },
                decided: { () throws(Failure) in try await keeper.entries().map(ConfigurationView.line) }, checks: checks)
            let socket = try UnixSocket(listeningAt: session.state.daemonSocket, group: group)
            var limits = Limits()
            limits.connections = settings.connections
            let server = try HTTPServer(
                listeners: [.unix(socket)] + listeners, router: faces.router, limits: limits,
                report: { [session] in session.note($0) })
            return Opened(
                controller: controller, messages: messages, queue: queue, remote: remote, local: local, identification: present,
                router: faces.router, server: server, keeper: keeper)
        } catch {
            await controller.abandon()
            await messages?.close()
            throw error
        }
    }

    private func identification(
        _ prepared: Prepared, _ keeper: ConfigurationKeeper, previous: Identification?
    ) async throws(Failure) -> Identification {
        let identification = try await Identification.opened(
            prepared.files.identities, session, othersMayStart: prepared.files.groupMayStart, previous: previous)
        keeper.know(try People(prepared.files.identities.people))
        return identification
    }

    private func serve(_ opened: Opened) async -> ExitCode {
        await withTaskGroup(of: ExitCode?.self) { group in
            group.addTask {
                await opened.server.run(); return nil
            }
            group.addTask {
                await doors.run(); return nil
            }
            group.addTask {
                await opened.queue.run()
                return nil
            }
            group.addTask {
                await schedules.run(); return nil
            }
            group.addTask {
                await clockWatch.run(); return nil
            }
            group.addTask {
                await opened.messages?.run(); return nil
            }
            group.addTask {
                await showLife(of: opened.controller); return nil
            }
            group.addTask {
                do throws(Failure) {
                    try await opened.controller.run()
                    return .ok
                } catch {
                    session.complain(error.description)
                    return .unexpected
                }
            }
            group.addTask {
                await takeSignals(opened)
                return nil
            }
            manager.ready("\(certificateFault())driving rollouts in \(session.state.path)")
            var code: ExitCode?
            while code == nil, let ended = await group.next() { code = ended }
            manager.stopping()
            opened.server.stop()
            doors.close()
            await opened.controller.stop()
            // A backup under way is given up in order; the next run removes what it began. What is not told yet stays in the outbox.
            group.cancelAll()
            return code ?? .ok
        }
    }

    /// Tells the service manager that rollouts are decided upon. When they are not, it says nothing, and is started anew.
    private func showLife(of controller: any OpenedController) async {
        guard let patience = manager.watchdog else { return }
        while !Task.isCancelled {
            if controller.isDeciding(within: patience) { manager.alive() }
            // A cancelled pause ends the loop.
            try? await Task.sleep(for: .milliseconds(patience.milliseconds / 3))
        }
    }

    /// SIGHUP reads the configuration again. The first other signal stops the daemon in order; the second ends the process at once,
    /// however far that has come.
    private func takeSignals(_ opened: Opened) async {
        await withDiscardingTaskGroup { group in
            var count = 0
            for await signal in session.interruptions {
                if signal == SIGHUP, flags.configuration != nil, count == 0 {
                    await reload(opened)
                    continue
                }
                count += 1
                guard count == 1 else {
                    session.endNow(.interrupted)
                    continue
                }
                session.note("stopping after \(Interruptions.name(of: signal)); a second signal ends at once")
                manager.stopping()
                opened.server.stop()
                doors.close()
                group.addTask { await opened.controller.stop() }
            }
        }
    }

    // MARK: Configuration

    /// Whether the daemon's own certificates are in time, for those who ask whether it is ready. The operator's choice stays in force.
    private var certificates: ReadinessCheck {
        let now = session.now
        let complaints = listeners.withLock { $0 }.compactMap { $0.complaint(at: now) } + doors.complaints(at: now)
        guard !complaints.isEmpty else { return ReadinessCheck("certificates", isFatal: false) }
        return ReadinessCheck(
            "certificates", complaint: "\(complaints.joined(separator: "; ")): clients that check it turn away", isFatal: false)
    }

    /// Says in the log what is wrong with them.
    ///
    /// - Returns: The same for the service manager, before other words; empty when nothing is.
    private func certificateFault() -> String {
        guard let complaint = certificates.complaint else { return "" }
        session.complain(complaint + "\nhint: put a new one in its place, then systemctl reload serin, or SIGHUP")
        return "\(complaint); "
    }

    private func prepare(_ files: DaemonFiles) throws -> Prepared {
        Prepared(
            files: files, places: try DaemonDoors.places(of: files.settings, secret: session.assembly.daemon.readSecret))
    }

    /// Reads and checks a configuration.
    static func load(_ file: String, _ session: Session) throws(OperationError) -> LoadedDaemon {
        try session.assembly.daemon.readSettings(
            PolicySource(file: file, text: try PolicyArguments.text(ofRegular: file, kind: "configuration")))
    }

    /// Takes over the configuration as it is now. When anything is wrong with it the one before stays in force, and that is said.
    private func reload(_ opened: Opened) async {
        manager.reloading()
        var fault = ""
        defer {
            if fault.isEmpty { fault = certificateFault() }
            manager.ready("\(fault)driving rollouts in \(session.state.path)")
        }
        do {
            let found = try DaemonFiles.read(flags, session)
            opened.keeper.note(fault: nil)
            let isInForce = try await opened.keeper.alone {
                let chosen = await opened.keeper.choose(found.texts)
                let isInForce = chosen == found.texts
                try await use(try prepare(isInForce ? found : try DaemonFiles(of: chosen, session)), opened)
                return isInForce
            }
            guard isInForce else { return }
            for warning in found.warnings { session.note(plainLines(warning.description)) }
            session.note("the configuration was read again and is in force")
        } catch {
            session.complain("the configuration was read again and is wrong; the one before stays in force")
            fault = "the configuration is wrong, and the one before is in force; "
            if let error = error as? OperationError { _ = session.complain(error) } else { session.complain("\(error)") }
            opened.keeper.note(fault: "the files are wrong, and what was in force before stays: \(error)")
        }
    }

    /// Takes a configuration over. Whatever fails on the way leaves all as it was.
    private func use(_ prepared: Prepared, _ opened: Opened) async throws {
        let use = try opened.messages?.prepare(prepared.settings, of: prepared.files.identities.people)
        let identification = try await identification(
            prepared, opened.keeper, previous: opened.identification.withLock { $0 })
        try await doors.open(prepared.places, router: opened.router, connections: prepared.settings.connections)
        use?()
        opened.remote.exchange(for: identification.remote)
        opened.local.exchange(for: identification.local)
        opened.identification.withLock { $0 = identification }
        await opened.queue.use(prepared.plans)
        schedule(prepared.plans, opened)
    }

    private func schedule(_ plans: [LoadedBackupPlan], _ opened: Opened) {
        var session = session
        session.notifier = opened.messages?.notifier
        schedules.replace(
            by: plans.map { [session] plan in
                (
                    plan,
                    {
                        do {
                            try await BackupSession.with(session) { backups in
                                await BackupScheduler(
                                    backups: backups, loaded: plan, clock: SystemClock(), chance: BackupAgenda.steadyChance
                                ).run()
                            }
                        } catch { session.complain("the backups of \(plan.plan.target) are not looked after: \(error)") }
                    }
                )
            })
    }
}
