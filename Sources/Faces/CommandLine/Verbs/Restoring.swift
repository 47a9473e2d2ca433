internal import SerinAPI
internal import SerinBackups
internal import SerinCatalogue
internal import SerinController
internal import SerinModel
internal import SerinPolicies

/// One run of `backup restore`, by the kind of what is restored.
struct Restoring: Sendable {
    let arguments: RestoreArguments
    let loaded: LoadedBackupPlan
    let backups: BackupSession

    private var session: Session { backups.session }
    private var deadline: Duration { arguments.wish.deadline ?? loaded.plan.restore.deadline }

    private func work(_ progress: BackupProgress) async throws(Failure) -> any BackupWork {
        try await backups.work(loaded, "serin backup restore", identities: arguments.identities, progress: progress)
    }

    // MARK: databases

    /// A dump, beside the live database.
    func database(_ record: BackupRecord) async throws -> ExitCode {
        if arguments.wish.folder != nil {
            throw UsageError("a dump is restored into a database, not into a folder", hint: "leave --into out")
        }
        if arguments.swap, let part = record.facts?.server?.part {
            throw Failure(
                .denied, "this backup holds a part of the database, \(part.words), and takes no live one's place",
                hint: "restore it without --swap; serin backup merge brings the rows of a table back")
        }
        let progress = BackupProgress(session)
        let work = try await work(progress)
        if arguments.swap { try await work.expectSwapRights(nil, of: record.id) }
        // Whoever confirms has seen before what it is and how long it takes.
        try await announce(record)
        let (granted, request) = try await backups.permit(
            record, loaded, work, arguments.swap ? .swap : .beside, ChangeApproval.swap(leaving: arguments.differences),
            confirmed: arguments.confirm)
        var permit = granted
        permit.differences = arguments.differences
        try await backups.note("restore", record.order.target, record.id, "\(permit.scope.rawValue) for \(permit.database)")
        let (wish, final) = (arguments.wish, permit)
        let result = await within(deadline, "the restore") { () throws(Failure) in
            try await work.restore(record, wish, permit: final)
        }
        progress.end()
        switch result {
        case .failure(let failure):
            return backups.failed(
                failure,
                "\(permit.database) was not touched; what was begun beside it was dropped, or is shown by serin backup restored list"
            )
        case .success(let restored):
            var outcome: DatabaseSwap.Outcome?
            if arguments.swap, restored.passed {
                do throws(Failure) {
                    outcome = try await work.swap(restored, permit: permit)
                    await backups.used(request, record)
                } catch {
                    return backups.failed(
                        error,
                        "restored as \(restored.name), which stays; \(restored.live) is the one it was; again: "
                            + "serin backup swap \(plain(loaded.file)) \(restored.name) --confirm \(restored.live)")
                }
            }
            try RestoreOutput(session: session, plan: loaded.file).show(
                restored, outcome, isMasked: wish.isMasked, tables: wish.tables)
            return restored.passed || !wish.tables.isEmpty ? .ok : .verificationFailed
        }
    }

    // MARK: folders

    /// What is no dump of a database.
    func folder(_ record: BackupRecord) async throws -> ExitCode {
        try refuseDatabaseWishes(record.kind)
        let progress = BackupProgress(session)
        let work = try await work(progress)
        let place = arguments.wish.folder ?? "the server that the plan restores to"
        try await backups.note("restore", record.order.target, record.id, "into \(place)")
        try await announce(record)
        let (wish, principal) = (arguments.wish, backups.principal)
        let result = await within(deadline, "the restore") { () throws(Failure) in
            try await work.unpack(record, wish, by: principal)
        }
        progress.end()
        return try finish(result, record.kind)
    }

    /// A cluster, recovered to the target.
    func cluster(_ record: BackupRecord?) async throws -> ExitCode {
        if let record { try refuseDatabaseWishes(record.kind) }
        let progress = BackupProgress(session)
        let work = try await work(progress)
        let target = arguments.target ?? .base
        let cluster = ClusterRestore.Wish(
            target, timeline: arguments.timeline, role: arguments.role ?? "postgres", keepsRunning: arguments.keepsRunning)
        try await backups.note(
            "restore", loaded.plan.target.description, record?.id, "to \(target.words) into \(arguments.wish.folder ?? "-")")
        if let record { try await announce(record) }
        let (wish, principal) = (arguments.wish, backups.principal)
        let result = await within(deadline, "the restore") { () throws(Failure) in
            try await work.recover(record, wish, to: cluster, by: principal)
        }
        progress.end()
        return try finish(result, .baseFull)
    }

    private func refuseDatabaseWishes(_ kind: BackupKind) throws(UsageError) {
        for (isGiven, name) in [
            (arguments.swap, "--swap"), (!arguments.wish.tables.isEmpty, "--table"),
            (!arguments.wish.keepsOwners, "--no-owners"), (arguments.wish.isMasked, "--masked"),
        ] where isGiven { throw UsageError("\(name) is for dumps of databases, and this backup is a \(kind.rawValue) one") }
    }

    private func finish(_ result: Result<RestoredFolder, Failure>, _ kind: BackupKind) throws -> ExitCode {
        switch result {
        case .failure(let failure):
            return backups.failed(failure, RestoreOutput.untouched(by: failure, kind, in: arguments.wish.folder))
        case .success(let restored):
            try RestoreOutput(session: session, plan: loaded.file).show(restored)
            return restored.passed ? .ok : .verificationFailed
        }
    }

    /// What is about to happen, and how long it may take by what drills and restores of this target took.
    private func announce(_ record: BackupRecord) async throws(Failure) {
        let target = record.order.target
        let records = try await backups.state().records.filter { $0.order.target == target }
        let notes = try await backups.notes(RestoreTiming.topic, target)
        let estimate = RestoreEstimate(of: record, among: records, notes: notes).map { estimate in
            "about \(BackupText.length(estimate.usual)), up to \(BackupText.length(estimate.longest)) "
                + "(by the last \(estimate.count) restores and drills)"
        }
        let age = BackupText.length(session.now - record.consistentAt)
        let size = record.facts.map { BackupText.size(Int64($0.envelope.plainBytes)) } ?? "?"
        session.note(
            "\(record.id): \(record.kind.rawValue), \(size), of \(record.consistentAt), \(age) ago; "
                + "it takes \(estimate ?? "nobody knows how long, nothing was restored yet"); given up after \(deadline)")
    }
}
