internal import SerinDatabase
internal import SerinModel

/// A database that is made for one trace and dropped after it. While it is in use its name is locked on the server; what a killed
/// trace left is known by its name, locked by nobody, and dropped by the next one.
final class ScratchDatabase {
    /// What the name of every such database begins with.
    static let prefix = "serin_trace_"
    private static let lockClass = 0x5365_7274

    /// The database itself, as tools and sessions reach it.
    let database: MigrationDatabase
    let name: String
    private let keeper: Connection

    /// What it is made of.
    enum Origin: Sendable {
        case empty
        /// A copy, rows included, of this database of the same server.
        case template(String)
        /// This database itself, under another name.
        case taken(String)
    }

    /// Makes one.
    ///
    /// - Parameter server: An address whose role may create databases.
    init(on server: MigrationDatabase, _ origin: Origin) throws(Failure) {
        keeper = try server.connect()
        _ = try keeper.rows("SET statement_timeout = 0")
        try ScratchDatabase.sweep(keeper)
        name = ScratchDatabase.prefix + String(UInt64.random(in: .min ... .max), radix: 36)
        let text = try server.text(database: name)
        database = try MigrationDatabase(url: text)
        _ = try keeper.rows("SELECT pg_advisory_lock(\(ScratchDatabase.lockClass), hashtext(\(sqlText(name))))")
        let (statement, hint) =
            switch origin {
            case .empty: ("CREATE DATABASE \(name) TEMPLATE template0", "the role needs CREATEDB")
            case .template(let other):
                (
                    "CREATE DATABASE \(name) TEMPLATE \(sqlName(other))",
                    "the role needs CREATEDB and to own the template, which nobody may be using"
                )
            case .taken(let other):
                (
                    "ALTER DATABASE \(sqlName(other)) RENAME TO \(name)",
                    "the role needs CREATEDB; nobody may be using the database"
                )
            }
        do throws(Failure) { _ = try keeper.rows(statement, within: .minutes(30)) } catch {
            throw Failure(
                error.kind, "no database for the trace can be made on \(server.name): \(error.message)", hint: hint)
        }
    }

    /// The server's major version.
    var major: Int { keeper.version / 10_000 }

    /// How many sessions of clients it has had; 0 on servers that do not count them.
    func sessionsSoFar() throws(Failure) -> Int {
        guard major >= 14 else { return 0 }
        let text = try keeper.value("SELECT sessions::text FROM pg_stat_database WHERE datname = \(sqlText(name))")
        return text.flatMap { Int($0) } ?? 0
    }

    /// Waits until all sessions have ended: the server counts them, and what they wrote, at the latest then.
    func awaitSilence() throws(Failure) {
        let limit = timeLimit(.seconds(10))
        while ContinuousClock.now < limit {
            let left = try keeper.value(
                """
                SELECT count(*)::text FROM pg_stat_activity WHERE datname = \(sqlText(name)) AND backend_type = 'client backend'
                """)
            if left == "0" { return }
            rest(.milliseconds(5))
        }
    }

    /// Ends everything that runs in one, for a trace that was given up.
    static func endSessions(in name: String, on server: MigrationDatabase) {
        do throws(Failure) {
            _ = try server.connect(patience: .zero).rows(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = \(sqlText(name))")
        } catch {
            // A server that is not there has ended them itself; the next look asks again.
        }
    }

    /// Drops it with all its sessions.
    func remove() throws(Failure) { try ScratchDatabase.drop(name, keeper) }

    /// What traces left that nobody works on any more. A lock is known in one database alone, and seen from all of them.
    static func left(_ session: Connection) throws(Failure) -> [String] {
        try session.rows(
            """
            SELECT datname FROM pg_database WHERE starts_with(datname, \(sqlText(prefix))) AND NOT EXISTS (
                SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND classid = \(lockClass)
                AND objid = (hashtext(datname)::bigint & 4294967295)::oid) ORDER BY 1
            """
        ).compactMap { $0.first ?? nil }
    }

    /// Drops what traces left that nobody works on any more.
    private static func sweep(_ session: Connection) throws(Failure) {
        for name in try left(session) {
            let lock = "(\(lockClass), hashtext(\(sqlText(name))))"
            guard try session.value("SELECT pg_try_advisory_lock\(lock)") == "t" else { continue }
            // One that belongs to another role is not ours to drop.
            do throws(Failure) { try drop(name, session) } catch  where error.kind == .denied {}
            _ = try session.rows("SELECT pg_advisory_unlock\(lock)")
        }
    }

    private static func drop(_ name: String, _ session: Connection) throws(Failure) {
        _ = try session.rows("DROP DATABASE IF EXISTS \(sqlName(name)) WITH (FORCE)", within: .minutes(5))
    }
}
