internal import Glibc
internal import SerinAPI
internal import SerinBackups
internal import SerinCatalogue
internal import SerinController
internal import SerinModel
internal import SerinPolicies
internal import SerinRollouts

extension Subcommand {
    static let backupRestore = Subcommand(
        "backup restore", summary: "restore beside what is live, check it, and swap when told to",
        details: """
            Nothing live is ever overwritten. A dump goes into a database of its own, which is checked; --swap then puts it in the live
            one's place by renaming both, and the replaced one is kept for restore.keep_replaced. It needs --confirm with the live
            database's name, and the plan's approvals: refused without, it says what serin backup approve is for. Everything else goes into a folder of its own
            (--into): files, Redis, logs, and physical backups of Postgres, which a server of their own recovers up to --to; the target
            is checked against what can be reached before anything is touched, and where recovery ended is said.
            Exit 7 when it is refused, 8 when a check failed; then nothing was swapped. 1 when it could not be done.
            """,
        examples: [
            "serin backup restore backups/checkout.yaml latest",
            "serin backup restore backups/checkout.yaml 5f0c1a2b --swap --confirm checkout",
            "serin backup restore backups/checkout.yaml latest --table public.orders",
            "serin backup restore backups/cluster.yaml latest --into /var/lib/postgresql/r1 --to 2026-11-21T13:27:38Z",
        ], interruption: .ends
    ) { input throws(UsageError) in
        let arguments = try RestoreArguments(&input)
        return { session in
            let loaded = try await arguments.plan.load(session)
            return try await BackupSession.with(session) { backups in
                let restoring = Restoring(arguments: arguments, loaded: loaded, backups: backups)
                let wanted = loaded.plan.source
                let target = loaded.plan.target.description
                if arguments.backup == "latest", arguments.target != nil { return try await restoring.cluster(nil) }
                let record = try await backups.record(arguments.backup, target: target) { wanted.isRestored($0) }
                if arguments.target != nil || record.kind.isPhysicalBase { return try await restoring.cluster(record) }
                return try await record.kind == .logical ? restoring.database(record) : restoring.folder(record)
            }
        }
    }
}

extension Arguments {
    /// How many differences a swap may make.
    mutating func differences() throws(UsageError) -> Int {
        try option(
            "--differences", value: "N", help: "swap though the live one has N things that this lacks, as a refusal names them",
            read: { Int($0).flatMap { $0 >= 0 ? $0 : nil } }) ?? 0
    }
}

extension SourcePolicy {
    /// Whether `latest` may mean a backup of a kind: what a restore of the plan's own data begins with.
    func isRestored(_ kind: BackupKind) -> Bool {
        switch self {
        case .postgres: kind == .logical
        case .postgresPhysical: kind.isPhysicalBase
        case .redis: kind == .redisRDB || kind == .redisAOF
        case .files, .logs, .mongo, .clickhouse, .command: kind == defaultKind
        }
    }
}

/// What `backup restore` was told.
struct RestoreArguments: Sendable {
    var plan: PlanArgument
    var backup: String
    var swap: Bool
    var confirm: String?
    var differences: Int
    var wish = RestoreWish()
    var target: PointInTimeRestore.Target?
    var timeline: Int?
    var role: String?
    var keepsRunning: Bool
    var identities: [(certificate: String, key: String)]

    init(_ input: inout Arguments) throws(UsageError) {
        swap = try input.flag("--swap", help: "put it in the live database's place")
        confirm = try input.text("--confirm", value: "DATABASE", help: "the live database's name")
        differences = try input.differences()
        let inPlace = try input.flag("--in-place", help: "refused: nothing live is overwritten, see --swap")
        wish.tables = try input.every("--table", value: "SCHEMA.TABLE", help: "only this table; may stand several times") {
            $0.contains(".") ? $0 : nil
        }
        wish.isMasked = try input.flag(
            "--masked", help: "mask it by the plan's restore.mask, for people who may not see the data")
        wish.keepsOwners =
            !(try input.flag("--no-owners", help: "give everything to the role that restores, without grants"))
        wish.folder = try input.option("--into", value: "FOLDER", help: "where to; it must be empty or not exist") {
            RestoreArguments.absolute($0)
        }
        target = try input.option(
            "--to", value: "TARGET", help: PointInTimeRestore.Target.help, read: PointInTimeRestore.Target.init(argument:))
        timeline = try input.option(
            "--timeline", value: "N", help: "the timeline to end on (default: the one live at a moment, else the newest)"
        ) {
            Int($0).flatMap { $0 > 0 ? $0 : nil }
        }
        role = try input.text("--role", value: "NAME", help: "a superuser of the restored cluster (default: postgres)")
        keepsRunning = try input.flag("--keep-running", help: "leave the restored cluster's server running, on a private socket")
        wish.destination = try input.text("--from", value: "DESTINATION", help: "whose copy (default: the first usable one)")
        wish.deadline = try input.option("--deadline", value: "TIME", help: "how long it may take (default: restore.deadline)") {
            Duration(policyText: $0)
        }
        identities = try PlanArgument.identities(&input)
        plan = try PlanArgument(&input)
        backup = try input.positional("BACKUP", help: "an identifier, the end of one, or latest")
        guard !input.isDescribing else { return }
        if inPlace {
            throw UsageError(
                "a live database is never overwritten: what is wrong in the backup would be found too late",
                hint: "--swap restores beside it, checks, takes its place in a moment, and can be taken back")
        }
        for (isGiven, name) in [
            (!wish.tables.isEmpty, "--table"), (wish.isMasked, "--masked"), (wish.folder != nil, "--into"),
            (target != nil, "--to"),
        ] where swap && isGiven { throw UsageError("--swap and \(name) exclude each other") }
        if target != nil, wish.folder == nil {
            throw UsageError("--to needs a folder for the cluster", hint: "--into FOLDER, which is empty or does not exist")
        }
    }

    /// A path as seen from here; nil for none at all.
    static func absolute(_ path: String) -> String? {
        guard !path.isEmpty, !path.hasPrefix("/") else { return path.isEmpty ? nil : path }
        guard let folder = getcwd(nil, 0) else { return nil }
        defer { free(folder) }
        return String(cString: folder) + "/" + path
    }
}

extension BackupSession {
    /// What the person who asks may do with a backup: nothing to a live database without its name and the plan's approvals of this
    /// very change.
    ///
    /// - Parameters:
    ///   - operation: What is done, for those who approve; nil where nothing live is changed, or what was approved is only finished.
    func permit(
        _ record: BackupRecord, _ loaded: LoadedBackupPlan, _ work: any BackupWork, _ scope: RestorePermit.Scope,
        _ operation: String?, confirmed: String?
    ) async throws -> (permit: RestorePermit, request: ChangeApproval?) {
        let live = try work.liveDatabase()
        var permit = RestorePermit(backup: record.id, database: live, scope: scope, by: principal)
        let consequence: String
        switch scope {
        case .beside: return (permit, nil)
        case .merge: consequence = "rows would be added to the live database \(live)"
        case .swap: consequence = "the live database \(live) would be replaced"
        }
        guard confirmed == live else {
            throw OperationError.refused(Refusal(consequence, hint: "--confirm \(live) says that this is meant"))
        }
        let needed = loaded.plan.restore.approvals
        guard needed > 0, let operation else { return (permit, nil) }
        let request = ChangeApproval(
            operation, database: live, number: try await work.liveNumber(), backup: record.id, plan: loaded.hash)
        permit.approvedBy = try await ChangeApprovals(of: ChangeSubject(record), in: store, at: session.now).people(
            for: request, except: own)
        guard permit.approvedBy.count >= needed else {
            try await note(
                ChangeApproval.askedTopic, record.order.target, record.id, "\(request.code) \(request.words)")
            throw OperationError.refused(
                Refusal(
                    "approvals needed by other people than \(principal): \(needed), there are \(permit.approvedBy.count), "
                        + "for this: \(request.words)",
                    hint: "serin backup approve \("\(record.id)".suffix(8)) --request \(request.code) --reason TEXT, by someone "
                        + "else under a login of their own; it counts for 24 hours, once")
            )
        }
        return (permit, request)
    }

    /// Uses up the approvals of what was done; nil for every one of the backup.
    func used(_ request: ChangeApproval?, _ record: BackupRecord) async {
        do throws(Failure) {
            try await note(ChangeApproval.usedTopic, record.order.target, record.id, request?.code ?? "*")
        } catch { session.complain("the catalogue was not told that the approvals are used up: \(error)") }
    }

    /// The exit code of work that was not done, which is said with what is still as it was.
    func failed(_ failure: Failure, _ words: String) -> ExitCode {
        session.complain(failure.description)
        session.note(words)
        return failure.kind == .denied || failure.kind == .conflict ? .refused : .unexpected
    }
}
