public import SerinModel

/// The moment so much later than now.
public func timeLimit(_ time: Duration) -> TimeLimit { ContinuousClock.now + .milliseconds(time.milliseconds) }

/// An SQL identifier, quoted. One with a NUL no server has; `Connection` refuses to send it.
public func sqlName(_ name: String) -> String { name.doubling("\"") }

/// An SQL text, quoted, whatever `standard_conforming_strings` says. `Connection` refuses to send a NUL, which Postgres keeps in no text.
public func sqlText(_ text: String) -> String {
    let quoted = text.doubling("'")
    return quoted.has("\\") ? "E" + quoted.rewriting("\\", as: "\\\\") : quoted
}

extension Connection {
    /// Rows, with a failure for people.
    public func rows(_ sql: String, within time: Duration = .seconds(60)) throws(Failure) -> [[String?]] {
        do throws(DatabaseError) { return try query(sql, limit: timeLimit(time)).values } catch { throw error.failure }
    }

    /// Which database this session is in; nil where the server does not say, as a role can be kept from asking.
    public var identity: DatabaseIdentity? {
        // Who cannot ask does not know, which is an answer.
        let row = try? rows("SELECT s.system_identifier::text, current_database() FROM pg_control_system() s").first
        guard let row, row.count == 2, let system = row[0], let name = row[1] else { return nil }
        return DatabaseIdentity(system: system, name: name)
    }

    /// The first value of the first row.
    public func value(_ sql: String, within time: Duration = .seconds(60)) throws(Failure) -> String? {
        try rows(sql, within: time).first?.first ?? nil
    }
}
