internal import SerinAPI
internal import SerinCatalogue
internal import SerinController
internal import SerinModel
internal import SerinPolicies

extension Subcommand {
    static let backupDrill = Subcommand(
        "backup drill", summary: "rehearse a restore on an isolated server and measure it",
        details: """
            Makes a Postgres server of its own that nothing else reaches, restores, runs the plan's checks, measures against the plan's
            targets, and removes the server. The report is the data: Markdown, or one JSON document with -o json. Exit 8 when nothing
            was restored or a check failed.
            """,
        examples: [
            "serin backup drill backups/checkout.yaml",
            "serin backup drill backups/checkout.yaml --select random --seed 42 -o json",
        ], interruption: .ends
    ) { input throws(UsageError) in
        let words = DrillPolicy.Selection.allCases.map(\.rawValue).joined(separator: "|")
        let selection = try input.option(
            "--select", value: words, help: "which backup (default: the plan's, or latest)", read: DrillPolicy.Selection.init)
        let seed = try input.option("--seed", value: "N", help: "of the random choice, to repeat it") { UInt64($0) }
        let identities = try PlanArgument.identities(&input)
        let argument = try PlanArgument(&input)
        let name = try input.optionalPositional("BACKUP", help: "this one: an identifier, the end of one, or latest")
        return { session in
            let loaded = try argument.load(session)
            return try await BackupSession.with(session) { backups in
                var policy = loaded.plan.drills.first ?? DrillPolicy(.every(.hours(24)))
                if let selection { policy.selection = selection }
                var chosen: BackupID?
                if let name { chosen = try await backups.record(name, target: loaded.plan.target.description).id }
                let progress = BackupProgress(session)
                let work = try await backups.work(loaded, "serin backup drill", identities: identities, progress: progress)
                let report: DrillReport
                do throws(Failure) {
                    report = try await work.drill(policy, chosen, seed: seed, by: backups.principal)
                } catch {
                    progress.end()
                    throw error
                }
                progress.end()
                if selection == nil, chosen == nil, !loaded.plan.drills.isEmpty {
                    // It stands for the one that the daemon would hold.
                    let words = "drill \(report.result.id) by hand " + (report.result.passed ? "passed" : "FAILED")
                    try await backups.note(policy.topic, loaded.plan.target.description, nil, words)
                }
                backups.mirrorLater(loaded)
                session.data(try BackupText.document(report)) { _ in report.markdown.split(separator: "\n").map(String.init) }
                for item in report.result.actionItems { session.note("to do: \(plain(item))") }
                session.note(
                    report.result.passed
                        ? "\(report.backup) can be restored: rehearsed just now"
                        : "the drill FAILED; \(report.backup) is not drilled")
                return report.result.passed ? .ok : .verificationFailed
            }
        }
    }
}
