internal import SerinMigrationTools
internal import SerinMigrations
internal import SerinModel

/// Migrations as documents and as lines for people.
enum MigrationText {
    /// What a run came to; with `failure`, why it failed.
    static func document(_ report: MigrationReport?, _ failure: MigrationRunFailure?) -> JSONValue {
        let blocking = report?.blocking ?? BlockingReport()
        return .object([
            "schema": .string("serin.dev/migration/v1"), "ok": .bool(failure == nil),
            "before": place(report?.before), "after": place(report?.after),
            "steps": .array((report?.steps ?? []).map(step)), "notes": .array((report?.notes ?? []).map { .string($0) }),
            "schema_before": text(report?.schemaBefore), "schema_after": text(report?.schemaAfter),
            "blocked_ms": .integer(blocking.total.milliseconds), "longest_block_ms": .integer(blocking.longest.milliseconds),
            "most_queued": .integer(Int64(blocking.mostQueued)), "stage": text(failure?.stage.rawValue),
            "error": text(failure?.failure.message),
        ])
    }

    /// What came of a backfill.
    static func document(_ report: BackfillReport, _ name: String) -> JSONValue {
        .object([
            "schema": .string("serin.dev/backfill/v1"), "ok": .bool(report.stopped == nil), "name": .string(name),
            "stopped": text(report.stopped), "walked": .integer(report.walked), "changed": .integer(report.changed),
            "batches": .integer(Int64(report.batches)), "milliseconds": .integer(report.time.milliseconds),
            "waited_ms": .integer(report.waited.milliseconds),
        ])
    }

    /// What a look found.
    static func plan(_ found: MigrationInspection, _ problems: [Failure], showsSQL: Bool) -> JSONValue {
        .object([
            "schema": .string("serin.dev/migration-plan/v1"), "ok": .bool(problems.isEmpty),
            "current": revisions(found.state.current),
            "heads": revisions(found.state.heads), "schema_hash": .string(found.schema),
            "pending": .array(
                found.pending.map { pending in
                    .object([
                        "revision": .string("\(pending.id)"), "name": .string(pending.script.name),
                        "sql": showsSQL ? sql(pending.script.up) : .null,
                    ])
                }),
            "drift": found.drift.map { .array($0.map { .string($0) }) } ?? .null,
            "invalid_indexes": .array(found.invalidIndexes.map { .string($0) }),
            "unfinished": text(found.unfinished?.description), "unfinished_reason": text(found.reason),
            "running": text(found.running), "moved_from": text(found.moved),
            "problems": .array(problems.map { .string($0.message) }), "warnings": .array(found.warnings.map { .string($0) }),
        ])
    }

    /// What a run came to, one line a step.
    static func lines(_ report: MigrationReport) -> [String] {
        let steps = report.steps.map { step in
            let tries = step.tries > 1 ? ", \(step.tries) tries" : ""
            return
                "\(step.from?.description ?? "base") → \(step.to?.description ?? "base")  \(step.time.milliseconds) ms\(tries), "
                + waiting(step.blocking)
        }
        let all = report.steps.count > 1 ? ["all  " + waiting(report.blocking)] : []
        return steps + all + report.notes.map { "note: \(plain($0))" } + ["at \(report.after.place)"]
    }

    /// `others waited 120 ms, the longest of them 80 ms, 3 at once`.
    private static func waiting(_ blocking: BlockingReport) -> String {
        guard blocking.mostQueued > 0 else { return "nobody waited" }
        return
            "others waited \(blocking.total.milliseconds) ms, the longest of them \(blocking.longest.milliseconds) ms, "
            + "\(blocking.mostQueued) at once"
    }

    private static func step(_ step: MigrationReport.Step) -> JSONValue {
        .object([
            "revision": .string("\(step.revision)"), "from": text(step.from?.description), "to": text(step.to?.description),
            "tries": .integer(Int64(step.tries)), "milliseconds": .integer(step.time.milliseconds),
            "blocked_ms": .integer(step.blocking.total.milliseconds),
            "longest_block_ms": .integer(step.blocking.longest.milliseconds),
            "most_queued": .integer(Int64(step.blocking.mostQueued)),
        ])
    }

    private static func sql(_ side: MigrationSide) -> JSONValue {
        guard case .text(let text) = side else { return .null }
        return .string(String(decoding: text.sql, as: UTF8.self))
    }

    private static func place(_ state: SchemaState?) -> JSONValue { state.map { revisions($0.current) } ?? .null }
    private static func revisions(_ list: [RevisionID]) -> JSONValue { .array(list.map { .string($0.description) }) }
    private static func text(_ text: String?) -> JSONValue { text.map { .string($0) } ?? .null }
}
