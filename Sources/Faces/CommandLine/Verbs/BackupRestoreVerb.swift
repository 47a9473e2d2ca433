internal import SerinAPI
internal import SerinBackups
internal import SerinCatalogue
internal import SerinController
internal import SerinModel
internal import SerinPolicies
internal import SerinRollouts

extension Subcommand {
    static let backupRestore = Subcommand(
        "backup restore", summary: "restore beside the live database, check it, and swap when told to",
        details: """
            Always into a database of its own first, which is checked. --swap then puts it in the live one's place by renaming both; the
            replaced one is kept for restore.keep_replaced. It needs --confirm with the live database's name, and the plan's
            approvals: serin backup approve BACKUP. Exit 7 without them, 8 when a check failed; then nothing was swapped.
            """,
        examples: [
            "serin backup restore backups/checkout.yaml latest",
            "serin backup restore backups/checkout.yaml 5f0c1a2b --swap --confirm checkout",
            "serin backup restore backups/checkout.yaml latest --table public.orders",
        ], interruption: .ends
    ) { input throws(UsageError) in
        let swap = try input.flag("--swap", help: "put it in the live database's place")
        let confirm = try input.text("--confirm", value: "DATABASE", help: "the live database's name")
        let tables = try input.every("--table", value: "SCHEMA.TABLE", help: "only this table; may stand several times") {
            $0.contains(".") ? $0 : nil
        }
        let destination = try input.text("--from", value: "DESTINATION", help: "whose copy (default: the first usable one)")
        let identities = try PlanArgument.identities(&input)
        let argument = try PlanArgument(&input)
        let name = try input.positional("BACKUP", help: "an identifier, the end of one, or latest")
        guard !swap || tables.isEmpty || input.isDescribing else { throw UsageError("--swap and --table exclude each other") }
        return { session in
            let loaded = try argument.load(session)
            return try await BackupSession.with(session) { backups in
                let record = try await backups.record(name, target: loaded.plan.target.description)
                let progress = BackupProgress(session)
                let work = try await backups.work(loaded, "serin backup restore", identities: identities, progress: progress)
                let permit = try await backups.permit(record, loaded.plan, work, swaps: swap, confirmed: confirm)
                try await backups.note(
                    "restore", record.order.target, record.id, "\(permit.scope.rawValue) for \(permit.database)")
                let restored: RestoredDatabase
                do throws(Failure) {
                    restored = try await work.restore(record, from: destination, tables: tables, permit: permit)
                } catch {
                    progress.end()
                    throw error
                }
                progress.end()
                var outcome: DatabaseSwap.Outcome?
                if swap, restored.passed { outcome = try await work.swap(restored, permit: permit) }
                try show(restored, outcome, session)
                return restored.passed || !tables.isEmpty ? .ok : .verificationFailed
            }
        }
    }

    private static func show(_ restored: RestoredDatabase, _ outcome: DatabaseSwap.Outcome?, _ session: Session) throws {
        session.data(
            .object([
                "schema": .string("serin.dev/backup-restore/v1"), "backup": .string("\(restored.backup)"),
                "database": .string(outcome?.live ?? restored.name), "swapped": .bool(outcome != nil),
                "replaced": outcome.map { .string($0.replaced) } ?? .null, "ok": .bool(restored.passed),
                "interruption_milliseconds": outcome.map { .integer($0.interruption.milliseconds) } ?? .null,
                "checks": .array(try restored.checks.map { try BackupText.document($0) }),
            ])
        ) { style in BackupText.table(restored.checks).lines(style) }
        for remark in outcome?.remarks ?? [] { session.note("note: \(plain(remark))") }
        if let outcome {
            session.note(
                "\(outcome.live) is now backup \(restored.backup); the replaced one is \(outcome.replaced), "
                    + "without connections for \(outcome.interruption)")
        } else if restored.passed {
            session.note(
                "restored as \(restored.name) and checked; next: look at it and drop it; --swap --confirm \(restored.live) then goes live"
            )
        } else {
            session.note("restored as \(restored.name); \(restored.live) was not touched")
        }
    }
}

extension BackupSession {
    /// What the person who asks may do with a backup: nothing to a live database without its name and the plan's approvals.
    func permit(
        _ record: BackupRecord, _ plan: BackupPlan, _ work: any BackupWork, swaps: Bool, confirmed: String?
    ) async throws -> RestorePermit {
        let live = try work.liveDatabase()
        guard swaps else { return RestorePermit(backup: record.id, database: live, scope: .beside, by: principal) }
        guard confirmed == live else {
            throw OperationError.refused(
                Refusal("the live database \(live) would be replaced", hint: "--confirm \(live) says that this is meant"))
        }
        let approved = try await approvals(of: record)
        guard approved.count >= plan.restore.approvals else {
            throw OperationError.refused(
                Refusal(
                    "\(plan.restore.approvals) people must approve, \(approved.count) did",
                    hint: "serin backup approve \("\(record.id)".suffix(8)) --reason TEXT, by someone else"))
        }
        return RestorePermit(backup: record.id, database: live, scope: .swap, by: principal, approvedBy: approved)
    }
}
