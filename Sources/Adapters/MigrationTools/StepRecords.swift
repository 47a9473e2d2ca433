internal import SerinDatabase
internal import SerinModel
internal import SerinRollouts

/// What Serin itself notes in a database about the steps it took there: in a schema of its own, `serin`, which migration tools and
/// the comparison of schemas leave out.
struct StepRecords {
    /// A step as it was noted.
    struct Record: Sendable, Hashable {
        enum State: String, Sendable, Hashable {
            case running
            case done
            case failed
        }

        var id: Int64
        /// Whether it is a step of the tool that asks: the revisions of another one are others.
        var isOwn = true
        var step: RevisionStep
        var state: State
        /// Whether a part of it may be committed although it is not done, and may have destroyed data.
        var isPartial = false
        /// The schemas before and after; after only when it is done.
        var before: SchemaSnapshot
        var after: SchemaSnapshot?
    }

    private let session: Connection
    /// What is true of the steps of one tool alone, told by the table in which it keeps where the database is: several services may
    /// share a database, each with revisions of its own. What was noted before that was told apart counts for every tool.
    private let isOwn: String

    /// - Parameter tool: What a tool's steps are told by; nil for whoever asks about the steps of every tool.
    init(_ session: Connection, of tool: String? = nil) {
        self.session = session
        self.tool = tool
        isOwn = tool.map { "coalesce(to_jsonb(s) ->> 'tables', \(sqlText($0))) = \(sqlText($0))" } ?? "true"
    }

    private let tool: String?

    /// Whether there are any notes.
    func exist() throws(Failure) -> Bool { try session.value("SELECT to_regclass('serin.migration_steps')") != nil }

    /// Makes the tables where they are missing.
    func prepare() throws(Failure) {
        guard try !exist() else { return try addColumns() }
        // Asked first, as the right to create is asked for even when there is nothing to create.
        if try session.value("SELECT to_regnamespace('serin')") == nil { _ = try session.rows("CREATE SCHEMA serin") }
        _ = try session.rows(
            """
            CREATE TABLE IF NOT EXISTS serin.schemas (hash text PRIMARY KEY, lines text NOT NULL);
            CREATE TABLE IF NOT EXISTS serin.migration_steps (
                id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, run text NOT NULL, asked_by text NOT NULL,
                tool text NOT NULL, direction text NOT NULL, revision text NOT NULL, revision_before text, revision_after text,
                script text, commit text, sessions text, policy text, changed text, tables text, in_part boolean, state text NOT NULL, tries int, blocked_ms bigint, longest_block_ms bigint, most_queued int, error text,
                schema_before text NOT NULL REFERENCES serin.schemas, schema_after text REFERENCES serin.schemas,
                started_at timestamptz NOT NULL DEFAULT clock_timestamp(), finished_at timestamptz)
            """)
    }

    /// What an earlier version did not note.
    private func addColumns() throws(Failure) {
        guard try !knows("in_part") else { return }
        let texts = ["script", "commit", "sessions", "policy", "changed", "tables"].map { "\($0) text" }
        let columns = (texts + ["in_part boolean"]).map { "ADD COLUMN IF NOT EXISTS \($0)" }
        _ = try session.rows("ALTER TABLE serin.migration_steps \(columns.joined(separator: ", "))")
    }

    private func knows(_ column: String) throws(Failure) -> Bool {
        try session.value(
            """
            SELECT 1 FROM pg_attribute WHERE attrelid = to_regclass('serin.migration_steps') AND attname = '\(column)'
            AND NOT attisdropped
            """) != nil
    }

    /// The sessions that the last step was seen to have, as `ToolSessions` numbers them.
    func sessions() throws(Failure) -> Set<String> {
        guard try knows("sessions") else { return [] }
        let text = try session.value("SELECT sessions FROM serin.migration_steps ORDER BY id DESC LIMIT 1")
        return Set((text ?? "").split(separator: ",").map(String.init))
    }

    /// Notes what the step that was begun last did to rows.
    func note(_ rows: [TableActivity]) throws(Failure) {
        // A trace on a copy notes nothing.
        guard try knows("changed") else { return }
        let text = rows.map(RestoredRows.line).joined(separator: "\n")
        _ = try session.rows(
            "UPDATE serin.migration_steps SET changed = \(sqlText(text)) WHERE id = (SELECT max(id) FROM serin.migration_steps)")
    }

    /// What a step did to rows; nil where nobody counted.
    func rows(of step: Int64) throws(Failure) -> [TableActivity]? { try rows("id = \(step)") }

    /// What a revision changed or deleted when it was applied last; empty where nobody counted.
    func rows(changedBy revision: RevisionID) throws(Failure) -> [TableActivity] {
        let all = try rows("\(isOwn) AND direction = 'up' AND state = 'done' AND revision = \(sqlText("\(revision)"))")
        return (all ?? []).filter { $0.updated + $0.deleted > 0 }
    }

    private func rows(_ condition: String) throws(Failure) -> [TableActivity]? {
        guard try knows("changed") else { return nil }
        let text = try session.value("SELECT changed FROM serin.migration_steps s WHERE \(condition) ORDER BY id DESC LIMIT 1")
        guard let text else { return nil }
        // A step of several transactions has a table several times.
        var found: [String: TableActivity] = [:]
        for rows in text.textLines().compactMap({ RestoredRows.activity(String($0)) }) {
            var sum = found[rows.table] ?? TableActivity(table: rows.table, inserted: 0, updated: 0, deleted: 0)
            sum.inserted += rows.inserted
            sum.updated += rows.updated
            sum.deleted += rows.deleted
            found[rows.table] = sum
        }
        return found.values.sorted()
    }

    /// Notes whether a part of a step may be committed although it is not done.
    func note(_ record: Record, isPartial: Bool) throws(Failure) {
        _ = try session.rows("UPDATE serin.migration_steps SET in_part = \(isPartial) WHERE id = \(record.id)")
    }

    /// What is noted of the steps of a run, and how a schema differs from the one that was noted of the place where the database is.
    func steps(of run: String, at current: [RevisionID], _ present: SchemaSnapshot) throws(Failure) -> NotedSteps {
        guard try exist() else { return NotedSteps() }
        let isSame =
            "d.id > s.id AND d.state = 'done' AND d.revision = s.revision AND "
            + isOwn.rewriting("to_jsonb(s)", as: "to_jsonb(d)")
        let rows = try session.rows(
            """
            SELECT s.revision, s.state = 'done',
                EXISTS (SELECT FROM serin.migration_steps d WHERE \(isSame) AND d.direction = 'down'),
                coalesce(to_jsonb(s) ->> 'in_part', '') = 'true'
                    AND NOT EXISTS (SELECT FROM serin.migration_steps d WHERE \(isSame))
            FROM serin.migration_steps s WHERE \(isOwn) AND run = \(sqlText(run)) AND direction = 'up' ORDER BY id
            """)
        func revisions(_ isWanted: ([String?]) -> Bool) -> [RevisionID] {
            rows.filter { $0.count == 4 && isWanted($0) }.compactMap { $0[0].flatMap { RevisionID($0) } }
        }
        return NotedSteps(
            applied: rows.isEmpty ? nil : revisions { $0[1] == "t" }, takenBack: revisions { $0[1] == "t" && $0[2] == "t" },
            partial: revisions { $0[1] != "t" && $0[3] == "t" },
            difference: try schema(at: current).map { present.difference(from: $0) })
    }

    /// The schema that was noted last of a place; nil when none was, or when another tool's step came later.
    func schema(at place: [RevisionID]) throws(Failure) -> SchemaSnapshot? {
        guard try latest(byAnyone: true)?.isOwn ?? false else { return nil }
        let here = StepRecords.text(place)
        return try session.value(
            """
            SELECT x.lines FROM serin.migration_steps s JOIN serin.schemas x ON x.hash = CASE
                WHEN s.state = 'done' AND s.revision_after IS NOT DISTINCT FROM \(here) THEN s.schema_after ELSE s.schema_before END
            WHERE \(isOwn) AND (s.revision_before IS NOT DISTINCT FROM \(here)
                OR s.state = 'done' AND s.revision_after IS NOT DISTINCT FROM \(here))
            ORDER BY s.id DESC LIMIT 1
            """
        ).map(StepRecords.snapshot)
    }

    /// Who is at a step now, and for how long; nil when nobody is: the lock of migrations is free.
    func worker(at step: Int64) throws(Failure) -> String? {
        try session.value(
            """
            SELECT format('for %s s, by %s (session %s from %s)', floor(extract(epoch FROM clock_timestamp() - s.started_at)),
                s.asked_by, holder.pid, coalesce(host(a.client_addr), 'the server itself'))
            FROM serin.migration_steps s, (\(DatabaseLock.holders(of: DatabaseLock.migrating))) holder
                LEFT JOIN pg_stat_activity a ON a.pid = holder.pid
            WHERE s.id = \(step) LIMIT 1
            """)
    }

    /// Why a step was not finished; nil where nobody lived to say.
    func reason(of step: Int64) throws(Failure) -> String? {
        try session.value("SELECT error FROM serin.migration_steps WHERE id = \(step)")
    }

    /// By which policy a step was taken here last; nil when none ever was.
    func policy() throws(Failure) -> String? {
        guard try knows("policy") else { return nil }
        return try session.value("SELECT policy FROM serin.migration_steps WHERE policy IS NOT NULL ORDER BY id DESC LIMIT 1")
    }

    /// Notes the sessions of a step.
    func note(_ sessions: Set<String>, of step: Int64) throws(Failure) {
        _ = try session.rows(
            "UPDATE serin.migration_steps SET sessions = \(sqlText(sessions.sorted().joined(separator: ","))) WHERE id = \(step)")
    }

    /// The schema that was there before the revision of a way back was applied, when the way back leads to where that began; nil
    /// when nobody noted it.
    func schema(atTheEndOf step: RevisionStep) throws(Failure) -> SchemaSnapshot? {
        guard step.direction == .down, try exist() else { return nil }
        return try session.value(
            """
            SELECT b.lines FROM serin.migration_steps s JOIN serin.schemas b ON b.hash = s.schema_before
            WHERE \(isOwn) AND s.direction = 'up' AND s.state = 'done' AND s.revision = \(sqlText("\(step.revision)"))
            AND s.revision_before IS NOT DISTINCT FROM \(StepRecords.text(step.after))
            AND NOT EXISTS (SELECT FROM serin.migration_steps d WHERE d.id > s.id AND d.direction = 'down' AND d.state = 'done'
                AND d.revision = s.revision AND \(isOwn.rewriting("to_jsonb(s)", as: "to_jsonb(d)")))
            ORDER BY s.id DESC LIMIT 1
            """
        ).map(StepRecords.snapshot)
    }

    /// The ways forward that were taken, the latest first: from where, and to what.
    func forward() throws(Failure) -> [(from: RevisionID?, to: RevisionID)] {
        guard try exist() else { return [] }
        return try session.rows(
            """
            SELECT revision_before, revision FROM serin.migration_steps s
            WHERE \(isOwn) AND direction = 'up' AND state = 'done' ORDER BY id DESC
            """
        ).compactMap { row in
            (row.last ?? nil).flatMap { RevisionID($0) }.map { ((row.first ?? nil).flatMap { RevisionID($0) }, $0) }
        }
    }

    /// The digests that the files of revisions had when they were applied; none of a revision that was taken back.
    func scripts() throws(Failure) -> [RevisionID: String] {
        guard try knows("script") else { return [:] }
        var found: [RevisionID: String] = [:]
        for row in try session.rows(
            """
            SELECT revision, script FROM (SELECT DISTINCT ON (revision) revision, direction, script FROM serin.migration_steps s
                WHERE \(isOwn) AND state = 'done' ORDER BY revision, id DESC) last WHERE direction = 'up' AND script IS NOT NULL
            """)
        {
            guard let revision = row[0].flatMap({ RevisionID($0) }), let script = row[1] else { continue }
            found[revision] = script
        }
        return found
    }

    /// Notes that the file of an applied revision is to be taken as it is now.
    func accept(_ revision: RevisionID, script: String) throws(Failure) {
        _ = try session.rows(
            """
            UPDATE serin.migration_steps s SET script = \(sqlText(script)) WHERE \(isOwn) AND revision = \(sqlText("\(revision)"))
            AND direction = 'up' AND state = 'done'
            """)
    }

    /// The last step that was begun; nil when there is none.
    ///
    /// - Parameter byAnyone: Whether those of other tools count as well: the schema is of all of them together.
    func latest(byAnyone: Bool = false) throws(Failure) -> Record? {
        let rows = try session.rows(
            """
            SELECT s.id, s.direction, s.revision, s.revision_before, s.revision_after, s.state, b.lines, a.lines, \(isOwn),
                coalesce(to_jsonb(s) ->> 'in_part', '') = 'true'
            FROM serin.migration_steps s JOIN serin.schemas b ON b.hash = s.schema_before
            LEFT JOIN serin.schemas a ON a.hash = s.schema_after
            WHERE \(byAnyone ? "true" : isOwn) ORDER BY s.id DESC LIMIT 1
            """)
        guard let row = rows.first else { return nil }
        guard row.count == 10, let id = row[0].flatMap({ Int64($0) }), let direction = row[1].flatMap(Direction.init(rawValue:)),
            let revision = row[2].flatMap({ RevisionID($0) }), let state = row[5].flatMap(Record.State.init(rawValue:)),
            let before = row[6]
        else { throw Failure(.invalid, "serin.migration_steps holds a row that cannot be read") }
        return Record(
            id: id, isOwn: row[8] == "t",
            step: RevisionStep(
                direction: direction, revision: revision, before: StepRecords.revisions(row[3]),
                after: StepRecords.revisions(row[4])),
            state: state, isPartial: state != .done && row[9] == "t", before: StepRecords.snapshot(before),
            after: row[7].map(StepRecords.snapshot))
    }

    /// Notes that a step begins.
    func begin(
        _ step: RevisionStep, run: String, by principal: Principal, tool: String, script: String? = nil, commit: String? = nil,
        policy: String? = nil, _ before: SchemaSnapshot
    ) throws(Failure) -> Record {
        let text = try session.value(
            """
            WITH known AS (\(keeping(before)))
            INSERT INTO serin.migration_steps (run, asked_by, tool, direction, revision, revision_before, revision_after, script,
                commit, policy, tables, state, schema_before)
            VALUES (\(sqlText(run)), \(sqlText("\(principal)")), \(sqlText(tool)), '\(step.direction.rawValue)',
                \(sqlText("\(step.revision)")), \(StepRecords.text(step.before)), \(StepRecords.text(step.after)),
                \(script.map(sqlText) ?? "NULL"), \(commit.map(sqlText) ?? "NULL"), \(policy.map(sqlText) ?? "NULL"), \(self.tool.map(sqlText) ?? "NULL"), 'running',
                '\(before.hash)') RETURNING id
            """)
        guard let id = text.flatMap({ Int64($0) }) else { throw Failure(.invalid, "serin.migration_steps gives no number") }
        return Record(id: id, step: step, state: .running, before: before)
    }

    /// Notes that a step is done, and drops the schemas that no recent step names.
    func finish(_ record: Record, _ after: SchemaSnapshot, tries: Int, _ blocking: BlockingReport) throws(Failure) {
        _ = try session.rows(
            """
            WITH known AS (\(keeping(after)))
            UPDATE serin.migration_steps SET state = 'done', schema_after = '\(after.hash)', \(StepRecords.figures(tries, blocking)),
                error = NULL WHERE id = \(record.id)
            """)
        _ = try session.rows(
            """
            DELETE FROM serin.migration_steps WHERE id <= \(record.id) - 1000;
            DELETE FROM serin.schemas s WHERE NOT EXISTS (SELECT FROM serin.migration_steps m
                WHERE s.hash IN (m.schema_before, m.schema_after))
            """)
    }

    /// Notes that a step failed.
    ///
    /// - Parameter isSettled: Whether nothing of it is left; until then it counts as running.
    func fail(_ record: Record, _ failure: Failure, tries: Int, _ blocking: BlockingReport, isSettled: Bool = true)
        throws(Failure)
    {
        _ = try session.rows(
            """
            UPDATE serin.migration_steps SET state = '\(isSettled ? Record.State.failed : .running)', error = \(sqlText(String(failure.message.prefix(2000)))),
                \(StepRecords.figures(tries, blocking)) WHERE id = \(record.id)
            """)
    }

    /// Notes that the present schema is to be taken as what the last step made.
    func accept(_ record: Record, _ present: SchemaSnapshot) throws(Failure) {
        let column = record.state == .done ? "schema_after" : "schema_before"
        _ = try session.rows(
            """
            WITH known AS (\(keeping(present)))
            UPDATE serin.migration_steps SET \(column) = '\(present.hash)' WHERE id = \(record.id)
            """)
    }

    private func keeping(_ snapshot: SchemaSnapshot) -> String {
        """
        INSERT INTO serin.schemas (hash, lines) VALUES ('\(snapshot.hash)', \(sqlText(snapshot.lines.joined(separator: "\n"))))
        ON CONFLICT DO NOTHING
        """
    }

    private static func figures(_ tries: Int, _ blocking: BlockingReport) -> String {
        """
        tries = \(tries), blocked_ms = \(blocking.total.milliseconds), longest_block_ms = \(blocking.longest.milliseconds),
        most_queued = \(blocking.mostQueued), finished_at = clock_timestamp()
        """
    }

    private static func text(_ revisions: [RevisionID]) -> String {
        revisions.isEmpty ? "NULL" : sqlText(revisions.map(\.description).joined(separator: " "))
    }

    private static func revisions(_ text: String?) -> [RevisionID] {
        (text ?? "").split(separator: " ").compactMap { RevisionID(String($0)) }
    }

    private static func snapshot(_ lines: String) -> SchemaSnapshot {
        SchemaSnapshot(lines: lines.parts(at: "\n").map(String.init))
    }
}
