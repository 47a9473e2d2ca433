internal import SerinCatalogue
internal import SerinDatabase
internal import SerinModel
internal import SerinPolicies
internal import SerinProcesses

/// The server that is restored to, for making and dropping databases. Its methods block their thread.
struct RestoreServer: Sendable {
    /// The live database.
    let live: String
    private let settings: RestoreSettings
    private let client: PostgresClient

    static let purpose = SessionPurpose(
        applicationName: "serin-restore", setUp: "SET statement_timeout = 0; SET search_path = pg_catalog",
        deniedHint: "the role that restores needs CREATEDB, and must own the database that is replaced")

    init(_ settings: RestoreSettings) throws(Failure) {
        self.settings = settings
        client = try PostgresClient(settings.url, settings.environment)
        live = client.database
    }

    /// A name of at most 63 bytes: `checkout_restore_1a2b3c4d`.
    func name(beside word: String, _ mark: some StringProtocol) -> String {
        let ending = "_\(word)_\(mark)"
        var beginning = live[...]
        while beginning.utf8.count + ending.utf8.count > 63 { beginning.removeLast() }
        return beginning + ending
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

    /// Makes an empty database with the encoding and locale of the live one, where that exists.
    func make(_ name: String) throws(Failure) {
        let session = try maintenance
        if try session.value("SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == "t", !settings.allowsSuperuser {
            throw Failure(
                .denied, "the role that restores to \(client.name) is a superuser, as which a dump may do anything",
                hint: "give the restore a role with CREATEDB that owns the database, or allow a superuser")
        }
        let like = try session.rows(
            """
            SELECT pg_encoding_to_char(encoding), datcollate, datctype FROM pg_database WHERE datname = \(sqlText(live))
            """
        ).first
        var options = ""
        if let like, like.count == 3, let encoding = like[0], let collate = like[1], let type = like[2] {
            options = " ENCODING \(sqlText(encoding)) LC_COLLATE \(sqlText(collate)) LC_CTYPE \(sqlText(type))"
        }
        _ = try session.rows("CREATE DATABASE \(sqlName(name)) TEMPLATE template0" + options, within: .minutes(5))
    }

    /// `pg_restore --table` makes no schemas.
    func makeSchemas(of tables: [String], in name: String) throws(Failure) {
        let session = try session(name)
        for schema in Set(tables.map { PostgresSelection.Table($0).schema }).sorted() where schema != "public" {
            _ = try session.rows("CREATE SCHEMA \(sqlName(schema))")
        }
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

    /// Runs a program of the plan against a database. Its connection is in the environment; `{{url}}` in its arguments names the
    /// database without a password, because arguments can be read by all.
    func smoke(_ hook: BackupHook, _ database: String) async -> BackupCheck {
        let name = "smoke " + hook.run.joined(separator: " ").prefix(80)
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
