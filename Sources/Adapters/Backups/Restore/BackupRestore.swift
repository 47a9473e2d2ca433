public import SerinCatalogue
internal import SerinCrypto
internal import SerinDatabase
public import SerinModel
internal import SerinPolicies
public import SerinPorts
internal import SerinProcesses

/// A backup that was restored beside the live database and checked.
public struct RestoredDatabase: Sendable, Hashable {
    /// The backup.
    public var backup: BackupID
    /// The database that was made for it.
    public var name: String
    /// The live database that it may replace.
    public var live: String
    /// The destination that it was read from.
    public var destination: String
    /// What was looked at.
    public var checks: [BackupCheck]
    /// The tools that were run.
    public var evidence: [ToolEvidence]
    /// When each step was reached.
    public var reached: [Step]

    /// A step of a restore with its time.
    public struct Step: Sendable, Hashable {
        /// Which.
        public var mark: DrillClock.Mark
        /// When.
        public var at: Instant
    }

    /// Whether everything that was looked at is as it must be.
    public var passed: Bool { !checks.isEmpty && checks.allSatisfy(\.passed) }
}

/// Restores a backup into a database of its own: authenticates the whole copy before any tool sees a byte of it, restores with the
/// least rights, checks what came out. The live database is not touched; see `DatabaseSwap` and `TableMerge`.
public struct BackupRestore: Sendable {
    private let pipeline: PipelineSettings
    private let settings: RestoreSettings
    private let identities: [EnvelopeIdentity]
    private let catalogue: any CatalogueStore
    private let now: @Sendable () -> Instant
    private let progress: @Sendable (JobProgress) -> Void

    /// A restore.
    public init(
        _ pipeline: PipelineSettings, _ settings: RestoreSettings, identities: [EnvelopeIdentity], catalogue: any CatalogueStore,
        now: @escaping @Sendable () -> Instant, progress: @escaping @Sendable (JobProgress) -> Void = { _ in }
    ) {
        self.pipeline = pipeline
        self.settings = settings
        self.identities = identities
        self.catalogue = catalogue
        self.now = now
        self.progress = progress
    }

    /// Restores a backup beside the live database. A database whose checks do not pass is kept and said; one that could not be
    /// restored is dropped.
    ///
    /// - Parameters:
    ///   - source: What made it.
    ///   - tables: Only these tables, as `schema.table`; the checks are then left out.
    public func restore(
        _ id: BackupID, source: any BackupSource, destination: String? = nil, tables: [String] = [], permit: RestorePermit
    ) async throws(Failure) -> RestoredDatabase {
        let server = try RestoreServer(settings)
        try permit.allows(.beside, id, server.live)
        let record = try await self.record(id)
        let (copy, place) = try record.copy(destination, of: pipeline.places)
        let name = server.name(beside: "restore", "\(id)".filter { $0 != "-" }.suffix(8))
        let use = Hold(.use(name), reason: "it is being restored as \(name)", until: now() + settings.policy.deadline)
        try await tell(id, permit.by, .held(use))
        let result: Result<RestoredDatabase, Failure>
        do throws(Failure) {
            result = .success(try await perform(record, copy, place, source, name, tables, server))
        } catch { result = .failure(error) }
        // The hold ends by itself.
        try? await tell(id, permit.by, .released(.use(name)))
        return try result.get()
    }

    private func perform(
        _ record: BackupRecord, _ copy: BackupCopy, _ place: BackupPlace, _ source: any BackupSource, _ name: String,
        _ tables: [String], _ server: RestoreServer
    ) async throws(Failure) -> RestoredDatabase {
        let meter = ProgressMeter(progress)
        var restored = RestoredDatabase(
            backup: record.id, name: name, live: server.live, destination: copy.destination, checks: [], evidence: [], reached: []
        )
        func reach(_ mark: DrillClock.Mark) { restored.reached.append(.init(mark: mark, at: now())) }
        reach(.located)
        meter.begin("fetch", total: record.size)
        let fetched = try await FetchedCopy(record, copy, at: place, in: settings.scratch)
        let identities = identities
        try await onOwnThread { _ throws(Failure) in
            do throws(EnvelopeFailure) { try fetched.authenticate(identities) } catch { throw error.failure }
        }
        reach(.downloaded)
        meter.begin("restore", total: Int64(fetched.facts.envelope.plainBytes))
        let settings = settings
        let findings = try await onOwnThread { (stop) throws(Failure) in
            try server.make(name)
            do throws(Failure) {
                return try BackupRestore.fill(name, fetched, identities, source, settings, server, tables, meter, stop)
            } catch {
                // What is left of it would only be in the way; its name says what it is if it cannot be dropped.
                try? server.drop(name)
                throw error
            }
        }
        reach(.consistent)
        restored.checks = findings.checks
        restored.evidence = findings.evidence
        if tables.isEmpty {
            meter.begin("check")
            restored.checks += try await inspect(name, fetched.facts, server)
        }
        reach(.checked)
        return restored
    }

    private static func fill(
        _ name: String, _ fetched: FetchedCopy, _ identities: [EnvelopeIdentity], _ source: any BackupSource,
        _ settings: RestoreSettings, _ server: RestoreServer, _ tables: [String], _ meter: ProgressMeter, _ stop: StopSignal
    ) throws(Failure) -> ConsumerFindings {
        let target = RestoreTarget(
            .database(url: try server.url(of: name)), tables: tables, keepsOwners: settings.keepsOwners, jobs: settings.jobs,
            scratch: settings.scratch, deadline: settings.policy.deadline)
        let product = SourceProduct(fetched.facts)
        if !tables.isEmpty { try server.makeSchemas(of: tables, in: name) }
        let restoration = try source.restoration(of: product, into: target, stop: stop)
        var done: Int64 = 0
        do throws(EnvelopeFailure) {
            try fetched.read(identities) { (bytes) throws(Failure) in
                try restoration.write(bytes)
                done += Int64(bytes.count)
                meter.note(done)
            }
        } catch { throw error.failure }
        let findings = try restoration.finish(comparing: product)
        try server.silence(name)
        return findings
    }

    /// The checks on the restored database, of which each is a finding.
    func inspect(_ name: String, _ facts: BackupFacts, _ server: RestoreServer) async throws(Failure) -> [BackupCheck] {
        let settings = settings
        var checks = try await onOwnThread { _ throws(Failure) in
            try RestoreInspection(
                session: try server.session(name, RestoreInspection.purpose), facts: facts, checks: settings.policy.checks,
                statements: SQLScript(settings.integrity ?? "").statements, patience: settings.policy.deadline
            ).run()
        }
        for hook in settings.policy.checks.smoke { checks.append(await server.smoke(hook, name)) }
        for address in settings.policy.checks.probes { checks.append(await ask(address)) }
        return checks
    }

    private func ask(_ address: String) async -> BackupCheck {
        let name = "probe \(address)"
        guard let probe = settings.probe else { return BackupCheck(name, passed: false, detail: "nothing here can ask it") }
        do throws(Failure) {
            let status = try await probe(address)
            return BackupCheck(name, passed: (200..<300).contains(status), detail: "status \(status)")
        } catch { return BackupCheck(name, passed: false, detail: error.message) }
    }

    /// A backup that may be restored.
    private func record(_ id: BackupID) async throws(Failure) -> BackupRecord {
        let state: CatalogueState
        do throws(CatalogueStoreError) { state = try await catalogue.state() } catch { throw error.failure }
        guard let record = state[id] else { throw Failure(.invalid, "no backup \(id) is known") }
        guard record.state.isRestorable else {
            throw Failure(
                .denied, "backup \(id) is \(record.state.rawValue) and cannot be restored from",
                hint: record.failure.map { "it failed: \($0.message)" })
        }
        return record
    }

    private func tell(_ id: BackupID, _ principal: Principal, _ change: CatalogueEvent.Change) async throws(Failure) {
        do throws(CatalogueStoreError) {
            try await catalogue.append([CatalogueEvent(backup: id, at: now(), by: principal, change)])
        } catch { throw error.failure }
    }
}
