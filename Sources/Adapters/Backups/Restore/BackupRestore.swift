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
    /// What part of the database the backup holds, in words; nil for all of it.
    public var part: String?

    /// A database.
    public init(
        backup: BackupID, name: String, live: String, destination: String, checks: [BackupCheck], evidence: [ToolEvidence],
        reached: [Step]
    ) {
        self.backup = backup
        self.name = name
        self.live = live
        self.destination = destination
        self.checks = checks
        self.evidence = evidence
        self.reached = reached
    }

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
    private let reading: RestoreReading
    private let settings: RestoreSettings
    private let notes: RestoreNotes
    private let holder: LeaseHolder?
    private let progress: @Sendable (JobProgress) -> Void
    private var now: @Sendable () -> Instant { reading.now }

    /// A restore.
    ///
    /// - Parameter holder: This process, as the target's lease names it; nil for a server that is no part of the target.
    public init(
        _ pipeline: PipelineSettings, _ settings: RestoreSettings, identities: [EnvelopeIdentity], catalogue: any CatalogueStore,
        holder: LeaseHolder?, now: @escaping @Sendable () -> Instant,
        progress: @escaping @Sendable (JobProgress) -> Void = { _ in }
    ) {
        self.holder = holder
        reading = RestoreReading(pipeline: pipeline, identities: identities, catalogue: catalogue, now: now)
        self.settings = settings
        notes = RestoreNotes(target: "\(pipeline.target)", catalogue: catalogue, now: now)
        self.progress = progress
    }

    /// Restores a backup beside the live database, under a name that is free. A database whose checks do not pass is kept and
    /// said; one that could not be restored is dropped.
    ///
    /// - Parameters:
    ///   - source: What made it.
    ///   - tables: Only these tables, as `schema.table`; the checks are then left out.
    ///   - isMasked: Whether it is for people who may not see the data: the plan's `mask` runs last, and it never goes live.
    public func restore(
        _ id: BackupID, source: any BackupSource, destination: String? = nil, tables: [String] = [], isMasked: Bool = false,
        permit: RestorePermit
    ) async throws(Failure) -> RestoredDatabase {
        let server = try RestoreServer(settings)
        try permit.allows(.beside, id, server.live)
        return try await notes.leased(holder, by: permit.by) { () throws(Failure) in
            try await restoreAlone(id, source, destination, tables, isMasked, server, permit)
        }
    }

    private func restoreAlone(
        _ id: BackupID, _ source: any BackupSource, _ destination: String?, _ tables: [String], _ isMasked: Bool,
        _ server: RestoreServer, _ permit: RestorePermit
    ) async throws(Failure) -> RestoredDatabase {
        if isMasked, settings.policy.mask == nil {
            throw Failure(.denied, "the plan says nothing about masking", hint: "restore.mask: {run: [a program that does it]}")
        }
        let record = try await reading.record(id)
        if !tables.isEmpty { try await check(tables, of: record, isMasked) }
        let left = holder == nil ? [] : try await sweep(server, permit.by)
        let mark = String("\(id)".filter { $0 != "-" }.suffix(8))
        let (keepsOwners, isRehearsal) = (settings.keepsOwners && tables.isEmpty, settings.isRehearsal)
        let settings = settings
        let name = try await onOwnThread { _ throws(Failure) in
            try server.refusePower()
            if keepsOwners { try server.checkRoles(record.facts?.server) }
            try server.refuseReach(record.facts?.server?.ownerNames)
            if tables.isEmpty { try server.checkPrerequisites(record.facts?.server) }
            let name = try server.freeName(beside: "restore", mark)
            if !isRehearsal, try server.isThere(server.live) { try RestoreServer.swapping(settings).sweepMerges() }
            return name
        }
        return try await reading.holding([id], as: name, for: settings.policy.deadline, by: permit.by) { () throws(Failure) in
            var restored = try await perform(record, destination, source, name, tables, isMasked, server, permit)
            restored.checks += left
            return restored
        }
    }

    /// Removes what restores that were killed have left: programs, fetched copies, and half-made databases. Under the target's lease
    /// nobody makes one.
    private func sweep(_ server: RestoreServer, _ principal: Principal) async throws(Failure) -> [BackupCheck] {
        _ = await ProgramLeftovers.endOrphans()
        TemporaryFolder.sweep(settings.scratch)
        TemporaryFile.sweep()
        var checks: [BackupCheck] = []
        for var database in try await notes.databases() where database.role == .making && database.live == server.live {
            let (name, number) = (database.name, database.number)
            let isGone = try await onOwnThread { _ throws(Failure) in
                guard try server.databases().contains(where: { $0.name == name && $0.number == number }) else { return false }
                try server.drop(name)
                return true
            }
            database.isDropped = true
            try await notes.remember(database, by: principal)
            guard isGone else { continue }
            checks.append(
                BackupCheck(
                    "left over", passed: true, detail: "\(name), which a restore that was killed had begun to fill, is gone"))
        }
        return checks
    }

    /// Makes the database, and notes it before anything fills it.
    private func make(
        _ name: String, _ record: BackupRecord, _ server: RestoreServer, _ principal: Principal
    ) async throws(Failure) -> SideDatabase {
        let number = try await onOwnThread { _ throws(Failure) in
            try server.make(name)
            return try server.number(of: name)
        }
        let made = SideDatabase(name: name, number: number, live: server.live, role: .making, backup: record.id, at: now())
        guard !settings.isRehearsal else { return made }
        do throws(Failure) { try await notes.remember(made, by: principal) } catch {
            try await onOwnThread { _ throws(Failure) in try server.drop(name) }
            throw error
        }
        return made
    }

    /// Tables by themselves are neither masked nor cleared of who was erased: both may need the rest of the database.
    private func check(_ tables: [String], of record: BackupRecord, _ isMasked: Bool) async throws(Failure) {
        let whole = "restore it whole: without --table"
        guard !isMasked else { throw Failure(.denied, "tables by themselves cannot be masked", hint: whole) }
        let subjects = try await notes.erasures().subjects
        guard subjects.isEmpty else {
            throw Failure(
                .denied, "\(subjects.count) were erased, and tables by themselves could bring them back",
                hint: whole + "; that erases them again, and serin backup merge takes a table from there")
        }
        guard let known = record.facts?.rows?.tables.map({ "\($0.schema).\($0.table)" }) else { return }
        let missing = tables.filter { !known.contains($0) }
        guard missing.isEmpty else {
            let names = known.prefix(10).joined(separator: ", ") + (known.count > 10 ? ", …" : "")
            throw Failure(.denied, "the backup has no table \(missing.joined(separator: ", "))", hint: "it has \(names)")
        }
    }

    private func perform(
        _ record: BackupRecord, _ destination: String?, _ source: any BackupSource, _ name: String, _ tables: [String],
        _ isMasked: Bool, _ server: RestoreServer, _ permit: RestorePermit
    ) async throws(Failure) -> RestoredDatabase {
        let meter = ProgressMeter(progress)
        var restored = RestoredDatabase(
            backup: record.id, name: name, live: server.live, destination: "", checks: [], evidence: [], reached: [])
        func reach(_ mark: DrillClock.Mark) { restored.reached.append(.init(mark: mark, at: now())) }
        reach(.located)
        let fetched = try await reading.fetch(record, destination, into: settings.scratch, meter)
        restored.destination = fetched.copy.destination
        // What the dump says of itself, whatever the plan says by now.
        restored.part = fetched.facts.server?.part?.words
        // It is decrypted on its way into the database, which is the longer part by far and counts as restoring.
        reach(.downloaded)
        reach(.unpacked)
        meter.begin("restore", total: Int64(fetched.facts.envelope.plainBytes))
        let (settings, identities) = (settings, reading.identities)
        var known = try await make(name, record, server, permit.by)
        let (findings, once): (ConsumerFindings, WrittenOnce)
        do throws(Failure) {
            (findings, once) = try await onOwnThread { (stop) throws(Failure) in
                try BackupRestore.fill(name, fetched, identities, source, settings, server, tables, meter, stop)
            }
        } catch { throw await giveUp(known, server, error, permit.by) }
        reach(.consistent)
        restored.checks = findings.checks
        restored.evidence = findings.evidence
        var erasures: Int?
        if tables.isEmpty {
            meter.begin("check")
            restored.checks += try await inspect(name, fetched.facts, server, permit.by, comparesRows: true, once)
            let (finished, applied) = try await finishing(name, isMasked, server)
            restored.checks += finished
            erasures = applied
        } else {
            restored.checks.append(
                try await onOwnThread { _ throws(Failure) in
                    let session = try server.session(name, RestoreInspection.purpose)
                    let rows = try PostgresInventory(session, patience: settings.policy.deadline).rows()
                    return try once.look(session, rows)
                })
        }
        // Of tables by themselves no function comes along, and what is masked or rehearsed goes live in no case.
        restored.checks += try await trust(
            fetched.facts.server, server, mayGoLive: tables.isEmpty && !isMasked && !settings.isRehearsal)
        reach(.checked)
        // What a drill makes is gone in a moment.
        guard !settings.isRehearsal else { return restored }
        var role = SideDatabase.Role.restored
        if isMasked { role = .masked } else if !tables.isEmpty { role = .tables } else if restored.part != nil { role = .part }
        (known.role, known.at, known.erasures) = (role, now(), erasures)
        known.objection = restored.checks.first { $0.name == WrittenOnce.check && !$0.passed }?.detail
        known.failed = SideDatabase.failures(among: restored.checks)
        known.isAltered = restored.checks.contains { $0.name == Erasure.check && $0.passed }
        try await notes.remember(known, by: permit.by)
        if tables.isEmpty, let begun = restored.reached.first?.at, let ended = restored.reached.last?.at {
            let size = Int64(clamping: fetched.facts.envelope.plainBytes)
            let timing = RestoreTiming(kind: record.kind, bytes: size, milliseconds: (ended - begun).milliseconds)
            try await notes.remember(timing, record.id, by: permit.by)
        }
        return restored
    }

    /// Whose functions were trusted, and whether some keep it from going live.
    private func trust(
        _ facts: SourceFacts?, _ server: RestoreServer, mayGoLive: Bool
    ) async throws(Failure) -> [BackupCheck] {
        var checks: [BackupCheck] = []
        let trusted = (facts?.ownerNames ?? []).filter(settings.policy.trust.contains).joined(separator: ", ")
        if !trusted.isEmpty {
            checks.append(
                BackupCheck(
                    "trust", passed: true,
                    detail: "functions of \(trusted) were trusted with whatever the role may that restores"))
        }
        guard mayGoLive else { return checks }
        let mixed = try await onOwnThread { _ throws(Failure) in try server.mixedOwners(facts?.ownerNames) }
        return checks + (mixed.map { [BackupCheck("for looking at", passed: true, detail: $0.words)] } ?? [])
    }

    /// What is left of a database that could not be filled would only be in the way.
    private func giveUp(
        _ made: SideDatabase, _ server: RestoreServer, _ failure: Failure, _ principal: Principal
    ) async -> Failure {
        var (failure, made) = (failure, made)
        do throws(Failure) {
            let name = made.name
            try await onOwnThread { _ throws(Failure) in try server.drop(name) }
            failure.message += "; \(name), which was being made, is gone again"
            made.isDropped = true
            // Otherwise the next restore finds that it is gone.
            if !settings.isRehearsal { try? await notes.remember(made, by: principal) }
        } catch { failure.message += "; and \(made.name), which was being made, could not be dropped: \(error.message)" }
        return failure
    }

    /// What is done to a database once it was compared: everybody who was ever erased is erased again, since an application may erase
    /// long after it was noted, and what must not be seen is masked.
    ///
    /// - Returns: Also how many notes of erasures were applied; nil where that failed.
    private func finishing(
        _ name: String, _ isMasked: Bool, _ server: RestoreServer
    ) async throws(Failure) -> (checks: [BackupCheck], erasures: Int?) {
        var checks: [BackupCheck] = []
        let (subjects, count) = try await notes.erasures()
        if !subjects.isEmpty {
            checks.append(try await onOwnThread { _ throws(Failure) in try server.erase(subjects, in: name) })
        }
        let erasures = checks.allSatisfy(\.passed) ? count : nil
        guard isMasked, let mask = settings.policy.mask else { return (checks, erasures) }
        let check = await server.run(mask, name, as: "mask")
        guard check.passed else {
            // Nobody may look at what is not masked.
            try await onOwnThread { _ throws(Failure) in try server.drop(name) }
            throw Failure(.transient, "\(name) could not be masked and was dropped: \(check.detail)")
        }
        return (checks + [check], erasures)
    }

    private static func fill(
        _ name: String, _ fetched: FetchedCopy, _ identities: [EnvelopeIdentity], _ source: any BackupSource,
        _ settings: RestoreSettings, _ server: RestoreServer, _ tables: [String], _ meter: ProgressMeter, _ stop: StopSignal
    ) throws(Failure) -> (ConsumerFindings, WrittenOnce) {
        // Single tables are there for their rows.
        let keepsOwners = settings.keepsOwners && tables.isEmpty
        let owners = keepsOwners ? fetched.facts.server?.owners ?? [] : []
        try server.letOwn(owners, in: name)
        var target = RestoreTarget(
            .database(url: try server.url(of: name)), tables: tables, keepsOwners: keepsOwners, jobs: settings.jobs,
            scratch: settings.scratch, deadline: settings.policy.deadline)
        if settings.policy.template != nil { target.present = try server.present(in: name) }
        let part = fetched.facts.server?.part
        if !tables.isEmpty {
            try server.makeSchemas(of: tables, in: name)
        } else if let part {
            try server.makeSurroundings(of: part, in: name)
        }
        let once = try WrittenOnce(
            before: server.session(name), hasStrangers: server.strangers(fetched.facts.server?.ownerNames)?.isEmpty != true,
            isFromTemplate: settings.policy.template != nil, isParallel: settings.jobs > 1, patience: settings.policy.deadline)
        let restoration = try source.restoration(of: SourceProduct(fetched.facts), into: target, stop: stop)
        var findings = try fetched.feed(restoration, identities, meter)
        try server.endOwning(owners, in: name)
        if !settings.keepsOwners, !settings.isRehearsal {
            findings.checks.append(
                BackupCheck("owners", passed: true, detail: "everything belongs to the role that restored, without grants"))
        }
        try server.silence(name)
        return (findings, once)
    }

    /// Looks again at a database that was restored before, as one that is about to go live.
    ///
    /// - Throws: `denied` when it is not one that was restored whole.
    public func inspect(_ name: String, permit: RestorePermit) async throws(Failure) -> RestoredDatabase {
        let server = try RestoreServer(settings)
        guard var known = try await notes.databases().last(where: { $0.name == name }) else {
            throw Failure(.denied, "\(name) is no database that was restored", hint: "serin backup restored list shows them")
        }
        try known.expectRestored()
        try permit.allows(.beside, known.backup, server.live)
        let record = try await reading.record(known.backup)
        guard let facts = record.facts else { throw Failure(.invalid, "backup \(record.id) was never stored") }
        ProgressMeter(progress).begin("check")
        var checks = try await inspect(name, facts, server, permit.by, comparesRows: !known.isAltered)
        if let objection = known.objection { checks.append(BackupCheck(WrittenOnce.check, passed: false, detail: objection)) }
        let failed = SideDatabase.failures(among: checks)
        if known.failed != failed {
            known.failed = failed
            try await notes.remember(known, by: permit.by)
        }
        return RestoredDatabase(
            backup: record.id, name: name, live: server.live, destination: "", checks: checks, evidence: [],
            reached: [.init(mark: .checked, at: now())])
    }

    /// The checks on the restored database, of which each is a finding.
    private func inspect(
        _ name: String, _ facts: BackupFacts, _ server: RestoreServer, _ principal: Principal, comparesRows: Bool,
        _ once: WrittenOnce? = nil
    ) async throws(Failure) -> [BackupCheck] {
        var facts = facts
        if !comparesRows { facts.rows = nil }
        let (settings, known) = (settings, facts)
        let found = try await onOwnThread { _ throws(Failure) in
            try RestoreInspection(
                session: try server.session(name, RestoreInspection.purpose), facts: known, checks: settings.policy.checks,
                statements: SQLScript(settings.integrity ?? "").statements, patience: settings.policy.deadline,
                isRehearsal: settings.isRehearsal, once: once
            ).run()
        }
        var checks = found.checks
        checks += try await notes.judge(found.timings, by: principal)
        for hook in settings.policy.checks.smoke { checks.append(await server.run(hook, name, as: "smoke")) }
        for address in settings.policy.checks.probes { checks.append(await settings.ask(address)) }
        return checks
    }
}
