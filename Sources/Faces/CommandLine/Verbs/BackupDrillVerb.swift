internal import SerinAPI
internal import SerinBackups
internal import SerinCatalogue
internal import SerinController
internal import SerinModel
internal import SerinPolicies
internal import SerinRollouts

extension Subcommand {
    static let backupDrill = Subcommand(
        "backup drill", summary: "rehearse a restore on an isolated server and measure it",
        details: """
            Makes a Postgres server of its own that nothing else reaches, restores, runs the plan's checks, measures against the plan's
            targets, and removes the server. The report is the data: Markdown, or one JSON document with -o json. It bears an
            authentication code by the key of the manifests; --verify says whether a file is a report as it was written. What a drill
            leaves to be done fails the following ones until --done says that it is done. Exit 8 when nothing was restored, a check
            failed, or the file is not what was written.
            """,
        examples: [
            "serin backup drill backups/checkout.yaml",
            "serin backup drill backups/checkout.yaml --select random --seed 42 -o json",
            "serin backup drill backups/checkout.yaml --verify drill.md",
            "serin backup drill backups/checkout.yaml --done 5f0c1a2b --reason 'backups every 6 hours since today'",
        ], interruption: .ends
    ) { input throws(UsageError) in
        let words = DrillPolicy.Selection.allCases.map(\.rawValue).joined(separator: "|")
        let selection = try input.option(
            "--select", value: words, help: "which backup (default: the plan's, or latest)", read: DrillPolicy.Selection.init)
        let seed = try input.option("--seed", value: "N", help: "of the random choice, to repeat it") { UInt64($0) }
        let report = try input.text("--verify", value: "FILE", help: "judge this report instead, and rehearse nothing")
        let done = try input.text("--done", value: "DRILL", help: "say that what this drill left to be done is done")
        let reason = try input.text("-m", "--reason", value: "TEXT", help: "with --done: what was done, for the log")
        let identities = try PlanArgument.identities(&input)
        let argument = try PlanArgument(&input)
        let name = try input.optionalPositional("BACKUP", help: "this one: an identifier, the end of one, or latest")
        if report != nil, name != nil || selection != nil || seed != nil {
            throw UsageError("--verify rehearses nothing, so it takes no backup", hint: "only the plan and the report's file")
        }
        guard (done == nil) == (reason == nil) || input.isDescribing else {
            throw UsageError("--done and --reason belong together")
        }
        return { session in
            let loaded = try await argument.load(session)
            if let done { return try await settle(done, reason ?? "", loaded, session) }
            if let report { return try await judge(report, loaded, session) }
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
                let (document, text) = try sealed(report, by: work)
                session.data(document) { _ in
                    text.textLines(keepingEmpty: true).dropLast().map(String.init)
                }
                for item in report.result.actionItems { session.note("to do: \(plain(item))") }
                if !report.result.actionItems.isEmpty {
                    session.note(
                        "no further drill passes until it is done: serin backup drill \(plain(loaded.file)) --done "
                            + "\(report.result.id) --reason TEXT")
                }
                session.note(
                    report.result.isProof
                        ? "\(report.backup) can be restored: rehearsed just now"
                        : report.result.passed
                            ? "\(report.backup) could be unpacked; that it can be restored was not rehearsed, and it stays as it was: "
                                + "a program under restore.checks.smoke can load the folder"
                            : "the drill FAILED; \(report.backup) is not drilled")
                return report.result.passed ? .ok : .verificationFailed
            }
        }
    }

    /// Notes that what a drill left to be done is done.
    private static func settle(
        _ drill: String, _ reason: String, _ loaded: LoadedBackupPlan, _ session: Session
    ) async throws -> ExitCode {
        try await BackupSession.with(session) { backups in
            let target = loaded.plan.target.description
            let open = DrillItems(
                in: try await backups.state().records.filter { $0.order.target == target },
                notes: try await backups.notes(DrillItems.topic, target))
            guard let open, open.drill == drill else {
                throw OperationError.refused(
                    Refusal(
                        "drill '\(plain(drill))' of \(target) has left nothing open",
                        hint: open.map { "open is what drill \($0.drill) left" }))
            }
            try await backups.note(DrillItems.topic, target, nil, "\(drill): \(reason)")
            session.data(open.items.map { plain($0) })
            session.note("noted as done; the next drill shows whether it is")
            return .ok
        }
    }

    /// Both forms of a report, with its authentication code.
    private static func sealed(_ report: DrillReport, by work: any BackupWork) throws(Failure) -> (JSONValue, String) {
        let seal = try work.seal
        do throws(ManifestError) {
            return (try DrillSeal.document(report, by: seal.code), try DrillSeal.text(report, by: seal.code))
        } catch { throw Failure(.invalid, "the report of drill \(report.result.id) cannot be written: \(error)") }
    }

    /// Whether a file is a report as it was written.
    private static func judge(_ file: String, _ loaded: LoadedBackupPlan, _ session: Session) async throws -> ExitCode {
        let bytes = Array(try await PolicyArguments.text(of: file, kind: "report").utf8)
        return try await BackupSession.with(session) { backups in
            let work = try await backups.work(loaded, "serin backup drill")
            // Without the key nothing is said of the report.
            let seal = try work.seal
            do throws(ManifestError) {
                let drill = try DrillSeal.check(bytes, by: seal.code, former: seal.former.map { code in { code($0) } })
                session.data(
                    .object([
                        "schema": .string("serin.dev/backup-drill-check/v1"), "ok": .bool(true), "drill": .string(drill),
                    ])
                ) { _ in ["\(plain(drill)); the report is as it was written"] }
                return .ok
            } catch {
                session.complain("\(file) is not a report as it was written: \(error.description)")
                session.note(
                    "the keys are that of the manifests of \(loaded.plan.target) and those of encryption.former_key_files; another "
                        + "machine's drills bear another")
                return .verificationFailed
            }
        }
    }
}
