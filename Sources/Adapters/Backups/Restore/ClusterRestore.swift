internal import Glibc
public import SerinCatalogue
internal import SerinDatabase
public import SerinModel
public import SerinPolicies
public import SerinPorts
internal import SerinProcesses

/// Restores a physical backup of Postgres as a cluster of its own in an empty folder, and recovers it to a point in time. The server
/// that runs is not touched; it is not even asked.
///
/// The target is compared with what can be reached before the folder is made; for a name or a transaction, which only the log
/// knows, before the base backup is unpacked. In the folder: `data` is the cluster, `wal` the log that was replayed, `server` the
/// socket, settings and log of the server that recovered it.
public struct ClusterRestore: Sendable {
    /// What is wished.
    public struct Wish: Sendable {
        /// Where recovery ends.
        public var target: PointInTimeRestore.Target
        /// The timeline to end on; nil for the newest.
        public var timeline: Int?
        /// A superuser of the cluster.
        public var role: String
        /// Whether the server runs on afterwards.
        public var keepsRunning: Bool
        /// The database that the plan's checks are for.
        public var database: String

        /// A wish.
        public init(
            _ target: PointInTimeRestore.Target, timeline: Int? = nil, role: String = "postgres", keepsRunning: Bool = false,
            database: String = "postgres"
        ) {
            self.target = target
            self.timeline = timeline
            self.role = role
            self.keepsRunning = keepsRunning
            self.database = database
        }
    }

    private let reading: RestoreReading
    private let settings: RestoreSettings
    private let policy: PostgresPhysicalSource
    private let account: String?
    private let target: String
    private let progress: @Sendable (JobProgress) -> Void

    /// A restore.
    ///
    /// - Parameters:
    ///   - policy: How the backups are made, and where the log comes into.
    ///   - account: The user that the cluster belongs to, when the caller is root.
    public init(
        _ pipeline: PipelineSettings, _ settings: RestoreSettings, _ policy: PostgresPhysicalSource,
        identities: [EnvelopeIdentity], catalogue: any CatalogueStore, account: String?, now: @escaping @Sendable () -> Instant,
        progress: @escaping @Sendable (JobProgress) -> Void = { _ in }
    ) {
        reading = RestoreReading(pipeline: pipeline, identities: identities, catalogue: catalogue, now: now)
        self.settings = settings
        self.policy = policy
        self.account = account
        target = "\(pipeline.target)"
        self.progress = progress
    }

    /// Restores and recovers.
    ///
    /// - Parameters:
    ///   - chosen: The base backup; nil for the nearest one before the target.
    ///   - make: Makes the source of a kind of backups.
    /// - Throws: `denied` when the target cannot be reached; nothing was touched then. On any other failure the folder is emptied
    ///   again.
    public func restore(
        _ chosen: BackupRecord?, _ wish: Wish, destination: String? = nil, into path: String, by principal: Principal,
        source make: @escaping @Sendable (BackupKind) throws(Failure) -> any BackupSource
    ) async throws(Failure) -> RestoredFolder {
        let meter = ProgressMeter(progress)
        meter.begin("look")
        let records = try await records()
        if let chosen, !chosen.kind.isPhysicalBase { throw refusal(wish, RecoveryWindow(of: []), chosen) }
        let supply = try await supply(wish, records)
        let window = RecoveryWindow(of: records, atHand: supply.atHand)
        // Only pgBackRest knows the timelines of its archive.
        let timeline = supply.archive == nil ? wish.timeline : nil
        let candidates = try candidates(wish, window, chosen, timeline)
        guard path.utf8.count + "/server".utf8.count <= 80 else {
            throw Failure(.invalid, "\(path) is too long for the socket of a server in it", hint: "at most 73 bytes")
        }
        let place = try RestorePlace(path, account: account)
        try await requireAccess(path)
        let ids = Set(candidates.flatMap { $0.chain + $0.log }).sorted()
        let restored = try await reading.holding(ids, as: path, for: settings.policy.deadline, by: principal) {
            () throws(Failure) in
            let job = Job(
                wish: wish, window: window, records: records, supply: supply, destination: destination, place: place,
                wal: try place.folder("wal", account: account), principal: principal)
            for (index, reach) in candidates.enumerated() {
                let target = try await settled(reach, job, isLast: index == candidates.count - 1, meter)
                if let target { return try await perform(reach, target, job, make, meter) }
            }
            throw Failure(.denied, "no base backup leads to \(wish.target.words)")
        }
        place.keep()
        return restored
    }

    private struct Job: Sendable {
        let wish: Wish
        let window: RecoveryWindow
        let records: [BackupRecord]
        let supply: Supply
        let destination: String?
        let place: RestorePlace
        let wal: String
        let principal: Principal
    }

    /// Where the log comes from beside the stored ranges.
    private struct Supply: Sendable {
        var atHand: [SourceFacts] = []
        var folder: String?
        var archive: PgBackRest?
        var stored: [SourceFacts] = []
        /// The newest timeline of anything that is known.
        var timeline = 1
    }

    private func records() async throws(Failure) -> [BackupRecord] {
        do throws(CatalogueStoreError) { return try await reading.catalogue.state().live(target: target) } catch {
            throw error.failure
        }
    }

    private func refusal(_ wish: Wish, _ window: RecoveryWindow, _ record: BackupRecord?) -> Failure {
        do throws(RecoveryRefusal) { _ = try window.path(from: record, timeline: wish.timeline) } catch {
            return Failure(.denied, "cannot recover to \(wish.target.words): \(error.message)", hint: error.hint)
        }
        return Failure(.denied, "cannot recover to \(wish.target.words)")
    }

    /// What leads to the target, the first choice first; more than one only where the log has to be asked.
    private func candidates(
        _ wish: Wish, _ window: RecoveryWindow, _ record: BackupRecord?, _ timeline: Int?
    ) throws(Failure) -> [RecoveryWindow.Reach] {
        do throws(RecoveryRefusal) {
            switch wish.target {
            case .time(let moment): return [try window.path(to: moment, from: record, timeline: timeline)]
            case .position(let position): return [try window.path(to: position, from: record, timeline: timeline)]
            case .base, .latest: return [try window.path(from: record, timeline: timeline)]
            case .name, .transaction:
                let first = try window.path(from: record, timeline: timeline)
                guard record == nil else { return [first] }
                let line = (window.reaches + window.abandoned).filter { $0.timeline == first.timeline && $0 != first }
                return [first] + line.reversed()
            }
        } catch { throw Failure(.denied, "cannot recover to \(wish.target.words): \(error.message)", hint: error.hint) }
    }

    /// Whether the user that the server runs as gets to a folder.
    private func requireAccess(_ path: String) async throws(Failure) {
        guard let account else { return }
        let status = try await onOwnThread { (stop) throws(Failure) in
            try SourceTool("test", account: account).answer(["-x", path], deadline: .seconds(10), stop: stop).status
        }
        guard status == 0 else {
            throw Failure(
                .denied, "the user \(account), as whom the server runs, cannot get to \(path)",
                hint: "choose a folder whose parents it may enter, such as one in /var/lib/postgresql")
        }
    }

    /// Looks what there is beside the stored ranges.
    private func supply(
        _ wish: Wish, _ records: [BackupRecord]
    ) async throws(Failure) -> Supply {
        var supply = Supply(
            stored: records.filter { $0.kind == .walRange && !$0.usableCopies.isEmpty }.compactMap(\.facts?.server),
            timeline: records.compactMap(\.facts?.server?.timeline).max() ?? 1)
        let bases = records.filter { $0.kind.isPhysicalBase && $0.state.isRestorable }
        guard let newest = bases.max(by: { $0.consistentAt < $1.consistentAt })?.facts?.server else { return supply }
        let (policy, account, environment, deadline, now) = (
            policy, account, settings.environment, settings.policy.deadline, reading.now()
        )
        let stored = supply.stored
        if case .pgBackRest(let stanza, let configuration) = policy.tool {
            let archive = try PgBackRest(
                stanza: stanza, configuration: configuration, folders: settings.toolFolders, account: account, deadline: deadline)
            supply.archive = archive
            guard wish.target != .base else { return supply }
            supply.atHand = try await onOwnThread { (stop) throws(Failure) in
                guard let last = try archive.lastSegment(stop: stop) else { return [] }
                // When its last commit was, only a recovery tells; one that ends before its target fails.
                return bases.compactMap { base in
                    guard var facts = base.facts?.server, let start = facts.lsnStop, start < last.end else { return nil }
                    (facts.lsnStart, facts.lsnStop) = (start, last.end)
                    facts.consistentAt = wish.target == .latest ? nil : now
                    return facts
                }
            }
        } else if let folder = policy.log.folder, access(folder, R_OK | X_OK) == 0 {
            supply.timeline = max(supply.timeline, try LogFolder(folder).newestTimeline())
            guard wish.target != .base else { return supply }
            supply.folder = folder
            let major = Int(newest.version.prefix { $0 != "." }) ?? 0
            supply.atHand = try await onOwnThread { (stop) throws(Failure) in
                try LogRangeSource.atHand(in: folder, major: major, beside: stored, environment: environment, stop: stop)
            }
        }
        return supply
    }

    /// Brings the log of a reach, and the target as the recovery is told it; nil when a name or transaction is not in it.
    private func settled(
        _ reach: RecoveryWindow.Reach, _ job: Job, isLast: Bool, _ meter: ProgressMeter
    ) async throws(Failure) -> PointInTimeRestore.Target? {
        guard job.wish.target != .base else { return .base }
        for id in reach.log { try await bring(id, job, meter) }
        let (account, settings, wish, wal) = (account, settings, job.wish, job.wal)
        let (folder, stored, isArchived) = (job.supply.folder, job.supply.stored, job.supply.archive != nil)
        let major = Int(job.records.first { $0.id == reach.base }?.facts?.server?.version.prefix { $0 != "." } ?? "") ?? 0
        return try await onOwnThread { (stop) throws(Failure) in
            if let folder { try LogFolder(folder).stage(into: wal, beside: stored) }
            for name in try names(in: wal) { if let account { try give("\(wal)/\(name)", to: account) } }
            let words: (manager: String, ending: String)
            switch wish.target {
            case .name(let name): words = ("XLOG", "desc: RESTORE_POINT \(name)")
            case .transaction(let number): words = ("Transaction", " tx: \(number),")
            case .base, .time, .position, .latest: return wish.target
            }
            // The log of an archive is asked for by the recovery alone, which fails when it does not find the target.
            guard !isArchived else { return wish.target }
            let tools = try PostgresTools(major: major, folders: settings.toolFolders)
            let found = try LogFolder(wal).position(
                of: words.manager, tools: tools, deadline: settings.policy.deadline, stop: stop
            ) { line in
                if case .name = wish.target { return line.hasSuffix(words.ending) }
                let spaced = line.split(separator: " ", omittingEmptySubsequences: true).joined(separator: " ")
                return spaced.contains(words.ending) && (line.contains("desc: COMMIT") || line.contains("desc: ABORT"))
            }
            guard let found, let start = reach.start, start <= found else {
                guard isLast else { return nil }
                let what = found == nil ? "it is not in the log that can be reached" : "it is before the base backup"
                throw Failure(.denied, "cannot recover to \(wish.target.words): \(what)")
            }
            return wish.target
        }
    }

    /// Unpacks a stored range beside the others.
    private func bring(
        _ id: BackupID, _ job: Job, _ meter: ProgressMeter
    ) async throws(Failure) {
        let marker = "\(job.wal)/.\(id)"
        guard access(marker, F_OK) != 0 else { return }
        let record = try await reading.record(id)
        let fetched = try await reading.fetch(record, nil, into: settings.scratch, meter)
        meter.begin("log", total: Int64(fetched.facts.envelope.plainBytes))
        let (identities, settings, wal) = (reading.identities, settings, job.wal)
        try await onOwnThread { (stop) throws(Failure) in
            let part = "\(wal)/.part"
            guard mkdir(part, 0o700) == 0 else { throw problem("make", part, errno) }
            defer { removeTree(part) }
            let target = RestoreTarget(.folder(part), scratch: settings.scratch, deadline: settings.policy.deadline)
            let source = LogRangeSource(folder: part, major: 0, environment: settings.environment)
            let consumer = try source.restoration(of: SourceProduct(fetched.facts), into: target, stop: stop)
            let findings = try fetched.feed(consumer, identities, meter)
            if let bad = findings.checks.first(where: { !$0.passed }) {
                throw Failure(.invalid, "backup \(id) could not be unpacked: \(bad.name): \(bad.detail)")
            }
            for name in try names(in: part) {
                guard rename("\(part)/\(name)", "\(wal)/\(name)") == 0 else { throw problem("move", "\(part)/\(name)", errno) }
            }
            try write("", to: marker)
        }
    }

    /// What to know about the line that was chosen.
    private func remarks(on reach: RecoveryWindow.Reach, _ target: PointInTimeRestore.Target, _ job: Job) -> [String] {
        if target == .latest, let gap = reach.gap {
            return ["\(gap.words), and what was stored behind it was not recovered: \(RecoveryWindow.Gap.remedy)"]
        }
        guard case .time(let moment) = target, job.supply.archive == nil, job.wish.timeline == nil else { return [] }
        return job.window.timelines(at: moment, beside: reach.timeline).map {
            "timeline \($0) has another state of this moment: for that one, --timeline \($0)"
        }
    }

    private func perform(
        _ reach: RecoveryWindow.Reach, _ target: PointInTimeRestore.Target, _ job: Job,
        _ make: @escaping @Sendable (BackupKind) throws(Failure) -> any BackupSource, _ meter: ProgressMeter
    ) async throws(Failure) -> RestoredFolder {
        let record = try await reading.record(reach.base)
        var restored = RestoredFolder(backup: record.id, kind: record.kind, folder: job.place.path)
        restored.remarks = remarks(on: reach, target, job)
        func mark(_ mark: DrillClock.Mark) { restored.reached.append(.init(mark: mark, at: reading.now())) }
        mark(.located)
        let fetched = try await reading.fetch(record, job.destination, into: settings.scratch, meter)
        restored.destination = fetched.copy.destination
        mark(.downloaded)
        let data = try job.place.folder("data", account: account)
        let server = try job.place.folder("server", account: account)
        let plain = Int64(fetched.facts.envelope.plainBytes)
        try requireSpace(plain, in: data, for: "the restored cluster")
        meter.begin("restore", total: plain)
        let (settings, identities, source) = (settings, reading.identities, try make(record.kind))
        let findings = try await onOwnThread { (stop) throws(Failure) in
            let target = RestoreTarget(.folder(data), scratch: settings.scratch, deadline: settings.policy.deadline)
            let consumer = try source.restoration(of: SourceProduct(fetched.facts), into: target, stop: stop)
            return try fetched.feed(consumer, identities, meter)
        }
        restored.checks = findings.checks
        restored.evidence = findings.evidence
        if let bad = findings.checks.first(where: { !$0.passed }) {
            throw Failure(.invalid, "the base backup could not be unpacked: \(bad.name): \(bad.detail)")
        }
        mark(.unpacked)
        let log: PointInTimeRestore.LogSupply =
            job.supply.archive.map { .command($0.restoreCommand(for: data)) } ?? .folder(job.wal)
        let recovery = try PointInTimeRestore(
            data: data, place: server, record: record, window: job.window, target: target,
            timeline: job.supply.archive == nil ? reach.timeline : job.wish.timeline,
            action: .promote, log: log, newest: job.supply.timeline, role: job.wish.role, account: account,
            toolFolders: settings.toolFolders,
            deadline: settings.policy.deadline)
        meter.begin(
            "recover",
            total: reach.end.flatMap { end in reach.start.map { Int64(clamping: end.bytes > $0.bytes ? end.bytes - $0.bytes : 0) }
            })
        let begin = reach.start?.bytes ?? 0
        let outcome = try await onOwnThread { (stop) throws(Failure) in
            try recovery.run(stop: stop) { meter.note(Int64(clamping: $0.bytes > begin ? $0.bytes - begin : 0)) }
        }
        restored.recovery = outcome
        if let remark = try outcome.server.ownSettings() { restored.remarks.append(remark) }
        restored.checks += outcome.checks
        mark(.consistent)
        meter.begin("check")
        let result: Result<[BackupCheck], Failure>
        do throws(Failure) {
            let database = try await checkedDatabase(outcome.server, job.wish.database, &restored)
            result = .success(try await inspect(outcome.server, database, fetched.facts, job))
        } catch {
            result = .failure(error)
        }
        if !job.wish.keepsRunning || !result.isSuccess {
            try await onOwnThread { _ throws(Failure) in outcome.server.stop() }
        } else {
            restored.isRunning = true
        }
        restored.checks += try result.get()
        mark(.checked)
        return restored
    }

    /// The database that is looked at: where the connection names only `postgres`, the largest of the users' own.
    private func checkedDatabase(
        _ server: RecoveryServer, _ database: String, _ restored: inout RestoredFolder
    ) async throws(Failure) -> String {
        guard database == "postgres" else { return database }
        let names = try await onOwnThread { _ throws(Failure) in
            try ask(server.url(), as: "the restored server") { (connection, limit) throws(DatabaseError) in
                try connection.query(
                    "SELECT datname FROM pg_database WHERE NOT datistemplate AND datallowconn AND datname <> 'postgres' "
                        + "ORDER BY pg_database_size(oid) DESC", limit: limit
                ).values.compactMap { $0.first ?? nil }
            }
        }
        guard let largest = names.first else { return database }
        let others = names.dropFirst().joined(separator: ", ")
        restored.remarks.append(
            "the connection names the database postgres: the checks looked at \(largest), the largest"
                + (others.isEmpty ? "" : ", and not at \(others)"))
        return largest
    }

    /// The plan's checks, in a database.
    private func inspect(
        _ server: RecoveryServer, _ database: String, _ facts: BackupFacts, _ job: Job
    ) async throws(Failure) -> [BackupCheck] {
        let (settings, url) = (settings, server.url(database: database))
        let found = try await onOwnThread { _ throws(Failure) in
            let client = try PostgresClient(url, settings.environment)
            return try RestoreInspection(
                session: try client.session(RestoreInspection.purpose), facts: facts, checks: settings.policy.checks,
                statements: SQLScript(settings.integrity ?? "").statements, patience: settings.policy.deadline,
                isRehearsal: settings.isRehearsal
            ).run()
        }
        let notes = RestoreNotes(target: target, catalogue: reading.catalogue, now: reading.now)
        var checks = found.checks
        checks += try await notes.judge(found.timings, by: job.principal)
        checks += try await erase(url, notes)
        if settings.isRehearsal, let check = try await searchDamage(server, facts) { checks.append(check) }
        var side = settings
        side.url = url
        let smoke = try RestoreServer(side)
        for hook in settings.policy.checks.smoke { checks.append(await smoke.run(hook, database, as: "smoke")) }
        for address in settings.policy.checks.probes { checks.append(await settings.ask(address)) }
        return checks
    }

    /// Only in a rehearsal, whose cluster nobody will use.
    private func searchDamage(_ server: RecoveryServer, _ facts: BackupFacts) async throws(Failure) -> BackupCheck? {
        guard let major = facts.server.flatMap({ Int($0.version.prefix { $0 != "." }) }) else { return nil }
        let settings = settings
        return try await onOwnThread { (stop) throws(Failure) in
            let tools = try PostgresTools(major: major, url: server.url(database: "postgres"), folders: settings.toolFolders)
            return try DamageSearch(tools: tools, deadline: settings.policy.deadline).run(stop: stop)
        }
    }

    /// Everybody who was ever erased is erased again.
    private func erase(_ url: String, _ notes: RestoreNotes) async throws(Failure) -> [BackupCheck] {
        let subjects = try await notes.erasures().subjects
        guard !subjects.isEmpty else { return [] }
        var settings = settings
        settings.url = url
        let side = settings
        return try await onOwnThread { _ throws(Failure) in
            let server = try RestoreServer(side)
            return [try server.erase(subjects, in: server.live)]
        }
    }
}

extension Result {
    fileprivate var isSuccess: Bool { if case .success = self { true } else { false } }
}
