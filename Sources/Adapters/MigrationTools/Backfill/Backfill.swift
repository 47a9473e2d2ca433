public import SerinModel

/// A change of many rows in small transactions, one range of keys after another.
public struct Backfill: Sendable, Hashable {
    /// The word that a statement has where the range of keys goes.
    public static let range = "{{range}}"

    /// By what it is known, and found again after an interruption.
    public var name: String
    /// The table whose keys are walked, perhaps with its schema.
    public var table: String
    /// The column that is walked: not null, and the first of an index.
    public var key: String
    /// One UPDATE, INSERT or DELETE without RETURNING, with `{{range}}` among its conditions.
    public var statement: String
    /// How many keys the first batch has.
    public var firstBatch = 500
    /// How long a batch should take; batches grow and shrink until they do.
    public var batchTime = Duration.milliseconds(200)
    /// How far behind a standby may be; nil asks no standby.
    public var mostLag: Duration? = .seconds(10)
    /// The same in bytes of write-ahead log.
    public var mostLagBytes: Int64 = 64 << 20
    /// How many sessions may wait for locks in the database before the next batch.
    public var mostWaiting = 5
    /// How long a batch may wait for a lock.
    public var lockTimeout = Duration.seconds(1)
    /// Whether it begins again although it was begun, or done, before.
    public var restarts = false

    /// A backfill.
    ///
    /// - Throws: `invalid` when a part is missing.
    public init(name: String, table: String, key: String, statement: String) throws(Failure) {
        self.name = name
        self.table = table
        self.key = key
        var text = statement[...]
        while let last = text.last, last.isWhitespace || last == ";" { text.removeLast() }
        self.statement = String(text)
        guard (1...100).contains(name.utf8.count), name.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw Failure(.invalid, "a backfill needs a name of 1 to 100 visible characters")
        }
        guard !table.isEmpty, !key.isEmpty else { throw Failure(.invalid, "a backfill needs a table and its key") }
        let parts = self.statement.split(separator: "{{range}}", omittingEmptySubsequences: false)
        let words = SQLStatements(Array(self.statement.utf8)).words
        guard parts.count == 2, words.count == 1, ["UPDATE", "INSERT", "DELETE"].contains(words[0].first ?? ""),
            !words[0].contains("RETURNING")
        else {
            throw Failure(
                .invalid, "the statement of a backfill is one UPDATE, INSERT or DELETE without RETURNING, with {{range}} once",
                hint: "such as: UPDATE orders SET cents = amount * 100 WHERE {{range}} AND cents IS NULL")
        }
    }
}

/// How far a backfill is.
public struct BackfillProgress: Sendable, Hashable {
    /// What happens: `running`, or why it waits.
    public var phase: String
    /// Keys behind it.
    public var walked: Int64
    /// Rows changed.
    public var changed: Int64
    /// Keys of the table, as the server estimates them; nil when it does not.
    public var total: Int64?
    /// Keys a second, over this run.
    public var rate: Double
    /// Keys in the next batch.
    public var batch: Int

    /// How long the rest takes at the present rate; nil when that cannot be said.
    public var timeLeft: Duration? {
        guard let total, rate > 0, total >= walked else { return nil }
        let seconds = Double(total - walked) / rate
        return seconds < 1e9 ? .milliseconds(Int64(seconds * 1000)) : nil
    }
}

/// What a run of a backfill came to.
public struct BackfillReport: Sendable, Hashable {
    /// Why it ended before its end; nil when it is done.
    public var stopped: String?
    /// Keys behind it, in all its runs.
    public var walked: Int64
    /// Rows changed, in all its runs.
    public var changed: Int64
    /// Batches of this run.
    public var batches: Int
    /// How long this run took.
    public var time: Duration
    /// How long it waited for standbys and for others' locks.
    public var waited: Duration
}
