internal import Glibc
internal import SerinBackups
internal import SerinCatalogue
internal import SerinDatabase
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinProcesses
internal import SerinSQLite
internal import SerinTransport

extension OpenedBackups {
    /// How the plan restores.
    ///
    /// - Parameter deadline: In place of the plan's.
    private func restoreSettings(_ deadline: Duration? = nil) throws(Failure) -> RestoreSettings {
        var url = ""
        if let own = plan.restore.url {
            url = try secrets.read(own)
        } else if case .postgres(let source) = plan.source {
            url = try secrets.read(source.url)
        }
        var settings = RestoreSettings(url: url, policy: plan.restore, scratch: scratch)
        settings.swapURL = try plan.restore.swapURL.map { reference throws(Failure) in try secrets.read(reference) }
        if let deadline { settings.policy.deadline = deadline }
        if let file = plan.restore.checks.sqlFile { settings.integrity = try secrets.read(plansFile: file) }
        if let file = plan.restore.eraseFile { settings.erasure = try secrets.read(plansFile: file) }
        let transport = transport
        settings.probe = { address throws(Failure) in
            try await transport.send(HTTPRequest(method: "GET", url: address, timeout: .seconds(10))).status
        }
        return settings
    }

    /// The same, for a plan that has a live database.
    private func databaseSettings(_ deadline: Duration? = nil) throws(Failure) -> RestoreSettings {
        guard case .postgres = plan.source else {
            throw Failure(
                .denied, "\(plan.source.word) has no live database that could be swapped", hint: "--into FOLDER restores it")
        }
        return try restoreSettings(deadline)
    }

    func liveDatabase() throws(Failure) -> String {
        guard let name = ConnectionText.option("dbname", of: try databaseSettings().url) else {
            throw Failure(.invalid, "the connection string of the restore names no database")
        }
        return name
    }

    func liveNumber() async throws(Failure) -> String? { try await sides().liveNumber() }

    private func databaseRestore(_ wish: RestoreWish = RestoreWish()) throws(Failure) -> BackupRestore {
        var restore = try databaseSettings(wish.deadline)
        restore.keepsOwners = wish.keepsOwners
        return try BackupRestore(
            settings, restore, identities: identities, catalogue: catalogue, holder: holder, now: Self.now,
            progress: options.progress)
    }

    /// What a restore needs; nothing for plans without a live database.
    func restoreFindings() async -> [PreflightFinding] {
        guard case .postgres = plan.source else { return [] }
        do throws(Failure) {
            let records: [BackupRecord]
            let lease: TargetLease?
            do throws(CatalogueStoreError) {
                records = try await catalogue.state().live(target: plan.target.description)
                lease = try await catalogue.leases().first { $0.target == plan.target.description }
            } catch { throw error.failure }
            let last = records.last { $0.kind == .logical && $0.state.isRestorable }
            var findings = await RestorePreflight(try databaseSettings(), last: last).look()
            // While a swap is at work both databases are closed as they must be.
            if let lease, lease.reasonForTakeover(at: Self.now(), isAlive: lease.holder.isAlive) == nil {
                let words = "not looked for while \(lease.holder) is at work"
                findings.append(PreflightFinding(DatabaseSwap.finding, detail: words))
            } else {
                let swap = try databaseSwap()
                findings.append(await swap.leftover(plan: shellWord(loaded.file)))
            }
            return findings
        } catch { return [PreflightFinding("restore", failure: error)] }
    }

    func restore(
        _ record: BackupRecord, _ wish: RestoreWish, permit: RestorePermit
    ) async throws(Failure) -> RestoredDatabase {
        try await databaseRestore(wish).restore(
            record.id, source: source(record.kind), destination: wish.destination, tables: wish.tables, isMasked: wish.isMasked,
            permit: permit)
    }

    func inspect(_ database: String, permit: RestorePermit) async throws(Failure) -> RestoredDatabase {
        // What is closed cannot be looked at.
        try await databaseSwap().reopen(database, by: permit.by)
        return try await databaseRestore().inspect(database, permit: permit)
    }

    private func databaseSwap() throws(Failure) -> DatabaseSwap {
        DatabaseSwap(
            try databaseSettings(), target: plan.target.description, catalogue: catalogue, holder: holder, now: Self.now)
    }

    func expectSwapRights(_ incoming: String?, of backup: BackupID?) async throws(Failure) {
        try await databaseSwap().expectRights(incoming, of: backup)
    }

    func swap(_ restored: RestoredDatabase, permit: RestorePermit) async throws(Failure) -> DatabaseSwap.Outcome {
        try await databaseSwap().swap(restored, permit: permit)
    }

    func undo(_ replaced: String, permit: RestorePermit) async throws(Failure) -> DatabaseSwap.Outcome {
        try await databaseSwap().undo(replaced, permit: permit)
    }

    func unfinishedSwap() async throws(Failure) -> SideDatabase? { try await databaseSwap().unfinished() }

    func finish(_ placed: SideDatabase, permit: RestorePermit) async throws(Failure) -> DatabaseSwap.Outcome {
        try await databaseSwap().finish(placed, permit: permit)
    }

    func merge(
        _ table: String, from database: String, agreed: Int64?, permit: RestorePermit
    ) async throws(Failure) -> (plan: TableMerge.Plan, merged: TableMerge.Merged?) {
        try await TableMerge(
            databaseSettings(), target: plan.target.description, catalogue: catalogue, holder: holder, now: Self.now
        ).merge(table, from: database, agreed: agreed, permit: permit)
    }

    private func sides() throws(Failure) -> SideDatabases {
        SideDatabases(try databaseSettings(), target: plan.target.description, catalogue: catalogue, now: Self.now)
    }

    func sideDatabases() async throws(Failure) -> [SideDatabases.Entry] { try await sides().list() }

    /// Removes what merges that were killed have left in the live database.
    func sweepMerges() async throws(Failure) { try await sides().sweepMerges() }

    func drop(_ database: String, by principal: Principal) async throws(Failure) {
        try await sides().drop(database, by: principal)
    }

    func dropDue(by principal: Principal) async throws(Failure) -> SideDatabases.Pruned {
        guard case .postgres = plan.source else { return SideDatabases.Pruned() }
        return try await sides().dropDue(at: Self.now(), by: principal)
    }

    func unpack(
        _ record: BackupRecord, _ wish: RestoreWish, by principal: Principal
    ) async throws(Failure) -> RestoredFolder {
        try await unpack(record, wish, try restoreSettings(wish.deadline), by: principal)
    }

    private func unpack(
        _ record: BackupRecord, _ wish: RestoreWish, _ restore: RestoreSettings, by principal: Principal
    ) async throws(Failure) -> RestoredFolder {
        var makesAppendOnlyFiles = false
        if case .redis(let redis) = plan.source { makesAppendOnlyFiles = redis.appendOnly != .off }
        let place = try place(record.kind, wish.folder)
        return try await FolderRestore(
            try settings, restore, identities: try identities, catalogue: catalogue, makesAppendOnlyFiles: makesAppendOnlyFiles,
            now: Self.now, progress: options.progress
        ).restore(
            record.id, source: source(record.kind, after: LogContinuation(record.facts?.server)), destination: wish.destination,
            into: place,
            by: principal)
    }

    private func place(_ kind: BackupKind, _ folder: String?) throws(Failure) -> FolderRestore.Place {
        if let folder {
            if case .command(let source) = plan.source, !source.restoresIntoFolder { throw source.refusal }
            if case .mongo = plan.source {
                throw Failure(
                    .denied, "an archive of mongodump is restored into an empty server, not into a folder",
                    hint: "leave --into out, and name the server in the plan, as restore: {url_env: NAME}")
            }
            return .folder(folder)
        }
        guard let own = plan.restore.url else {
            throw Failure(
                .denied, "a \(kind.rawValue) backup needs a place to be restored into",
                hint: kind == .mongo
                    ? "name an empty server in the plan, as restore: {url_env: NAME}"
                    : "--into FOLDER, which is empty or does not exist")
        }
        let url = try secrets.read(own)
        switch plan.source {
        case .mongo(let source):
            if let shared = try MongoAddress(url).shared(with: MongoAddress(secrets.read(source.url))) {
                throw Failure(
                    .denied, "the plan restores to \(shared), which belongs, or may belong, to what is backed up",
                    hint:
                        "name an empty server beside it, as restore: {url_env: NAME}, in the form in which source.mongo names its own"
                )
            }
            return .server
        case .command: return .server
        case .postgres, .postgresPhysical, .redis, .files, .logs, .clickhouse:
            throw Failure(.denied, "a \(kind.rawValue) backup is restored into a folder", hint: "--into FOLDER")
        }
    }

    func recover(
        _ record: BackupRecord?, _ wish: RestoreWish, to cluster: ClusterRestore.Wish, by principal: Principal
    ) async throws(Failure) -> RestoredFolder {
        try await recover(record, wish, cluster, try restoreSettings(wish.deadline), by: principal)
    }

    private func recover(
        _ record: BackupRecord?, _ wish: RestoreWish, _ cluster: ClusterRestore.Wish, _ restore: RestoreSettings,
        by principal: Principal
    ) async throws(Failure) -> RestoredFolder {
        guard case .postgresPhysical(let physical) = plan.source else {
            throw Failure(
                .denied, "\(plan.source.word) has no write-ahead log to recover with",
                hint: "a point in time needs base backups: source: {postgres_physical: …}")
        }
        guard let folder = wish.folder else {
            throw Failure(
                .denied, "a cluster needs a place to be restored into", hint: "--into FOLDER, which is empty or does not exist")
        }
        var cluster = cluster
        let url = restore.url.isEmpty ? try secrets.read(physical.url) : restore.url
        cluster.database = ConnectionText.option("dbname", of: url) ?? "postgres"
        return try await ClusterRestore(
            try settings, restore, physical, identities: try identities, catalogue: catalogue, account: Self.account,
            now: Self.now,
            progress: options.progress
        ).restore(record, cluster, destination: wish.destination, into: folder, by: principal) { kind throws(Failure) in
            try source(kind, account: Self.account)
        }
    }

    /// The folder for temporary files, where its name is short enough for a socket and the account of the server may go through it.
    private var rehearsalFolder: String {
        guard let folder = environment["TMPDIR"], folder.hasPrefix("/"), folder.utf8.count <= 50 else { return "/tmp" }
        var path = ""
        for part in folder.split(separator: "/") {
            path += "/" + part
            var status = stat()
            let isOpen = stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
            guard isOpen, geteuid() != 0 || status.st_mode & S_IXOTH != 0 else { return "/tmp" }
        }
        return path.isEmpty ? "/tmp" : path
    }

    func drill(
        _ policy: DrillPolicy, _ backup: BackupID?, seed: UInt64?, by principal: Principal
    ) async throws(Failure) -> DrillReport {
        do throws(Failure) {
            if let refusal = plan.source.drillRefusal { throw refusal }
            var restore = try restoreSettings(policy.deadline)
            restore.isRehearsal = true
            var drill = BackupDrill.Settings(
                policy, checks: plan.restore.checks, integrity: restore.integrity, targets: plan.targets, folder: rehearsalFolder,
                probe: restore.probe, hasHeartbeat: plan.heartbeat != nil)
            drill.erasure = restore.erasure
            drill.maximumErased = restore.policy.maximumErased
            if case .postgres = plan.source, plan.restore.url != nil {
                let preflight = RestorePreflight(restore, last: nil)
                drill.roles = { record in await preflight.check(rolesOf: record) }
            }
            let settings = restore
            drill.unpack = { record, folder throws(Failure) in
                var wish = RestoreWish()
                wish.folder = folder
                guard record.kind.isPhysicalBase else { return try await unpack(record, wish, settings, by: principal) }
                return try await recover(record, wish, ClusterRestore.Wish(self.furthest), settings, by: principal)
            }
            let report = try await BackupDrill(
                try self.settings, drill, identities: try identities, catalogue: catalogue, now: Self.now,
                progress: options.progress
            ).run(source(plan.source.defaultKind), backup: backup, seed: seed, by: principal)
            tell(.drill, notices.drilled(report))
            return report
        } catch {
            // What was called off is no failure to tell of.
            if !Task.isCancelled { tell(.drill, notices.notDrilled(error, at: Self.now())) }
            throw error
        }
    }

    /// As far as the plan's backups lead: to the end of the log where it keeps one.
    private var furthest: PointInTimeRestore.Target {
        guard case .postgresPhysical(let physical) = plan.source else { return .base }
        if case .pgBackRest = physical.tool { return .latest }
        return physical.log.folder == nil ? .base : .latest
    }
}
