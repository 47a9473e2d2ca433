public import SerinModel
public import SerinPolicies

/// Everything that decides which way the schema and the data go back.
///
/// The tree: nothing applied → nothing; not readable → a person; only additions that the previous version survives → keep, or take
/// back as the policy says; reversible → take back; anything that may have destroyed data → only with a verified backup, fenced
/// writes, a way to restore and people's agreement, the smallest loss first; else a person. There is no other way to a restore.
public struct RollbackQuestion: Sendable, Hashable {
    /// The revisions that were applied since the recorded one, oldest first; nil when nobody can tell.
    public var applied: [PlannedRevision]?
    /// Where the schema goes back to; nil is before the first revision.
    public var target: RevisionID?
    /// What the policy says of an additive schema.
    public var schema: MigrationPolicy.Schema
    /// What was written since the plan was made, by table; nil when nobody can tell.
    public var written: [TableActivity]?
    /// What the migration wrote itself; nil when nobody counted.
    public var own: [TableActivity]?
    /// Whether what the migration wrote itself is among it, because nobody counted that.
    public var countsOwn = false
    /// Whether it is counted since the migration ended, before which writes were fenced, and not since the plan was made.
    public var isCountedSinceMigration = false
    /// Whether the rollout has a verified backup, or will have one before it migrates.
    public var hasBackup: Bool
    /// The moment of the backup in words: `2026-11-21T13:40:12Z`.
    public var backupMoment: String
    /// Whether the moment before the migration can be reached: a base backup that ended under fenced writes, or with all
    /// write-ahead log since.
    public var isPointInTimePossible: Bool
    /// Which way the policy wants where there are several; nil: the one that loses least.
    public var wanted: MigrationPolicy.RestoreWay?
    /// Whether writes can be fenced.
    public var canFence: Bool
    /// Whether the policy says how data is restored.
    public var canRestore: Bool
    /// How many different people the policy asks for.
    public var approvals: Int

    /// A question.
    public init(
        applied: [PlannedRevision]?, target: RevisionID?, schema: MigrationPolicy.Schema,
        written: [TableActivity]? = nil, hasBackup: Bool, backupMoment: String = "the backup",
        isPointInTimePossible: Bool = false,
        canFence: Bool, canRestore: Bool, approvals: Int
    ) {
        self.applied = applied
        self.target = target
        self.schema = schema
        self.written = written
        self.hasBackup = hasBackup
        self.backupMoment = backupMoment
        self.isPointInTimePossible = isPointInTimePossible
        self.canFence = canFence
        self.canRestore = canRestore
        self.approvals = approvals
    }

    /// The question before anything starts: as if everything before the canary were applied and then failed.
    ///
    /// - Parameter kind: Of which kind the backup before the migration will be; nil when nobody can tell.
    public init(ahead plan: MigrationPlan, policy: Policy, backup kind: BackupKind?) {
        self.init(
            applied: plan.beforeCanary, target: plan.from, schema: policy.migrations?.schema ?? .keep,
            hasBackup: policy.backup != nil, canFence: policy.migrations?.maintenance != nil,
            canRestore: policy.migrations?.restore != nil, approvals: policy.migrations?.approvals ?? 0)
        offer(kind, policy)
    }

    /// What the kind of the backup allows, and what the policy wants of it.
    private mutating func offer(_ kind: BackupKind?, _ policy: Policy) {
        // Its write-ahead log ends where the migration began: writes were fenced before it was made.
        isPointInTimePossible = hasBackup && kind?.isPhysicalBase ?? false
        wanted = policy.migrations?.restoreWay
    }

    /// The question at a failure, from what was read.
    ///
    /// - Parameters:
    ///   - own: What the migration wrote itself; nil when nobody counted.
    ///   - counted: How much each table had been written to when the migration ended; nil when nobody counted.
    init(
        found report: SchemaReport, migrations: MigrationPlan?, own: [TableActivity]?, counted: [TableActivity]?, policy: Policy,
        restorePoint: CheckpointReference?
    ) {
        let rules = policy.migrations
        let written = (counted ?? migrations?.activity).flatMap { before in report.activity?.growth(since: before) }
        self.init(
            applied: migrations.flatMap { $0.applied(at: report.state) }, target: migrations?.from,
            schema: rules?.schema ?? .keep,
            written: counted == nil ? own.flatMap { written?.without($0) } ?? written : written,
            hasBackup: restorePoint?.state.isVerified ?? false, backupMoment: restorePoint.map { "\($0.at)" } ?? "the backup",
            canFence: rules?.maintenance != nil, canRestore: rules?.restore != nil, approvals: rules?.approvals ?? 0)
        self.own = own
        offer(restorePoint?.kind, policy)
        countsOwn = own == nil && counted == nil
        isCountedSinceMigration = counted != nil
    }

    /// The answer.
    public var plan: RollbackPlan {
        guard let applied else {
            return .unknown("the schema is at none of the revisions that this rollout knows, so nothing about it is certain")
        }
        guard let worst = applied.map(\.kind).max() else {
            return RollbackPlan(way: .nothing, reason: "the schema is at \(place), where it was")
        }
        switch worst {
        case .additive: return additive(applied)
        case .reversible: return reversible(applied)
        case .destructive, .unclassified: return destructive(applied, worst)
        }
    }

    private var place: String { target?.description ?? "base" }

    private func additive(_ applied: [PlannedRevision]) -> RollbackPlan {
        let lost = "what was written to what the migration added is gone"
        let choices = [
            RollbackPlan.Choice(.keep, loss: "nothing is lost"), RollbackPlan.Choice(.downgrade, loss: lost),
        ]
        let goesDown = applied.allSatisfy(\.hasDown)
        guard schema == .downgrade, goesDown else {
            let why = schema == .downgrade ? "; there is no way back, and none is needed" : ""
            return RollbackPlan(way: .keep, reason: "the applied revisions only add\(why)", choices: choices)
        }
        return RollbackPlan(way: .downgrade, reason: "the policy says so; back to \(place)", choices: choices)
    }

    private func reversible(_ applied: [PlannedRevision]) -> RollbackPlan {
        guard applied.allSatisfy(\.hasDown) else {
            return .unknown("the previous version may not work on the new schema, which has no way back")
        }
        return RollbackPlan(
            way: .downgrade, reason: "the previous version may not work on the new schema; back to \(place)",
            choices: [
                RollbackPlan.Choice(.keep, loss: "nothing is lost, and the previous version may not work"),
                RollbackPlan.Choice(.downgrade, loss: "nothing is lost that was there before" + overwritten(by: applied)),
            ])
    }

    /// What was written since to what a way back restores.
    private func overwritten(by applied: [PlannedRevision]) -> String {
        let found = applied.compactMap(\.overwritten)
        return found.isEmpty
            ? ""
            : ", but \(found.joined(separator: ", ")) gets the values that the migration saved, over whatever was written there since it did"
    }

    private func destructive(_ applied: [PlannedRevision], _ worst: MigrationClass) -> RollbackPlan {
        let dangerous = applied.filter(\.kind.mayDestroy)
        let names = dangerous.map(\.id.description).joined(separator: ", ")
        let what = "\(names)\(worst == .unclassified ? " cannot be classified and" : "") may have destroyed data"
        guard hasBackup else { return .unknown("\(what), and there is no verified backup") }
        guard canFence else { return .unknown("\(what), and nothing can fence writes") }
        guard canRestore else { return .unknown("\(what), and the policy does not say how it is restored") }
        var tables: [String] = []
        for table in dangerous.flatMap(\.tables).sorted() where tables.last != table { tables.append(table) }
        let isKnown = dangerous.allSatisfy { $0.kind != .unclassified && !$0.tables.isEmpty } && isWithin(tables)
        let isConfined = isKnown && applied.allSatisfy(\.hasDown)
        var choices = [RollbackPlan.Choice(.keep, loss: "what the migration destroyed stays lost")]
        if isConfined {
            choices.append(
                RollbackPlan.Choice(
                    .salvage,
                    loss: "of \(tables.joined(separator: ", ")) what was changed since \(backupMoment) and is not there any more"
                        + " (\(words(of: writes(to: tables)))); newer rows stay"))
        }
        if isPointInTimePossible {
            choices.append(
                RollbackPlan.Choice(
                    .pointInTime,
                    loss:
                        "everything that was written since the migration began (\(words(of: written, most: true))), and in every "
                        + "other database of the cluster too where 'restore' puts the whole cluster back"))
        }
        choices.append(
            RollbackPlan.Choice(.swap, loss: "everything that was written since \(backupMoment) (\(words(of: written)))"))
        let least: RollbackPlan.Way = isConfined ? .salvage : isPointInTimePossible ? .pointInTime : .swap
        let way = wanted.map(\.way).flatMap { way in choices.contains { $0.way == way } ? way : nil } ?? least
        let because =
            wanted?.way == way
            ? "the policy wants it so"
            : isConfined
                ? "the loss is confined to \(tables.joined(separator: ", "))"
                : isKnown ? "a revision has no way back" : "nobody can say which tables lost what"
        let missed = wanted.flatMap { $0.way == way ? nil : "; the policy would rather \($0.way.words), and \($0.lack)" } ?? ""
        return RollbackPlan(
            way: way, reason: "\(what); \(because)\(missed)", people: max(approvals, way == .salvage ? 1 : 2), choices: choices,
            tables: way == .salvage ? tables : [])
    }

    /// Whether no row that the migration changed or deleted is known to lie in another table: what was counted disproves what was read.
    private func isWithin(_ tables: [String]) -> Bool {
        (own ?? []).allSatisfy { counted in
            counted.updated == 0 && counted.deleted == 0
                || tables.contains { counted.table == $0 || counted.table.hasSuffix(".\($0)") }
        }
    }

    /// What was written to some tables; a name without its schema stands for that table in any. Nil when one was not counted.
    private func writes(to tables: [String]) -> [TableActivity]? {
        guard let written else { return nil }
        func isSame(_ counted: String, _ named: String) -> Bool { counted == named || counted.hasSuffix(".\(named)") }
        guard tables.allSatisfy({ named in written.contains { isSame($0.table, named) } }) else { return nil }
        return written.filter { counted in tables.contains { isSame(counted.table, $0) } }
    }

    /// `120 rows inserted, 3 updated and 0 deleted since`; with `most`, that it is no more than that.
    private func words(of activity: [TableActivity]?, most: Bool = false) -> String {
        guard let activity else { return "nobody can say how many rows" }
        func sum(_ count: (TableActivity) -> Int64) -> String { Numbers.whole(Double(saturatingSum(activity.map(count)))) }
        let own = countsOwn ? ", what the migration wrote among them" : ""
        let since = isCountedSinceMigration ? "since the migration ended" : "since"
        return
            "\(most ? "at most " : "")\(sum(\.inserted)) rows inserted, \(sum(\.updated)) updated and \(sum(\.deleted)) deleted \(since)\(own)"
    }
}

extension MigrationPolicy.RestoreWay {
    fileprivate var way: RollbackPlan.Way {
        switch self {
        case .salvage: .salvage
        case .pointInTime: .pointInTime
        case .swap: .swap
        }
    }

    /// Why there is no such way.
    fileprivate var lack: String {
        switch self {
        case .salvage: "the loss is not confined to known tables that have a way back"
        case .pointInTime: "the backup is not known to be a physical one"
        case .swap: "there is no backup"
        }
    }
}

extension MigrationPlan {
    /// The revisions that were applied since this plan was made; nil when the database is at none of the plan's places.
    func applied(at state: SchemaState) -> [PlannedRevision]? {
        if state.isAt(from) { return [] }
        guard let last = beforeCanary.lastIndex(where: { state.isAt($0.id) }) else { return nil }
        return Array(beforeCanary[...last])
    }
}
