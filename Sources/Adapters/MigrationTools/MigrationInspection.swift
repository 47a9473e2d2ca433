internal import SerinDatabase
public import SerinMigrations
public import SerinModel

/// What a look at a database and at a release's migrations found. Nothing was changed.
public struct MigrationInspection: Sendable {
    /// A revision that is not applied yet.
    public struct Pending: Sendable {
        /// The revision.
        public var id: RevisionID
        /// Both directions as SQL, as far as they can be had.
        public var script: MigrationScript
    }

    /// Where the database is, and the heads of the release.
    public var state: SchemaState
    /// What is not applied yet, the next one first; empty when `problems` say why nobody can tell.
    public var pending: [Pending] = []
    /// Whether the tool could say where the database is; `state` has no revision of it where it could not.
    public var isPlaceKnown = true
    /// Whether anybody can tell what is not applied yet.
    public var isPendingKnown = true
    /// What keeps a migration from being run now.
    public var problems: [Failure] = []
    /// What people should know.
    public var warnings: [String] = []
    /// How the schema differs from what the last step left; nil when there is nothing to compare with.
    public var drift: [String]?
    /// Where the last step of this tool left the database, from which somebody else took it back since; nil where nobody did.
    public var moved: String?
    /// The digest of the schema.
    public var schema: String
    /// The database; nil when it does not say.
    public var database: DatabaseIdentity?
    /// Indexes that are not valid, without those that are being built now.
    public var invalidIndexes: [String] = []
    /// The step that was begun and not finished, by nobody who is still at it.
    public var unfinished: RevisionID?
    /// Why it was not finished; nil where whoever ran it did not live to say.
    public var reason: String?
    /// The step that somebody is at now, and who: `0003 up, for 12 s, by uid:0 (session 4711 from 10.0.0.7)`.
    public var running: String?
    /// How much each table was written to.
    public var activity: [TableActivity] = []
    /// What is applied already, in order, as far as its SQL can be had: it tells what the schema is.
    public var applied: [MigrationScript] = []
    /// The server's major version.
    public var serverVersion = 15
    /// What passes changes of rows on to others.
    public var passing: [PassedChange] = []
    /// The code of the server that statements run without calling it by name; nil when nobody looked.
    public var code: ServerCode?
    /// Whether the sessions that migrate have `TimeZone` set to UTC; nil where the tool opens them itself.
    public var isUTC: Bool?
    /// Who may keep writes away now.
    public var fences: [FenceNote] = []
    /// The pending revisions from which no way leads back to where the database is, each with why.
    public var unreachable: [RevisionID: String] = [:]
}

/// Looks at a database for `MigrationInspection`, on the calling thread.
struct MigrationInspector {
    let tool: any MigrationTool
    let call: ToolCall
    /// Whether revisions whose files were changed after they were applied are no problem.
    var acceptsEdited = false

    func state() throws(Failure) -> SchemaState {
        let graph = try tool.graph(call)
        return SchemaState(current: try tool.current(call), heads: graph.heads)
    }

    /// - Parameter withScripts: Whether every pending revision is asked for its SQL, which takes a second each with some tools.
    func inspect(withScripts: Bool) throws(Failure) -> MigrationInspection {
        let session = try call.database.connect()
        let present = try SchemaSnapshot(session, without: tool.ownTables)
        let graph = try tool.graph(call)
        var problems: [Failure] = []
        var current: [RevisionID] = []
        do throws(Failure) { current = try tool.current(call) } catch {
            guard error.kind == .invalid || error.kind == .conflict else { throw error }
            problems.append(error)
        }
        var found = MigrationInspection(
            state: SchemaState(current: current, heads: graph.heads), schema: present.hash,
            database: session.identity)
        (found.isPlaceKnown, found.isPendingKnown) = (problems.isEmpty, problems.isEmpty)
        found.serverVersion = session.version / 10_000
        found.isUTC = try isUTC(session)
        found.code = try ServerCode.read(session)
        do throws(Failure) {
            try graph.check(current)
            if problems.isEmpty, let head = try graph.oneHead() {
                for revision in try graph.pending(from: current, to: head) {
                    let script =
                        withScripts
                        ? tool.script(revision, call)
                        : MigrationScript(revision: revision.id.description, name: revision.name, up: .missing, down: .missing)
                    found.pending.append(MigrationInspection.Pending(id: revision.id, script: script))
                }
            }
            if withScripts, !found.pending.isEmpty {
                found.applied = tool.applied(graph, at: current, call)
                problems += found.pending.compactMap { revision in
                    tool.objection(to: RevisionStep(direction: .up, revision: revision.id, before: [], after: [revision.id]))
                }
                found.unreachable = graph.unreachable(found.pending.map(\.id), from: current)
            }
        } catch {
            problems.append(error)
            found.isPendingKnown = false
        }
        if let objection = try MigrationInspector.objection(toWritingTo: session, call.database) { problems.append(objection) }
        found.problems = problems
        let edited = graph.edited(since: try StepRecords(session, of: tool.recordedAs).scripts())
        if !edited.isEmpty, !acceptsEdited { found.problems.append(RevisionGraph.complaint(edited)) }
        if let warning = SourceTree.look(at: graph.files, call)?.warning { found.warnings.append(warning) }
        found.fences = try FenceNote.read(session)
        if let objection = FenceNote.objection(to: found.fences, in: call.database.name) { found.problems.append(objection) }
        try compare(present, current, graph, session, &found)
        try look(session, &found)
        return found
    }

    /// What is taken back to get to a revision, the newest first, each with its two directions exchanged: so that the way back is
    /// judged by what it does.
    func inspectBack(to target: RevisionID?) throws(Failure) -> MigrationInspection {
        let session = try call.database.connect()
        if let objection = try MigrationInspector.objection(toWritingTo: session, call.database) { throw objection }
        let graph = try tool.graph(call)
        let current = try tool.current(call)
        try graph.check(current)
        var back: [RevisionGraph.Revision] = []
        if graph.isComplete {
            back = try graph.applied(above: target, from: current)
        } else if current != (target.map { [$0] } ?? []), let here = current.first {
            back = [RevisionGraph.Revision(id: here, name: "", parents: [])]
        }
        var found = MigrationInspection(
            state: SchemaState(current: current, heads: graph.heads), schema: "", database: session.identity)
        found.serverVersion = session.version / 10_000
        found.isUTC = try isUTC(session)
        found.code = try ServerCode.read(session)
        found.applied = back.isEmpty ? [] : tool.applied(graph, at: current, call)
        found.pending = back.map { revision in
            let script = tool.script(revision, call)
            return MigrationInspection.Pending(
                id: revision.id,
                script: MigrationScript(revision: script.revision, name: script.name, up: script.down, down: script.up))
        }
        return found
    }

    /// Why nothing can be changed in a database at all; nil where it can.
    static func objection(toWritingTo session: Connection, _ database: MigrationDatabase) throws(Failure) -> Failure? {
        let row =
            try session.rows("SELECT pg_is_in_recovery(), current_setting('default_transaction_read_only')").first ?? []
        guard row.contains("t") || row.contains("on") else { return nil }
        let what = row.first == "t" ? "is a standby" : "takes no writes (default_transaction_read_only)"
        return Failure(.conflict, "\(database.name) \(what): nothing can be migrated there", hint: "name the primary's address")
    }

    /// Why nobody goes on from a step of which a part may be committed.
    static func objection(toPart revision: RevisionID) -> Failure {
        Failure(
            .conflict,
            "\(revision) was begun and not done, and is not one transaction: a part of it may be committed, and rows may be gone; the "
                + "backup from before it has them (serin backup list; a rollout's: serin why)",
            hint: "bring back what is gone; then --accept-schema takes the rows as they are")
    }

    /// Whether times get and lose their zones in UTC where this runs what it is given: the session's own zone is that of its start,
    /// which other sessions of the same role have too, unless a tool sets another.
    private func isUTC(_ session: Connection) throws(Failure) -> Bool? {
        guard tool.usesOwnSessions else { return nil }
        let zone = try session.value("SELECT reset_val FROM pg_settings WHERE name = 'TimeZone'")
        return ["UTC", "Etc/UTC", "GMT", "Etc/GMT"].contains(zone ?? "")
    }

    private func compare(
        _ present: SchemaSnapshot, _ current: [RevisionID], _ graph: RevisionGraph, _ session: Connection,
        _ found: inout MigrationInspection
    ) throws(Failure) {
        let records = StepRecords(session, of: tool.recordedAs)
        guard try records.exist(), let latest = try records.latest(byAnyone: true), latest.isOwn else { return }
        if latest.state == .running, let worker = try records.worker(at: latest.id) {
            found.running = "\(latest.step.revision) \(latest.step.direction.rawValue), \(worker)"
            // What it is halfway is compared with nothing.
            return
        }
        if latest.state != .done {
            found.unfinished = latest.step.revision
            found.reason = try records.reason(of: latest.id)
            if latest.isPartial { found.problems.append(MigrationInspector.objection(toPart: latest.step.revision)) }
            if current == latest.step.after, let objection = try objection(to: latest, session, records) {
                found.problems.append(objection)
            }
        }
        let place = latest.state == .done ? latest.step.after : latest.step.before
        var wanted = latest.state == .done ? latest.after : latest.before
        if found.isPlaceKnown, graph.isBehind(current, place) {
            found.moved = SchemaState(current: place, heads: []).place
            wanted = try records.schema(at: current)
        } else if current != place {
            wanted = nil
        }
        found.drift = wanted.map { present.difference(from: $0) }
    }

    /// Why a step that was noted as not done cannot be taken for what it was judged to be.
    private func objection(to record: StepRecords.Record, _ session: Connection, _ records: StepRecords) throws(Failure)
        -> Failure?
    {
        guard let revision = try tool.graph(call).revisions.first(where: { $0.id == record.step.revision }) else { return nil }
        return try UnannouncedRows.objection(
            record.step, tool.side(record.step.direction, of: revision, call), counted: records.rows(of: record.id) ?? [],
            session,
            without: tool.ownTables)
    }

    private func look(_ session: Connection, _ found: inout MigrationInspection) throws(Failure) {
        let building = try session.rows(
            "SELECT index_relid::regclass::text FROM pg_stat_progress_create_index WHERE index_relid <> 0"
        ).compactMap { $0.first ?? nil }
        found.invalidIndexes = try session.rows(
            """
            SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
            WHERE NOT (i.indisvalid AND i.indisready) AND c.relkind = 'i' ORDER BY 1
            """
        ).compactMap { $0.first ?? nil }.filter { !building.contains($0) }
        for row in try session.rows(
            """
            SELECT application_name, pid::text FROM pg_stat_activity WHERE datname = current_database()
            AND (application_name IN ('pg_dump', 'pg_dumpall', 'serin-backup')
                OR starts_with(application_name, \(sqlText(MigrationDatabase.toolPrefix)))) ORDER BY 2
            """) where row.count == 2
        {
            let name = row[0] ?? ""
            found.warnings.append(
                name.hasPrefix(MigrationDatabase.toolPrefix)
                    ? "session \(row[1] ?? "") of a migration (\(name)) is at work" : "a backup is being made (\(name))")
        }
        let rights = try session.value(
            """
            SELECT to_regclass('serin.migration_steps') IS NOT NULL OR has_database_privilege(current_database(), 'CREATE')
            """)
        if rights != "t" {
            found.problems.append(
                Failure(
                    .denied, "the role may not create Serin's own schema in \(call.database.name)",
                    hint: "GRANT CREATE ON DATABASE … TO it, or CREATE SCHEMA serin AUTHORIZATION it"))
        }
        let old = try session.value(
            """
            SELECT floor(extract(epoch FROM clock_timestamp() - min(xact_start)))::bigint::text FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
            """)
        if let seconds = old.flatMap({ Int64($0) }), .seconds(seconds) > call.lockTimeout {
            found.warnings.append(
                "a transaction is open for \(seconds) s: a statement that needs its tables will wait and be tried again")
        }
        for name in try ScratchDatabase.left(session) {
            found.warnings.append(
                "the database \(name) on the same server was left by a trace that was killed: the next one there drops it, or DROP DATABASE \(name)"
            )
        }
        found.activity = try TableActivity.read(session, without: tool.ownTables)
        found.passing = try PassedChange.read(session)
    }
}

extension TableActivity {
    /// What the server counted of every table, none of Serin's own and none of these, which are the tool's.
    static func read(_ session: Connection, without tables: [String]) throws(Failure) -> [TableActivity] {
        let names = (tables + [""]).map(sqlText).joined(separator: ", ")
        return try session.rows(
            """
            SELECT relid::regclass::text, n_tup_ins::text, n_tup_upd::text, n_tup_del::text FROM pg_stat_user_tables
            WHERE schemaname <> 'serin' AND relname NOT IN (\(names)) ORDER BY 1 LIMIT 10000
            """
        ).compactMap { row in
            guard row.count == 4, let table = row[0] else { return nil }
            let counts = row.dropFirst().map { $0.flatMap { Int64($0) } ?? 0 }
            return TableActivity(table: table, inserted: counts[0], updated: counts[1], deleted: counts[2])
        }
    }
}
