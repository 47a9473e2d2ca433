internal import SerinAPI
internal import SerinBackups
internal import SerinController
internal import SerinModel

extension Subcommand {
    static let backupMoments = Subcommand(
        "backup moments", summary: "when was it deleted, and which moment is the last one before",
        details: """
            Reads the write-ahead log that the plan keeps in a folder here, as far as its files are whole, and shows the transactions that
            deleted rows or dropped tables, by the moments of their commits. Nothing is asked of the server.
            """,
        examples: ["serin backup moments cluster.yaml --from 2026-11-21T09:00:00Z --to 2026-11-21T10:30:00Z"],
        interruption: .ends
    ) { input throws(UsageError) in
        let from = try input.option("--from", value: "TIME", help: "when all was still there, like 2026-11-21T09:00:00Z") {
            RestoreText.moment($0)
        }
        let to = try input.option("--to", value: "TIME", help: "when it was seen to be gone (default: now)") {
            RestoreText.moment($0)
        }
        let argument = try PlanArgument(&input)
        guard from != nil || input.isDescribing else { throw UsageError("missing --from TIME") }
        return { session in
            let end = to ?? session.now
            guard let from, from <= end else { throw UsageError("--from is later than --to") }
            let loaded = try await argument.load(session)
            return try await BackupSession.with(session) { backups in
                let found = try await backups.work(loaded, "serin backup moments").moments(from...end)
                show(found, session)
                guard let largest = found.largest else {
                    session.note(
                        "nothing was deleted between them, as far as the log here reaches: to "
                            + (found.lastCommit.map { "\($0)" } ?? "no commit at all"))
                    return .ok
                }
                session.note(
                    "the largest is transaction \(largest.transaction); to have what it deleted: serin backup restore PLAN latest "
                        + "--into FOLDER --to \(RestoreText.text(largest.before))")
                if let table = largest.tables.max(by: { ($0.value, $1.key) < ($1.value, $0.key) })?.key {
                    let parts = table.split(separator: "/")
                    session.note(
                        "which table that is: SELECT pg_filenode_relation(0, \(parts.last ?? "0")) in the database whose oid is "
                            + "\(parts.first ?? "0")")
                }
                return .ok
            }
        }
    }

    private static func show(_ found: LogMoments, _ session: Session) {
        session.data(
            .object([
                "schema": .string("serin.dev/backup-moments/v1"), "commits": .integer(Int64(found.commits)),
                "last_commit": found.lastCommit.map { .string(RestoreText.text($0)) } ?? .null,
                "deletions": .array(
                    found.deletions.map {
                        .object([
                            "transaction": .string("\($0.transaction)"),
                            "committed_at": .string(RestoreText.text($0.committedAt)),
                            "before": .string(RestoreText.text($0.before)), "rows": .integer(Int64($0.rows)),
                            "dropped_files": .integer(Int64($0.dropped)),
                        ])
                    }),
            ])
        ) { style in
            var table = Table(header: ["COMMITTED", "TRANSACTION", "ROWS", "FILES DROPPED", "TABLES"])
            for item in found.deletions {
                let tables = item.tables.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(3)
                table.rows.append([
                    Table.Cell(RestoreText.text(item.committedAt)), Table.Cell("\(item.transaction)"), Table.Cell("\(item.rows)"),
                    Table.Cell("\(item.dropped)"), Table.Cell(tables.map { "\($0.key): \($0.value)" }.joined(separator: ", ")),
                ])
            }
            return found.deletions.isEmpty ? [] : table.lines(style)
        }
    }
}

extension RestoreText {
    /// A moment as `--to` reads it, with milliseconds.
    static func text(_ moment: Instant) -> String {
        moment.postgresText.rewriting(" ", as: "T").rewriting("+00", as: "Z")
    }
}
