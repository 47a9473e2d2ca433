internal import SerinCatalogue
internal import SerinDatabase
internal import SerinModel
internal import SerinPolicies

/// Looks whether a restored database is what was backed up. Blocks its thread.
struct RestoreInspection {
    let session: Connection
    let facts: BackupFacts
    let checks: RestoreChecks
    /// The content of `checks.sqlFile`.
    let statements: [String]
    /// For one statement.
    let patience: Duration
    /// Whether this is a drill's own server.
    let isRehearsal: Bool
    /// What is known of a database that was filled just now; nil for one that others may have written to since.
    var once: WrittenOnce?

    static let purpose = SessionPurpose(
        applicationName: "serin-restore",
        setUp: """
            SET statement_timeout = 0; SET search_path = pg_catalog; SET DateStyle = ISO; SET TimeZone = 'UTC';
            SET default_transaction_read_only = on
            """,
        deniedHint: "the role that restores must be able to read what it restored")

    func run() throws(Failure) -> (checks: [BackupCheck], timings: [QueryTiming]) {
        var found: [BackupCheck] = []
        let counted = try PostgresInventory(session, patience: patience).rows()
        if let rows = facts.rows { found.append(compare(rows, counted)) }
        if let once { found.append(try once.look(session, counted)) }
        for name in checks.tables {
            let table = PostgresSelection.Table(name)
            let count = counted[table.schema, table.name]
            found.append(BackupCheck("table \(name)", passed: (count ?? 0) > 0, detail: count.map { "\($0) rows" } ?? "missing"))
        }
        for recency in checks.recent { found.append(try look(at: recency)) }
        if checks.foreignKeys { found.append(try foreignKeys()) }
        let flaws = try PostgresInventory(session, patience: patience).flaws()
        found.append(indexes(flaws))
        found.append(sequences(flaws))
        if let revision = facts.schemaRevision {
            let now = try PostgresInventory(session, patience: patience).revision()
            found.append(BackupCheck("revision", passed: now == revision, detail: "\(now ?? "none"), expected \(revision)"))
        }
        for (number, statement) in statements.enumerated() { found.append(integrity(statement, number + 1)) }
        var timings: [QueryTiming] = []
        for query in checks.timed {
            do throws(Failure) { timings.append(try time(query)) } catch {
                found.append(BackupCheck("timed \(query.name)", passed: false, detail: error.message))
            }
        }
        return (found, timings)
    }

    /// The best of three runs: the first one reads from the disk what the others find in memory.
    private func time(_ query: RestoreChecks.TimedQuery) throws(Failure) -> QueryTiming {
        var best = Int64.max
        for _ in 0..<3 {
            let began = ContinuousClock.now
            _ = try session.rows(query.sql, within: patience)
            let passed = began.duration(to: .now).components
            best = min(best, passed.seconds * 1000 + passed.attoseconds / 1_000_000_000_000_000)
        }
        return QueryTiming(name: query.name, milliseconds: best, isRehearsal: isRehearsal)
    }

    private func compare(_ rows: RowManifest, _ counted: RowManifest) -> BackupCheck {
        let differences = rows.differences(from: counted)
        let words = differences.prefix(5).map {
            "\($0.schema).\($0.table): \($0.found.map(String.init) ?? "missing"), expected \($0.expected.map(String.init) ?? "none")"
        }
        return BackupCheck(
            "rows", passed: differences.isEmpty,
            detail: differences.isEmpty ? "\(rows.total) in \(rows.tables.count) tables" : words.joined(separator: "; "))
    }

    private func look(at recency: RestoreChecks.Recency) throws(Failure) -> BackupCheck {
        let table = PostgresSelection.Table(recency.table)
        let name = "recent \(recency.table).\(recency.column)"
        let text: String?
        do throws(Failure) {
            text = try session.value(
                "SELECT floor(extract(epoch FROM max(\(sqlName(recency.column)))) * 1000)::bigint FROM \(table.pattern)",
                within: patience)
        } catch { return BackupCheck(name, passed: false, detail: error.message) }
        guard let newest = text.flatMap({ Int64($0) }).map({ Instant(millisecondsSince1970: $0) }) else {
            return BackupCheck(name, passed: false, detail: "no row has a time")
        }
        let moment = facts.server?.consistentAt ?? facts.startedAt
        return BackupCheck(name, passed: moment - newest <= recency.within, detail: "the newest is of \(newest)")
    }

    /// Every foreign key, whether the server believes in it or not.
    private func foreignKeys() throws(Failure) -> BackupCheck {
        let keys = try session.rows(
            """
            SELECT format('%I.%I', n.nspname, k.conname), format(
                'SELECT count(*) FROM %s c WHERE %s AND NOT EXISTS (SELECT FROM %s p WHERE %s)', k.conrelid::regclass,
                (SELECT string_agg(format('c.%I IS NOT NULL', a.attname), ' AND ') FROM unnest(k.conkey) u(num)
                    JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num),
                k.confrelid::regclass,
                (SELECT string_agg(format('p.%I = c.%I', b.attname, a.attname), ' AND ')
                    FROM unnest(k.conkey, k.confkey) u(child, parent)
                    JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.child
                    JOIN pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = u.parent))
                , k.convalidated
            FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace
            WHERE k.contype = 'f' AND k.conparentid = 0 ORDER BY 1
            """)
        var (orphans, known): ([String], [String]) = ([], [])
        for row in keys {
            guard row.count == 3, let name = row[0], let query = row[1] else { continue }
            let count = try session.value(query, within: patience).flatMap { Int64($0) } ?? -1
            guard count != 0 else { continue }
            // What is declared NOT VALID was so in the database itself, and may have had them there.
            if row[2] == "f" { known.append("\(name): \(count) orphans") } else { orphans.append("\(name): \(count) orphans") }
        }
        guard orphans.isEmpty else {
            return BackupCheck("foreign keys", passed: false, detail: orphans.prefix(5).joined(separator: "; "))
        }
        let remark = known.isEmpty ? "" : "; not valid, as in the database itself: " + known.prefix(5).joined(separator: "; ")
        return BackupCheck("foreign keys", passed: true, detail: "\(keys.count) searched\(remark)")
    }

    private func indexes(_ flaws: [String]) -> BackupCheck {
        judge("indexes", flaws.filter { $0.hasPrefix("index ") }, "not valid")
    }

    /// Ascending sequences that belong to a column and stand before its largest value would give it out again.
    private func sequences(_ flaws: [String]) -> BackupCheck {
        judge("sequences", flaws.filter { $0.hasPrefix("sequence ") }, "behind their columns")
    }

    /// What is out of order in the database itself is restored as it is: only what is new speaks against the restore.
    private func judge(_ name: String, _ found: [String], _ words: String) -> BackupCheck {
        // Older backups do not say; then it cannot be told.
        let new = found.filter { !(facts.server?.flaws ?? found).contains($0) }
        func list(_ flaws: [String]) -> String {
            "\(words): " + flaws.prefix(5).map { String($0.drop { $0 != " " }.dropFirst()) }.joined(separator: ", ")
        }
        guard new.isEmpty else { return BackupCheck(name, passed: false, detail: list(new)) }
        guard !found.isEmpty else { return BackupCheck(name, passed: true) }
        let isKnown = facts.server?.flaws != nil
        let source = isKnown ? ", as in the database itself" : "; the backup does not say whether they were before"
        return BackupCheck(name, passed: true, detail: list(found) + source)
    }

    private func integrity(_ statement: String, _ number: Int) -> BackupCheck {
        let name = "integrity \(number)"
        do throws(Failure) {
            let began = ContinuousClock.now
            let rows = try session.rows(statement, within: patience)
            let time = began.duration(to: .now).components
            let first = rows.first?.map { $0 ?? "NULL" }.prefix(5).joined(separator: ", ") ?? ""
            return BackupCheck(
                name, passed: rows.isEmpty,
                detail: rows.isEmpty
                    ? "no row, \(time.seconds * 1000 + time.attoseconds / 1_000_000_000_000_000) ms"
                    : "\(rows.count) rows, the first: \(first.prefix(200))")
        } catch { return BackupCheck(name, passed: false, detail: error.message) }
    }
}

/// Takes SQL text apart into its statements, by `;` outside quotes, dollar quotes and comments.
struct SQLScript {
    let statements: [String]

    init(_ text: String) {
        var statements: [String] = []
        var current: [UInt8] = []
        let bytes = Array(text.utf8)
        var index = 0
        /// Where something that begins here ends.
        func end(from start: Int, _ closing: [UInt8]) -> Int {
            var place = start
            while place < bytes.count, !bytes[place...].starts(with: closing) { place += 1 }
            return min(bytes.count, place + closing.count)
        }
        while index < bytes.count {
            var next = index + 1
            switch bytes[index] {
            case 0x27: next = end(from: index + 1, [0x27])
            case 0x22: next = end(from: index + 1, [0x22])
            case 0x24:
                let tag = bytes[(index + 1)...].prefix { $0 != 0x24 && ($0 == 0x5F || ($0 | 0x20) >= 0x61) }
                let close = index + 1 + tag.count
                if close < bytes.count, bytes[close] == 0x24 { next = end(from: close + 1, [0x24] + tag + [0x24]) }
            case 0x2D where bytes[index...].starts(with: [0x2D, 0x2D]):
                index = end(from: index, [0x0A])
                current.append(0x0A)
                continue
            case 0x2F where bytes[index...].starts(with: [0x2F, 0x2A]):
                index = end(from: index + 2, [0x2A, 0x2F])
                continue
            case 0x3B:
                statements.append(String(decoding: current, as: UTF8.self))
                current = []
                index = next
                continue
            default: break
            }
            current += bytes[index..<next]
            index = next
        }
        statements.append(String(decoding: current, as: UTF8.self))
        self.statements = statements.filter { $0.contains { !$0.isWhitespace } }
    }
}
