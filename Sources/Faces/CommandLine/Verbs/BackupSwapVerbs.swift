internal import SerinAPI
internal import SerinBackups
internal import SerinCatalogue
internal import SerinController
internal import SerinModel
internal import SerinPolicies
internal import SerinRollouts

extension Subcommand {
    static let backupSwap = Subcommand(
        "backup swap", summary: "put a database that was restored before in the live one's place, or take a swap back",
        details: """
            Checks it again, stops what writes by restore.quiesce, renames both databases, and starts again by restore.resume in any
            case. What was live is kept for restore.keep_replaced. --undo makes the one live again that was replaced last, and keeps
            what was written meanwhile in its turn; so a second --undo takes the first one back. A swap that was killed is run again: it
            opens what it had closed, or says that it was done. Owner, grants, settings and publications of the live database are carried
            over first; what the live one has and the other lacks is named, with what there is to do about publications, subscriptions and
            replication slots, and the swap refused until their number is agreed to. Where one owner in the backup may not act for every
            other, a function of his could have changed what is theirs: then the swap is refused unless restore.trust names him. Needs --confirm and the plan's approvals, as a restore
            with --swap does: of this operation, database, backup and plan, in the last 24 hours, and not used yet.
            """,
        examples: [
            "serin backup swap backups/checkout.yaml checkout_restore_5f0c1a2b --confirm checkout",
            "serin backup swap backups/checkout.yaml --undo --confirm checkout",
        ], interruption: .ends
    ) { input throws(UsageError) in
        let undo = try input.flag("--undo", help: "take the last swap back")
        let confirm = try input.text("--confirm", value: "DATABASE", help: "the live database's name")
        let differences = try input.differences()
        let argument = try PlanArgument(&input)
        let name = try input.optionalPositional("NAME", help: "one of serin backup restored list")
        if !input.isDescribing, undo == (name != nil) {
            throw UsageError(
                undo ? "--undo takes no name" : "which database is swapped in?", hint: "serin backup restored list PLAN")
        }
        return { session in
            let loaded = try await argument.load(session)
            return try await BackupSession.with(session) { backups in
                let progress = BackupProgress(session)
                let work = try await backups.work(loaded, "serin backup swap", progress: progress)
                let placed = try await work.unfinishedSwap()
                let isPlaced = placed.map { undo ? $0.role == .replaced : $0.name == name } ?? false
                let entries = try await work.sideDatabases()
                let entry = undo ? entries.last { $0.known?.role == .replaced } : entries.first { $0.name == name }
                guard let known = isPlaced ? placed : entry?.known else {
                    throw OperationError.notFound(
                        undo
                            ? "no database is left that a swap replaced"
                            : "'\(plain(name ?? ""))' is nothing that a restore left\nhint: serin backup restored list PLAN shows them"
                    )
                }
                if !isPlaced { try await work.expectSwapRights(known.name, of: known.role == .replaced ? nil : known.backup) }
                let record = try await backups.record("\(known.backup)")
                let isUndo = known.role == .replaced
                // What was killed in the middle was approved before it began.
                let operation = isPlaced ? nil : ChangeApproval.swap(isUndo: isUndo, leaving: differences)
                let (granted, request) = try await backups.permit(record, loaded, work, .swap, operation, confirmed: confirm)
                var permit = granted
                permit.differences = differences
                try await backups.note(
                    "restore", record.order.target, record.id,
                    "\(isUndo ? "undo" : "swap") of \(known.name) for \(permit.database)")
                do throws(Failure) {
                    var checks: [BackupCheck] = []
                    let outcome: DatabaseSwap.Outcome
                    if isPlaced {
                        outcome = try await work.finish(known, permit: permit)
                    } else if isUndo {
                        outcome = try await work.undo(known.name, permit: permit)
                    } else {
                        let restored = try await work.inspect(known.name, permit: permit)
                        progress.end()
                        checks = restored.checks
                        guard restored.passed else {
                            RestoreOutput(session: session, plan: loaded.file).showFailed(restored)
                            return .verificationFailed
                        }
                        outcome = try await work.swap(restored, permit: permit)
                    }
                    if request != nil || isPlaced { await backups.used(request, record) }
                    do {
                        try RestoreOutput(session: session, plan: loaded.file)
                            .show(outcome, from: known, undone: isUndo, checks: checks)
                    } catch { session.complain("\(error)") }
                    return .ok
                } catch {
                    progress.end()
                    return backups.failed(error, "\(permit.database) is the one it was")
                }
            }
        }
    }

    static let backupRestored = Subcommand(
        "backup restored list", summary: "the databases that restores and swaps left beside the live one",
        details:
            "Prune drops the replaced ones once restore.keep_replaced is over. Restored ones stay until somebody drops them.",
        examples: ["serin backup restored list backups/checkout.yaml"], interruption: .ends
    ) { input throws(UsageError) in
        let argument = try PlanArgument(&input)
        return { session in
            let loaded = try await argument.load(session)
            return try await BackupSession.with(session) { backups in
                let entries = try await backups.work(loaded, "serin backup restored").sideDatabases()
                session.data(
                    .object([
                        "schema": .string("serin.dev/backup-restored/v1"),
                        "databases": .array(
                            entries.map { entry in
                                .object([
                                    "name": .string(entry.name), "what": entry.known.map { .string($0.role.rawValue) } ?? .null,
                                    "backup": entry.known.map { .string("\($0.backup)") } ?? .null,
                                    "since": entry.known.map { .string("\($0.at)") } ?? .null,
                                    "kept_until": entry.known?.keepUntil.map { .string("\($0)") } ?? .null,
                                    "size": entry.size.map { .integer($0) } ?? .null, "sessions": .integer(Int64(entry.sessions)),
                                    "failed_checks": entry.known?.failures.map { failed in
                                        .array(
                                            failed.map {
                                                .object(["name": .string($0.name), "detail": .string($0.detail)])
                                            })
                                    } ?? .null,
                                ])
                            }),
                    ])
                ) { style in BackupText.table(entries).lines(style) }
                for entry in entries {
                    for check in entry.known?.failures ?? [] {
                        session.complain("\(entry.name): \(check.name): \(plain(check.detail))")
                    }
                }
                if entries.isEmpty { session.note("no database of a restore or swap is left") }
                return .ok
            }
        }
    }

    static let backupDrop = Subcommand(
        "backup restored drop", summary: "drop a database that a restore or a swap left",
        details: """
            Only what serin backup restored list shows, never the live one, and nothing that somebody is connected to. One that was live
            until a swap holds what was written until then, perhaps as the only one: it needs --confirm with its own name.
            """,
        examples: ["serin backup restored drop backups/checkout.yaml checkout_restore_5f0c1a2b"], interruption: .ends
    ) { input throws(UsageError) in
        let confirm = try input.text("--confirm", value: "NAME", help: "the same name, for one that was replaced")
        let argument = try PlanArgument(&input)
        let name = try input.positional("NAME", help: "one of serin backup restored list")
        return { session in
            let loaded = try await argument.load(session)
            return try await BackupSession.with(session) { backups in
                let work = try await backups.work(loaded, "serin backup restored")
                let entry = try await work.sideDatabases().first { $0.name == name }
                if let entry, entry.known?.role == .replaced || entry.known == nil, confirm != name {
                    let why =
                        entry.known.map { "was live until \($0.at)" }
                        ?? "is not known to the catalogue, only its name looks like ours"
                    throw OperationError.refused(Refusal("\(name) \(why)", hint: "--confirm \(name) says that this is meant"))
                }
                do throws(Failure) { try await work.drop(name, by: backups.principal) } catch {
                    return backups.failed(error, "nothing was dropped")
                }
                if entry?.known == nil {
                    try await backups.note("restore", loaded.plan.target.description, nil, "dropped \(name)")
                }
                session.data(.object(["schema": .string("serin.dev/backup-dropped/v1"), "database": .string(name)])) { _ in
                    ["\(plain(name))  dropped"]
                }
                return .ok
            }
        }
    }

    static let backupErase = Subcommand(
        "backup erasure", summary: "note that a subject's data was erased, so that every restore erases it again",
        details: """
            For people who asked to be forgotten: backups from before still hold their data. The subject is what the plan's
            restore.erase_file finds as current_setting('serin.subject'): a number, never a name. It stays in the catalogue, and beside
            the objects, for good. Exit 1 when a destination could not be written: it is noted here all the same.
            """,
        examples: ["serin backup erasure backups/checkout.yaml 184467"], interruption: .ends
    ) { input throws(UsageError) in
        let argument = try PlanArgument(&input)
        let subject = try input.positional("SUBJECT", help: "how the application names it")
        guard input.isDescribing || (1...200).contains(subject.utf8.count) else {
            throw UsageError("a subject has 1 to 200 bytes")
        }
        return { session in
            let loaded = try await argument.load(session)
            return try await BackupSession.with(session) { backups in
                let target = loaded.plan.target.description
                let work = try await backups.work(loaded, "serin backup erasure")
                try await backups.note(Erasure.topic, target, nil, subject)
                let all = Set(try await backups.notes(Erasure.topic, target).map(\.text)).count
                session.data(
                    .object(["schema": .string("serin.dev/backup-erasure/v1"), "subjects": .integer(Int64(all))])
                ) { _ in ["\(all) subjects of \(target) are erased again after each restore"] }
                if loaded.plan.restore.eraseFile == nil {
                    session.complain("the plan has no restore.erase_file: restores will fail their checks until it has one")
                }
                return await backups.keepRegister(work) ? .ok : .unexpected
            }
        }
    }
}

extension BackupText {
    /// The databases that restores and swaps left.
    static func table(_ entries: [SideDatabases.Entry]) -> Table {
        var table = Table(header: ["DATABASE", "WHAT", "BACKUP", "SINCE", "SIZE", "SESSIONS", "CHECKS", "KEPT UNTIL"])
        for entry in entries {
            let checks = entry.known?.failures.map { failed in
                failed.isEmpty ? Table.Cell("passed") : Table.Cell("FAILED: \(failed.map(\.name).joined(separator: ", "))", .red)
            }
            table.rows.append([
                Table.Cell(entry.name), Table.Cell(entry.known?.role.rawValue ?? "unknown"),
                Table.Cell(entry.known.map { String("\($0.backup)".suffix(8)) } ?? "-"),
                Table.Cell(entry.known.map { "\($0.at)" } ?? "-"), Table.Cell(entry.size.map(size) ?? "-"),
                Table.Cell("\(entry.sessions)"), checks ?? Table.Cell("-"),
                Table.Cell(entry.known?.keepUntil.map { "\($0)" } ?? (entry.known == nil ? "-" : "it is dropped")),
            ])
        }
        return table
    }
}
