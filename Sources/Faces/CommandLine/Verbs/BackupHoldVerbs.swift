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
        let name = try input.positional("BACKUP", help: "an identifier, the end of one, or latest")
        guard !legal || span == nil || input.isDescribing else { throw UsageError("--legal and --for exclude each other") }
        return { session in
            try await BackupSession.with(session) { backups in
                let loaded = try await PlanArgument.load(file.map { [$0] } ?? [], session).first
                let record = try await backups.record(name, target: loaded?.plan.target.description)
                let hold = Hold(legal ? .legal : .permanent, reason: reason, until: span.map { session.now + $0 })
                try await backups.append([
                    CatalogueEvent(backup: record.id, at: session.now, by: backups.principal, .held(hold))
                ])
                let isNoted = try await noted(loaded, backups)
                let code = try await shown(
                    record.id, backups,
                    "held \(hold.until.map { "until \($0)" } ?? "until it is released"); serin backup release lets it go")
                return isNoted ? code : .unexpected
            }
        }
    }

    static let backupRelease = Subcommand(
        "backup release", summary: "let the rules decide about a backup again",
        examples: ["serin backup release 5f0c1a2b --legal --reason 'case 42 is closed'"], interruption: .ends
    ) { input throws(UsageError) in
        let legal = try input.flag("--legal", help: "the hold for the law")
        let reason = try input.required("-m", "--reason", value: "TEXT", help: "why, for the log")
        let file = try input.text("--plan", value: "PLAN", help: "note it beside the objects of this plan at once")
        let name = try input.positional("BACKUP", help: "an identifier, the end of one, or latest")
        return { session in
            try await BackupSession.with(session) { backups in
                let loaded = try await PlanArgument.load(file.map { [$0] } ?? [], session).first
                let record = try await backups.record(name, target: loaded?.plan.target.description)
                let kind = legal ? Hold.Kind.legal : .permanent
                guard record.holds.contains(where: { $0.kind == kind }) else {
                    throw OperationError.refused(Refusal("\(record.id) has no \(BackupText.word(kind)) hold"))
                }
                try await backups.note("release", record.order.target, record.id, reason)
                try await backups.append([
                    CatalogueEvent(backup: record.id, at: session.now, by: backups.principal, .released(kind))
                ])
                let isNoted = try await noted(loaded, backups)
                let code = try await shown(record.id, backups, "released; serin backup expiring shows when it goes")
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
                    let request = try await BackupApprovals.approve(
                        record, code: code, reason: reason, by: backups.principal, in: backups.store, at: session.now)
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

    private static func noted(_ loaded: LoadedBackupPlan?, _ backups: BackupSession) async throws -> Bool {
        guard let loaded else { return true }
        return await backups.keepRegister(try await backups.work(loaded, "serin backup hold"))
    }

    private static func shown(_ id: BackupID, _ backups: BackupSession, _ words: String) async throws -> ExitCode {
        guard let record = try await backups.state()[id] else { return .unexpected }
        backups.session.data(try BackupText.document(record)) { _ in ["\(id)  \(words)"] }
        return .ok
    }
}
