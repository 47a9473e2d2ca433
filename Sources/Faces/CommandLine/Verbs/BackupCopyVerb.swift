internal import SerinAPI
internal import SerinBackups
internal import SerinCatalogue
internal import SerinController
internal import SerinModel
internal import SerinPolicies

extension Subcommand {
    static let backupCopy = Subcommand(
        "backup copy", summary: "make the copies that destinations lack, from a good one",
        details: """
            The object is carried as it is stored and read back; nothing is decrypted. With --missing every backup that lacks a copy at a
            destination, or has a damaged one there, except what retention has begun to thin out. Exit 1 when a copy is still missing.
            """,
        examples: ["serin backup copy backups/checkout.yaml 5f0c1a2b", "serin backup copy backups/checkout.yaml --missing"],
        interruption: .ends
    ) { input throws(UsageError) in
        let all = try input.flag("--missing", help: "every backup that lacks one")
        let argument = try PlanArgument(&input)
        let name = try input.optionalPositional("BACKUP", help: "an identifier, the end of one, or latest (the default)")
        guard !all || name == nil || input.isDescribing else { throw UsageError("--missing and BACKUP exclude each other") }
        return { session in
            let loaded = try await argument.load(session)
            let target = loaded.plan.target.description
            return try await BackupSession.with(session) { backups in
                let places = loaded.plan.destinations.map(\.name)
                let records =
                    all
                    ? try await backups.state().live(target: target).filter { $0.lacksCopy(at: places) }
                    : [try await backups.record(name ?? "latest", target: target)]
                if records.isEmpty {
                    session.note(
                        "by the catalogue every destination has what it should have; serin backup catalogue check asks them")
                }
                let work = try await backups.work(loaded, "serin backup copy")
                var isWhole = true
                for record in records {
                    let done = try await work.copy(record, by: backups.principal)
                    session.data(try BackupText.document(done.record)) { _ in
                        ["\(done.record.id)  " + done.record.usableCopies.map(\.destination).joined(separator: " ")]
                    }
                    for missing in done.missing {
                        isWhole = false
                        session.complain("\(record.id) at \(missing.destination): \(missing.failure)")
                    }
                }
                return isWhole ? .ok : .unexpected
            }
        }
    }
}

extension BackupRecord {
    /// Whether it can be restored and a destination never had a copy, or has a damaged one.
    fileprivate func lacksCopy(at places: [String]) -> Bool {
        guard state.isRestorable, !usableCopies.isEmpty, !copies.contains(where: { [.deleting, .deleted].contains($0.state) })
        else {
            return false
        }
        return places.contains { copy(at: $0)?.state.isUsable != true }
    }
}
