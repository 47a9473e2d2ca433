internal import SerinAPI
internal import SerinMigrationTools
internal import SerinMigrations
internal import SerinModel
internal import SerinPolicies

extension Subcommand {
    static let migratePlan = Subcommand(
        "migrate plan", summary: "what 'migrate up' would do now, and what is in its way",
        details: "Changes nothing. Exit 7 when something is in the way. What each statement locks and loses: serin migrate lint.",
        examples: ["serin migrate plan policy.yaml", "serin migrate plan --sql migrations --url-env DATABASE_URL --show-sql"],
        interruption: .ends
    ) { input throws(UsageError) in
        let showsSQL = try input.flag("--show-sql", help: "the statements too")
        let arguments = try MigrateArguments(&input)
        return { session in
            try await MigrateSession.with(session, arguments) { migrate in
                let found = try await migrate.migrations.inspect(deadline: migrate.target.policy.deadline)
                let problems = found.problems + drift(found)
                session.data(MigrationText.plan(found, problems, showsSQL: showsSQL)) { style in
                    lines(found, showsSQL: showsSQL, style)
                }
                for warning in found.warnings { session.note("warning: \(plain(warning))") }
                for index in found.invalidIndexes { session.note("warning: the index \(plain(index)) is invalid") }
                for problem in problems { session.complain(problem.description) }
                return problems.isEmpty ? .ok : .refused
            }
        }
    }

    private static func drift(_ found: MigrationInspection) -> [Failure] {
        guard let drift = found.drift, !drift.isEmpty, found.unfinished == nil else { return [] }
        return [
            Failure(
                .conflict, "the schema is not what the last migration left:\n" + drift.map { "  " + $0 }.joined(separator: "\n"),
                hint: "make a revision of the change, or take it as it is with --accept-schema")
        ]
    }

    private static func lines(_ found: MigrationInspection, showsSQL: Bool, _ style: Style) -> [String] {
        guard !found.pending.isEmpty else { return ["at \(found.state.place): nothing to do"] }
        var table = Table(header: ["revision", "name", "up", "down"])
        for pending in found.pending {
            table.rows.append([
                Table.Cell(pending.id.description), Table.Cell(pending.script.name), Table.Cell(word(pending.script.up)),
                Table.Cell(word(pending.script.down)),
            ])
        }
        var lines = ["from \(found.state.place) to \(found.pending.last?.id.description ?? "")"] + table.lines(style)
        if showsSQL {
            for pending in found.pending {
                guard case .text(let text) = pending.script.up else { continue }
                lines +=
                    ["", "-- \(pending.id)"]
                    + plainLines(String(decoding: text.sql, as: UTF8.self)).textLines().map(String.init)
            }
        }
        return lines
    }

    private static func word(_ side: MigrationSide) -> String {
        switch side {
        case .text(let text): text.sql.contains { !($0 == 0x20 || (0x09...0x0D).contains($0)) } ? "SQL" : "empty"
        case .missing: "missing"
        case .unavailable: "not known without a database"
        }
    }
}
