internal import SerinCatalogue
internal import SerinDatabase
internal import SerinModel
internal import SerinPolicies
internal import SerinProcesses

/// The server that is restored to, for making and dropping databases. Its methods block their thread.
struct RestoreServer: Sendable {
    /// The live database.
    let live: String
    let settings: RestoreSettings
    private let client: PostgresClient
    /// The connection string of the role that restores, where this is another one.
    private var fillingURL: String?

    static let purpose = SessionPurpose(
        applicationName: "serin-restore", setUp: "SET statement_timeout = 0; SET search_path = pg_catalog",
        deniedHint: "the role that restores needs CREATEDB, and the one that swaps must own the database that is replaced")

    init(_ settings: RestoreSettings) throws(Failure) {
        self.settings = settings
        client = try PostgresClient(settings.url, settings.environment)
        live = client.database
    }

    /// The same server as the role that owns the live database: for all that is done to this one, and to databases beside it from without.
    /// Whatever runs in one that was restored runs as the role that restores.
    ///
    /// - Throws: `invalid` where the plan's two connection strings name two servers or databases.
    static func swapping(_ settings: RestoreSettings) throws(Failure) -> RestoreServer {
        let filling = try RestoreServer(settings)
        guard let url = settings.swapURL else { return filling }
        var own = settings
        own.url = url
        var server = try RestoreServer(own)
        server.fillingURL = settings.url
        guard filling.live == server.live, try filling.began() == server.began() else {
            throw Failure(
                .invalid,
                "restore.url_env and restore.swap_url_env name two servers or databases: \(filling.client.name), and \(server.client.name)",
                hint: "both name the live database, with two roles")
        }
        return server
    }

    /// The same server as the role that restores, where this is another one.
    var filling: RestoreServer? {
        get throws(Failure) {
            guard let fillingURL else { return nil }
            var own = settings
            own.url = fillingURL
            return try RestoreServer(own)
        }
    }

    /// When the server was started, to the microsecond. It tells servers apart that are copies of one, and everybody may ask.
    private func began() throws(Failure) -> String? {
        // A number, because how a time is written is a setting of each role.
        try maintenance.value("SELECT extract(epoch FROM pg_postmaster_start_time())")
    }

    /// A name of at most 63 bytes: `checkout_restore_1a2b3c4d`.
    func name(beside word: String, _ mark: some StringProtocol) -> String {
        let ending = "_\(word)_\(mark)"
        var beginning = live[...]
        while beginning.utf8.count + ending.utf8.count > 63 { beginning.removeLast() }
        return beginning + ending
    }

    /// A name of that form that no database has: the second restore of a backup gets `_2` behind it.
    func freeName(beside word: String, _ mark: String) throws(Failure) -> String {
        let taken = Set(try maintenance.rows("SELECT datname FROM pg_database").compactMap { $0.first ?? nil })
        var number = 1
        while true {
            let name = name(beside: word, number == 1 ? mark : "\(mark)_\(number)")
            if !taken.contains(name) { return name }
            number += 1
        }
    }

    /// Whether a name is one that restores and swaps give.
    func isNameOfOurs(_ name: String) -> Bool {
        ["restore", "replaced"].contains { word in
            // A long name of the live one is cut short.
            let ending = "_\(word)_"
            guard let mark = name.firstRange(of: ending) else { return false }
            return live.hasPrefix(name[..<mark.lowerBound]) && mark.lowerBound > name.startIndex && name != live
        }
    }

    /// Every database but the templates, with its number, its size where it may be asked, and its sessions but the server's own.
    func databases() throws(Failure) -> [(name: String, number: String, size: Int64?, sessions: Int)] {
        try maintenance.rows(
            """
            SELECT d.datname, d.oid, CASE WHEN has_database_privilege(d.oid, 'CONNECT') THEN pg_database_size(d.oid) END,
                (SELECT count(*) FROM pg_stat_activity a WHERE a.datid = d.oid AND a.usesysid IS NOT NULL)
            FROM pg_database d WHERE NOT d.datistemplate ORDER BY d.datname
            """
        ).compactMap { row in
            guard row.count == 4, let name = row[0], let number = row[1] else { return nil }
            return (name, number, row[2].flatMap { Int64($0) }, row[3].flatMap { Int($0) } ?? 0)
        }
    }

    /// The number that the server gave a database.
    func number(of database: String) throws(Failure) -> String {
        guard let number = try maintenance.value("SELECT oid FROM pg_database WHERE datname = \(sqlText(database))") else {
            throw Failure(.invalid, "there is no database \(database) at \(client.name)")
        }
        return number
    }

    /// Whether the server has a database.
    func isThere(_ database: String) throws(Failure) -> Bool {
        try maintenance.value("SELECT oid FROM pg_database WHERE datname = \(sqlText(database)) AND datallowconn") != nil
    }

    /// Opens databases to connections that a swap which was killed has left closed. Under the target's lease.
    func reopen(_ names: [String]) throws(Failure) {
        let session = try maintenance
        // While a statement waits for a lock the server does not notice that its client is gone.
        _ = try session.rows(
            """
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE application_name = '\(RestoreServer.purpose.applicationName)' AND usename = current_user
                AND pid <> pg_backend_pid() AND starts_with(query, \(sqlText("ALTER DATABASE \(sqlName(live)) ")))
            """)
        let list = names.map { sqlText($0) }.joined(separator: ", ")
        for row in try session.rows("SELECT datname FROM pg_database WHERE datname IN (\(list)) AND NOT datallowconn ORDER BY 1")
        {
            if let name = row.first ?? nil { _ = try session.rows("ALTER DATABASE \(sqlName(name)) ALLOW_CONNECTIONS true") }
        }
    }

    func url(of database: String) throws(Failure) -> String {
        guard let text = ConnectionText.text(settings.url, database: database) else {
            throw Failure(.invalid, "the connection string of \(client.name) cannot be read")
        }
        return text
    }

    func session(_ database: String, _ purpose: SessionPurpose = RestoreServer.purpose) throws(Failure) -> Connection {
        try client.database(database).session(purpose)
    }

    var maintenance: Connection { get throws(Failure) { try session(settings.maintenanceDatabase) } }

    /// What the plan names another role by.
    static let otherRole = "name another role in the plan, as restore: {url_env: NAME}: one with CREATEDB"

    /// Makes an empty database with the encoding and locale of the live one, where that exists. Nobody gets in but its owner: what others
    /// could do in it would be done to what is restored. A swap gives it the grants of the live one.
    func make(_ name: String) throws(Failure) {
        let session = try maintenance
        let like = try session.rows(
            """
            SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database WHERE datname = \(sqlText(live))
            """
        ).first
        var options = " ALLOW_CONNECTIONS false"
        if let like, like.count == 3, let encoding = like[0], let collate = like[1], let type = like[2] {
            options += " ENCODING \(sqlText(encoding)) LC_COLLATE \(sqlText(collate)) LC_CTYPE \(sqlText(type))"
        }
        let template = settings.policy.template ?? "template0"
        do throws(Failure) {
            _ = try session.rows("CREATE DATABASE \(sqlName(name)) TEMPLATE \(sqlName(template))" + options, within: .minutes(5))
        } catch {
            guard settings.policy.template != nil, error.hint == nil || error.kind == .denied else { throw error }
            var failure = error
            failure.hint =
                "a template has the encoding and locale of \(live), nobody uses it, and a superuser has said ALTER DATABASE "
                + "\(sqlName(template)) IS_TEMPLATE true"
            throw failure
        }
        do throws(Failure) {
            _ = try session.rows("REVOKE CONNECT ON DATABASE \(sqlName(name)) FROM PUBLIC")
            _ = try session.rows("ALTER DATABASE \(sqlName(name)) ALLOW_CONNECTIONS true")
        } catch {
            try drop(name)
            throw error
        }
    }

    /// `pg_restore --table` makes no schemas.
    func makeSchemas(of tables: [String], in name: String) throws(Failure) {
        let session = try session(name)
        for schema in Set(tables.map { PostgresSelection.Table($0).schema }).sorted() where schema != "public" {
            _ = try session.rows("CREATE SCHEMA \(sqlName(schema))")
        }
    }

    /// A dump of tables makes no schemas, and one of schemas makes also the one that every new database has.
    func makeSurroundings(of part: DumpPart, in name: String) throws(Failure) {
        guard part.tables.isEmpty else { return try makeSchemas(of: part.tables, in: name) }
        if part.schemas.contains("public") { _ = try session(name).rows("DROP SCHEMA public") }
    }

    /// Keeps what was restored from acting by itself.
    func silence(_ name: String) throws(Failure) {
        let session = try session(name)
        for row in try session.rows("SELECT evtname FROM pg_event_trigger WHERE evtenabled <> 'D'") {
            if let trigger = row.first ?? nil { _ = try session.rows("ALTER EVENT TRIGGER \(sqlName(trigger)) DISABLE") }
        }
    }

    /// Drops a database that was made here.
    func drop(_ name: String) throws(Failure) {
        guard name != live else { throw Failure(.denied, "the live database \(name) is never dropped") }
        _ = try maintenance.rows("DROP DATABASE IF EXISTS \(sqlName(name)) WITH (FORCE)", within: .minutes(5))
    }

    /// Drops a database that nobody uses.
    func dropUnused(_ name: String) throws(Failure) {
        guard name != live else { throw Failure(.denied, "the live database \(name) is never dropped") }
        _ = try maintenance.rows("DROP DATABASE \(sqlName(name))", within: .minutes(5))
    }

    /// Erases subjects again, all or none: the plan's statements run for each with `serin.subject` set. No subject is ever shown. What
    /// would take more than a plan allows is undone and said: a statement without its condition must not empty a table.
    func erase(_ subjects: [String], in name: String) throws(Failure) -> BackupCheck {
        func failed(_ words: String) -> BackupCheck { BackupCheck(Erasure.check, passed: false, detail: words) }
        let (statements, patience) = (SQLScript(settings.erasure ?? "").statements, settings.policy.deadline)
        guard !statements.isEmpty else {
            return failed("\(subjects.count) subjects were erased, and the plan has no restore.erase_file")
        }
        let losses: [Erasure.Loss]
        do throws(Failure) {
            let session = try session(name)
            let before = try PostgresInventory(session, patience: patience).rows()
            _ = try session.rows("RESET search_path; BEGIN")
            for subject in subjects {
                _ = try session.rows("SELECT set_config('serin.subject', \(sqlText(subject)), true)")
                for statement in statements { _ = try session.rows(statement, within: patience) }
                // What holds for a transaction is gone with it.
                guard try session.value("SELECT current_setting('serin.subject', true)") == subject else {
                    return failed("restore.erase_file ends the transaction that it runs in: leave BEGIN and COMMIT out of it")
                }
            }
            losses = try RestoreServer.losses(since: before, session, patience)
            let tooMuch = losses.filter { $0.isTooMuch(for: subjects.count, share: settings.policy.maximumErased) }
            guard tooMuch.isEmpty else {
                let words = tooMuch.prefix(5).map { "\($0.rows) of \($0.before) rows of \($0.table)" }.joined(separator: ", ")
                // With the session ends the transaction.
                return failed(
                    "nothing was erased: the plan's statements would take \(words) for \(subjects.count) subjects; if that is meant, "
                        + "write restore.max_erased: 100%, otherwise mend restore.erase_file and restore again")
            }
            _ = try session.rows("COMMIT")
        } catch { return failed("the plan's statements failed: \(error.message)") }
        let changes = losses.prefix(20).map(\.words).joined(separator: "; ") + (losses.count > 20 ? "; …" : "")
        return BackupCheck(
            Erasure.check, passed: true,
            detail: "\(subjects.count) subjects were erased again: \(losses.isEmpty ? "no table had a row of them" : changes)")
    }

    /// What the transaction that is open on a session has done to each table so far. Somebody waits meanwhile, so only those are counted
    /// again that it has written to or made anew, as TRUNCATE does.
    private static func losses(
        since before: RowManifest, _ session: Connection, _ patience: Duration
    ) throws(Failure) -> [Erasure.Loss] {
        _ = try session.rows("SET LOCAL search_path = pg_catalog")
        let written = "SELECT relid FROM pg_stat_xact_user_tables WHERE n_tup_ins + n_tup_upd + n_tup_del > 0"
        let isTold = try session.value("SHOW track_counts") == "on"
        let touched = try PostgresInventory(session, patience: patience).rows(
            isTold ? "(c.oid IN (\(written)) OR age(c.xmin) <= 0)" : "true")
        func key(_ schema: String, _ table: String) -> [UInt8] { Array(schema.utf8) + [0] + Array(table.utf8) }
        var after: [[UInt8]: Int64] = [:]
        for table in touched.tables { after[key(table.schema, table.table)] = table.count }
        func keys(_ sql: String) throws(Failure) -> [[UInt8]: Int64] {
            var found: [[UInt8]: Int64] = [:]
            for row in try session.rows(sql) {
                if row.count == 3, let schema = row[0], let table = row[1] {
                    found[key(schema, table)] = row[2].flatMap { Int64($0) }
                }
            }
            return found
        }
        let changed = try keys("SELECT schemaname, relname, n_tup_upd FROM pg_stat_xact_user_tables WHERE n_tup_upd > 0")
        let present = try keys(
            "SELECT n.nspname, c.relname, 0 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r'")
        return before.tables.compactMap { table in
            let key = key(table.schema, table.table)
            let loss = Erasure.Loss(
                table: "\(table.schema).\(table.table)", before: table.count,
                after: after[key] ?? (present[key] == nil ? 0 : table.count), changed: changed[key] ?? 0)
            return loss.before == loss.after && loss.changed == 0 ? nil : loss
        }
    }

    /// Runs a program of the plan against a database. Its connection is in the environment; `{{url}}` in its arguments names the
    /// database without a password, because arguments can be read by all.
    func run(_ hook: BackupHook, _ database: String, as word: String) async -> BackupCheck {
        let name = "\(word) " + hook.run.joined(separator: " ").prefix(80)
        do throws(Failure) {
            let program = try smokeProgram(hook, database)
            let done = try await program.run()
            let said = Redaction()(String(done.text.suffix(200)))
            return BackupCheck(name, passed: done.termination == .exited(0), detail: "\(done.termination) \(said)")
        } catch { return BackupCheck(name, passed: false, detail: error.message) }
    }

    private func smokeProgram(_ hook: BackupHook, _ database: String) throws(Failure) -> Program {
        guard let path = hook.run.first else { throw Failure(.invalid, "a smoke test names no program") }
        let client = try client.database(database)
        var program = client.program(path, [], deadline: hook.deadline)
        let shown = client.openURL
        program.arguments = hook.run.dropFirst().map { $0 == "{{url}}" ? shown : $0 }
        program.outputLimit = 1 << 14
        return program
    }
}
