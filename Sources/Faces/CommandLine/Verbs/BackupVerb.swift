internal import Glibc
internal import SerinAPI
internal import SerinBackups
internal import SerinCatalogue
internal import SerinController
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinRollouts
internal import SerinSQLite

extension Subcommand {
    /// Every verb of backups, in the order of the help.
    static let backups: [Subcommand] = [
        backupCheck, backupCreate, backupRequest, backupCopy, backupList, backupShow, backupStats, backupExpiring, backupVerify,
        backupRestore,
        backupSwap, backupMerge, backupRestored, backupDrop, backupErase, backupApprove, backupPrune, backupHold, backupRelease,
        backupDrill, backupReadiness, backupMoments, backupExport,
        backupMetrics, backupMirror, catalogueCheck, catalogueImport,
        backupSchema,
    ]
}

/// What the exit codes mean for backups.
enum BackupExit {
    static let notes = [
        "Exit codes: 0 done, 1 the backup failed, 2 usage or invalid plan, 7 refused: busy, not ready, not approved or not",
        "supported yet, 8 a check failed: a copy, a restored database, or the catalogue against what is stored, 75 the catalogue",
        "cannot be used now, 124 the time of --timeout is over, 130 interrupted: in both cases what was under way was ended, and the",
        "last lines say where that stands",
    ]

    /// The code of a backup that was not made. What is not ready or busy changed nothing and may be tried again.
    static func code(of failure: BackupRunFailure) -> ExitCode {
        switch failure.stage {
        case .lease: failure.isBusy ? .refused : .unexpected
        case .preflight: .refused
        case .dump, .check, .store, .confirm, .manifest, .catalogue, .latest: .unexpected
        }
    }
}

/// The catalogue and plan that a verb works with.
struct BackupSession: Sendable {
    let session: Session
    let store: any CatalogueStore
    /// Does what nobody waits for: notifications, the mirror.
    let afterwork: Afterwork

    /// Opens the catalogue of the state folder for a body.
    ///
    /// - Parameter reads: Whether it only reads, so that a folder that is not there is a mistake and is not made, and a full disk no hindrance.
    static func with<Value: Sendable>(
        _ session: Session, reads: Bool = false, _ body: (BackupSession) async throws -> Value
    ) async throws -> Value {
        if reads, access(session.state.path, F_OK) != 0, errno == ENOENT {
            throw OperationError.notFound(
                "there is no state folder \(session.state.path), so no backup was made with it\n"
                    + "hint: --state or SERIN_STATE names another; serin backup create PLAN makes the first backup")
        }
        let assembly = session.assembly.backups
        let store = try await reads ? assembly.readCatalogue(session.state) : assembly.openCatalogue(session.state)
        let afterwork = Afterwork()
        let result: Result<Value, any Error> = await afterwork.beside {
            do {
                return .success(try await body(BackupSession(session: session, store: store, afterwork: afterwork)))
            } catch { return .failure(error) }
        }
        await store.close()
        return try result.get()
    }

    /// Brings what has changed to the plan's mirror, where it has one.
    func mirrorLater(_ loaded: LoadedBackupPlan) {
        session.assembly.backups.mirrorLater(loaded, session.state, by: afterwork.add) { session.complain($0) }
    }

    /// Writes what is held and who was erased beside the objects.
    ///
    /// - Parameter destination: The only one that is written to; nil for all.
    /// - Returns: Whether every destination has it now; where one has not is said.
    @discardableResult
    func keepRegister(_ work: any BackupWork, at destination: String? = nil) async -> Bool {
        let unkept: [RegisterKeeper.Unkept]
        do throws(Failure) { unkept = try await work.keepRegister(at: destination) } catch {
            session.complain("what is held and erased could not be noted beside the objects: \(error)")
            return false
        }
        for place in unkept {
            session.complain("what is held and erased could not be noted at \(place.destination): \(place.failure)")
        }
        return unkept.isEmpty
    }

    /// Who asks.
    var principal: Principal { BackupSession.principal(user: getuid(), session.environment) }

    /// Behind `sudo` the person who called it, so that two of them are two people: the catalogue is root's, or one account's.
    static func principal(user: UInt32, _ environment: [String: String]) -> Principal {
        guard user == 0, let caller = environment["SUDO_UID"].flatMap({ UInt32($0) }) else { return .uid(user) }
        return .uid(caller)
    }

    /// Every name under which whoever asks could have approved too: behind `sudo` also the account itself, and who called it.
    var own: Set<Principal> { BackupSession.own(session.environment) }

    /// Every name under which whoever asks could have approved too.
    static func own(_ environment: [String: String]) -> Set<Principal> {
        let caller = environment["SUDO_UID"].flatMap { UInt32($0) }.map { Principal.uid($0) }
        return Set([principal(user: getuid(), environment), .uid(getuid())] + (caller.map { [$0] } ?? []))
    }

    /// The catalogue now.
    func state() async throws(Failure) -> CatalogueState {
        do throws(CatalogueStoreError) { return try await store.state() } catch { throw error.failure }
    }

    /// Appends what happened.
    func append(_ events: [CatalogueEvent]) async throws(Failure) {
        do throws(CatalogueStoreError) { try await store.append(events) } catch { throw error.failure }
    }

    /// Appends a note for the audit.
    func note(
        _ topic: String, _ target: String, _ backup: BackupID?, _ text: String, at moment: Instant? = nil
    ) async throws(Failure) {
        let note = AuditNote(
            at: moment ?? session.now, by: principal, topic: topic, target: target, backup: backup, text: text)
        do throws(CatalogueStoreError) { try await store.note(note) } catch { throw error.failure }
    }

    /// Ends in the catalogue the runs of a target whose process is gone, so that they count as failed and keep no schedule quiet, and
    /// tells of each once. What they left is removed by the next run.
    func closeDeadRuns(_ loaded: LoadedBackupPlan, at now: Instant) async throws(Failure) {
        let target = loaded.plan.target.description
        let state = try await state()
        guard state.records.contains(where: { $0.state == .running && $0.order.target == target }) else { return }
        // Later than the state: what ran then and holds no lease now has ended.
        let lease = try await lease(of: target)
        for record in state.deadRuns(of: target, lease: lease, isAlive: lease?.holder.isAlive, at: now) {
            let event = CatalogueEvent(backup: record.id, at: now, by: principal, .failed(.runWasCutOff))
            do throws(CatalogueStoreError) { try await store.append([event]) } catch {
                // It ended meanwhile, or another has said so.
                if case .refused = error { continue }
                throw error.failure
            }
            session.complain("the \(record.kind.rawValue) backup \(record.id) of \(target) was cut off: its process is gone")
            guard loaded.plan.notify.on.contains(.failure) else { continue }
            try await work(loaded, "serin backup").tellCutOff(record)
        }
    }

    private func lease(of target: String) async throws(Failure) -> TargetLease? {
        do throws(CatalogueStoreError) { return try await store.leases().first { $0.target == target } } catch {
            throw error.failure
        }
    }

    /// Takes the notes in that were written since.
    func read(_ notes: inout TargetNotes) async throws(Failure) {
        while true {
            let entries: [CatalogueEntry]
            do throws(CatalogueStoreError) { entries = try await store.entries(after: notes.sequence, limit: 1000) } catch {
                throw error.failure
            }
            guard !entries.isEmpty else { return }
            notes.take(entries)
        }
    }

    /// How often the backups were opened.
    func reads() async throws(Failure) -> BackupReads {
        var reads = BackupReads()
        do throws(CatalogueStoreError) { reads.take(try await store.entries()) } catch { throw error.failure }
        return reads
    }

    /// The notes of a topic about a target, the oldest first.
    func notes(_ topic: String, _ target: String) async throws(Failure) -> [AuditNote] {
        do throws(CatalogueStoreError) { return try await store.notes(topic, of: target) } catch { throw error.failure }
    }

    /// One backup by its identifier, the end of it, or `latest` of a target.
    ///
    /// - Parameters:
    ///   - destination: Whose copy is wanted, to say how one that was condemned is read again; nil for any.
    ///   - kind: Which kinds `latest` may be; nil for any but those that go with others, where there are others.
    func record(
        _ name: String, target: String? = nil, at destination: String? = nil, kind: ((BackupKind) -> Bool)? = nil
    ) async throws -> BackupRecord {
        let records = try await state().history(BackupSelection(target: target), includingDead: true)
        if name == "latest" {
            let hasOthers = Set(records.filter { !$0.kind.accompaniesOthers }.map(\.order.target))
            func isWanted(_ record: BackupRecord) -> Bool {
                kind?(record.kind) ?? !(record.kind.accompaniesOthers && hasOthers.contains(record.order.target))
            }
            let targets = Set(records.filter { $0.state.isRestorable && isWanted($0) }.map(\.order.target)).sorted()
            guard targets.count <= 1 else {
                throw OperationError.refused(
                    Refusal(
                        "'latest' could be of \(targets.map { plain($0) }.joined(separator: ", "))",
                        hint: "name the backup itself, or its target with --target"))
            }
            guard let newest = records.first(where: { $0.state.isRestorable && isWanted($0) }) else {
                let condemned = records.first { $0.state == .quarantined && isWanted($0) }
                // As those are that were imported: what a manifest says was not read.
                let unread = records.filter { $0.state == .uploaded && isWanted($0) }.count
                let unreadWords =
                    "; \(unread) are stored and were not read back\nhint: serin backup verify PLAN --due reads them; what is as it was "
                    + "stored can be restored then"
                throw OperationError.notFound(
                    "there is no backup\(target.map { " of \($0)" } ?? "") that could be restored"
                        + (condemned.map { Self.words(ofCondemned: $0, at: destination) } ?? (unread > 0 ? unreadWords : "")))
            }
            return newest
        }
        let found = records.filter {
            "\($0.id)" == name.lowercased() || (name.count >= 4 && "\($0.id)".hasSuffix(name.lowercased()))
        }
        guard let record = found.first else {
            throw OperationError.notFound("there is no backup '\(plain(name))'\nhint: serin backup list shows them")
        }
        guard found.count == 1 else { throw OperationError.notFound("'\(plain(name))' could be \(found.count) backups") }
        return record
    }

    /// Which one was found bad last, and how it is read again: it may have been a fault of the place.
    private static func words(ofCondemned record: BackupRecord, at destination: String?) -> String {
        let why = record.failure.map { ": \(plain($0.message))" } ?? ""
        let damaged = record.copies.filter { $0.state == .damaged }.map(\.destination)
        let place = damaged.first { $0 == destination } ?? damaged.first
        return
            "; the newest, \(record.id), was found bad\(place.map { " at \($0)" } ?? "")\(why)\nhint: serin backup verify PLAN "
            + "\(record.id)\(place.map { " --from \($0)" } ?? "") reads it again, and it is good again if it is what was stored"
    }

    /// Puts a plan's own parts together.
    func work(
        _ loaded: LoadedBackupPlan, _ purpose: String, identities: [(certificate: String, key: String)] = [],
        progress: BackupProgress? = nil, makesKey: Bool = true
    ) async throws(Failure) -> any BackupWork {
        var options = BackupWorkOptions(purpose: purpose, identities: identities, later: afterwork.add) { progress?.show($0) }
        options.makesKey = makesKey
        options.warning = { [session] failure in
            progress?.end()
            session.note("warning: \(plainLines(failure.description))")
        }
        options.notifier = session.notifier
        return try await session.assembly.backups.open(loaded, session.state, store, options)
    }
}

/// A plan as the command line names it.
struct PlanArgument: Sendable {
    var file: String

    init(_ input: inout Arguments) throws(UsageError) {
        file = try input.positional("PLAN", help: "a backup plan; - reads standard input")
    }

    func load(_ session: Session) async throws(OperationError) -> LoadedBackupPlan {
        try await Self.load(file, session)
    }

    /// Several, in their order.
    static func load(_ files: [String], _ session: Session) async throws(OperationError) -> [LoadedBackupPlan] {
        var plans: [LoadedBackupPlan] = []
        for file in files { plans.append(try await load(file, session)) }
        return plans
    }

    static func load(_ file: String, _ session: Session) async throws(OperationError) -> LoadedBackupPlan {
        let text = try await PolicyArguments.text(of: file, kind: "plan")
        return try session.assembly.backups.readPlan(
            PolicySource(file: file == "-" ? PolicySource.standardInput : file, text: text))
    }

    /// `CERTIFICATE,KEY`
    static func identities(_ input: inout Arguments) throws(UsageError) -> [(certificate: String, key: String)] {
        try input.every(
            "--identity", value: "CERTIFICATE,KEY", help: "files that open backups for recipients; may stand several times"
        ) { text -> (certificate: String, key: String)? in
            let parts = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
            return parts.count == 2 && parts.allSatisfy { !$0.isEmpty } ? (parts[0], parts[1]) : nil
        }
    }
}

/// Which backups a list is about.
struct SelectionArguments: Sendable {
    var selection: BackupSelection

    init(_ input: inout Arguments) throws(UsageError) {
        let target = try input.text("--target", value: "TARGET", help: "only of this target")
        let project = try input.text("--project", value: "PROJECT", help: "only of this project")
        let kinds = BackupKind.allCases.map(\.rawValue).joined(separator: "|")
        let kind = try input.option("--kind", value: "KIND", help: kinds) { BackupKind(rawValue: $0) }
        selection = BackupSelection(project: project, target: target, kind: kind)
    }
}
