internal import SerinAPI
internal import SerinController
internal import SerinMigrationTools
internal import SerinMigrations
internal import SerinModel
internal import SerinPolicies
internal import SerinRollouts

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
            try await MigrateSession.with(session, arguments, reads: true) { migrate in
                let found = try await migrate.migrations.inspect(deadline: migrate.target.policy.deadline)
                let release = ReleaseMigrations(
                    migrate.migrations, by: MigrateSession.principal, classify: Lint.classifier(migrate.target.policy))
                let plan = found.pending.isEmpty ? nil : await release.plan(of: found)
                let backup = try plan.flatMap { try backupKind(migrate.target, $0) }
                let problems = found.problems + drift(found) + refusals(of: plan, migrate.target)
                session.data(MigrationText.plan(found, problems, showsSQL: showsSQL)) { style in
                    lines(found, showsSQL: showsSQL, style) + outlook(plan, migrate.target, backup)
                }
                for warning in found.warnings { session.note("warning: \(plain(warning))") }
                for index in found.invalidIndexes { session.note("warning: the index \(plain(index)) is invalid") }
                for problem in problems { session.complain(problem.description) }
                return problems.isEmpty ? .ok : .refused
            }
        }
    }

    /// Why `migrate up` would not do it.
    private static func refusals(of plan: MigrationPlan?, _ target: MigrationTarget) -> [Failure] {
        guard target.release != nil, let revision = plan?.pending.first(where: \.kind.mayDestroy) else { return [] }
        guard target.policy.destructive == .refuse, target.policy.contract == nil || revision.phase != .contract else {
            return []
        }
        return [
            Failure(
                .conflict, "\(revision.words), and the policy refuses what may destroy data",
                hint: "migrations: {destructive: allow} in the policy, with backup, maintenance, restore and approvals")
        ]
    }

    /// What each revision does to data and to the previous version, what it needs, and what leads back from it.
    private static func outlook(_ plan: MigrationPlan?, _ target: MigrationTarget, _ backup: BackupKind?) -> [String] {
        guard let plan else { return [] }
        var lines = plan.pending.map { plain($0.words) }
        if plan.pending.contains(where: \.kind.mayDestroy) {
            lines.append(
                target.release == nil
                    ? "without a policy: serin migrate up --may-destroy REASON --database NAME"
                    : "needs a verified backup, fenced writes\(target.policy.maintenance == nil ? " (the policy has no maintenance)" : ""), and "
                        + "\(target.policy.approvals) other people: serin migrate approve")
        }
        if let policy = target.release?.policy {
            let question = RollbackQuestion(ahead: plan, policy: policy, backup: backup)
            lines += question.plan.lines.map { "on a rollback: \(plain($0))" }
        }
        return lines
    }

    /// Of which kind the backup before what may destroy data will be; nil where none is made.
    private static func backupKind(_ target: MigrationTarget, _ plan: MigrationPlan) throws(OperationError) -> BackupKind? {
        guard let release = target.release, release.policy.backup != nil, plan.kind?.mayDestroy ?? false else { return nil }
        return try Assembly.backupPlan(of: release, named: "POLICY").plan.rolloutKind
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
        guard !found.pending.isEmpty else {
            let place = found.isPlaceKnown ? "at \(found.state.place)" : "nobody knows where it is"
            return ["\(place): \(found.isPendingKnown ? "nothing to do" : "nobody can tell what there is to do")"]
        }
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
