internal import FoundationEssentials
internal import Glibc
internal import SerinBackups
internal import SerinCatalogue
internal import SerinCrypto
internal import SerinDatabase
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinProcesses
internal import SerinSQLite
internal import SerinTransport

/// A plan's source, destinations and keys, put together from the real parts.
struct OpenedBackups: BackupWork {
    private let loaded: LoadedBackupPlan
    let settings: PipelineSettings
    let catalogue: any CatalogueStore
    let options: BackupWorkOptions
    private let holder: LeaseHolder
    let secrets: Secrets
    let transport: Transport
    let identities: [EnvelopeIdentity]
    let scratch: String
    var plan: BackupPlan { loaded.plan }

    init(
        _ loaded: LoadedBackupPlan, state: StateRoot, catalogue: any CatalogueStore, options: BackupWorkOptions,
        environment: [String: String]
    ) throws(Failure) {
        self.loaded = loaded
        self.catalogue = catalogue
        self.options = options
        let secrets = Secrets(environment: environment)
        self.secrets = secrets
        holder = LeaseHolder.current(purpose: options.purpose)
        transport = try Transport()
        let folder = state.path + "/backups"
        scratch = folder + "/scratch"
        try state.create()
        for path in [folder, scratch] { try Self.makeFolder(path) }
        let plan = loaded.plan
        let destinations = DestinationEnvironment(transport: transport, now: Self.now) { reference throws(Failure) in
            try secrets.read(reference)
        }
        var places: [BackupPlace] = []
        for place in plan.destinations {
            places.append(
                BackupPlace(
                    place.name, try BackupDestinations.make(place.settings, environment: destinations),
                    isRequired: place.isRequired, isOffsite: place.isOffsite,
                    lock: place.lock.map { BackupPlace.Lock($0.mode, for: .hours(24 * Int64($0.days))) }))
        }
        let keys = try BackupKeys(plan, options, secrets, manifestKeyFile: folder + "/manifest.key")
        identities = keys.identities
        var settings = PipelineSettings(
            project: plan.project, target: plan.target, places: places,
            envelope: EnvelopeSettings(
                plan.encryption.profile, compression: plan.compression.method,
                level: plan.compression.level ?? (plan.compression.method == .gzip ? 6 : 3)),
            key: keys.key, manifestKey: keys.manifest, workFolder: folder + "/work")
        settings.retentionClass = plan.retentionClass
        settings.hasPersonalData = plan.hasPersonalData
        settings.planRevision = loaded.hash
        self.settings = settings
    }

    @Sendable static func now() -> Instant { SystemClock().now() }

    private static func makeFolder(_ path: String) throws(Failure) {
        if mkdir(path, 0o700) != 0, errno != EEXIST {
            throw Failure(.denied, "cannot make \(path): \(String(cString: strerror(errno)))")
        }
    }

    /// What makes, judges and restores backups of a kind.
    ///
    /// - Parameters:
    ///   - account: Whose a restored cluster is.
    ///   - log: The facts of the write-ahead log that was stored last.
    func source(_ kind: BackupKind, account: String? = nil, after log: SourceFacts? = nil) throws(Failure)
        -> any BackupSource
    {
        let now = Self.now()
        var span = Duration.hours(24)
        if case .logs(let logs) = plan.source { span = logs.span }
        return try BackupSources.make(
            kind, of: plan, range: (now - span)..<now, after: log,
            environment: SourceEnvironment(scratch: scratch, account: account), transport: transport
        ) { reference throws(Failure) in try secrets.read(reference) }
    }

    /// The facts of the write-ahead log that was stored last, or of the newest base backup that it follows.
    private func lastLog() async throws(Failure) -> SourceFacts? {
        let records: [BackupRecord]
        do throws(CatalogueStoreError) { records = try await catalogue.state().live(target: plan.target.description) } catch {
            throw error.failure
        }
        let usable = records.filter { $0.state.isRestorable && !$0.usableCopies.isEmpty }
        let log = usable.filter { $0.kind == .walRange }.compactMap(\.facts?.server)
        let newest = log.max { ($0.timeline ?? 1, $0.lsnStop?.bytes ?? 0) < ($1.timeline ?? 1, $1.lsnStop?.bytes ?? 0) }
        return newest ?? usable.filter { $0.kind.isPhysicalBase }.compactMap(\.facts?.server).first
    }

    /// The user that a server runs as, when the caller is root.
    static var account: String? {
        guard geteuid() == 0 else { return nil }
        return getpwnam("postgres") == nil ? "nobody" : "postgres"
    }

    private var pipeline: BackupPipeline {
        BackupPipeline(settings, catalogue: catalogue, holder: holder, now: Self.now, progress: options.progress)
    }

    private var verifier: BackupVerifier {
        BackupVerifier(settings, policy: plan.verify, identities: identities, catalogue: catalogue, now: Self.now)
    }

    func probes() async -> [Probe] {
        var probes: [Probe] = []
        do throws(Failure) {
            let source = try source(plan.source.defaultKind)
            let found = try await onOwnThread { (stop) throws(Failure) in try source.probe(stop: stop) }
            let words = "\(found.tool.name) \(found.tool.version)" + (found.server.map { ", server \($0.version)" } ?? "")
            probes.append(
                Probe("source", found.remarks.isEmpty ? .ok : .warning, ([words] + found.remarks).joined(separator: "; ")))
        } catch { probes.append(Probe("source", .failed, error.description)) }
        for place in settings.places {
            do throws(Failure) {
                let facts = try await place.destination.probe()
                let concerns = facts.concerns + facts.remarks
                probes.append(
                    Probe(
                        "destination \(place.name)", concerns.isEmpty ? .ok : .warning,
                        (["\(place.destination.name) can be written"] + facts.words + concerns).joined(separator: "; ")))
            } catch {
                probes.append(
                    Probe("destination \(place.name)", place.isRequired ? .failed : .warning, error.description))
            }
        }
        return probes
    }

    func create(
        _ kind: BackupKind, _ request: SerinBackups.BackupRequest
    ) async throws(BackupRunFailure) -> BackupRunResult {
        let source: any BackupSource
        do throws(Failure) {
            source = try self.source(kind, after: kind == .walRange ? try await lastLog() : nil)
        } catch { throw BackupRunFailure(.preflight, error) }
        return try await pipeline.run(source, request)
    }

    func verify(
        _ record: BackupRecord, at destination: String?, by principal: Principal
    ) async throws(Failure) -> BackupVerifier.Outcome {
        if record.state == .uploaded { try await confirm(record, by: principal) }
        return try await verifier.verify(
            record.id, source: source(record.kind, after: record.facts?.server), destination: destination, by: principal)
    }

    /// Reads the copies of an imported backup, of which only the manifest was read.
    private func confirm(_ record: BackupRecord, by principal: Principal) async throws(Failure) {
        guard let facts = record.facts else { return }
        for copy in record.copies where copy.state == .stored {
            guard let place = settings.places.first(where: { $0.name == copy.destination }) else { continue }
            let known = StoredObject(
                key: copy.key, size: Int64(facts.envelope.storedBytes), version: copy.versionID)
            let found = try await place.destination.confirm(known, sha256: facts.envelope.storedSHA256)
            let evidence = CopyEvidence(
                size: found.size, sha256: found.sha256 ?? "", versionID: copy.versionID, lock: found.lock)
            let event = CatalogueEvent(
                backup: record.id, at: Self.now(), by: principal, .confirmed(destination: copy.destination, evidence))
            do throws(CatalogueStoreError) { try await catalogue.append([event]) } catch { throw error.failure }
        }
    }

    func dueForVerification() async throws(Failure) -> [BackupVerifier.DueCopy] { try await verifier.due(at: Self.now()) }

    func copy(
        _ record: BackupRecord, by principal: Principal
    ) async throws(Failure) -> (record: BackupRecord, missing: [BackupRunResult.MissingCopy]) {
        try await pipeline.replicate(record.id, by: principal)
    }

    func prune(
        lastRun: Instant?, agreed: Bool, by principal: Principal
    ) async throws(Failure) -> (plan: PrunePlan, report: BackupPruner.Report) {
        try await BackupPruner(settings.places, catalogue: catalogue, holder: holder, now: Self.now)
            .run(plan.target.description, Retention(of: plan), lastRun: lastRun, agreed: agreed, by: principal)
    }

    private func reading(_ destination: String) throws(Failure) -> DestinationReading {
        guard let place = settings.places.first(where: { $0.name == destination }) else {
            let names = settings.places.map(\.name).joined(separator: ", ")
            throw Failure(.invalid, "the plan has no destination '\(destination)'", hint: "it has \(names)")
        }
        return DestinationReading(
            destination: destination,
            list: { () throws(Failure) in try await place.destination.list(prefix: "", limit: 100_000).objects },
            read: { key, version throws(Failure) in
                try await place.destination.read(key, version: version, limit: 16 << 20)
            })
    }

    func contents(of destination: String) async throws(Failure) -> DestinationContents {
        let survey = CatalogueSurvey(try reading(destination), authenticate: ManifestSeal(settings.manifestKey).code)
        var contents = try await survey.contents()
        // Pointers to the newest belong to no backup of their own.
        let pointers = Set(BackupKind.allCases.map { "\(plan.target)/latest-\($0.rawValue).json" })
        contents.objects.removeAll { pointers.contains($0.key.description) }
        return contents
    }

    func importBackups(from destination: String, by principal: Principal) async throws(Failure) -> CatalogueRebuild.Report {
        try await CatalogueRebuild(catalogue).run(
            reading(destination), authenticate: ManifestSeal(settings.manifestKey).code, at: Self.now(), by: principal)
    }
}
