internal import SerinAPI
internal import SerinBackups
internal import SerinCatalogue
internal import SerinController
internal import SerinModel
internal import SerinPolicies

extension Subcommand {
    static let backupCreate = Subcommand(
        "backup create", summary: "make a backup now, or those that are due",
        details: """
            Done means: every required destination gave back exactly the bytes that were made, and the catalogue knows. With
            --scheduled only what the plan's schedules want now is made, one of each kind, which suits cron and systemd timers;
            nothing due, or nothing new to back up, is exit 0. Exit 7 when the target is busy or not ready, 1 when the backup failed.
            """,
        examples: [
            "serin backup create backups/checkout.yaml --label before-import",
            "serin backup create backups/checkout.yaml --scheduled -o json",
        ], interruption: .ends
    ) { input throws(UsageError) in
        let scheduled = try input.flag("--scheduled", help: "only what is due")
        let kind = try input.option("--kind", value: "KIND", help: "what is made (default: the source's first)") {
            BackupKind(rawValue: $0)
        }
        let label = try input.option("--label", value: "NAME", help: "a short name") { BackupSchedule.isLabel($0) ? $0 : nil }
        let purpose = try input.text("-m", "--reason", value: "TEXT", help: "what it is for (default: the plan's purpose)")
        let tags = try input.every("--tag", value: "TAG", help: "a mark; may stand several times") { text in
            text.isEmpty || text.utf8.contains { $0 < 0x20 || $0 == 0x7F } ? nil : text
        }
        let argument = try PlanArgument(&input)
        return { session in
            let loaded = try await argument.load(session)
            return try await BackupSession.with(session) { backups in
                let items: [BackupAgenda.Item]
                if scheduled {
                    try await backups.closeDeadRuns(loaded, at: session.now)
                    let agenda = try await backups.agenda(of: loaded.plan, at: session.now)
                    if let remark = agenda.remark { session.complain("\(loaded.plan.target): \(remark)") }
                    items = agenda.due
                    if items.isEmpty { session.note("nothing is due\(agenda.next.map { "; next at \($0)" } ?? "")") }
                } else {
                    items = [
                        BackupAgenda.Item(kind: kind ?? loaded.plan.source.defaultKind, label: label)
                    ]
                }
                var code = ExitCode.ok
                for item in items {
                    guard !Task.isCancelled else {
                        session.note("of what is due was not begun: \(item.kind.rawValue)")
                        continue
                    }
                    let request = BackupRequest(
                        by: backups.principal, purpose: purpose ?? loaded.plan.purpose, label: item.label ?? label, tags: tags,
                        tier: scheduled ? item.label ?? "scheduled" : "manual")
                    let result = try await backups.create(loaded, item.kind, request)
                    if code == .ok { code = result }
                }
                backups.mirrorLater(loaded)
                return code
            }
        }
    }
}

extension BackupSession {
    /// What a plan's schedules want now.
    func agenda(
        of plan: BackupPlan, at now: Instant, chance: (String) -> Double = BackupAgenda.steadyChance
    ) async throws(Failure) -> BackupAgenda {
        var notes = TargetNotes(of: plan.target.description)
        try await read(&notes)
        return BackupAgenda(
            of: plan, try await state().records, notes, at: now, chance: chance, offsets: session.assembly.backups.offsets)
    }

    /// Notes that there was nothing to back up, by which the schedule knows that it was looked at. Where that fails it looks again.
    func noteNothing(_ kind: BackupKind, _ target: String, _ why: BackupRunFailure, at now: Instant) async {
        try? await note(BackupAgenda.nothingTopic(kind), target, nil, why.failure.message, at: now)
    }

    /// Makes one backup and says what came of it.
    func create(
        _ loaded: LoadedBackupPlan, _ kind: BackupKind, _ request: BackupRequest
    ) async throws(Failure) -> ExitCode {
        let progress = BackupProgress(session)
        let work = try await work(loaded, "serin backup create", progress: progress)
        let target = loaded.plan.target
        do throws(BackupRunFailure) {
            let result = try await work.create(kind, request)
            progress.end()
            try report(result, loaded)
            // The next one makes up for it.
            await keepRegister(work)
            return .ok
        } catch {
            progress.end()
            if error.isNothing {
                session.data(
                    .object([
                        "schema": .string("serin.dev/backup/v1"), "ok": .bool(true), "backup": .null,
                        "nothing": .string(error.failure.message),
                    ])
                ) { _ in [] }
                session.note("nothing to back up: \(plain(error.failure.message))")
                await noteNothing(kind, target.description, error, at: session.now)
                return .ok
            }
            session.data(
                .object([
                    "schema": .string("serin.dev/backup/v1"), "ok": .bool(false), "stage": .string(error.stage.rawValue),
                    "error": .string(error.failure.message), "backup": error.backup.map { .string("\($0)") } ?? .null,
                ])
            ) { _ in [] }
            session.complain("no backup of \(target) was made: \(error)")
            let code = BackupExit.code(of: error)
            session.note(
                code == .refused
                    ? "no backup was begun; run it again once that is settled"
                    : "what was begun was removed, or is removed by the next run; older backups are untouched")
            return code
        }
    }

    private func report(_ result: BackupRunResult, _ loaded: LoadedBackupPlan) throws(BackupRunFailure) {
        let record = result.record
        let document: JSONValue
        do throws(Failure) { document = try BackupText.document(record) } catch {
            throw BackupRunFailure(.catalogue, error, backup: record.id)
        }
        session.data(
            .object([
                "schema": .string("serin.dev/backup/v1"), "ok": .bool(true), "backup": document,
                "missing": .array(
                    result.missing.map {
                        .object(["destination": .string($0.destination), "error": .string($0.failure.message)])
                    }), "remarks": .array(result.remarks.map { .string($0) }),
                "stages": .array(
                    result.times.map {
                        .object(["stage": .string($0.stage.rawValue), "milliseconds": .integer($0.time.milliseconds)])
                    }),
            ])
        ) { _ in
            [
                "\(record.id)  \(loaded.plan.target)  \(record.kind.rawValue)  \(BackupText.size(record.size ?? 0))  \(record.state.rawValue)"
            ]
        }
        for remark in result.remarks { session.note("note: \(plain(remark))") }
        for copy in record.usableCopies {
            guard let limit = loaded.plan.destinations.first(where: { $0.name == copy.destination })?.warnSize,
                let size = record.size, size > limit
            else { continue }
            session.note(
                "warning: \(BackupText.size(size)) at \(copy.destination), more than the \(BackupText.size(limit)) of warn_size")
        }
        for missing in result.missing {
            session.note("warning: no copy at \(missing.destination): \(plain(missing.failure.message))")
        }
        session.note(
            "stored and read back at \(record.usableCopies.map(\.destination).joined(separator: ", ")); "
                + "next: serin backup verify \(plain(loaded.file)) \("\(record.id)".suffix(8))")
    }
}
