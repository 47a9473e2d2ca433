internal import Glibc
internal import SerinCatalogue
internal import SerinDatabase
internal import SerinModel

/// Looks whether every row of a database that was just filled was written once, by the restore itself. A function of the dump, behind a CHECK
/// for example, could change rows of other tables meanwhile, and their number would still be right. Blocks its thread.
///
/// The server counts what was inserted, changed and deleted in each table, also what a function did. What goes round that leaves other
/// traces: a table that was emptied or written anew has another file, one that was put in another's place is younger than the first row,
/// and a column that came later is marked. A restore makes all tables before it fills the first, and nothing but rows while it fills them.
struct WrittenOnce {
    /// The check's name.
    static let check = SideDatabase.onlyOnce

    /// Whether the dump has functions of somebody whom nobody trusts; then not to know is no pass.
    let hasStrangers: Bool
    /// Of tables that were there before, from a template, the rows by the table's number.
    let before: [String: Int64]
    /// Whether several workers fill, each of which empties its table first.
    let isParallel: Bool

    /// - Parameter session: With the database before it is filled.
    init(
        before session: Connection, hasStrangers: Bool, isFromTemplate: Bool, isParallel: Bool, patience: Duration
    ) throws(Failure) {
        self.hasStrangers = hasStrangers
        self.isParallel = isParallel
        var before: [String: Int64] = [:]
        if isFromTemplate {
            for table in try WrittenOnce.tables(session) {
                before[table.number] = try session.value("SELECT count(*) FROM ONLY \(table.sql)", within: patience)
                    .flatMap { Int64($0) }
            }
        }
        self.before = before
    }

    /// - Parameters:
    ///   - session: With the database that was filled, after the sessions that filled it have ended.
    ///   - rows: What was counted in it.
    func look(_ session: Connection, _ rows: RowManifest) throws(Failure) -> BackupCheck {
        func unknown(_ why: String) -> BackupCheck {
            BackupCheck(WrittenOnce.check, passed: !hasStrangers, detail: "could not be looked at: \(why)")
        }
        guard try session.value("SHOW track_counts") == "on" else {
            return unknown("the server's setting track_counts is off; switch it on and restore again")
        }
        guard try waitForSessions(session) else { return unknown("sessions that filled it are still there") }
        var (changed, lost): ([String], [String]) = ([], [])
        for table in try WrittenOnce.tables(session) {
            guard let count = rows[table.schema, table.name] else { continue }
            let expected = count - (before[table.number] ?? 0)
            if table.inserted > expected || table.updated > 0 || table.deleted > 0 {
                changed.append(
                    "\(table.schema).\(table.name): \(table.inserted) inserted, \(table.updated) changed, \(table.deleted) deleted, and "
                        + "\(expected) rows")
            } else if table.inserted < expected {
                lost.append("\(table.schema).\(table.name)")
            } else if table.isRewritten, !isParallel, before[table.number] == nil {
                changed.append("\(table.schema).\(table.name): written anew")
            }
        }
        changed += try definitions(session)
        guard changed.isEmpty else {
            return BackupCheck(
                WrittenOnce.check, passed: false,
                detail: "a function of the dump changed rows of other tables, or what they are made by: "
                    + changed.prefix(5).joined(separator: "; ")
                    + (changed.count > 5 ? "; …" : ""))
        }
        guard lost.isEmpty else {
            return unknown("the server lost what it had counted of \(lost.prefix(5).joined(separator: ", ")); restore again")
        }
        return BackupCheck(WrittenOnce.check, passed: true, detail: "\(rows.total) rows")
    }

    private struct Table {
        var number: String
        var schema: String
        var name: String
        var inserted: Int64
        var updated: Int64
        var deleted: Int64
        var isRewritten: Bool

        var sql: String { "\(sqlName(schema)).\(sqlName(name))" }
    }

    /// Ordinary tables and partitions, without those of extensions, whose scripts write as they like.
    private static let ours = """
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
        """

    private static func tables(_ session: Connection) throws(Failure) -> [Table] {
        // A new table's file bears the number of the table, until it is emptied or written anew.
        try session.rows(
            """
            SELECT c.oid, n.nspname, c.relname, pg_stat_get_tuples_inserted(c.oid), pg_stat_get_tuples_updated(c.oid),
                pg_stat_get_tuples_deleted(c.oid), pg_relation_filenode(c.oid) <> c.oid \(ours) ORDER BY 2, 3
            """
        ).compactMap { row in
            guard row.count == 7, let number = row[0], let schema = row[1], let name = row[2] else { return nil }
            func count(_ place: Int) -> Int64 { row[place].flatMap { Int64($0) } ?? 0 }
            return Table(
                number: number, schema: schema, name: name, inserted: count(3), updated: count(4), deleted: count(5),
                isRewritten: row[6] == "t")
        }
    }

    /// A session says what it has done when it ends, at the latest.
    private func waitForSessions(_ session: Connection) throws(Failure) -> Bool {
        let others = """
            SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
                AND usesysid = (SELECT oid FROM pg_roles WHERE rolname = session_user)
            """
        let end = ContinuousClock.now + .seconds(30)
        while try session.value(others) != "0" {
            guard ContinuousClock.now < end else { return false }
            usleep(50_000)
        }
        // Before 15 it was sent to another process, which writes it down twice a second.
        if session.version < 150_000 { usleep(1_500_000) }
        return true
    }

    /// What was done to definitions while rows were filled in.
    private func definitions(_ session: Connection) throws(Failure) -> [String] {
        // Within a transaction ages are counted from one moment.
        _ = try session.rows("BEGIN")
        let found = try settled(session)
        _ = try session.rows("COMMIT")
        return found
    }

    private func settled(_ session: Connection) throws(Failure) -> [String] {
        var found = try session.rows(
            """
            SELECT format('%I.%I.%I: a column that came later', n.nspname, c.relname, a.attname)
            FROM pg_attribute a JOIN (SELECT c.oid, n.nspname \(WrittenOnce.ours)) t ON t.oid = a.attrelid
            JOIN pg_class c ON c.oid = t.oid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE a.attnum > 0 AND (a.attisdropped OR a.atthasmissing) ORDER BY 1
            """
        ).compactMap { $0.first ?? nil }
        found += try session.rows(
            """
            SELECT 'settings of the database' FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
            WHERE d.datname = current_database() LIMIT 1
            """
        ).compactMap { $0.first ?? nil }
        guard let filled = try filled(session) else { return found }
        // The older of two transactions has the greater age.
        found += try session.rows(
            """
            SELECT format('%I.%I: younger than the first row', t.nspname, c.relname) FROM (SELECT c.oid, n.nspname \(WrittenOnce.ours)) t
            JOIN pg_class c ON c.oid = t.oid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = -1
            WHERE age(a.xmin) < \(filled.first) ORDER BY 1
            """
        ).compactMap { $0.first ?? nil }
        // Several workers go on to triggers while others fill.
        guard !isParallel else { return found }
        found += try session.rows(
            """
            SELECT format('%I on %s: made while the rows were filled in', tgname, tgrelid::regclass) FROM pg_trigger
            WHERE age(xmin) BETWEEN \(filled.last) AND \(filled.first)
            UNION ALL SELECT format('%s: made while the rows were filled in', oid::regprocedure) FROM pg_proc
            WHERE age(xmin) BETWEEN \(filled.last) AND \(filled.first)
            UNION ALL SELECT format('a default of %s: made while the rows were filled in', adrelid::regclass) FROM pg_attrdef
            WHERE age(xmin) BETWEEN \(filled.last) AND \(filled.first) ORDER BY 1
            """
        ).compactMap { $0.first ?? nil }
        return found
    }

    /// How old the first and the last of the transactions are that filled a table. Each table has one, so any of its rows tells.
    private func filled(_ session: Connection) throws(Failure) -> (first: Int64, last: Int64)? {
        var ages: [Int64] = []
        for table in try WrittenOnce.tables(session) where before[table.number] == nil {
            let age = try session.value("SELECT age(xmin) FROM ONLY \(table.sql) LIMIT 1")
            if let age = age.flatMap({ Int64($0) }) { ages.append(age) }
        }
        guard let first = ages.max(), let last = ages.min() else { return nil }
        return (first, last)
    }
}
