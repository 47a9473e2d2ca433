internal import Glibc
internal import SerinAPI
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
    public static func production(environment: [String: String]) -> Assembly {
        let read: @Sendable (PolicySource) throws(OperationError) -> LoadedPolicy = { source throws(OperationError) in
            try loadPolicy(source)
        }
        let surroundings: @Sendable () throws(OperationError) -> Surroundings = { () throws(OperationError) in
            do throws(Failure) { return try Surroundings(environment: environment) } catch {
                throw .unavailable(error.description)
            }
        }
        return Assembly(
            readPolicy: read,
            probe: { policy, source in await Probing(environment: environment).probes(policy, source) },
            forecast: { policy, source in await Probing(environment: environment).forecast(policy, source) },
            openController: { service, state throws(OperationError) in
                try await OpenedService.open(
                    service, root: state.path, purpose: OpenedService.runPurpose, surroundings: try surroundings(),
                    readPolicy: read)
            },
            openDaemon: { state throws(OperationError) in
                let shared = try surroundings()
                let daemon = OpenedDaemon(
                    state: state,
                    open: { service throws(OperationError) in
                        try await OpenedService.open(
                            service, root: state.path, purpose: "serin daemon", surroundings: shared, readPolicy: read)
                    }, readPolicy: read)
                await daemon.openAll { text in
                    let bytes = Array("serin: \(plain(text))\n".utf8)
                    _ = write(STDERR_FILENO, bytes, bytes.count)
                }
                return daemon
            },
            openJournal: { service, state in journal(of: service, state) },
            verify: { service, rollout, head, state throws(OperationError) in
                try await verifyJournal(service, rollout, head: head, state)
            },
            policySchema: { SerinPolicies.policySchema(drivers: TrafficDrivers.schemas).canonicalText },
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
        let overridden: OverriddenPolicy
        do throws(PolicyError) {
            overridden = try policy.applying(overrides: source.overrides.map { ($0.key, $0.value) })
        } catch {
            throw .invalid(error.diagnostics)
        }
        return LoadedPolicy(policy: overridden.policy, hash: try hash(of: bytes))
    }

    private static func hash(of bytes: [UInt8]) throws(OperationError) -> String {
        do throws(CryptoError) {
            return Hexadecimal.text(of: try SHA256.digest(bytes))
        } catch {
            throw .unavailable("the policy cannot be hashed: \(error)")
        }
    }

    private static func journal(of service: ServiceName, _ state: StateFolder) -> (any RolloutOperations)? {
        let folder = SerinSQLite.StateFolder(under: state.path, service: service)
        guard access(folder.journal, F_OK) == 0 else { return nil }
        return JournalOperations(path: folder.journal)
    }

    private static func verifyJournal(
        _ service: ServiceName, _ rollout: RolloutID?, head: String?, _ state: StateFolder
    ) async throws(OperationError) -> Verification {
        let folder = SerinSQLite.StateFolder(under: state.path, service: service)
        let checkpoint = try head.map { text throws(OperationError) -> Checkpoint in
            guard let checkpoint = Checkpoint(text) else {
                throw .refused(Refusal("'\(text)' is no head", hint: "a head is SIZE:HASH, as serin verify prints it"))
            }
            return checkpoint
        }
        do throws(StoreError) {
            let store = try await SQLiteStore.read(folder.journal)
            let (chain, end) = try await store.verifyChain(against: checkpoint, digest: SHA256.digestOrEmpty)
            var verification = Verification(
                service: service.description, entries: end.size, replayed: 0, head: end.description,
                faults: chain.map(\.description))
            do throws(OperationError) {
                let replay = try await JournalReader(store).replayAll(only: rollout)
                verification.replayed = replay.replayed
                verification.faults += replay.faults
            } catch {
                verification.faults.append("\(error)")
            }
            await store.close()
            return verification
        } catch {
            switch error {
            case .damaged(let text):
                return Verification(service: service.description, entries: 0, replayed: 0, head: nil, faults: [text])
            case .locked(let text), .unavailable(let text): throw .unavailable(text)
            }
        }
    }

    private static func watch(
        _ service: ServiceName, _ state: StateFolder, after: Duration, surroundings: Surroundings
    ) async throws(OperationError) -> ExitCode {
        let folder = SerinSQLite.StateFolder(under: state.path, service: service)
        guard let handover = WatchdogKeeper.handover(folder) else { return .ok }
        let sight = ControllerSight(folder: folder)
        let mark = WatchdogMark(path: folder.watchdogMark)
        let watchdog: Watchdog
        do throws(Failure) {
            watchdog = Watchdog(
                parts: Watchdog.Parts(
                    handover: { WatchdogKeeper.handover(folder) }, look: { sight.look() },
                    leaveMark: { () async throws(Failure) in try await mark.leave() },
                    say: { text in
                        let bytes = Array("\(SystemClock().now()) \(text)\n".utf8)
                        _ = write(STDERR_FILENO, bytes, bytes.count)
                    }, clock: SystemClock(), traffic: try surroundings.traffic(handover.driver)), handover: handover)
        } catch {
            throw .unavailable(error.description)
        }
        await watchdog.run()
        return .ok
    }
}
