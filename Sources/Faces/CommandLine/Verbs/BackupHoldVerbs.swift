internal import SerinAPI
internal import SerinCatalogue
internal import SerinController
internal import SerinModel
internal import SerinPolicies
internal import SerinRollouts

extension Subcommand {
    static let backupHold = Subcommand(
        "backup hold", summary: "keep a backup whatever the rules say",
        details: """
            With --plan it is noted beside the objects at once, so that an import into another catalogue knows it; otherwise the daemon
            and the next backup do that. Exit 1 when a destination could not be written: it is held here all the same.
            """,
        examples: ["serin backup hold 5f0c1a2b --legal --reason 'case 42' --plan backups/checkout.yaml"], interruption: .ends
    ) { input throws(UsageError) in
        let legal = try input.flag("--legal", help: "for the law: it has no end")
        let span = try input.option("--for", value: "TIME", help: "for so long (default: until it is released)") {
            Duration(policyText: $0)
        }
        let reason = try input.required("-m", "--reason", value: "TEXT", help: "why, for the log")
        let file = try input.text("--plan", value: "PLAN", help: "note it beside the objects of this plan at once")
        let target = try input.text("--target", value: "TARGET", help: "whose latest")
        let name = try input.positional("BACKUP", help: "an identifier, the end of one, or latest")
        guard !legal || span == nil || input.isDescribing else { throw UsageError("--legal and --for exclude each other") }
        return { session in
            try await BackupSession.with(session) { backups in
                let loaded = try await PlanArgument.load(file.map { [$0] } ?? [], session).first
                let work = try await work(loaded, backups)
                let record = try await backups.record(name, target: loaded?.plan.target.description ?? target)
                let hold = Hold(legal ? .legal : .permanent, reason: reason, until: span.map { session.now + $0 })
                try await backups.append([
                    CatalogueEvent(backup: record.id, at: session.now, by: backups.principal, .held(hold))
                ])
                let isNoted = await noted(work, backups)
                let set = try await backups.state()[record.id]?.holds.last
                let code = try await shown(
                    record.id, backups,
                    "hold \(set?.id ?? "?"): held \(hold.until.map { "until \($0)" } ?? "until it is released"); serin backup release lets it go"
                )
                return isNoted ? code : .unexpected
            }
        }
    }

    static let backupRelease = Subcommand(
        "backup release", summary: "let the rules decide about a backup again",
        details: """
            Takes one hold away. Where several of the kind hold the backup, --hold says which; without it nothing is released, and they
            are listed.
            """,
        examples: [
            "serin backup release 5f0c1a2b --legal --reason 'case 42 is closed'",
            "serin backup release 5f0c1a2b --hold 9d03be12 --reason 'the audit is over'",
        ], interruption: .ends
    ) { input throws(UsageError) in
        let legal = try input.flag("--legal", help: "the hold for the law")
        let one = try input.text("--hold", value: "HOLD", help: "which one, where several hold it")
        let reason = try input.required("-m", "--reason", value: "TEXT", help: "why, for the log")
        let file = try input.text("--plan", value: "PLAN", help: "note it beside the objects of this plan at once")
        let target = try input.text("--target", value: "TARGET", help: "whose latest")
        let name = try input.positional("BACKUP", help: "an identifier, the end of one, or latest")
        return { session in
            try await BackupSession.with(session) { backups in
                let loaded = try await PlanArgument.load(file.map { [$0] } ?? [], session).first
                let work = try await work(loaded, backups)
                let record = try await backups.record(name, target: loaded?.plan.target.description ?? target)
                let hold = try released(one, legal ? .legal : .permanent, of: record, at: session.now)
                try await backups.note("release", record.order.target, record.id, reason)
                try await backups.append([
                    CatalogueEvent(backup: record.id, at: session.now, by: backups.principal, .releasedHold(hold.id))
                ])
                let isNoted = await noted(work, backups)
                let left = try await backups.state()[record.id]?.holds(at: session.now).count ?? 0
                let code = try await shown(
                    record.id, backups,
                    left == 0
                        ? "released; serin backup expiring shows when it goes"
                        : "released from hold \(hold.id); \(left) still hold it, as serin backup show says")
                return isNoted ? code : .unexpected
            }
        }
    }

    static let backupApprove = Subcommand(
        "backup approve", summary: "agree to a swap or merge that waits for it",
        details: """
            Whoever restores runs it first: it is refused, and says what there is to approve. What is approved is that operation on that
            database with that backup by that plan, once, within 24 hours. Who asked does not count. Who may not open the catalogue
            approves through the daemon of the same state folder (--state): it knows them by their login, so without sudo.
            """,
        examples: [
            "serin backup approve 5f0c1a2b --reason 'incident 7'",
            "serin backup approve 5f0c1a2b --request 3f9ac0d21b77 --reason 'incident 7' --state /var/lib/serin",
        ], interruption: .ends
    ) { input throws(UsageError) in
        let reason = try input.required("-m", "--reason", value: "TEXT", help: "why, for the log")
        let code = try input.text("--request", value: "CODE", help: "which change, where several wait")
        let name = try input.positional("BACKUP", help: "an identifier or the end of one")
        return { session in
            let approved: JSONValue
            if let daemon = try ControllerLocator(session).approvalDesk() {
                approved = try await daemon.approveBackup(name, request: code, reason: reason)
            } else {
                approved = try await BackupSession.with(session) { backups in
                    let record = try await backups.record(name)
                    let request = try await ChangeApprovals.approve(
                        ChangeSubject(record), code: code, reason: reason, by: backups.principal, in: backups.store,
                        at: session.now)
                    return ApprovedBackup(record.id, request.code, request.words, by: backups.principal).document
                }
            }
            session.data(approved) { _ in
                [
                    "\(approved["backup"]?.text ?? name)  approved by \(approved["by"]?.text ?? "you"), for 24 hours and once:",
                    "  \(plain(approved["change"]?.text ?? ""))",
                ]
            }
            return .ok
        }
    }

    /// The one that is meant: of its kind, and named where there are several.
    private static func released(
        _ id: String?, _ kind: Hold.Kind, of record: BackupRecord, at now: Instant
    ) throws(OperationError) -> Hold {
        let all = record.holds(at: now).filter { $0.kind == kind }
        let found = all.filter { id == nil || $0.id == id }
        if let hold = found.first, found.count == 1 { return hold }
        let word = BackupText.word(kind)
        guard !all.isEmpty else { throw .refused(Refusal("\(record.id) has no \(word) hold")) }
        let list = all.map { "\n  \($0.id)  \(plain($0.reason))\($0.until.map { ", until \($0)" } ?? "")" }.joined()
        throw .refused(
            Refusal(
                (id.map { "\(record.id) has no \(word) hold \(plain($0)), but" } ?? "\(record.id) has several \(word) holds:")
                    + list,
                hint: "--hold \(all[0].id) releases that one and no other"))
    }

    /// What notes it beside the objects, before anything is changed: it may be refused. Nil without a plan.
    private static func work(_ loaded: LoadedBackupPlan?, _ backups: BackupSession) async throws(Failure) -> (any BackupWork)? {
        guard let loaded else { return nil }
        return try await backups.work(loaded, "serin backup hold")
    }

    private static func noted(_ work: (any BackupWork)?, _ backups: BackupSession) async -> Bool {
        guard let work else { return true }
        return await backups.keepRegister(work)
    }

    private static func shown(_ id: BackupID, _ backups: BackupSession, _ words: String) async throws -> ExitCode {
        guard let record = try await backups.state()[id] else { return .unexpected }
        backups.session.data(try BackupText.document(record)) { _ in ["\(id)  \(words)"] }
        return .ok
    }
}
