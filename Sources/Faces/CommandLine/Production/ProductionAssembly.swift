internal import Glibc
internal import SerinAPI
internal import SerinBackups
internal import SerinCatalogue
internal import SerinController
internal import SerinCrypto
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinRecords
internal import SerinRollouts
internal import SerinSQLite
internal import SerinTraffic
internal import SerinYAML

extension Assembly {
    /// The parts that the program is made of: the one place that names concrete adapters.
    static func production(environment: [String: String], output: Output) -> Assembly {
        let read: @Sendable (PolicySource) throws(OperationError) -> LoadedPolicy = { source throws(OperationError) in
            try loadPolicy(source)
        }
        let surroundings: @Sendable () throws(OperationError) -> Surroundings = { () throws(OperationError) in
            do throws(Failure) { return try Surroundings(environment: environment, output: output) } catch {
                throw .unavailable(error.description)
            }
        }
        let unwrittenHalts = UnwrittenHalts()
        return Assembly(
            readPolicy: read,
            probe: { policy, source, state in
                await Probing(environment: environment, output: output).probes(policy, source, state)
            },
            forecast: { policy, source, state, note in
                await Probing(environment: environment, output: output).forecast(policy, source, state, note)
            },
            pastReadings: { policy, request, range throws(OperationError) in
                try await Probing(environment: environment, output: output).past(policy, request, range)
            },
            openController: { service, state throws(OperationError) in
                try await OpenedService.open(
                    service, root: state.path, purpose: OpenedService.runPurpose, surroundings: try surroundings(),
                    unwrittenHalts: unwrittenHalts, readPolicy: read)
            },
            openDaemon: { state, peers, notifier, permit throws(OperationError) in
                let shared = try surroundings()
                let permitted: @Sendable (PolicySource) throws(OperationError) -> LoadedPolicy = {
                    source throws(OperationError) in
                    let loaded = try read(source)
                    try permit(loaded.policy.service, source.text)
                    return loaded
                }
                let daemon = OpenedDaemon(
                    state: state, peers: peers, retries: shared.retries, measures: shared.measures,
                    unwrittenHalts: unwrittenHalts,
                    report: { text in shared.output.write("serin: \(plain(text))\n", isKept: true) },
                    open: { service, isAgain throws(OperationError) in
                        try await OpenedService.open(
                            service, root: state.path, purpose: "serin daemon", surroundings: shared, notifier: notifier,
                            isAgain: isAgain, unwrittenHalts: unwrittenHalts, readPolicy: permitted)
                    }, readPolicy: permitted)
                do throws(Failure) {
                    try await daemon.openAll()
                } catch {
                    throw .unavailable(error.description)
                }
                return daemon
            },
            openAccess: { state throws(OperationError) in try await tokens(of: state) },
            openJournal: { service, state in journal(of: service, state) },
            verify: { service, rollout, noted, state throws(OperationError) in
                try await verifyJournal(service, rollout, against: noted, state)
            },
            policySchema: { SerinPolicies.policySchema(drivers: TrafficDrivers.schemas).canonicalText },
            backups: backups(environment: environment, output: output),
            daemon: daemon(environment: environment, output: output, unwrittenHalts: unwrittenHalts),
            migrations: migrations(environment: environment),
            migrationScripts: migrationScripts(environment: environment),
            watchdog: { service, state, after throws(OperationError) in
                try await watch(service, state, after: after, surroundings: try surroundings())
            })
    }

    /// Reads, validates and hashes a policy; every complaint at once.
    private static func loadPolicy(_ source: PolicySource) throws(OperationError) -> LoadedPolicy {
        let bytes = Array(source.text.utf8)
        let document = readYAML(bytes, file: source.file)
        let reading = PolicyReading(
            of: document.node, file: source.file, earlier: document.diagnostics, drivers: TrafficDrivers.schemas,
            version: source.version, previous: source.previous)
        guard let policy = reading.policy else { throw .invalid(reading.diagnostics) }
        var overridden: Policy
        do throws(PolicyError) {
            overridden = try policy.applying(overrides: source.overrides.map { ($0.key, $0.value) })
        } catch {
            throw .invalid(error.diagnostics)
        }
        let folder = source.file.lastIndex(of: "/").map { String(source.file[..<$0]) } ?? ""
        overridden.migrations?.resolve(in: folder)
        return LoadedPolicy(policy: overridden, hash: try hash(of: bytes), missingVersions: reading.missingVersions)
    }

    /// Reads, validates and hashes a backup plan. A rollout's policy is read as the plan that its `backup:` means, so that what was
    /// made before a release can be verified and restored by the same file.
    private static func loadPlan(_ source: PolicySource) throws(OperationError) -> LoadedBackupPlan {
        let bytes = Array(source.text.utf8)
        let document = readYAML(bytes, file: source.file)
        if case .mapping(let pairs, _)? = document.node, pairs.contains(where: { $0.key == "service" }),
            !pairs.contains(where: { $0.key == "target" })
        {
            return try backupPlan(of: try loadPolicy(source), named: source.file)
        }
        let reading = BackupPlanReading(
            of: document.node, file: source.file, earlier: document.diagnostics, destinations: BackupDestinations.schemas,
            offsets: ZoneFiles.offset)
        guard let plan = reading.plan else { throw .invalid(reading.diagnostics) }
        return LoadedBackupPlan(file: source.file, plan: plan, warnings: reading.warnings, hash: try hash(of: bytes))
    }

    /// The backup plan that a rollout's policy means: the one in the file that it names, or what its short form stands for.
    ///
    /// - Parameter file: What messages call the short form.
    static func backupPlan(of loaded: LoadedPolicy, named file: String) throws(OperationError) -> LoadedBackupPlan {
        switch loaded.policy.backup?.plan {
        case .file(let path):
            return try loadPlan(PolicySource(file: path, text: try PolicyArguments.text(ofRegular: path, kind: "plan")))
        case .short:
            if let plan = BackupPlan(shortFormOf: loaded.policy) {
                return LoadedBackupPlan(file: file, plan: plan, hash: loaded.hash)
            }
        case nil: break
        }
        throw .refused(
            Refusal(
                "the policy of '\(loaded.policy.service)' says of no backup what it is made of",
                hint: "add backup: {before: always, plan: FILE} to it, or name a backup plan"))
    }

    /// Opens the file of tokens.
    static func tokens(of state: StateRoot) async throws(OperationError) -> any AccessStore {
        do throws(Failure) {
            try state.create(letsRoot: true)
            return try await SQLiteAccess.open(SQLiteAccess.path(under: state.path))
        } catch { throw closed(error) }
    }

    /// Why a file of the state folder cannot be used: another try helps unless it is for lack of rights.
    private static func closed(_ failure: Failure) -> OperationError {
        failure.kind == .denied
            ? .refused(Refusal(failure.message, hint: failure.hint)) : .unavailable(failure.description)
    }

    static func backups(environment: [String: String], output: Output) -> BackupAssembly {
        BackupAssembly(
            readPlan: { source throws(OperationError) in try loadPlan(source) },
            planSchema: {
                SerinPolicies.backupPlanSchema(destinations: BackupDestinations.schemas.map(\.driver)).canonicalText
            },
            openCatalogue: { state throws(OperationError) in
                do throws(Failure) {
                    // Approvals behind sudo are told apart by who called it.
                    try state.create(letsRoot: true)
                    do throws(CatalogueStoreError) {
                        return try await SQLiteCatalogue.open(SQLiteCatalogue.path(under: state.path))
                    } catch { throw error.failure }
                } catch { throw closed(error) }
            },
            readCatalogue: { state throws(OperationError) in
                let path = SQLiteCatalogue.path(under: state.path)
                guard Glibc.access(path, F_OK) == 0 || errno != ENOENT else {
                    return MemoryCatalogue(digest: SHA256.digestOrEmpty)
                }
                do throws(Failure) {
                    try state.create(letsRoot: true)
                    do throws(CatalogueStoreError) {
                        return try await SQLiteCatalogue.read(path) ?? MemoryCatalogue(digest: SHA256.digestOrEmpty)
                    } catch { throw error.failure }
                } catch { throw closed(error) }
            },
            open: { loaded, state, catalogue, options throws(Failure) in
                try OpenedBackups(
                    loaded, state: state, catalogue: catalogue, options: options, environment: environment, output: output)
            }, offsets: ZoneFiles.offset)
    }

    private static func hash(of bytes: [UInt8]) throws(OperationError) -> String {
        do throws(CryptoError) {
            return Hexadecimal.text(of: try SHA256.digest(bytes))
        } catch {
            throw .unavailable("the policy cannot be hashed: \(error)")
        }
    }

    private static func journal(of service: ServiceName, _ state: StateRoot) -> (any RolloutOperations)? {
        let folder = StateFolder(under: state.path, service: service)
        guard Glibc.access(folder.journal, F_OK) == 0 else { return nil }
        return JournalOperations(service: service, folder: folder)
    }

    private static func verifyJournal(
        _ service: ServiceName, _ rollout: RolloutID?, against noted: NotedJournal?, _ state: StateRoot
    ) async throws(OperationError) -> Verification {
        let folder = StateFolder(under: state.path, service: service)
        guard Glibc.access(folder.journal, F_OK) == 0 || noted != nil else {
            throw .notFound(
                "there is no journal in \(folder.path)\nhint: no rollout of '\(service)' was begun with this state folder")
        }
        do throws(StoreError) {
            guard Glibc.access(folder.journal, F_OK) == 0 else {
                return try await Verification(of: service, nil, against: noted, isHeld: false) { _ throws(StoreError) in [] }
            }
            let store = try await JournalOperations.open(folder)
            let result = try await Verification(of: service, rollout, against: noted, isHeld: false) { after throws(StoreError) in
                try await store.entries(after: after, rollout: nil, limit: 64)
            }
            await store.close()
            return result
        } catch {
            switch error {
            case .damaged(let text):
                return Verification(service: service.description, entries: 0, replayed: 0, head: nil, faults: [text])
            case .locked(let text), .unavailable(let text), .uncertain(let text): throw .unavailable(text)
            }
        }
    }

    private static func watch(
        _ service: ServiceName, _ state: StateRoot, after: Duration, surroundings: Surroundings
    ) async throws(OperationError) -> ExitCode {
        let folder = StateFolder(under: state.path, service: service)
        let handover: Handover
        do throws(Failure) {
            guard let found = try WatchdogKeeper.handover(folder) else { return .ok }
            handover = found
        } catch {
            throw .unavailable(error.description)
        }
        // A log whose disk stands still must not keep the weight up.
        surroundings.output.neverWait()
        let lastSign = WatchdogKeeper.lastSign(folder)
        let sight = ControllerSight(lastSign: lastSign)
        let mark = WatchdogMark(path: folder.watchdogMark)
        let watchdog: Watchdog
        do throws(Failure) {
            watchdog = Watchdog(
                parts: Watchdog.Parts(
                    handover: {
                        // One that cannot be read now is no sign of the rollout's end.
                        do throws(Failure) { return try WatchdogKeeper.handover(folder) } catch { return handover }
                    }, look: { sight.look() },
                    isHaltAsked: { HaltFile(path: folder.halt).exists || HaltFile(path: state.haltFile).exists },
                    leaveMark: { () async throws(Failure) in try await mark.leave() },
                    say: { surroundings.output.write("\(SystemClock().now()) \($0)\n", isKept: true) },
                    clock: SystemClock(),
                    traffic: try surroundings.traffic(
                        handover.driver, version: handover.version, previous: handover.previous)), handover: handover,
                after: after, lastSign: lastSign.moment)
        } catch {
            throw .unavailable(error.description)
        }
        await watchdog.run()
        return .ok
    }
}
