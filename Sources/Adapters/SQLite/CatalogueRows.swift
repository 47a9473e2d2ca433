internal import SerinCatalogue
internal import SerinModel
internal import SerinPorts
internal import SerinRecords

extension CatalogueFile {
    /// Appends lines within a transaction; durable when that is.
    func append(_ lines: [CatalogueLine], _ connection: Connection) throws -> CatalogueLog {
        let next: (log: CatalogueLog, entries: [Entry])
        do { next = try log.appending(lines) } catch { throw CatalogueStoreError.refused(error) }
        let insert = try connection.prepare("INSERT INTO entry(sequence, at, body, previous, hash) VALUES(?1, ?2, ?3, ?4, ?5)")
        for entry in next.entries {
            insert.reset()
            try insert.bind(1, entry.sequence)
            try insert.bind(2, entry.at.millisecondsSince1970)
            try insert.bind(3, text: entry.body)
            try insert.bind(4, blob: entry.previous)
            try insert.bind(5, blob: entry.hash)
            _ = try insert.step()
        }
        return next.log
    }

    func entries(after sequence: Int64, limit: Int, _ connection: Connection) throws -> [CatalogueEntry] {
        let statement = try connection.prepare("SELECT sequence, body FROM entry WHERE sequence > ?1 ORDER BY sequence LIMIT ?2")
        try statement.bind(1, sequence)
        try statement.bind(2, Int64(max(0, limit)))
        var entries: [CatalogueEntry] = []
        while try statement.step() {
            entries.append(
                CatalogueEntry(
                    sequence: statement.integer(0),
                    line: try CanonicalDecoder.decode(CatalogueLine.self, from: statement.bytes(1))))
        }
        return entries
    }

    // MARK: Leases

    func leases(_ connection: Connection) throws -> [TargetLease] {
        try documents(TargetLease.self, connection.prepare("SELECT body FROM lease ORDER BY target"))
    }

    func lease(of target: String, _ connection: Connection) throws -> TargetLease? {
        let statement = try connection.prepare("SELECT body FROM lease WHERE target = ?1")
        try statement.bind(1, text: Array(target.utf8))
        return try documents(TargetLease.self, statement).first
    }

    func check(_ lease: TargetLease, _ connection: Connection) throws {
        guard try self.lease(of: lease.target, connection)?.token == lease.token else {
            throw CatalogueStoreError.leaseLost(target: lease.target)
        }
    }

    func nextToken(_ connection: Connection) throws -> Int64 {
        try connection.execute("UPDATE last_token SET token = token + 1")
        return try connection.integer("SELECT token FROM last_token") ?? 0
    }

    func put(_ lease: TargetLease, _ connection: Connection) throws {
        let statement = try connection.prepare("INSERT OR REPLACE INTO lease(target, token, body) VALUES(?1, ?2, ?3)")
        try statement.bind(1, text: Array(lease.target.utf8))
        try statement.bind(2, lease.token)
        try statement.bind(3, text: try CanonicalEncoder.bytes(of: lease))
        _ = try statement.step()
    }

    func remove(_ lease: TargetLease, _ connection: Connection) throws {
        let statement = try connection.prepare("DELETE FROM lease WHERE target = ?1 AND token = ?2")
        try statement.bind(1, text: Array(lease.target.utf8))
        try statement.bind(2, lease.token)
        _ = try statement.step()
    }

    // MARK: Jobs

    func jobs(_ connection: Connection) throws -> [BackupJob] {
        try documents(BackupJob.self, connection.prepare("SELECT body FROM job ORDER BY created DESC, id DESC"))
    }

    func job(_ id: BackupID, _ connection: Connection) throws -> BackupJob? {
        let statement = try connection.prepare("SELECT body FROM job WHERE id = ?1")
        try statement.bind(1, text: Array(id.description.utf8))
        return try documents(BackupJob.self, statement).first
    }

    func oldestPendingJob(_ connection: Connection) throws -> BackupJob? {
        try documents(
            BackupJob.self, connection.prepare("SELECT body FROM job WHERE state = 'pending' ORDER BY created, id LIMIT 1")
        ).first
    }

    func put(_ job: BackupJob, _ connection: Connection) throws {
        let statement = try connection.prepare("INSERT OR REPLACE INTO job(id, state, created, body) VALUES(?1, ?2, ?3, ?4)")
        try statement.bind(1, text: Array(job.id.description.utf8))
        try statement.bind(2, text: Array(job.state.rawValue.utf8))
        try statement.bind(3, job.createdAt.millisecondsSince1970)
        try statement.bind(4, text: try CanonicalEncoder.bytes(of: job))
        _ = try statement.step()
    }

    func change(_ job: BackupJob, _ change: JobChange, at now: Instant, _ connection: Connection) throws -> BackupJob {
        var job = job
        do { try job.apply(change, at: now) } catch { throw CatalogueStoreError.refused(error) }
        try put(job, connection)
        return job
    }

    private func documents<Value: Decodable>(_ type: Value.Type, _ statement: Statement) throws -> [Value] {
        var values: [Value] = []
        while try statement.step() { values.append(try CanonicalDecoder.decode(Value.self, from: statement.bytes(0))) }
        return values
    }
}
