internal import Glibc
internal import SerinDatabase
public import SerinModel
public import SerinProcesses

/// Finds Postgres' own programs of a server's version and runs them against it.
public struct PostgresTools: Sendable {
    /// Folders that are searched before the usual ones.
    public var folders: [String]
    /// The server's major version.
    public var major: Int
    /// The variables of the connection.
    public var variables: [String: String]
    /// Values that must not be shown.
    public var secrets: [String]
    /// The user that they run as; nil is the caller's.
    public var account: String?

    /// Programs for a server of this version.
    ///
    /// - Parameter url: The connection string that they are given through their environment; nil for none.
    public init(major: Int, url: String? = nil, folders: [String] = [], account: String? = nil) throws(Failure) {
        self.major = major
        self.folders = folders
        self.account = account
        variables = [:]
        secrets = []
        if let url {
            guard let connection = ConnectionText.environment(url) else {
                throw Failure(
                    .invalid, "the connection string of a Postgres server cannot be read",
                    hint: "expected postgresql://user@host:5432/database, or host=… dbname=…")
            }
            variables = connection
            secrets = connection["PGPASSWORD"].map { [$0] } ?? []
        }
        variables["PGAPPNAME"] = "serin-backup"
        variables["PGCONNECT_TIMEOUT"] = variables["PGCONNECT_TIMEOUT"] ?? "10"
    }

    /// A program by its name.
    ///
    /// Debian's `/usr/bin` holds wrappers that choose a version by themselves, so the folders of a version come first.
    public func tool(_ name: String) -> SourceTool {
        let places = folders + ["/usr/lib/postgresql/\(major)/bin", "/usr/pgsql-\(major)/bin"]
        let path = places.map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 } ?? name
        return SourceTool(path, variables: variables, secrets: secrets, account: account)
    }

    /// The version of a program.
    ///
    /// - Throws: When it is not of the server's major version, which these programs have to be to read its files.
    public func version(of name: String, stop: StopSignal) throws(Failure) -> String {
        let version = try tool(name).version(stop: stop)
        guard version.prefix(while: { $0 != "." }) == "\(major)" else {
            throw Failure(
                .invalid, "\(name) is of version \(version), but the server of version \(major)",
                hint: "install the client programs of version \(major)")
        }
        return version
    }
}

/// Asks a server something, on a connection of its own that may only read.
func ask<Value>(
    _ url: String, as name: String, within limit: Duration = .seconds(20),
    _ body: (Connection, TimeLimit) throws(DatabaseError) -> Value
) throws(Failure) -> Value {
    let purpose = SessionPurpose(
        applicationName: "serin-backup",
        setUp: "SET statement_timeout = '20s'; SET lock_timeout = '5s'; SET default_transaction_read_only = on; "
            + "SET search_path = pg_catalog; SET TimeZone = 'UTC'",
        deniedHint: "GRANT pg_read_all_settings, pg_read_all_stats to the role; base backups need REPLICATION")
    let end = ContinuousClock.now + .milliseconds(limit.milliseconds)
    do throws(DatabaseError) {
        return try body(try Connection(url, name: name, purpose: purpose, limit: end), end)
    } catch { throw error.failure }
}
