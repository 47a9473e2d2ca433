public import SerinModel

/// The moment so much later than now.
public func timeLimit(_ time: Duration) -> TimeLimit { ContinuousClock.now + .milliseconds(time.milliseconds) }

/// An SQL identifier, quoted.
public func sqlName(_ name: String) -> String {
    "\"" + name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
}

/// An SQL text, quoted, whatever `standard_conforming_strings` says.
public func sqlText(_ text: String) -> String {
    let doubled = text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''")
    guard doubled.contains("\\") else { return "'\(doubled)'" }
    return "E'" + doubled.split(separator: "\\", omittingEmptySubsequences: false).joined(separator: "\\\\") + "'"
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
