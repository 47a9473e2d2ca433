internal import SerinAPI
internal import SerinCatalogue
internal import SerinController
internal import SerinModel
internal import SerinPolicies
internal import SerinRollouts

extension Subcommand {
    static let backupHold = Subcommand(
        "backup hold", summary: "keep a backup whatever the rules say",
        examples: ["serin backup hold 5f0c1a2b --legal --reason 'case 42'"], interruption: .ends
    ) { input throws(UsageError) in
        let legal = try input.flag("--legal", help: "for the law: it has no end")
        let span = try input.option("--for", value: "TIME", help: "for so long (default: until it is released)") {
            Duration(policyText: $0)
        }
        let reason = try input.required("-m", "--reason", value: "TEXT", help: "why, for the log")
        let name = try input.positional("BACKUP", help: "an identifier, the end of one, or latest")
        guard !legal || span == nil || input.isDescribing else { throw UsageError("--legal and --for exclude each other") }
        return { session in
            try await BackupSession.with(session) { backups in
                let record = try await backups.record(name)
                let hold = Hold(legal ? .legal : .permanent, reason: reason, until: span.map { session.now + $0 })
                try await backups.append([
                    CatalogueEvent(backup: record.id, at: session.now, by: backups.principal, .held(hold))
                ])
                return try await shown(
                    record.id, backups,
                    "held \(hold.until.map { "until \($0)" } ?? "until it is released"); serin backup release lets it go")
            }
        }
    }

    static let backupRelease = Subcommand(
        "backup release", summary: "let the rules decide about a backup again",
        examples: ["serin backup release 5f0c1a2b --legal --reason 'case 42 is closed'"], interruption: .ends
    ) { input throws(UsageError) in
        let legal = try input.flag("--legal", help: "the hold for the law")
        let reason = try input.required("-m", "--reason", value: "TEXT", help: "why, for the log")
        let name = try input.positional("BACKUP", help: "an identifier, the end of one, or latest")
        return { session in
            try await BackupSession.with(session) { backups in
                let record = try await backups.record(name)
                let kind = legal ? Hold.Kind.legal : .permanent
                guard record.holds.contains(where: { $0.kind == kind }) else {
                    throw OperationError.refused(Refusal("\(record.id) has no \(BackupText.word(kind)) hold"))
                }
                try await backups.note("release", record.order.target, record.id, reason)
                try await backups.append([
                    CatalogueEvent(backup: record.id, at: session.now, by: backups.principal, .released(kind))
                ])
                return try await shown(record.id, backups, "released; serin backup expiring shows when it goes")
            }
        }
    }

    static let backupApprove = Subcommand(
        "backup approve", summary: "agree that a backup takes a live database's place",
        details: "Holds for 24 hours. Who asks for the restore does not count as one of the people who approve.",
        examples: ["serin backup approve 5f0c1a2b --reason 'incident 7'"], interruption: .ends
    ) { input throws(UsageError) in
        let reason = try input.required("-m", "--reason", value: "TEXT", help: "why, for the log")
        let name = try input.positional("BACKUP", help: "an identifier or the end of one")
        return { session in
            try await BackupSession.with(session) { backups in
                let record = try await backups.record(name)
                try await backups.note(BackupSession.approval, record.order.target, record.id, reason)
                return try await shown(record.id, backups, "approved by \(backups.principal) for 24h")
            }
        }
    }

    private static func shown(_ id: BackupID, _ backups: BackupSession, _ words: String) async throws -> ExitCode {
        guard let record = try await backups.state()[id] else { return .unexpected }
        backups.session.data(try BackupText.document(record)) { _ in ["\(id)  \(words)"] }
        return .ok
    }
}

extension BackupSession {
    /// The topic of the notes by which people approve.
    static let approval = "approval"

    /// The people beside the one who asks who approved within the last day, sorted.
    func approvals(of record: BackupRecord) async throws(Failure) -> [Principal] {
        let notes = try await notes(BackupSession.approval, record.order.target)
        let fresh = notes.filter { $0.backup == record.id && session.now - $0.at < .hours(24) && $0.by != principal }
        return Set(fresh.map(\.by)).sorted()
    }
}
