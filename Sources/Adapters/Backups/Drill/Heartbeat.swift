internal import SerinDatabase
public import SerinModel
internal import SerinProcesses

/// A row that is written all the time, one a target: in a restored database it shows how new the newest data is, and so how much a
/// recovery would lose. It bears the time of the machine that writes it.
public struct Heartbeat: Sendable {
    private let url: String
    private let name: String
    private let target: ServiceName

    /// The heartbeat of a target in the database of a connection string.
    public init(of target: ServiceName, url: String) throws(Failure) {
        guard let name = ConnectionText.name(url) else {
            throw Failure(
                .invalid, "the connection string of the heartbeat cannot be read",
                hint: "expected postgresql://user@host:5432/database, or host=… dbname=…")
        }
        self.url = url
        self.name = "postgres \(name)"
        self.target = target
    }

    private static let table = "serin.heartbeat"
    private static let purpose = SessionPurpose(
        applicationName: "serin-heartbeat",
        setUp: "SET statement_timeout = '3s'; SET lock_timeout = '2s'; SET client_min_messages = warning",
        deniedHint:
            "GRANT CREATE ON DATABASE … TO the role, or make serin.heartbeat (target text PRIMARY KEY, at timestamptz NOT NULL) "
            + "and GRANT USAGE ON SCHEMA serin, SELECT, INSERT, UPDATE ON serin.heartbeat TO it")

    /// Writes that it is now; makes the table where it is missing. Gives up after 8 seconds.
    public func beat(at now: Instant) async throws(Failure) {
        try await onOwnThread { _ throws(Failure) in
            let limit = timeLimit(.seconds(8))
            do throws(DatabaseError) {
                let session = try Connection(url, name: name, purpose: Self.purpose, limit: limit)
                if try session.query("SELECT to_regclass('\(Self.table)')", limit: limit).first.first == .some(nil) {
                    _ = try session.query(
                        "CREATE SCHEMA IF NOT EXISTS serin; "
                            + "CREATE TABLE IF NOT EXISTS \(Self.table) (target text PRIMARY KEY, at timestamptz NOT NULL)",
                        limit: limit)
                }
                _ = try session.query(
                    "INSERT INTO \(Self.table) AS known VALUES (\(sqlText(target.description)), "
                        + "to_timestamp(\(now.millisecondsSince1970)::numeric / 1000)) "
                        + "ON CONFLICT (target) DO UPDATE SET at = excluded.at WHERE known.at < excluded.at",
                    limit: limit)
            } catch { throw error.failure }
        }
    }

    /// The newest one that a restored database has; nil when it has none.
    static func newest(of target: ServiceName, in session: Connection) throws(Failure) -> Instant? {
        guard try session.value("SELECT to_regclass('\(table)')") != nil else { return nil }
        let text = try session.value(
            "SELECT (extract(epoch FROM at) * 1000)::bigint FROM \(table) WHERE target = \(sqlText(target.description))")
        return text.flatMap { Int64($0) }.map { Instant(millisecondsSince1970: $0) }
    }
}
