public import SerinModel
public import SerinProcesses

/// What Postgres' control file says, as `pg_controldata` prints it in English.
public struct ControlFile: Sendable, Hashable {
    /// Every line by its words before the colon.
    public let fields: [String: String]

    /// Reads the output of `pg_controldata`.
    public init(printed text: String) {
        var fields: [String: String] = [:]
        for line in text.split(whereSeparator: \.isNewline) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            fields[line[..<colon].trimmed] = line[line.index(after: colon)...].trimmed
        }
        self.fields = fields
    }

    /// Asks `pg_controldata` about a data folder.
    public init(of folder: String, tools: PostgresTools, stop: StopSignal) throws(Failure) {
        self.init(printed: try tools.tool("pg_controldata").text(["-D", folder], deadline: .seconds(20), stop: stop))
        guard systemIdentifier != nil else { throw Failure(.invalid, "pg_controldata names no system identifier for \(folder)") }
    }

    /// The cluster's own number.
    public var systemIdentifier: String? { fields["Database system identifier"] }
    /// Bytes of each file of the log; nil when it is no size that one can have.
    public var segmentSize: UInt64? {
        fields["Bytes per WAL segment"].flatMap { UInt64($0) }.flatMap { LogSegment.isSize($0) ? $0 : nil }
    }

    /// When the checkpoint was made from which recovery begins, to the second; the tool prints it in UTC, as it is told.
    public var checkpointTime: Instant? {
        // `Sat Nov 21 13:27:38 2026`
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        let words = (fields["Time of latest checkpoint"] ?? "").split(separator: " ")
        guard words.count == 5, let month = months.firstIndex(of: String(words[1])), let day = Int64(words[2]),
            let year = Int64(words[4])
        else { return nil }
        return Instant(postgres: "\(CivilDate(year: year, month: Int64(month) + 1, day: day)) \(words[3])")
    }

    /// The settings that a server which replays this cluster's log must not have lower, with their values.
    public var floors: [(name: String, value: Int)] {
        [
            ("max_connections", "max_connections setting"), ("max_worker_processes", "max_worker_processes setting"),
            ("max_wal_senders", "max_wal_senders setting"), ("max_prepared_transactions", "max_prepared_xacts setting"),
            ("max_locks_per_transaction", "max_locks_per_xact setting"),
        ].compactMap { name, field in fields[field].flatMap { Int($0) }.map { (name, $0) } }
    }
}
