internal import SerinAPI
internal import SerinMigrationTools
internal import SerinModel
internal import SerinPolicies

extension Subcommand {
    static let migrateStatus = Subcommand(
        "migrate status", summary: "where a database is, and whether its schema is what its revisions made",
        details: """
            Exit 8 when it is not: the schema was changed or the database moved to another revision by other means, an index is
            invalid, a run did not finish, or the revisions of database and release do not fit. Revisions that are not applied yet
            are no fault, nor is a migration at work, which is named with who runs it.
            """,
        examples: ["serin migrate status policy.yaml -o json"], interruption: .ends
    ) { input throws(UsageError) in
        let arguments = try MigrateArguments(&input)
        return { session in
            try await MigrateSession.with(session, arguments, reads: true) { migrate in
                let found = try await migrate.migrations.inspect(withScripts: false, deadline: migrate.target.policy.deadline)
                session.data(MigrationText.plan(found, found.problems, showsSQL: false)) { _ in lines(found) }
                for warning in found.warnings { session.note("warning: \(plain(warning))") }
                let isGood =
                    found.problems.isEmpty && found.drift?.isEmpty ?? true && found.invalidIndexes.isEmpty
                    && found.unfinished == nil && found.moved == nil
                return isGood ? .ok : .verificationFailed
            }
        }
    }

    private static func lines(_ found: MigrationInspection) -> [String] {
        let heads = found.state.heads.map(\.description).joined(separator: ", ")
        let pending = found.pending.isEmpty ? "nothing" : found.pending.map(\.id.description).joined(separator: ", ")
        var lines = [
            "database  \(found.isPlaceKnown ? found.state.place : "not known")",
            "release   \(heads.isEmpty ? "no revisions" : heads)",
            "pending   \(found.isPendingKnown ? pending : "not known")",
            "schema    \(found.schema.prefix(12)), \(comparison(found))",
        ]
        lines += (found.drift ?? []).map { "          " + plain($0) }
        lines += found.invalidIndexes.map { "invalid   index \(plain($0))" }
        if let running = found.running { lines.append("running   \(plain(running))") }
        if let unfinished = found.unfinished {
            lines.append(
                "unfinished \(unfinished): \(found.reason.map { plain($0) } ?? "the next run settles what it left, a rollout's once it is continued (serin run --continue)")"
            )
        }
        lines += found.fences.map { "FENCED    writes are kept away by \(plain($0.words))" }
        return lines + found.problems.map { "problem   \(plain($0.message))" }
    }

    private static func comparison(_ found: MigrationInspection) -> String {
        guard found.running == nil else { return "not compared: a migration is at work" }
        guard let moved = found.moved else {
            guard let drift = found.drift else { return "not compared: Serin has not migrated it to here" }
            return drift.isEmpty ? "as the last run left it" : "changed since the last run:"
        }
        let words = "moved by someone else from \(moved)"
        guard let drift = found.drift else { return "\(words), and not compared: Serin has not migrated it to here" }
        return words + (drift.isEmpty ? ", and as it was here" : ", and not as it was here:")
    }
}
