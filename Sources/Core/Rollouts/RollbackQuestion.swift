public import SerinModel
public import SerinPolicies

/// Everything that decides which way the schema and the data go back.
///
/// The tree: nothing applied → nothing; not readable → a person; applied or begun, whatever the place of the database says now → as
/// if it were applied where it may have destroyed data, else a person, unless the schema is what it was; only additions that the
/// previous version survives → keep, or take back as the policy says; reversible → take back; anything that may have destroyed data →
/// only with a verified backup, fenced writes, a way to restore and people's agreement, the smallest loss first; else a person. There
/// is no other way to a restore.
public struct RollbackQuestion: Sendable, Hashable {
    /// The revisions that were applied since the recorded one, oldest first; nil when nobody can tell.
    public var applied: [PlannedRevision]?
    /// The revisions that were applied too, and that the database is not at any more: others took them back or, where they may have
    /// destroyed data, anybody, as no way back brings that back.
    public var moved: [PlannedRevision] = []
    /// The revisions that were begun and not done, and of which a part may be committed.
    public var partial: [PlannedRevision] = []
    /// How the schema differs from the one that was noted of the place where the database is; nil when nobody can compare them.
    public var difference: [String]?
    /// Where the database is; nil is before the first revision.
    public var place: RevisionID?
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

    /// Takes what is known of the steps, which counts more than where the tool says that the database is.
    ///
    /// - Parameter journaled: What was applied by the journal: a restore may have put back notes that say nothing of it.
    mutating func learn(_ steps: NotedSteps, journaled: [PlannedRevision], of plan: MigrationPlan) {
        guard let applied else { return }
        let others = plan.beforeCanary.filter { !applied.contains($0) }
        moved = others.filter { revision in
            let isJournaled = journaled.contains(revision) && (revision.kind.mayDestroy || steps.applied == nil)
            return (steps.applied?.contains(revision.id) ?? false || isJournaled)
                && (revision.kind.mayDestroy || !steps.takenBack.contains(revision.id))
        }
        partial = others.filter { steps.partial.contains($0.id) && !moved.contains($0) }
        difference = steps.difference
        place = applied.last?.id ?? plan.from
    }

    /// The answer.
    public var plan: RollbackPlan {
        guard let applied else {
            return .unknown("the schema is at none of the revisions that this rollout knows, so nothing about it is certain")
        }
        let known = applied + moved + partial
        if let worst = known.map(\.kind).max(), worst.mayDestroy { return destructive(known, worst) }
        if let revision = partial.first {
            return .unknown("\(revision.id) was begun and not done, and a part of it may be committed")
        }
        if let doubt = doubtOfMoved { return .unknown(doubt) }
        guard let worst = applied.map(\.kind).max() else {
            return moved.isEmpty
                ? RollbackPlan(way: .nothing, reason: "the schema is at \(words(of: target)), where it was")
                : RollbackPlan(way: .keep, reason: "\(movedWords), and it is what it was there")
        }
        switch worst {
        case .additive: return additive(applied)
        case .reversible: return reversible(applied)
        case .destructive, .unclassified: return destructive(applied, worst)
        }
    }

    private func words(of place: RevisionID?) -> String { place?.description ?? "base" }

    /// `someone else moved the schema from 0003 to 0001`.
    private var movedWords: String {
        "someone else moved the schema from \(words(of: moved.last?.id)) to \(words(of: place))"
    }

    /// Why nobody can say that what others took back is gone; nil when nothing was, or when nothing of it is left.
    private var doubtOfMoved: String? {
        guard !moved.isEmpty else { return nil }
        guard let difference else { return "\(movedWords), and nobody can tell whether it is what it was there" }
        guard difference.isEmpty else {
            return "\(movedWords), and it is not what it was there: \(difference.joined(separator: "; "))"
        }
        // A schema says nothing of rows.
        let changesRows = moved.contains { $0.kind != .additive } && own.map { $0.contains(where: \.changesRows) } ?? true
        return changesRows ? "\(movedWords), and nobody can tell whether the rows that were changed are what they were" : nil
    }

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
        return RollbackPlan(way: .downgrade, reason: "the policy says so; back to \(words(of: target))", choices: choices)
    }

    private func reversible(_ applied: [PlannedRevision]) -> RollbackPlan {
        guard applied.allSatisfy(\.hasDown) else {
            return .unknown("the previous version may not work on the new schema, which has no way back")
        }
        return RollbackPlan(
            way: .downgrade, reason: "the previous version may not work on the new schema; back to \(words(of: target))",
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
        let begun = partial.filter(\.kind.mayDestroy).map(\.id.description).joined(separator: ", ")
        let what =
            "\(names)\(worst == .unclassified ? " cannot be classified and" : "") may have destroyed data"
            + (moved.isEmpty ? "" : " (the schema is back at \(words(of: place)), which brings no row back)")
            + (begun.isEmpty ? "" : " (\(begun) was not done, and a part of it may be committed)")
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
            !counted.changesRows
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

extension TableActivity {
    /// Whether rows that were there before were changed or deleted.
    fileprivate var changesRows: Bool { updated > 0 || deleted > 0 }
}

extension MigrationPlan {
    /// The revisions that were applied since this plan was made; nil when the database is at none of the plan's places.
    func applied(at state: SchemaState) -> [PlannedRevision]? {
        if state.isAt(from) { return [] }
        guard let last = beforeCanary.lastIndex(where: { state.isAt($0.id) }) else { return nil }
        return Array(beforeCanary[...last])
    }
}
