internal import SerinDatabase
internal import SerinModel

/// The database whose schema is moved: how Serin reaches it, and how a tool is told of it.
struct MigrationDatabase: Sendable {
    /// `host:5432/database`, for people and as the mark of the tool's processes.
    let name: String
    /// The variables by which libpq is told the same, the password among them.
    let variables: [String: String]
    /// As it was given; secret.
    let given: String
    private let text: String

    /// How Serin's own sessions are called. None of them begins like a tool's.
    static let ownSession = "serin-migrate"
    /// How the sessions of every tool's run begin.
    static let toolPrefix = "serin-mig-"

    /// - Parameter url: A connection string as libpq reads it, or as SQLAlchemy does: `postgresql+psycopg://…`.
    init(url: String) throws(Failure) {
        given = url
        text = MigrationDatabase.withoutDriver(url)
        guard let variables = ConnectionText.environment(text), let name = ConnectionText.name(text) else {
            throw MigrationDatabase.unreadable
        }
        self.variables = variables
        self.name = name
    }

    /// A session of Serin's own, which waits a short while for a server that is just starting.
    ///
    /// - Parameter patience: How long a server may be away.
    func connect(patience: Duration = .seconds(20)) throws(Failure) -> Connection {
        try connect(MigrationDatabase.ownPurpose, patience: patience)
    }

    /// A session for a purpose.
    func connect(_ purpose: SessionPurpose, patience: Duration = .seconds(20)) throws(Failure) -> Connection {
        let end = timeLimit(patience)
        while true {
            do throws(DatabaseError) {
                return try Connection(text, name: "postgres \(name)", purpose: purpose, limit: timeLimit(.seconds(10)))
            } catch {
                // A server that recovers from a crash refuses, or is not there, for a moment.
                guard error.failure.kind == .transient, ContinuousClock.now < end else { throw error.failure }
                rest(.milliseconds(100))
            }
        }
    }

    /// The address of another database of the same server, in the form in which this one was given.
    func text(database name: String) throws(Failure) -> String {
        guard let scheme = given.firstRange(of: "://") else {
            guard let text = ConnectionText.text(text, database: name) else { throw MigrationDatabase.unreadable }
            return text
        }
        let rest = given[scheme.upperBound...]
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        let options = rest.firstIndex(of: "?").map { rest[$0...] } ?? ""
        return given[..<scheme.upperBound] + authority + "/" + name + options
    }

    /// Whether a text is an address of Postgres.
    static func isAddress(_ text: String) -> Bool { ConnectionText.environment(withoutDriver(text)) != nil }

    private static let unreadable = Failure(
        .invalid, "the connection string of the database to migrate cannot be read",
        hint: "expected postgresql://user@host:5432/database, or host=… dbname=…")

    private static let ownPurpose = SessionPurpose(
        applicationName: ownSession,
        setUp: """
            SET search_path = pg_catalog; SET lock_timeout = '5s'; SET statement_timeout = '60s';
            SET idle_in_transaction_session_timeout = '60s'; SET DateStyle = ISO; SET TimeZone = 'UTC'
            """,
        deniedHint: "the role must own what it migrates, and may create a schema: GRANT CREATE ON DATABASE … TO it")

    /// SQLAlchemy names its driver in the scheme, which libpq does not know.
    private static func withoutDriver(_ url: String) -> String {
        guard let colon = url.firstIndex(of: ":"), let plus = url[..<colon].firstIndex(of: "+"),
            url[..<plus] == "postgresql" || url[..<plus] == "postgres"
        else { return url }
        return String(url[..<plus] + url[colon...])
    }
}
