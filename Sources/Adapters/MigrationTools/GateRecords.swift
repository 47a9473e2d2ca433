internal import SerinDatabase
public import SerinModel
internal import SerinProcesses

/// What one gate of a contract migration answered.
public struct GateAnswer: Sendable, Hashable {
    /// Which: the policy's key.
    public var gate: String
    /// Whether it lets the migration through.
    public var passed: Bool
    /// What was asked and what came back, in words.
    public var words: String

    /// An answer.
    public init(gate: String, passed: Bool, words: String) {
        self.gate = gate
        self.passed = passed
        self.words = words
    }
}

extension DatabaseMigrations {
    /// Asks a query of a gate, which only reads.
    ///
    /// - Returns: Nil when it gave 0 or true, else what it gave.
    public func refusal(of query: String, deadline: Duration = .minutes(5)) async throws(Failure) -> String? {
        try await DatabaseBackfill(url: url).whatIsLeft(query, deadline: deadline)
    }

    /// Notes what the gates of a contract migration answered, in the database that is migrated.
    public func record(_ answers: [GateAnswer], key: String, by principal: Principal) async throws(Failure) {
        let database = try MigrationDatabase(url: url())
        try await onOwnThread { (_) throws(Failure) in
            let session = try database.connect()
            try StepRecords(session).prepare()
            let rows = answers.map { answer in
                "(\(sqlText(key)), \(sqlText("\(principal)")), \(sqlText(answer.gate)), \(answer.passed), \(sqlText(answer.words)))"
            }
            _ = try session.rows(
                """
                CREATE TABLE IF NOT EXISTS serin.contract_gates (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                    run text NOT NULL, asked_by text NOT NULL, gate text NOT NULL, passed boolean NOT NULL, answer text NOT NULL,
                    asked_at timestamptz NOT NULL DEFAULT clock_timestamp());
                INSERT INTO serin.contract_gates (run, asked_by, gate, passed, answer) VALUES \(rows.joined(separator: ", "))
                """)
        }
    }
}
