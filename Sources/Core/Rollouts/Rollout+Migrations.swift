public import SerinModel
internal import SerinPolicies

// The schema of a rollout: what is to be migrated, what became of it, and which way it goes back.
extension Rollout {
    /// What runs before the canary means to the machine; nil when nothing does.
    var need: MigrationNeed? { migrations?.kind.map { $0.mayDestroy ? .destructive : .harmless } }

    /// What the migrations lack for a rollout with a proven way back; keeps the plan.
    mutating func checkMigrations(_ report: PreflightReport) -> [String] {
        guard let policy = charter.policy.migrations else { return [] }
        guard let plan = report.migrations else {
            return report.problems.isEmpty ? ["nobody can tell what is to be migrated"] : []
        }
        migrations = plan
        var problems: [String] = []
        for revision in plan.beforeCanary {
            if revision.kind.mayDestroy, policy.destructive == .refuse {
                problems.append("migrations: \(revision.words), and the policy refuses what may destroy data")
            }
            let goesDown =
                switch revision.kind {
                case .additive: policy.schema == .downgrade
                case .reversible: true
                case .destructive, .unclassified: false
                }
            if goesDown, !revision.hasDown { problems.append("migrations: \(revision.words), and it has no way back") }
        }
        if let contract = plan.afterPromotion.first,
            let late = plan.afterPromotion.first(where: { $0.phase != .contract })
        {
            problems.append(
                "migrations: \(late.words), and it stands behind \(contract.id), which waits for the promotion: the canary would "
                    + "run without it (let \(late.id) come before \(contract.id), or apply \(contract.id) before the rollout: "
                    + "serin migrate up)")
        }
        if plan.kind?.mayDestroy ?? false, policy.destructive == .allow, charter.policy.backup == nil {
            problems.append("migrations: data may be destroyed, and the policy has no backup to bring it back from")
        }
        return problems
    }

    /// Writes down what will be migrated, and which ways lead back from it.
    ///
    /// - Parameter backup: Of which kind the backup will be; nil when nobody can tell.
    func announceMigrations(_ backup: BackupKind?, into effects: inout [Effect]) {
        guard let migrations, charter.policy.migrations != nil else { return }
        func record(_ text: String) { effects.append(.record(Decision(topic: "schema", text: text))) }
        guard !migrations.pending.isEmpty else { return record("nothing is to be migrated: the schema is at its head") }
        for revision in migrations.beforeCanary { record("to be migrated before the canary: \(revision.words)") }
        if !migrations.afterPromotion.isEmpty {
            let names = migrations.afterPromotion.map(\.id.description).joined(separator: ", ")
            record("left for after the promotion, as they take something away: \(names)")
        }
        guard need != nil else { return }
        let question = RollbackQuestion(ahead: migrations, policy: charter.policy, backup: backup)
        for line in question.plan.lines { record("on a rollback: \(line)") }
    }

    /// What the machine's action means outside.
    func effect(of kind: ActionKind, _ intent: IntentID) -> Effect {
        switch kind {
        case .deploy, .promote, .rollback, .fence, .unfence: return .runAction(intent, kind)
        case .migrate:
            guard let migrations, let target = migrations.target else { return .runAction(intent, kind) }
            return .migrate(intent, .up(from: migrations.from, to: target, judged: migrations.beforeCanary))
        case .downgrade: return .migrate(intent, .down(to: migrations?.from, judged: migrations?.beforeCanary ?? []))
        case .restore:
            guard let restorePoint, let rollbackPlan else { return .runAction(intent, kind) }
            let order = RestoreOrder(way: rollbackPlan.way, target: migrations?.from, tables: rollbackPlan.tables)
            return .restore(intent, restorePoint, order)
        }
    }

    mutating func take(_ outcome: MigrationOutcome, of intent: IntentID, at now: Instant, into effects: inout [Effect]) {
        guard let open = machine.openAction, open.intent == intent else { return }
        actionEndedAt = now
        let event: MachineEvent =
            switch learn(outcome, of: open.kind, into: &effects) {
            case .done: .actionDone(intent)
            case .failed: .actionFailed(intent)
            case .unknown: .actionUnknown(intent)
            }
        apply(event, at: now, into: &effects)
    }

    /// Writes down what became of a migration.
    mutating func learn(_ outcome: MigrationOutcome, of kind: ActionKind, into effects: inout [Effect]) -> TakenAction {
        let result: TakenAction
        if kind == .migrate, let found = outcome.place.flatMap({ migrations?.applied(at: $0) }) { appliedRevisions = found }
        switch outcome {
        case .done(let state, let note, let own, let counted):
            if kind == .migrate { (ownRows, countedRows) = (own, counted) }
            reason = "\(kind.words) done: the schema is at \(state.place)" + (note.isEmpty ? "" : " (\(note))")
            result = .done
        case .failed(let failure, let state):
            reason =
                "\(kind.words) failed: \(failure.message)\(failure.hint.map { " (\($0))" } ?? "")"
                + (state.map { "; the schema is at \($0.place)" } ?? "")
            result = .failed
        case .unknown(let failure):
            reason = "nobody knows how the \(kind.words) ended: \(failure.message)"
            result = .unknown
        }
        if kind == .downgrade { if result == .done { owesProbes = false } else { oweProbes() } }
        effects.append(.record(Decision(topic: "schema", text: reason)))
        return result
    }

    /// What is to be done where nothing of the migration is applied any more. Where it was, the schema says nothing of the data, and
    /// nothing of what the probes look at.
    private func settled(_ question: RollbackQuestion, _ report: SchemaReport) -> RollbackPlan {
        let plan = question.plan
        guard question.applied == [], [.nothing, .keep].contains(plan.way) else { return plan }
        let place = "the schema is at \(migrations?.from?.description ?? "base"), where it was"
        if isRestored, let table = tableWithoutRows(report) {
            return .unknown("the restore said that it is done, and wrote no row of \(table), of which the migration changed some")
        }
        if owesProbes {
            return RollbackPlan(way: .downgrade, reason: "\(place), and the probes have not all said yes since it came back")
        }
        guard isRestored else { return plan }
        return RollbackPlan(
            way: .keep, reason: "the restore's own check says that the data is back, and \(place); its rows were not compared")
    }

    /// A table of which rows were to be brought back, and into which none was written.
    private func tableWithoutRows(_ report: SchemaReport) -> String? {
        guard let rollbackPlan, let rowsBeforeRestore, let ownRows,
            let written = report.activity?.growth(since: rowsBeforeRestore)
        else { return nil }
        return rollbackPlan.tables.first { table in
            func rows(_ activity: [TableActivity], _ count: (TableActivity) -> Int64) -> Int64 {
                saturatingSum(activity.filter { $0.table == table || $0.table.hasSuffix(".\(table)") }.map(count))
            }
            let isCounted = written.contains { $0.table == table || $0.table.hasSuffix(".\(table)") }
            return isCounted && rows(ownRows) { saturatingSum([$0.updated, $0.deleted]) } > 0
                && rows(written) { saturatingSum([$0.inserted, $0.updated]) } == 0
        }
    }

    /// Whether the probes of the policy have to be asked before the way back is over.
    mutating func oweProbes() { owesProbes = !(charter.policy.migrations?.probes ?? []).isEmpty }

    /// The schema was read on the way back: decides where it goes, and says what each way would lose.
    mutating func take(_ found: SchemaInspection, of intent: IntentID, at now: Instant, into effects: inout [Effect]) {
        guard machine.openInspection == intent else { return }
        let plan: RollbackPlan
        switch found {
        case .found(let report):
            for note in report.notes { effects.append(.record(Decision(topic: "schema", text: note))) }
            var question = RollbackQuestion(
                found: report, migrations: migrations, own: ownRows, counted: countedRows, policy: charter.policy,
                restorePoint: restorePoint)
            // A restore that is done has brought back what the notes say was done.
            let isBack = isRestored && question.applied == []
            if let steps = report.steps, let migrations, !isDataBack, !isBack {
                question.learn(steps, journaled: appliedRevisions, of: migrations)
            }
            plan = settled(question, report)
            if isBack, plan.way != .unknown { isDataBack = true }
            if plan.way.restores { rowsBeforeRestore = report.activity }
            if isRestored, plan.way.restores {
                let text =
                    "the restore said that it is done, but the schema is at \(report.state.place), not at "
                    + "\(migrations?.from?.description ?? "base"): it is asked for again"
                effects.append(.record(Decision(topic: "schema", text: text)))
                effects.append(.notify(Notice(isCall: true, text: headline + text)))
            }
            isRestored = false
        case .unknown(let failure): plan = .unknown("the schema cannot be read: \(failure.message)")
        }
        rollbackPlan = plan
        reason = plan.sentence
        for line in plan.lines { effects.append(.record(Decision(topic: "schema", text: line))) }
        apply(.schemaInspected(intent, plan.machineWay), at: now, into: &effects)
        if case .mending(_, .awaitingApproval(let people)) = machine.state {
            let text =
                "\(fenceWords)the restore waits for \(people) different people: serin approve \(charter.id) --plan \(awaitedPlan ?? ""); "
                + "serin resume \(charter.id) keeps the schema as it is and lets writes in"
            effects.append(.record(Decision(topic: "schema", text: text)))
            effects.append(.notify(Notice(isCall: true, text: headline + text)))
        }
    }
}

// In words.
extension Rollout {
    /// What is shouted while writes are kept away, or may be, in front of what happens next; empty while they are let in.
    var fenceWords: String {
        switch machine.fence {
        case .open: ""
        case .unsure: "WRITES MAY BE FENCED; "
        case .closed: "WRITES ARE FENCED; "
        }
    }

    func nextOfMigrating(_ stage: RolloutMachine.MigrationStage, at now: Instant) -> String {
        switch stage {
        case .fencing: "the backup and then the schema follow once writes are fenced, within \(left(.action, at: now))"
        case .applying:
            "the canary follows once the schema is at \(migrations?.target?.description ?? "its head"), within \(left(.action, at: now))"
        case .unfencing where machine.isRefusing: "refused once writes are let in again, within \(left(.action, at: now))"
        case .unfencing: "the canary follows once writes are let in again, within \(left(.action, at: now))"
        case .resting: "\(fenceWords)they are let in again by another try in \(left(.unfence, at: now))"
        }
    }

    func nextOfMending(_ stage: RolloutMachine.MendingStage, at now: Instant) -> String {
        switch stage {
        case .inspecting: "the schema is read, which decides its way back, within \(left(.action, at: now))"
        case .downgrading:
            "the schema is taken back to \(migrations?.from?.description ?? "base"), within \(left(.action, at: now))"
        case .fencing: "writes are fenced, then people are asked, within \(left(.action, at: now))"
        case .awaitingApproval(let people):
            "\(fenceWords)approve restores once \(people) different people agree; resume keeps the schema as it is and lets writes in; rollback incomplete in \(left(.approval, at: now))"
        case .restoring: "data is brought back from the backup, within \(left(.action, at: now))"
        case .unfencing: "writes are let in again, within \(left(.action, at: now))"
        case .resting: "\(fenceWords)they are let in again by another try in \(left(.unfence, at: now))"
        }
    }
}

extension RolloutMachine.MigrationStage {
    /// The stage for the log.
    var word: String {
        switch self {
        case .fencing: "fencing writes"
        case .applying: "migrating"
        case .unfencing, .resting: "letting writes in"
        }
    }
}

extension RolloutMachine.MendingStage {
    /// The stage for the log.
    var word: String {
        switch self {
        case .inspecting: "reading the schema"
        case .downgrading: "taking the schema back"
        case .fencing: "fencing writes"
        case .awaitingApproval: "awaiting approval of the restore"
        case .restoring: "restoring"
        case .unfencing, .resting: "letting writes in"
        }
    }
}

extension PlannedRevision {
    /// `0002 (add a column): additive, expand`, with the reason for its class.
    public var words: String {
        "\(id)" + (name.isEmpty ? "" : " (\(name))") + ": \(kind.rawValue), \(phase.rawValue)"
            + (reason.isEmpty ? "" : ": \(reason)")
    }
}
