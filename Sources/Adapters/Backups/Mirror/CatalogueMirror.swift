public import SerinCatalogue
internal import SerinDatabase
internal import SerinLocks
public import SerinModel

/// The catalogue's mirror in Postgres: `control_plane.backups`, `backup_tombstones`, `jobs` and `audit_log`, the last with the views
/// `project_logs` and `config_change_history`.
///
/// It is made to be equal to the catalogue each time, row by row, so that whatever a failed run left out the next one brings. A
/// failure of it is reported and never fails a backup.
public struct CatalogueMirror: Sendable {
    /// What a run changed.
    public struct Report: Sendable, Hashable {
        /// Rows written.
        public var written = 0
        /// Rows removed, of which most moved to the tombstones.
        public var removed = 0
    }

    private let connection: String
    private let name: String
    private let deadline: Swift.Duration

    /// A mirror.
    ///
    /// - Parameters:
    ///   - connection: As libpq reads it.
    ///   - name: What the server is called in messages; without the password.
    ///   - deadline: For a whole run.
    public init(connection: String, name: String, deadline: Swift.Duration = .seconds(60)) {
        self.connection = connection
        self.name = name
        self.deadline = deadline
    }

    /// Makes the mirror equal to the catalogue, in one transaction; makes the tables where they are missing. Tables that are not the
    /// mirror's own, or are another catalogue's mirror, are refused as `denied` and left as they are.
    ///
    /// - Parameters:
    ///   - jobs: What was asked for and waits or is done; each run of which no job tells is one of its own.
    ///   - entries: The whole log, for the audit.
    ///   - expiries: When the retention plan lets go of each; a record's own date is that of its warning and holds where this says nothing.
    public func update(
        _ state: CatalogueState, jobs: [BackupJob], entries: [CatalogueEntry] = [], expiries: [BackupID: Instant] = [:]
    ) async throws(Failure) -> Report {
        let tables = [
            MirrorTable(
                name: "backups",
                rows: state.records.filter(\.isLive).map { MirrorRow($0, expiresAt: expiries[$0.id] ?? $0.expiresAt) }),
            MirrorTable(
                name: "backup_tombstones", rows: state.records.filter { !$0.isLive }.map { MirrorRow($0, expiresAt: nil) }),
            MirrorTable(name: "jobs", rows: (jobs + state.runs(beside: jobs)).map { MirrorRow($0) }),
            MirrorTable(name: "audit_log", rows: AuditRows(entries, state).rows),
        ]
        let result: Result<Report, Failure> = await withCheckedContinuation { continuation in
            onNewThread { continuation.resume(returning: Result { () throws(Failure) in try write(tables) }) }
        }
        return try result.get()
    }

    private func write(_ tables: [MirrorTable]) throws(Failure) -> Report {
        let limit = ContinuousClock.now + deadline
        var report = Report()
        var refusal: Failure?
        do throws(DatabaseError) {
            let purpose = SessionPurpose(
                applicationName: "serin-mirror",
                setUp: "SET standard_conforming_strings = on; SET client_min_messages = warning; SET lock_timeout = '10s'; "
                    + "SET statement_timeout = '60s'; SET timezone = 'UTC'",
                deniedHint: "the mirror's role must own the schema control_plane, or may create it")
            let session = try Connection(connection, name: name, purpose: purpose, limit: limit)
            _ = try session.query("BEGIN", limit: limit)
            // One run at a time; the number is this mirror's own.
            _ = try session.query("SELECT pg_advisory_xact_lock(5931017339)", limit: limit)
            refusal = try foreign(tables, session, limit)
            // The newest of the files makes it.
            if refusal == nil,
                try session.query("SELECT to_regclass('control_plane.config_change_history')", limit: limit).first.first
                    == .some(nil)
            {
                for migration in MirrorSchema.migrations { _ = try session.query(migration.sql, limit: limit) }
            }
            if refusal == nil { refusal = try anothers(tables, session, limit) }
            for table in tables where refusal == nil {
                let known = try session.query("SELECT id, row_digest FROM control_plane.\(table.name)", limit: limit)
                let change = table.change(from: known.values)
                for statement in change.statements { _ = try session.query(statement, limit: limit) }
                report.written += change.written
                report.removed += change.removed
            }
            _ = try session.query(refusal == nil ? "COMMIT" : "ROLLBACK", limit: limit)
        } catch { throw error.failure }
        if let refusal { throw refusal }
        return report
    }

    /// Why the tables are no mirror's.
    private func foreign(
        _ tables: [MirrorTable], _ session: Connection, _ limit: ContinuousClock.Instant
    ) throws(DatabaseError) -> Failure? {
        let names = tables.map { "'\($0.name)'" }.joined(separator: ", ")
        let foreign = try session.query(
            """
            SELECT relname FROM pg_class c WHERE relnamespace = to_regnamespace('control_plane') AND relname IN (\(names)) \
            AND NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND attname = 'row_digest' AND NOT attisdropped)
            """, limit: limit)
        if let table = foreign.first.first ?? nil {
            return Failure(
                .denied, "\(name): the table control_plane.\(table) is not of this mirror, and is left as it is",
                hint: "name a database in which the schema control_plane is the mirror's alone")
        }
        return nil
    }

    /// Why the tables cannot be written though they are a mirror's.
    private func anothers(
        _ tables: [MirrorTable], _ session: Connection, _ limit: ContinuousClock.Instant
    ) throws(DatabaseError) -> Failure? {
        // The log only grows: whatever the mirror has of it is in the catalogue that it is of, with the same time and backup.
        let log = tables.first { $0.name == "audit_log" }?.rows ?? []
        let first = try session.query(
            "SELECT id, extract(epoch FROM created_at)::numeric(20, 3), backup_id FROM control_plane.audit_log ORDER BY id LIMIT 1",
            limit: limit
        ).first
        guard first.count == 3 else { return nil }
        if let own = log.first(where: { $0.id == first[0] }), own["backup_id"] == first[2] {
            let time = "SELECT extract(epoch FROM timestamptz \(own.quoted("created_at")))::numeric(20, 3)"
            if try session.query(time, limit: limit).first.first == first[1] { return nil }
        }
        return Failure(
            .denied, "\(name): its schema control_plane is the mirror of another catalogue, and is left as it is",
            hint: "give each catalogue a database of its own; when that catalogue is gone: DROP SCHEMA control_plane CASCADE")
    }
}

/// What a mirrored table is to hold.
private struct MirrorTable {
    let name: String
    let rows: [MirrorRow]

    /// The statements that lead there from the identifiers and digests that it holds.
    func change(from known: [[String?]]) -> (statements: [String], written: Int, removed: Int) {
        var digests: [String: String] = [:]
        for row in known where row.count == 2 { if let id = row[0] { digests[id] = row[1] ?? "" } }
        let changed = rows.filter { digests[$0.id] != $0.digest }
        let wanted = Set(rows.map(\.id))
        let gone = digests.keys.filter { !wanted.contains($0) }.sorted()
        var statements: [String] = []
        for start in stride(from: 0, to: gone.count, by: 500) {
            let list = gone[start..<min(start + 500, gone.count)].map { "'\($0)'" }.joined(separator: ", ")
            statements.append("DELETE FROM control_plane.\(name) WHERE id IN (\(list))")
        }
        for start in stride(from: 0, to: changed.count, by: 200) {
            statements.append(upsert(Array(changed[start..<min(start + 200, changed.count)])))
        }
        return (statements, changed.count, gone.count)
    }

    /// All rows of a table that are sent at once have the same columns.
    private func upsert(_ rows: [MirrorRow]) -> String {
        let columns = rows.first?.columns ?? []
        return "INSERT INTO control_plane.\(name) (\(columns.joined(separator: ", "))) VALUES "
            + rows.map(\.tuple).joined(separator: ", ") + " ON CONFLICT (id) DO UPDATE SET "
            + columns.dropFirst().map { "\($0) = EXCLUDED.\($0)" }.joined(separator: ", ")
    }
}
