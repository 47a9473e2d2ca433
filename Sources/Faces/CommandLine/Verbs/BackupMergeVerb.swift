internal import SerinAPI
internal import SerinBackups
internal import SerinCatalogue
internal import SerinController
internal import SerinModel
internal import SerinPolicies
internal import SerinRollouts

extension Subcommand {
    static let backupMerge = Subcommand(
        "backup merge", summary: "bring a table's lost rows back into the live database from one beside it",
        details: """
            Copies the table of a database that a restore or a swap left into a schema beside the live table and counts: which rows are
            missing, which of them cannot come back because a live row has their unique values by now or the rows that they refer to
            are not live, and which differ. Without
            --confirm that is all, and the schema is removed again. With --confirm and the number of rows that were shown, the missing
            ones are added in one transaction and read back; rows that are there stay as they are. Never more rows than --rows.
            Rows without what they refer to stay out, so tables that others refer to come first. Triggers and
            policies of the table run as the role that restores; so where one owner in the backup or the live database may not act for
            every other, a merge is refused unless restore.trust names him. Needs the plan's approvals.
            """,
        examples: [
            "serin backup merge backups/checkout.yaml checkout_restore_5f0c1a2b public.orders",
            "serin backup merge backups/checkout.yaml checkout_restore_5f0c1a2b public.orders --rows 512 --confirm checkout",
        ], interruption: .ends
    ) { input throws(UsageError) in
        let confirm = try input.text("--confirm", value: "DATABASE", help: "the live database's name")
        let rows = try input.option("--rows", value: "N", help: "how many rows may be added, as the plan showed") { text in
            Int64(text).flatMap { $0 >= 0 ? $0 : nil }
        }
        let room = try input.option(
            "--room", value: "SIZE", help: "how much may be copied beside the live table (default: 1GiB)",
            read: byteCount(policyText:))
        let argument = try PlanArgument(&input)
        let name = try input.positional("NAME", help: "one of serin backup restored list")
        let table = try input.positional("SCHEMA.TABLE", help: "the table")
        guard input.isDescribing || (confirm == nil) == (rows == nil) else {
            throw UsageError("--confirm and --rows belong together", hint: "without both the plan is shown, with the number")
        }
        guard input.isDescribing || table.contains(".") else {
            throw UsageError("'\(table)' names no schema", hint: "such as public.\(table)")
        }
        return { session in
            let loaded = try await argument.load(session)
            return try await BackupSession.with(session) { backups in
                let work = try await backups.work(loaded, "serin backup merge")
                guard let known = try await work.sideDatabases().first(where: { $0.name == name })?.known else {
                    throw OperationError.notFound(
                        "'\(plain(name))' is nothing that a restore or a swap left\n"
                            + "hint: serin backup restored list PLAN shows them")
                }
                let record = try await backups.record("\(known.backup)")
                let (granted, request) = try await backups.permit(
                    record, loaded, work, rows == nil ? .beside : .merge,
                    "merge at most \(rows ?? 0) rows of \(plain(table)) from \(plain(name))", confirmed: confirm)
                var permit = granted
                if let room { permit.room = room }
                do throws(Failure) {
                    let (plan, merged) = try await work.merge(table, from: name, agreed: rows, permit: permit)
                    if let merged {
                        if request != nil { await backups.used(request, record) }
                        try await backups.note(
                            "restore", record.order.target, record.id,
                            "merge of \(merged.added) rows of \(plan.table) from \(name) into \(permit.database)")
                    }
                    MergeOutput(session: session, file: loaded.file, live: permit.database).show(plan, merged)
                    return .ok
                } catch { return backups.failed(error, "\(permit.database) is as it was") }
            }
        }
    }
}

/// A merge that was planned or done, as data and in words with the next step.
private struct MergeOutput {
    let session: Session
    let file: String
    let live: String

    func show(_ plan: TableMerge.Plan, _ merged: TableMerge.Merged?) {
        session.data(
            .object([
                "schema": .string("serin.dev/backup-merge/v1"), "database": .string(live), "from": .string(plan.from),
                "table": .string(plan.table), "key": .array(plan.key.map { .string($0) }), "rows_there": .integer(plan.restored),
                "rows_live": .integer(plan.live), "missing": .integer(plan.missing), "conflicting": .integer(plan.conflicting),
                "without_parent": .integer(plan.orphaned), "without_parent_first": .array(plan.orphans.map { .string($0) }),
                "differing": .integer(plan.differing), "to_add": .integer(plan.added),
                "columns_left_out": .array(plan.leftOut.map { .string($0) }), "statement": .string(plan.statement),
                "added": merged.map { .integer($0.added) } ?? .null,
                "sequences_raised": .array((merged?.sequences ?? []).map { .string($0) }),
            ])
        ) { style in
            var table = Table(header: ["ROWS", "OF \(plain(plan.table))", "WHAT BECOMES OF THEM"])
            for (count, what, then) in [
                (plan.restored, "in \(plan.from)", "compared by \(plan.key.joined(separator: ", "))"),
                (plan.live, "in \(live)", "stay as they are"),
                (plan.added, "missing in \(live)", merged == nil ? "would be added" : "\(merged?.added ?? 0) were added"),
                (plan.conflicting, "missing, but a live row has their unique values", "stay out"),
                (plan.orphaned, "missing, but what they refer to is not in \(live)", "stay out"),
                (plan.differing, "in both, and differ", "the live ones stay"),
            ] { table.rows.append([Table.Cell("\(count)"), Table.Cell(what), Table.Cell(then)]) }
            return table.lines(style)
        }
        for remark in plan.remarks { session.note("note: \(plain(remark))") }
        if !plan.leftOut.isEmpty {
            session.note("note: only one of both tables has \(plain(plan.leftOut.joined(separator: ", "))), which is left out")
        }
        if plan.orphaned > 0 {
            let rest = plan.orphaned > Int64(plan.orphans.count) ? ", …" : ""
            session.note(
                "note: \(plan.orphaned) rows stay out, as what they refer to is not in \(live): "
                    + "\(plain(plan.orphans.joined(separator: "; ")))\(rest); bring back the rows that they refer to first, then these"
            )
        }
        guard let merged else {
            session.note(
                plan.added == 0
                    ? plan.missing == 0 ? "nothing is missing in \(live)" : "nothing that is missing in \(live) can come back"
                    : "nothing was changed; to add them:\n  serin backup merge \(plain(file)) \(plain(plan.from)) "
                        + "\(plain(plan.table)) --rows \(plan.added) --confirm \(live)")
            return
        }
        for sequence in merged.sequences { session.note("note: \(plain(sequence)) now stands behind the rows that were added") }
        session.note(
            "\(merged.added) rows of \(plain(plan.table)) are back in \(live) and were read again; afterwards: "
                + "serin backup restored drop \(plain(file)) \(plain(plan.from))")
    }
}
