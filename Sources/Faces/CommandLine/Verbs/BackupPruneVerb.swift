internal import SerinAPI
internal import SerinBackups
internal import SerinCatalogue
internal import SerinController
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts

extension Subcommand {
    static let backupPrune = Subcommand(
        "backup prune", summary: "warn about and delete what the plan no longer keeps",
        details: """
            Run it under an identity of its own that may delete; the one that makes backups needs no such right. Unusually many
            deletions, a clock that moved and plans that only propose need a person: exit 7, and --agree DELETIONS with their number.
            Databases that a swap replaced are dropped once restore.keep_replaced is over, unless somebody uses them; each is said.
            """,
        examples: ["serin backup prune backups/checkout.yaml --dry-run", "serin backup prune backups/checkout.yaml"],
        interruption: .ends
    ) { input throws(UsageError) in
        let dry = try input.flag("--dry-run", help: "only say what would be done")
        let agreed = try input.option("--agree", value: "DELETIONS", help: "how many deletions a person has agreed to") {
            Int($0).flatMap { $0 >= 0 ? $0 : nil }
        }
        let argument = try PlanArgument(&input)
        return { session in
            let loaded = try await argument.load(session)
            return try await BackupSession.with(session) { backups in
                let target = loaded.plan.target.description
                let lastRun = try await backups.notes(BackupPruner.topic, target).last?.at
                let preview = Retention(of: loaded.plan).evaluate(
                    try await backups.state().live(target: target),
                    in: RetentionCircumstances(
                        now: session.now, lastRun: lastRun, imported: try await backups.store.unsettledImports(of: target).count))
                let due = SideDatabase.due(
                    in: SideDatabase.all(in: try await backups.notes(SideDatabase.topic, target)), at: session.now)
                if dry {
                    show(preview, nil, session, databases: due.map { ($0.name, "delete: kept until \($0.keepUntil ?? $0.at)") })
                    session.note(
                        "\(words(preview)), \(due.count) replaced databases would be dropped; nothing was done (--dry-run)")
                    return .ok
                }
                if preview.needsApproval, agreed != preview.deletions.count {
                    show(preview, nil, session)
                    for brake in preview.brakes { session.complain(words(brake)) }
                    session.note(
                        "nothing was done; after a look at the list: serin backup prune PLAN --agree \(preview.deletions.count)")
                    return .refused
                }
                let work = try await backups.work(loaded, "serin backup prune")
                let done = try await work.prune(lastRun: lastRun, agreed: agreed != nil, by: backups.principal)
                backups.mirrorLater(loaded)
                var sides = SideDatabases.Pruned()
                do throws(Failure) {
                    if !due.isEmpty, !Task.isCancelled { sides = try await work.dropDue(by: backups.principal) }
                } catch { sides.failures = due.map { ($0.name, error) } }
                show(
                    done.plan, done.report, session,
                    databases: sides.dropped.map { ($0.name, "dropped") } + sides.failures.map { ($0.name, "not dropped") })
                for database in sides.dropped {
                    session.note("dropped \(plain(database.name)), which \(plain(database.live)) was until \(database.at)")
                }
                for undone in sides.failures { session.complain("\(plain(undone.name)) was not dropped: \(undone.failure)") }
                for undone in done.report.failures {
                    session.complain("\(undone.entry.backup) at \(undone.entry.destination ?? "-"): \(undone.failure)")
                }
                session.note(done.report.words)
                let isDone = done.report.failures.isEmpty && done.report.unbegun.isEmpty && sides.failures.isEmpty
                return isDone ? .ok : .unexpected
            }
        }
    }

    private static func words(_ plan: PrunePlan) -> String {
        let warnings = plan.entries.count {
            if case .warn = $0.step { return true }
            return false
        }
        return "\(plan.deletions.count) of \(plan.entries.count) copies would be deleted, \(warnings) warned about"
    }

    private static func words(_ brake: PruneBrake) -> String {
        switch brake {
        case .many(let deletions, let all): "\(deletions) of \(all) copies would be deleted at once"
        case .clock(let moved): "the clock moved by \(moved) since the last run"
        case .proposesOnly(let destination): "the plan only proposes deletions at \(destination)"
        case .imported(let count):
            "\(count) backups were imported, and what held them is not known: see that everything is held that must be kept"
        }
    }

    private static func word(_ step: PruneStep) -> Table.Cell {
        switch step {
        case .keep: Table.Cell("keep")
        case .spare: Table.Cell("spare", .green)
        case .warn(let time): Table.Cell("warn: goes at \(time)", .yellow)
        case .wait(let time): Table.Cell("wait until \(time)", .yellow)
        case .delete(let reason): Table.Cell("delete: \(reason)", .red)
        }
    }

    private static func word(_ reason: KeepReason) -> String {
        switch reason {
        case .noRule: "no rule"
        case .recent: "recent"
        case .tier(let tier): tier.rawValue
        case .floor: "floor"
        case .frozen: "frozen: no fresh verified one"
        case .held(.permanent): "held by a person"
        case .held(let kind): "held: \(BackupText.word(kind))"
        case .compliance(let name): "class \(name)"
        case .unknownClass(let name): "unknown class \(name)"
        case .rollout(let rollout): "rollout \(rollout)"
        case .locked(let time): "locked until \(time)"
        case .future: "from the future"
        case .dependency(let backup): "needed by \("\(backup)".suffix(8))"
        case .pointInTime: "point in time"
        case .unfinished: "unfinished"
        case .evidence: "evidence"
        }
    }

    private static func show(
        _ plan: PrunePlan, _ report: BackupPruner.Report?, _ session: Session, databases: [(name: String, step: String)] = []
    ) {
        let entries = plan.entries
        session.data(
            .object([
                "schema": .string("serin.dev/backup-prune/v1"), "done": .bool(report != nil),
                "needs_approval": .bool(plan.needsApproval), "brakes": .array(plan.brakes.map { .string(words($0)) }),
                "failures": .integer(report?.failures.count ?? 0),
                "databases": .array(
                    databases.map { .object(["database": .string($0.name), "step": .string($0.step)]) }),
                "copies": .array(
                    entries.map { entry in
                        .object([
                            "backup": .string("\(entry.backup)"), "destination": entry.destination.map { .string($0) } ?? .null,
                            "step": .string(word(entry.step).text), "reasons": .array(entry.reasons.map { .string(word($0)) }),
                            "expires_at": entry.expiresAt.map { .string("\($0)") } ?? .null,
                        ])
                    }),
            ])
        ) { style in
            var table = Table(header: ["BACKUP", "DESTINATION", "CREATED", "STEP", "KEPT FOR"])
            for entry in entries {
                table.rows.append([
                    Table.Cell("\(entry.backup)"), Table.Cell(entry.destination ?? "-"), Table.Cell("\(entry.createdAt)"),
                    word(entry.step), Table.Cell(entry.reasons.map(word).joined(separator: ", ")),
                ])
            }
            for database in databases {
                table.rows.append([
                    Table.Cell(database.name), "the server", "-", Table.Cell(database.step, .red), "replaced by a swap",
                ])
            }
            return table.lines(style)
        }
    }
}
