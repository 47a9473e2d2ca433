internal import SerinCatalogue
internal import SerinModel
internal import SerinPorts
internal import SerinProcesses

/// What the catalogue's notes know about the restores of one target: what they left, how quick it was, who was erased.
struct RestoreNotes: Sendable {
    let target: String
    let catalogue: any CatalogueStore
    let now: @Sendable () -> Instant

    /// The databases that restores and swaps left.
    func databases() async throws(Failure) -> [SideDatabase] { SideDatabase.all(in: try await notes(SideDatabase.topic)) }

    /// Who the objects of a dump belong to, as the catalogue knows it: what was restored from it could say something else by now.
    func owners(of backup: BackupID) async throws(Failure) -> [String]? {
        do throws(CatalogueStoreError) { return try await catalogue.state()[backup]?.facts?.server?.ownerNames } catch {
            throw error.failure
        }
    }

    /// Remembers what became of a database.
    func remember(_ database: SideDatabase, by principal: Principal) async throws(Failure) {
        let note: AuditNote
        do throws(ManifestError) { note = try database.note(of: target, at: now(), by: principal) } catch {
            throw Failure(.invalid, error.description)
        }
        try await append(note)
    }

    /// Compares timings with those of before, and remembers them.
    func judge(_ timings: [QueryTiming], by principal: Principal) async throws(Failure) -> [BackupCheck] {
        guard !timings.isEmpty else { return [] }
        let past = try await notes(QueryTiming.topic)
        var checks: [BackupCheck] = []
        for timing in timings {
            let (judged, check) = timing.judged(against: timing.baseline(in: past))
            checks.append(check)
            let text: String
            do throws(ManifestError) { text = try judged.noteText() } catch { throw Failure(.invalid, error.description) }
            try await append(AuditNote(at: now(), by: principal, topic: QueryTiming.topic, target: target, text: text))
        }
        return checks
    }

    /// Remembers how long a restore took.
    func remember(_ timing: RestoreTiming, _ backup: BackupID, by principal: Principal) async throws(Failure) {
        let text: String
        do throws(ManifestError) { text = try timing.noteText() } catch { throw Failure(.invalid, error.description) }
        try await append(
            AuditNote(at: now(), by: principal, topic: RestoreTiming.topic, target: target, backup: backup, text: text))
    }

    /// The subjects that a database still holds, each once, in the order in which they were erased, and how many notes there are.
    ///
    /// - Parameter applied: How many of the notes were applied to it.
    func erasures(after applied: Int = 0) async throws(Failure) -> (subjects: [String], count: Int) {
        let all = try await notes(Erasure.topic)
        return (Erasure.subjects(in: all.dropFirst(applied)), all.count)
    }

    /// Erases everybody in a database who is noted as erased and was not yet erased there: after it was restored, or while it was put
    /// aside. Nobody comes back into the live database from it.
    ///
    /// - Returns: What was done, for the report.
    /// - Throws: `denied` where they cannot be erased.
    func erase(in name: String, _ server: RestoreServer, by principal: Principal) async throws(Failure) -> [String] {
        let known = try await databases().last { $0.name == name }
        let missing = try await erasures(after: known?.erasures ?? 0)
        guard !missing.subjects.isEmpty else { return [] }
        let check = try await onOwnThread { _ throws(Failure) in try server.erase(missing.subjects, in: name) }
        guard check.passed else {
            throw Failure(
                .denied, "\(name) may still hold people who were erased, and nothing of it goes live: \(check.detail)",
                hint: "restore.erase_file of the plan names the statements that erase one; the role that restores runs them")
        }
        if var known {
            known.erasures = missing.count
            known.isAltered = true
            try await remember(known, by: principal)
        }
        return ["\(name): \(check.detail)"]
    }

    /// Does something under the target's lease, which backups and migrations take too.
    ///
    /// - Parameter holder: nil for what touches nothing that is live, and needs no lease.
    /// - Throws: `conflict` while another holds it.
    func leased<Value: Sendable>(
        _ holder: LeaseHolder?, by principal: Principal, _ body: @escaping @Sendable () async throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        guard let holder else { return try await body() }
        let length = Duration.seconds(60)
        let request = LeaseRequest(target: target, holder: holder, by: principal, at: now(), duration: length)
        return try await LeaseKeeper(catalogue: catalogue, now: now, length: length).hold(request) { _ throws(Failure) in
            try await body()
        }
    }

    private func notes(_ topic: String) async throws(Failure) -> [AuditNote] {
        do throws(CatalogueStoreError) { return try await catalogue.notes(topic, of: target) } catch { throw error.failure }
    }

    private func append(_ note: AuditNote) async throws(Failure) {
        do throws(CatalogueStoreError) { try await catalogue.note(note) } catch { throw error.failure }
    }
}

extension SideDatabase {
    /// - Throws: `denied` unless it was restored to go live.
    func expectRestored() throws(Failure) {
        let (why, hint) =
            switch role {
            case .restored, .part: ("", "")
            case .making:
                (
                    "is half made: the restore that filled it was ended",
                    "serin backup restored drop, or the next restore, removes it"
                )
            case .masked: ("holds masked rows and never goes live", "restore the backup without --masked")
            case .tables: ("holds some tables and never goes live", "serin backup merge brings rows back from it")
            case .replaced: ("was live until a swap", "serin backup swap --undo takes that back")
            }
        guard why.isEmpty else { throw Failure(.denied, "\(name) \(why)", hint: hint) }
    }
}
