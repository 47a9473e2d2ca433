internal import Glibc
internal import SerinBackups
internal import SerinCatalogue
internal import SerinCrypto
internal import SerinDatabase
internal import SerinModel
internal import SerinNotifications
internal import SerinPolicies
internal import SerinPorts
internal import SerinProcesses
internal import SerinSQLite
internal import SerinTransport

/// A plan's source, destinations and keys, put together from the real parts. Keys that cannot be used fail what needs them, and are
/// a finding of the probes.
struct OpenedBackups: BackupWork {
    let loaded: LoadedBackupPlan
    private let keys: Result<BackupKeys, Failure>
    private let places: [BackupPlace]
    let catalogue: any CatalogueStore
    let options: BackupWorkOptions
    let holder: LeaseHolder
    let environment: [String: String]
    let secrets: Secrets
    let transport: Transport
    let notices: BackupNotices
    /// Where this process says what no command asked for.
    private let output: Output
    private let folder: String
    let scratch: String
    var plan: BackupPlan { loaded.plan }

    init(
        _ loaded: LoadedBackupPlan, state: StateRoot, catalogue: any CatalogueStore, options: BackupWorkOptions,
        environment: [String: String], output: Output
    ) throws(Failure) {
        self.loaded = loaded
        self.catalogue = catalogue
        self.options = options
        self.environment = environment
        self.output = output
        let secrets = Secrets(environment: environment)
        self.secrets = secrets
        holder = LeaseHolder.current(purpose: options.purpose)
        transport = try Transport()
        notices = BackupNotices(of: loaded)
        folder = state.path + "/backups"
        // The folder of the pipeline's unfinished work: its next run removes what one that was killed left there.
        scratch = folder + "/work"
        try state.create()
        for path in [folder, scratch] {
            try Self.makeFolder(path)
            try Self.refuseForeign(path)
        }
        let plan = loaded.plan
        let destinations = DestinationEnvironment(transport: transport, lockFolder: folder, now: Self.now) {
            reference throws(Failure) in
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
        self.places = places
        do throws(Failure) {
            keys = .success(try BackupKeys(plan, options, secrets, manifestKeyFile: folder + "/manifest.key"))
        } catch { keys = .failure(error) }
    }

    var settings: PipelineSettings {
        get throws(Failure) { settings(try keys.get()) }
    }

    var identities: [EnvelopeIdentity] {
        get throws(Failure) { try keys.get().identities }
    }

    /// Without keys only a preflight may use them.
    private func settings(_ keys: BackupKeys?) -> PipelineSettings {
        var settings = PipelineSettings(
            project: plan.project, target: plan.target, places: places,
            envelope: EnvelopeSettings(
                plan.encryption.profile, compression: plan.compression.method,
                level: plan.compression.level ?? (plan.compression.method == .gzip ? 6 : 3)),
            key: keys?.key ?? .unencrypted, manifestKey: keys?.manifest ?? Secret(UnsafeRawBufferPointer(start: nil, count: 0)),
            workFolder: scratch)
        settings.formerManifestKeys = keys?.formerManifests ?? []
        settings.retentionClass = plan.retentionClass
        settings.hasPersonalData = plan.hasPersonalData
        settings.planRevision = loaded.hash
        return settings
    }

    @Sendable static func now() -> Instant { SystemClock().now() }

    static func makeFolder(_ path: String) throws(Failure) {
        if mkdir(path, 0o700) != 0, errno != EEXIST {
            throw Failure(.denied, "cannot make \(path): \(String(cString: strerror(errno)))")
        }
    }

    /// What root left there once, or another user.
    private static func refuseForeign(_ path: String) throws(Failure) {
        guard let owner = stranger(owning: path) else { return }
        throw Failure(
            .denied, "cannot use \(path): it belongs to \(userName(owner)), and this is \(userName(geteuid()))",
            hint: "give it back, as root: chown -R \(geteuid()) \(path)")
    }

    /// What makes, judges and restores backups of a kind.
    ///
    /// - Parameters:
    ///   - account: Whose a restored cluster is.
    ///   - continuation: What was stored before, which a backup of a log goes on from.
    func source(_ kind: BackupKind, account: String? = nil, after continuation: LogContinuation = LogContinuation())
        throws(Failure) -> any BackupSource
    {
        try BackupSources.make(
            kind, of: plan, after: continuation, at: Self.now(),
            environment: SourceEnvironment(scratch: scratch, account: account), transport: transport
        ) { reference throws(Failure) in try secrets.read(reference) }
    }

    func continuation(of kind: BackupKind) async throws(Failure) -> LogContinuation {
        do throws(CatalogueStoreError) {
            return LogContinuation(
                of: kind, target: plan.target.description, in: try await catalogue.state(), at: Self.now())
        } catch { throw error.failure }
    }

    /// The user that a server runs as, when the caller is root.
    static var account: String? {
        guard geteuid() == 0 else { return nil }
        return getpwnam("postgres") == nil ? "nobody" : "postgres"
    }

    private func pipeline(_ settings: PipelineSettings) -> BackupPipeline {
        BackupPipeline(
            settings, catalogue: catalogue, holder: holder, now: Self.now, progress: options.progress, warning: options.warning)
    }

    private func verifier() throws(Failure) -> BackupVerifier {
        BackupVerifier(try settings, policy: plan.verify, identities: try identities, catalogue: catalogue, now: Self.now)
    }

    /// Tells whom the plan names, once whoever did it has gone on.
    func tell(_ occasion: NotifyPolicy.Occasion, _ notification: Notification) {
        // What was called off is no failure to tell of.
        if occasion == .failure, Task.isCancelled { return }
        guard plan.notify.on.contains(occasion) else { return }
        if let notifier = options.notifier { options.later { await notifier.notify(notification) } }
        guard let command = plan.notify.run else { return }
        let output = output
        let notifier = CommandNotifier(command, caller: environment) { output.write("serin: \(plain($0))\n", isKept: true) }
        options.later { await notifier.notify(notification) }
    }

    func probes(for purpose: ProbePurpose) async -> [Probe] {
        let kind = plan.source.defaultKind
        let source: Result<any BackupSource, Failure>
        do throws(Failure) { source = .success(try self.source(kind)) } catch { source = .failure(error) }
        var findings: [PreflightFinding] = []
        do throws(Failure) {
            switch keys {
            case .success(let keys): findings = try await pipeline(settings(keys)).preflight(kind, source)
            case .failure(let failure): findings = try await pipeline(settings(nil)).preflight(kind, source, key: failure)
            }
        } catch { findings = [PreflightFinding("catalogue", failure: error)] }
        switch purpose {
        case .release, .backups: break
        case .restores: findings += await restoreFindings()
        case .swaps:
            findings += await restoreFindings().map { finding in
                var finding = finding
                finding.isRequired = true
                return finding
            }
        }
        return findings.map { finding in
            if let failure = finding.failure {
                return Probe(
                    finding.name, finding.isRequired ? .failed : .warning,
                    failure.message + (failure.hint.map { " (\($0))" } ?? ""))
            }
            let concerns = (finding.facts?.concerns ?? []) + finding.remarks
            return Probe(
                finding.name, concerns.isEmpty ? .ok : .warning,
                ([finding.detail.isEmpty ? "right" : finding.detail] + (finding.facts?.words ?? []) + concerns).joined(
                    separator: "; "))
        } + (proofProbe(purpose == .release).map { [$0] } ?? []) + (await archiveProbes())
    }

    func database() async -> DatabaseIdentity? {
        let (reference, isWhole): (SecretReference, Bool)
        switch plan.source {
        case .postgres(let source): (reference, isWhole) = (source.url, false)
        case .postgresPhysical(let source): (reference, isWhole) = (source.url, true)
        case .redis, .files, .logs, .mongo, .clickhouse, .command: return nil
        }
        let purpose = SessionPurpose(
            applicationName: "serin-backup-check", setUp: "SET statement_timeout = '10s'", deniedHint: "")
        // A server that does not answer is a finding of the probes.
        let found = try? await onOwnThread { (_) throws(Failure) in
            let url = try secrets.read(reference)
            let name = "postgres \(ConnectionText.name(url) ?? "of the backup")"
            do throws(DatabaseError) {
                return try Connection(url, name: name, purpose: purpose, limit: timeLimit(.seconds(10))).identity
            } catch { throw error.failure }
        }
        guard var identity = found ?? nil else { return nil }
        if isWhole { identity.name = nil }
        return identity
    }

    /// What is for recipients cannot be opened here, and so counts as verified only where the plan takes the stored bytes as proof.
    private func proofProbe(_ needsProof: Bool) -> Probe? {
        guard case .recipients = plan.encryption.key, plan.verify.proof == .contents, options.identities.isEmpty else {
            return nil
        }
        return Probe(
            "proof", needsProof ? .failed : .warning,
            "no key here opens the backups, so they stay available and are not verified (have a machine with a recipient's key verify "
                + "them, or write verify: {proof: stored_bytes} into the plan)")
    }

    func create(
        _ kind: BackupKind, _ request: BackupRequest
    ) async throws(BackupRunFailure) -> BackupRunResult {
        tell(.begin, notices.begun(kind, at: Self.now()))
        do throws(BackupRunFailure) {
            var result = try await make(kind, request)
            // Where a tool has a retention of its own, that ran just now.
            do throws(Failure) { _ = try await noteExpired(by: request.by) } catch {
                result.remarks.append("what pgbackrest's own retention has removed is not known: \(error.message)")
            }
            tell(.success, notices.made(result, at: Self.now()))
            return result
        } catch {
            if !error.isBusy, !error.isNothing { tell(.failure, notices.failed(kind, error, at: Self.now())) }
            throw error
        }
    }

    func tellCutOff(_ record: BackupRecord) { tell(.failure, notices.cutOff(record, at: Self.now())) }

    private func make(_ kind: BackupKind, _ request: BackupRequest) async throws(BackupRunFailure) -> BackupRunResult {
        let parts: (source: any BackupSource, settings: PipelineSettings)
        do throws(Failure) {
            parts = (try self.source(kind, after: try await continuation(of: kind)), try settings)
            if kind == .walRange || kind == .redisAOF { try await expectSomething(parts.source) }
        } catch {
            // A server on which nothing happens writes no new file of log, and one may keep no append-only file.
            if error.kind == .conflict { throw BackupRunFailure(.preflight, error, isNothing: true) }
            let unbegun: UnbegunBackup
            do throws(Failure) {
                unbegun = try UnbegunBackup(of: plan, revision: loaded.hash, kind, request, at: Self.now(), error)
            } catch { throw BackupRunFailure(.preflight, error) }
            throw await unbegun.record(in: catalogue)
        }
        // Otherwise it is dumped, and a restore brings it back. Where it cannot be removed the preflight says so.
        if kind == .logical { try? await sweepMerges() }
        try await makeGlobals(beside: kind, request, parts.settings)
        return try await pipeline(parts.settings).run(parts.source, request)
    }

    /// Makes the backup of roles and tablespaces that a dump of one database has not, where the plan wants it.
    private func makeGlobals(
        beside kind: BackupKind, _ request: BackupRequest, _ settings: PipelineSettings
    ) async throws(BackupRunFailure) {
        guard kind == .logical, case .postgres(let dump) = plan.source, dump.globals else { return }
        let globals: any BackupSource
        do throws(Failure) { globals = try source(.globals) } catch { throw BackupRunFailure(.preflight, error) }
        _ = try await pipeline(settings).run(globals, request)
    }

    private func expectSomething(_ source: any BackupSource) async throws(Failure) {
        _ = try await onOwnThread { (stop) throws(Failure) in try source.probe(stop: stop) }
    }

    func verify(
        _ record: BackupRecord, at destination: String?, isRightPlace: Bool, by principal: Principal
    ) async throws(Failure) -> BackupVerifier.Outcome {
        do throws(Failure) {
            _ = try await noteExpired(by: principal)
            let bad = try await pipeline(settings).confirmStored(
                record.id, rightPlace: isRightPlace ? destination : nil, by: principal)
            for copy in bad { tell(.failure, notices.bad(record, outcome(of: copy).result)) }
            // It was read just now, and never agreed.
            if let copy = bad.first(where: { $0.destination == destination }) { return outcome(of: copy) }
            var outcome = try await verifier().verify(
                record.id, source: source(record.kind, after: LogContinuation(record.facts?.server)), destination: destination,
                isRightPlace: isRightPlace, by: principal)
            outcome.warnings += bad.map { "the copy at \($0.destination) is BAD: \($0.failure.message)" }
            if !outcome.result.passed { tell(.failure, notices.bad(record, outcome.result)) }
            return outcome
        } catch {
            tell(.failure, notices.unread(record, error, at: Self.now()))
            throw error
        }
    }

    private func outcome(of copy: BackupPipeline.BadCopy) -> BackupVerifier.Outcome {
        BackupVerifier.Outcome(
            result: VerificationResult(
                at: Self.now(), destination: copy.destination, evidence: CopyEvidence(size: 0, sha256: ""),
                checks: [BackupCheck("read back", passed: false, detail: copy.failure.message)]), warnings: [], evidence: [])
    }

    func copy(
        _ record: BackupRecord, by principal: Principal
    ) async throws(Failure) -> (record: BackupRecord, missing: [BackupRunResult.MissingCopy]) {
        // Reading a whole backup is an access to it, whatever it is for.
        let note = AuditNote(
            at: Self.now(), by: principal, topic: BackupExport.topic, target: record.order.target, backup: record.id,
            text: "copied to the destinations that lack it")
        do throws(CatalogueStoreError) { try await catalogue.note(note) } catch { throw error.failure }
        return try await pipeline(settings).replicate(record.id, by: principal)
    }

    func export(
        _ record: BackupRecord, to file: String, destination: String?, isStored: Bool, reason: String, by principal: Principal
    ) async throws(Failure) -> BackupExport.Exported {
        let (settings, identities): (PipelineSettings, [EnvelopeIdentity])
        do throws(Failure) { (settings, identities) = (try self.settings, try self.identities) } catch {
            guard isStored else { throw error }
            throw Failure(
                error.kind, "a backup is given out with its manifest, and what seals those cannot be used: \(error.message)",
                hint: error.hint ?? "the plan's key under encryption seals the manifests as well as it opens what is stored")
        }
        return try await BackupExport(
            settings, identities: identities, catalogue: catalogue, now: Self.now, progress: options.progress
        ).write(record.id, to: file, destination: destination, isStored: isStored, reason: reason, by: principal)
    }

    func prune(
        lastRun: Instant?, agreed: Bool, by principal: Principal
    ) async throws(Failure) -> (plan: PrunePlan, report: BackupPruner.Report) {
        do throws(Failure) {
            // What is gone protects nothing from being deleted; while that is not known, nothing is.
            _ = try await noteExpired(by: principal)
            let done = try await BackupPruner(places, catalogue: catalogue, holder: holder, now: Self.now)
                .run(plan.target.description, Retention(of: plan), lastRun: lastRun, agreed: agreed, by: principal)
            if !done.report.warned.isEmpty { tell(.expiring, notices.expiring(done.report.warned, at: Self.now())) }
            if done.plan.needsApproval, !agreed { tell(.expiring, notices.waiting(done.plan)) }
            if !done.report.failures.isEmpty { tell(.failure, notices.notPruned(done.report.failures, at: Self.now())) }
            return done
        } catch {
            // Somebody else works on the target; the next run makes up for it.
            if error.kind != .conflict { tell(.failure, notices.notPruned(error, at: Self.now())) }
            throw error
        }
    }

    var seal: ManifestSeal { get throws(Failure) { try settings.seal } }

    func noteExpired(by principal: Principal) async throws(Failure) -> [BackupID] {
        guard case .postgresPhysical(let physical) = plan.source, case .pgBackRest = physical.tool,
            let receipts = try source(plan.source.defaultKind) as? PgBackRestSource
        else { return [] }
        do throws(CatalogueStoreError) {
            let records = try await catalogue.state().live(target: plan.target.description).filter { record in
                record.facts?.tool.format == PgBackRestSource.format && (record.state.isRestorable || record.state == .uploaded)
            }
            guard !records.isEmpty else { return [] }
            let gone: [BackupRecord]
            do throws(Failure) {
                gone = try await onOwnThread { (stop) throws(Failure) in try receipts.expired(records, stop: stop) }
            } catch { throw .unavailable(error) }
            try await catalogue.append(
                gone.map {
                    CatalogueEvent(
                        backup: $0.id, at: Self.now(), by: principal, .quarantined(destination: nil, .expiredByItsTool))
                })
            return gone.map(\.id)
        } catch { throw error.failure }
    }

    func mirror() async throws(Failure) -> CatalogueMirror.Report? {
        guard let reference = plan.mirror else { return nil }
        let url = try secrets.read(reference)
        guard let name = ConnectionText.name(url) else {
            throw Failure(
                .invalid, "the connection string of the mirror cannot be read",
                hint: "expected postgresql://user@host:5432/database, or host=… dbname=…")
        }
        do throws(CatalogueStoreError) {
            let state = try await catalogue.state()
            let jobs = try await catalogue.jobs()
            let entries = try await catalogue.entries()
            let expiries = Retention(of: plan).expiries(of: state.live(target: plan.target.description), at: Self.now())
            let mirror = CatalogueMirror(connection: url, name: "postgres \(name)", deadline: .seconds(10))
            do throws(Failure) { return try await mirror.update(state, jobs: jobs, entries: entries, expiries: expiries) } catch {
                throw .unavailable(error)
            }
        } catch { throw error.failure }
    }

    func beat() async throws(Failure) {
        guard let heartbeat = plan.heartbeat else { return }
        try await Heartbeat(of: plan.target, url: try secrets.read(heartbeat.url)).beat(at: Self.now())
    }

    private func reading(_ destination: String) throws(Failure) -> DestinationReading {
        guard let place = places.first(where: { $0.name == destination }) else {
            let names = places.map(\.name).joined(separator: ", ")
            throw Failure(.invalid, "the plan has no destination '\(destination)'", hint: "it has \(names)")
        }
        // Other plans may use the same place, with other keys.
        let prefix = "\(plan.target)/"
        return DestinationReading(
            destination: destination,
            list: { () throws(Failure) in try await place.destination.list(prefix: prefix, limit: 100_000).objects },
            read: { key, version throws(Failure) in
                try await place.destination.read(key, version: version, limit: 16 << 20)
            }, head: { key throws(Failure) in try await place.destination.head(key, version: nil) })
    }

    func contents(of destination: String) async throws(Failure) -> DestinationContents {
        let seal = try settings.seal
        let reading = try reading(destination)
        var contents = try await CatalogueSurvey(reading, authenticate: seal.code, former: seal.former).contents()
        let state: CatalogueState
        do throws(CatalogueStoreError) { state = try await catalogue.state() } catch { throw error.failure }
        try await contents.complete(from: state, of: plan.target.description, head: reading.head)
        // Pointers to the newest belong to no backup of their own.
        let pointers = Set(
            BackupKind.allCases.map { "\(plan.target)/latest-\($0.rawValue).json" } + ["\(plan.target)/register.json"])
        contents.objects.removeAll { pointers.contains($0.key.description) }
        if let place = places.first(where: { $0.name == destination }) {
            let strays = StrayUploads(of: plan.target.description, in: state, layout: try settings.layout, at: Self.now())
            do throws(Failure) {
                contents.unfinished = try await strays.found(at: place).map {
                    UnfinishedUpload(name: $0.key?.description ?? $0.reference, started: $0.started)
                }
            } catch  where error.kind == .denied {
                // Who may read objects may not be allowed to ask for uploads, which says nothing of the objects.
                options.warning(error)
            }
        }
        return contents
    }

    func importBackups(from destination: String, by principal: Principal) async throws(Failure) -> CatalogueRebuild.Report {
        let seal = try settings.seal
        return try await CatalogueRebuild(catalogue).run(
            reading(destination), of: plan.target.description, authenticate: seal.code, former: seal.former, at: Self.now(),
            by: principal)
    }

    private func register() throws(Failure) -> RegisterKeeper {
        let seal = try settings.seal
        return RegisterKeeper(
            places, of: plan.target.description, catalogue: catalogue, authenticate: seal.code, former: seal.former,
            now: Self.now)
    }

    func keepRegister(at destination: String?) async throws(Failure) -> [RegisterKeeper.Unkept] {
        try await register().keep(at: destination)
    }

    func recallRegister(
        from destination: String?, by principal: Principal
    ) async throws(Failure) -> RegisterKeeper.Recalled {
        try await register().recall(from: destination, by: principal)
    }
}
