internal import SerinCatalogue
internal import SerinDatabase
internal import SerinModel
internal import SerinProcesses

/// A transaction that stays open while `pg_dump` reads the same snapshot, so that what is counted here is what is dumped there.
final class PostgresSnapshot {
    /// What `pg_dump --snapshot` is given.
    let identifier: String
    /// What the server said in that snapshot.
    let server: SourceFacts
    /// The rows of each table, and the revision, in that snapshot.
    let rows: RowManifest
    let revision: String?

    private let session: Connection

    static let purpose = SessionPurpose(
        applicationName: "serin-backup",
        setUp: """
            SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0; SET search_path = pg_catalog;
            SET row_security = off; SET DateStyle = ISO; SET TimeZone = 'UTC'
            """,
        deniedHint: "the role must be able to read every table: GRANT pg_read_all_data TO it, and BYPASSRLS where rows are hidden"
    )

    init(
        _ client: PostgresClient, _ selection: PostgresSelection, lockTimeout: Duration, patience: Duration, stop: StopSignal
    ) throws(Failure) {
        let session = try client.session(PostgresSnapshot.purpose)
        _ = try session.rows("SET lock_timeout = \(max(1, lockTimeout.milliseconds))")
        // A count without a time limit ends soon after a run that was killed; servers before 14, or on other systems, know no such
        // setting, and the count ends at its end.
        if session.version >= 140_000 { _ = try? session.rows("SET client_connection_check_interval = '5s'") }
        let system = PostgresSnapshot.system(session)
        _ = try session.rows("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        let facts =
            try session.rows(
                """
                SELECT pg_export_snapshot(), pg_current_snapshot()::text, current_setting('server_version'),
                    floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint,
                    CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text
                """
            ).first ?? []
        guard facts.count == 5, let identifier = facts[0] else {
            throw Failure(.invalid, "\(client.name) gives no snapshot")
        }
        let inventory = PostgresInventory(session, patience: patience)
        let position = facts[4].flatMap { LogPosition($0) }
        var source = SourceFacts(
            version: facts[2] ?? "", systemIdentifier: system.identifier, timeline: system.timeline, lsnStart: position,
            lsnStop: position,
            consistentAt: facts[3].flatMap { Int64($0) }.map { Instant(millisecondsSince1970: $0) }, snapshot: facts[1],
            schemaSHA256: try inventory.schemaDigest(selection.condition),
            prerequisites: try inventory.prerequisites(of: selection))
        source.part = selection.part
        source.part?.openKeys = try inventory.openKeys(of: selection)
        let owners = try inventory.owners(of: selection)
        source.owners = owners
        source.grantees = try inventory.grantees(of: selection).filter { name in !owners.contains { $0.role == name } }
        source.extensions = try inventory.extensions()
        source.flaws = try inventory.flaws(selection.condition)
        server = source
        rows = try inventory.rows(selection.condition, without: selection.withoutRows, stop: { stop.isRaised })
        revision = try inventory.revision(selection.condition, without: selection.withoutRows)
        self.identifier = identifier
        self.session = session
    }

    /// Ends the transaction.
    ///
    /// - Throws: When the session was lost meanwhile: then nobody kept the snapshot for workers that began late.
    func end() throws(Failure) { _ = try session.rows("ROLLBACK") }

    /// Who the server is; unknown where the role may not ask.
    private static func system(_ session: Connection) -> (identifier: String?, timeline: Int?) {
        // These functions can be revoked, and a backup is no worse without what they say.
        let row = try? session.rows(
            "SELECT s.system_identifier::text, c.timeline_id::text FROM pg_control_system() s, pg_control_checkpoint() c"
        ).first
        guard let row, row.count == 2 else { return (nil, nil) }
        return (row[0], row[1].flatMap { Int($0) })
    }
}
