internal import SerinAPI
internal import SerinCatalogue
internal import SerinController
internal import SerinModel
internal import SerinPolicies

extension Subcommand {
    static let backupReadiness = Subcommand(
        "backup readiness", summary: "could we recover today: every line of the checklist",
        details: """
            The newest backup is younger than a day, a drill within a quarter has passed and left nothing to do, credentials, storage and
            what a restore needs answer, and people have said within a quarter what only they know: --attest team, runbook or keys, with
            --reason. Exit 8 when a line does not hold.
            """,
        examples: [
            "serin backup readiness backups/checkout.yaml",
            "serin backup readiness backups/checkout.yaml --attest runbook --reason 'printed, in the office'",
        ], interruption: .ends
    ) { input throws(UsageError) in
        let words = Readiness.Statement.allCases.map(\.rawValue).joined(separator: "|")
        let statements = try input.every(
            "--attest", value: words, help: "say that this holds; may stand several times", read: Readiness.Statement.init)
        let reason = try input.text("-m", "--reason", value: "TEXT", help: "what it is said of, for the log")
        let argument = try PlanArgument(&input)
        guard statements.isEmpty == (reason == nil) || input.isDescribing else {
            throw UsageError("--attest and --reason belong together")
        }
        return { session in
            let loaded = try await argument.load(session)
            return try await BackupSession.with(session) { backups in
                let target = loaded.plan.target.description
                for statement in statements { try await backups.note(statement.topic, target, nil, reason ?? "") }
                var notes = try await backups.notes(DrillItems.topic, target)
                for statement in Readiness.Statement.allCases { notes += try await backups.notes(statement.topic, target) }
                let work = try await backups.work(loaded, "serin backup readiness")
                // A tool that cannot be asked is a finding of the probes.
                _ = try? await work.noteExpired(by: backups.principal)
                let records = try await backups.state().records.filter { $0.order.target == target }
                var checks = Readiness(of: loaded.plan, records, notes: notes, at: session.now).checks
                let probes = await work.probes(for: .swaps)
                checks += probes.map { BackupCheck($0.name, passed: $0.outcome != .failed, detail: $0.detail) }
                show(checks, target, session)
                let failed = checks.count { !$0.passed }
                session.note(
                    failed == 0
                        ? "\(target) could be recovered today, as far as this can be told"
                        : "\(failed) of \(checks.count) lines do not hold")
                return failed == 0 ? .ok : .verificationFailed
            }
        }
    }

    private static func show(_ checks: [BackupCheck], _ target: String, _ session: Session) {
        session.data(
            .object([
                "schema": .string("serin.dev/backup-readiness/v1"), "target": .string(target),
                "ok": .bool(checks.allSatisfy(\.passed)),
                "checks": .array(
                    checks.map {
                        .object(["name": .string($0.name), "passed": .bool($0.passed), "detail": .string($0.detail)])
                    }),
            ])
        ) { style in
            var table = Table(header: ["LINE", "HOLDS", "FOUND"])
            for check in checks {
                table.rows.append([
                    Table.Cell(check.name), check.passed ? Table.Cell("yes", .green) : Table.Cell("NO", .red),
                    Table.Cell(check.detail),
                ])
            }
            return table.lines(style)
        }
    }
}
