internal import SerinDatabase
internal import SerinModel
internal import SerinProcesses

/// Walks a table batch by batch, on the calling thread.
struct BackfillRun {
    private let backfill: Backfill
    private let database: MigrationDatabase
    private let stop: StopSignal
    private let stopWanted: @Sendable () -> String?
    private let progress: @Sendable (BackfillProgress) -> Void
    private let start = ContinuousClock.now
    private var session: Connection
    private var record: BackfillRecord
    private var throttle: BackfillThrottle
    private let total: Int64?
    private var size: Int
    private var batches = 0
    private var waited = Duration.zero
    private let walkedBefore: Int64

    /// How often in a row a batch may fail for a passing reason.
    private static let mostTries = 20

    init(
        _ backfill: Backfill, _ database: MigrationDatabase, stop: StopSignal, stopWanted: @escaping @Sendable () -> String?,
        progress: @escaping @Sendable (BackfillProgress) -> Void
    ) throws(Failure) {
        self.backfill = backfill
        self.database = database
        self.stop = stop
        self.stopWanted = stopWanted
        self.progress = progress
        session = try BackfillRun.connect(backfill, database)
        try BackfillRun.checkKey(backfill, session)
        throttle = try BackfillThrottle(backfill, session)
        try BackfillRecord.prepare(session)
        record = try BackfillRecord.open(backfill, session)
        total =
            try session.value(
                "SELECT reltuples::bigint::text FROM pg_class WHERE oid = \(sqlText(backfill.quotedTable))::regclass"
            )
            .flatMap { Int64($0) }.flatMap { $0 < 0 ? nil : $0 }
        size = backfill.firstBatch
        walkedBefore = record.walked
    }

    /// Walks until the end, or until it is to stop.
    mutating func run() throws(Failure) -> BackfillReport {
        var failures = 0
        while !record.isDone {
            if let reason = try reasonToStop() { return report(stopped: reason) }
            do throws(DatabaseError) {
                guard try throttled() else { continue }
                let time = try batch()
                failures = 0
                rest(.milliseconds(min(200, time.milliseconds / 2)), until: stop)
            } catch {
                failures += 1
                // A statement that failed leaves its transaction open; a lost session has none.
                if !error.isConnectionLost { _ = try? session.query("ROLLBACK", limit: timeLimit(.seconds(10))) }
                guard BackfillRun.passes(error), failures < BackfillRun.mostTries else { throw error.failure }
                size = max(1, size / 2)
                tell("waiting for another try: \(error.failure.message)")
                rest(Pause(first: .milliseconds(200), tries: failures).length(0.5), until: stop)
                if error.isConnectionLost { session = try BackfillRun.connect(backfill, database) }
            }
        }
        return report(stopped: nil)
    }

    private func reasonToStop() throws(Failure) -> String? {
        if stop.isRaised { return "it was interrupted" }
        if let reason = stopWanted() { return reason }
        let wanted = try session.value("SELECT stop_wanted FROM serin.backfills WHERE name = \(sqlText(backfill.name))")
        return wanted == "t" ? "someone asked it to stop" : nil
    }

    /// Whether a batch may be run now; when not, it has rested for a moment.
    private mutating func throttled() throws(DatabaseError) -> Bool {
        let reason: String?
        do throws(Failure) { reason = try throttle.reason(session) } catch {
            throw DatabaseError(failure: error, state: nil, isConnectionLost: true)
        }
        guard let reason else { return true }
        tell("waiting: \(reason)")
        let start = ContinuousClock.now
        rest(.milliseconds(250), until: stop)
        waited = waited + start.elapsed
        return false
    }

    /// One batch and the note of it are one transaction.
    private mutating func batch() throws(DatabaseError) -> Duration {
        let name = sqlText(backfill.name)
        let column = sqlName(backfill.key)
        let upper = record.end.map { "\(column) <= \(sqlText($0))" } ?? "false"
        let lower = record.position.map { " AND \(column) > \(sqlText($0))" } ?? ""
        let limit = timeLimit(.seconds(60))
        let begin = ContinuousClock.now
        let next = try session.query(
            """
            SELECT s.k::text, count(*) OVER ()::text FROM (SELECT \(column) AS k FROM \(backfill.quotedTable)
                WHERE \(upper)\(lower) ORDER BY \(column) LIMIT \(size)) s ORDER BY s.k DESC LIMIT 1
            """, limit: limit
        ).first
        guard next.count == 2, let last = next[0], let count = next[1].flatMap({ Int64($0) }) else {
            _ = try session.query(
                "UPDATE serin.backfills SET is_done = true, updated_at = clock_timestamp() WHERE name = \(name)", limit: limit)
            record.isDone = true
            return .zero
        }
        let condition = backfill.condition(after: record.position, upTo: last)
        // Beside the keys of the batch those that stand several times.
        let keys =
            try session.query("SELECT count(*)::text FROM \(backfill.quotedTable) WHERE \(condition)", limit: limit).first.first
            .flatMap { $0.flatMap { Int64($0) } } ?? count
        let changed = try session.query(
            """
            BEGIN; WITH changed AS (\(backfill.statement.rewriting(Backfill.range, as: condition)) RETURNING 1)
            UPDATE serin.backfills SET position = \(sqlText(last)), walked = walked + \(count),
                changed = changed + (SELECT count(*) FROM changed), updated_at = clock_timestamp()
            WHERE name = \(name) RETURNING (SELECT count(*) FROM changed)::text
            """, limit: limit
        ).first
        let rows = (changed.first ?? nil).flatMap { Int64($0) } ?? 0
        guard rows <= keys else {
            throw DatabaseError(
                failure: Failure(
                    .invalid,
                    "a batch of \(keys) keys changed \(rows) rows, and was taken back: the statement does not keep to its range",
                    hint: "{{range}} has to hold for every row: no OR beside it, and a table walked by its own key"),
                state: nil, isConnectionLost: false)
        }
        _ = try session.query("COMMIT", limit: limit)
        let time = begin.elapsed
        record.position = last
        record.walked = saturatingSum([record.walked, count])
        record.changed = saturatingSum([record.changed, rows])
        batches += 1
        if time > backfill.batchTime * 2 { size = max(1, size / 2) }
        if time * 2 < backfill.batchTime { size = min(50_000, size * 2) }
        tell("running")
        return time
    }

    /// Whether the same batch may work later: the session was lost, or others were in the way.
    private static func passes(_ error: DatabaseError) -> Bool {
        error.isConnectionLost || ["55P03", "40P01", "40001", SQLState.queryCanceled].contains(error.state ?? "")
    }

    private func tell(_ phase: String) {
        let seconds = max(0.001, start.elapsed.seconds)
        progress(
            BackfillProgress(
                phase: phase, walked: record.walked, changed: record.changed, total: total,
                rate: Double(record.walked - walkedBefore) / seconds, batch: size))
    }

    private func report(stopped: String?) -> BackfillReport {
        BackfillReport(
            stopped: stopped, walked: record.walked, changed: record.changed, batches: batches, time: start.elapsed,
            waited: waited)
    }

    /// A session that holds the backfill's own lock: one process at a time walks it.
    private static func connect(_ backfill: Backfill, _ database: MigrationDatabase) throws(Failure) -> Connection {
        let session = try database.connect(
            SessionPurpose(
                applicationName: "serin-backfill",
                setUp: """
                    SET lock_timeout = \(backfill.lockTimeout.milliseconds); SET statement_timeout = '30s';
                    SET DateStyle = ISO; SET TimeZone = 'UTC'
                    """, deniedHint: "the role must be able to change the table, and to create Serin's own schema"))
        let limit = timeLimit(.seconds(3))
        while try session.value("SELECT pg_try_advisory_lock(hashtextextended(\(sqlText("serin backfill " + backfill.name)), 0))")
            != "t"
        {
            guard ContinuousClock.now < limit else {
                throw Failure(
                    .conflict, "the backfill \(backfill.name) is being run by another process",
                    hint: "wait until it is done, or ask it to stop with --stop")
            }
            rest(.milliseconds(50))
        }
        return session
    }

    /// Refuses a key that would lose rows or read the whole table for every batch.
    private static func checkKey(_ backfill: Backfill, _ session: Connection) throws(Failure) {
        let table = sqlText(backfill.quotedTable)
        guard try session.value("SELECT to_regclass(\(table))") != nil else {
            throw Failure(.invalid, "there is no table \(backfill.table)")
        }
        let row =
            try session.rows(
                """
                SELECT a.attnotnull, EXISTS (SELECT FROM pg_index i WHERE i.indrelid = a.attrelid AND i.indkey[0] = a.attnum
                    AND i.indisvalid AND i.indpred IS NULL)
                FROM pg_attribute a WHERE a.attrelid = \(table)::regclass AND a.attname = \(sqlText(backfill.key))
                AND NOT a.attisdropped
                """
            ).first ?? []
        guard row.count == 2 else { throw Failure(.invalid, "\(backfill.table) has no column \(backfill.key)") }
        guard row[0] == "t" else {
            throw Failure(.invalid, "\(backfill.table).\(backfill.key) may be null: rows without a key would be left out")
        }
        guard row[1] == "t" else {
            throw Failure(
                .invalid, "no index of \(backfill.table) begins with \(backfill.key): every batch would read the whole table",
                hint: "name the primary key")
        }
    }
}
