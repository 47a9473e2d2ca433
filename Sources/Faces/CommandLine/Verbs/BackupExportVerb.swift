internal import SerinAPI
internal import SerinBackups
internal import SerinCatalogue
internal import SerinController
internal import SerinModel
internal import SerinPolicies

extension Subcommand {
    static let backupExport = Subcommand(
        "backup export", summary: "give a backup out as a file, to keep or to carry elsewhere",
        details: """
            Whether the file can be written is looked at first. The copy is fetched and proven whole; the file appears under its name only
            once it is complete, for this user alone, and nothing is written over. It holds what the backup's tool made, decrypted. With
            --stored it is what is stored, and the manifest stands beside it as FILE.manifest.json: both can be put back and imported, or
            read without Serin. That opens nothing and needs no recipient's key, but what seals the manifests, by which they are believed:
            the plan's passphrase, or manifest.key of the state folder. Who asked for it, why, and what came of it is in the log.
            """,
        examples: [
            "serin backup export backups/checkout.yaml 5f0c1a2b --to orders.dump --reason 'for the auditors'",
            "serin backup export backups/checkout.yaml latest --stored --to /mnt/vault/checkout.backup --reason 'yearly archive'",
        ], interruption: .ends
    ) { input throws(UsageError) in
        let name = try input.text("--to", value: "FILE", help: "where to; there must be no such file")
        let reason = try input.text("-m", "--reason", value: "TEXT", help: "what it is for, for the log")
        let isStored = try input.flag("--stored", help: "as it is stored, with its manifest; opens nothing")
        let destination = try input.text("--destination", value: "NAME", help: "read this destination's copy")
        let identities = try PlanArgument.identities(&input)
        let argument = try PlanArgument(&input)
        let backup = try input.positional("BACKUP", help: "an identifier, the end of one, or latest")
        // The log and the answer name it for others, who are elsewhere.
        let file = name.flatMap { RestoreArguments.absolute($0) }
        guard (file != nil && reason != nil) || input.isDescribing else {
            throw UsageError("an export needs --to and --reason", hint: "--to FILE --reason TEXT")
        }
        if name == "-" { throw UsageError("an export goes to a file", hint: "--to FILE; ./- for one of that name") }
        if let reason, reason.allSatisfy(\.isWhitespace) {
            throw UsageError("an export needs a reason", hint: "--reason TEXT, for the log")
        }
        return { session in
            let loaded = try await argument.load(session)
            return try await BackupSession.with(session) { backups in
                let record = try await backups.record(backup, target: loaded.plan.target.description)
                let progress = BackupProgress(session)
                let work = try await backups.work(
                    loaded, "serin backup export", identities: identities, progress: progress, makesKey: false)
                let done: BackupExport.Exported
                do throws(Failure) {
                    done = try await work.export(
                        record, to: file ?? "", destination: destination, isStored: isStored, reason: reason ?? "",
                        by: backups.principal)
                } catch {
                    progress.end()
                    throw error
                }
                progress.end()
                backups.mirrorLater(loaded)
                session.data(
                    .object([
                        "schema": .string("serin.dev/backup-export/v1"), "backup": .string("\(done.backup)"),
                        "destination": .string(done.destination), "files": .array(done.files.map { .string($0) }),
                        "bytes": .integer(done.bytes), "sha256": .string(done.sha256),
                    ])
                ) { _ in done.files.map { plain($0) } }
                session.note("\(done.backup) from \(done.destination): \(BackupText.size(done.bytes)), SHA-256 \(done.sha256)")
                return .ok
            }
        }
    }
}
