internal import SerinModel
internal import SerinPolicies

// The schema: forward before the canary, back after the code. Whatever became of it is read, never guessed.
extension RolloutMachine {
    // MARK: Forward

    /// The schema goes forward before anything new is brought up. Data that may be destroyed has a verified backup and fenced writes.
    mutating func migrate(at now: Instant) {
        guard let migrating, plan.migration != nil else { return readHistory(at: now) }
        guard migrating == .destructive else { return applyRevisions(at: now) }
        // The preflight has refused what lacks one of them.
        guard isBackedUp, fence == .closed else { return refuseMigration(at: now) }
        applyRevisions(at: now)
    }

    /// Writes are fenced before the backup that a migration stands on.
    mutating func fenceForMigration(at now: Instant) {
        guard plan.fence != nil else { return finish(.refused) }
        askForFence(at: now) { .migrating(.fencing($0)) }
    }

    /// Nothing was migrated, and nothing will be; writes that were fenced for it are let in first.
    mutating func refuseMigration(at now: Instant) {
        guard fence != .open else { return finish(.refused) }
        unfence(at: now) { .migrating(.unfencing($0)) }
    }

    private mutating func applyRevisions(at now: Instant) {
        isSchemaTouched = true
        runAction(.migrate, lasting: plan.migration, at: now) { .migrating(.applying($0)) }
    }

    /// Whether writes are only let in again before the rollout is refused.
    var isRefusing: Bool {
        switch state {
        case .migrating(.unfencing), .migrating(.resting): !isSchemaTouched
        case .created, .preflight, .zeroing, .awaitingApproval, .backingUp, .migrating, .readingHistory, .deploying, .gate,
            .raising, .warmingUp, .baking, .watching, .held, .promoting, .verifying, .completing, .lowering, .reverting, .mending,
            .confirming, .stranded, .finished:
            false
        }
    }

    /// A stage of the way forward is done.
    mutating func migrated(_ stage: MigrationStage, at now: Instant) {
        noteFence(stage.action, isDone: true)
        switch stage {
        case .fencing: backUp(at: now)
        case .applying: if fence == .open { readHistory(at: now) } else { unfence(at: now) { .migrating(.unfencing($0)) } }
        case .unfencing: if isSchemaTouched { readHistory(at: now) } else { finish(.refused) }
        case .resting: break
        }
    }

    /// Whoever goes back asks a migration under way to end, and waits for its end no longer than that takes.
    mutating func endMigration(at now: Instant) {
        guard let action = openAction, action.kind == .migrate, let due = deadlines.due(.action) else { return }
        deadlines.arm(.action, due: min(due, now + .minutes(2)))
        outbox.append(.endMigration(action.intent))
    }

    /// Whether something that was under way when everything began to be taken back still moves the schema, or writes.
    func isSchemaMoving(_ retreat: Retreat) -> Bool {
        switch retreat.running?.kind {
        case .migrate, .fence, .unfence: true
        case .deploy, .promote, .rollback, .downgrade, .restore, nil: false
        }
    }

    // MARK: Back

    /// The previous version is back, or was never gone. The schema comes after it, and writes after the schema.
    mutating func codeIsBack(_ retreat: Retreat, at now: Instant) {
        var retreat = retreat
        retreat.isCodeBack = true
        if isSchemaTouched || fence != .open { return mend(retreat, at: now) }
        if case .lowering = state { return finish(retreat.ending) }
        state = .confirming(retreat)
        ask(.zero, at: now)
    }

    /// Reads what there is to be mended, which decides the rest; lets writes in when nothing is.
    mutating func mend(_ retreat: Retreat, at now: Instant) {
        guard isSchemaTouched else {
            guard fence == .open else { return unfence(at: now) { .mending(retreat, .unfencing($0)) } }
            state = .confirming(retreat)
            return ask(.zero, at: now)
        }
        // What people agreed to was another plan.
        endApproval()
        let intent = newIntent()
        state = .mending(retreat, .inspecting(intent))
        deadlines.arm(.action, due: now + .minutes(5))
        outbox.append(.inspectSchema(intent))
    }

    mutating func schemaInspected(_ intent: IntentID, _ way: SchemaWay, at now: Instant) {
        guard case .mending(let retreat, .inspecting(intent)) = state else { return }
        deadlines.disarm(.action)
        switch way {
        case .keep:
            isSchemaTouched = false
            mend(retreat, at: now)
        case .downgrade:
            giveTime(plan.migration, at: now)
            runAction(.downgrade, lasting: plan.migration, at: now) { .mending(retreat, .downgrading($0)) }
        case .restore(let people):
            guard isBackedUp, plan.restore != nil, plan.fence != nil else { return strand(retreat, at: now) }
            guard fence == .closed else { return askForFence(at: now) { .mending(retreat, .fencing($0)) } }
            state = .mending(retreat, .awaitingApproval(people: max(people, plan.migrationApprovals, 1)))
            // People were called and have their own time; whoever waits for the rollout goes on waiting.
            deadlines.disarm(.rollback)
            deadlines.arm(.approval, due: now + plan.timing.approvalDeadline)
        case .unknown: strand(retreat, at: now)
        }
    }

    /// A stage of the way back is done.
    mutating func mended(_ retreat: Retreat, _ stage: MendingStage, at now: Instant) {
        noteFence(stage.action, isDone: true)
        switch stage {
        case .inspecting, .awaitingApproval, .resting: break
        case .downgrading:
            isSchemaTouched = false
            mend(retreat, at: now)
        // With nothing more written, what would be lost is read for good; after a restore, whether it is what was wanted.
        case .fencing, .restoring, .unfencing: mend(retreat, at: now)
        }
    }

    /// Enough people have agreed to what a restore loses.
    mutating func restore(_ retreat: Retreat, at now: Instant) {
        guard isBackedUp, fence == .closed, retreat.isCodeBack else {
            outbox.append(.note(.brokenPromise("a restore without a verified backup, fenced writes or the previous version")))
            return strand(retreat, at: now)
        }
        deadlines.arm(.rollback, due: now + plan.timing.rollbackDeadline)
        giveTime(plan.restore, at: now)
        runAction(.restore, lasting: plan.restore, at: now) { .mending(retreat, .restoring($0)) }
    }

    /// A person leaves the schema as it is, without a restore.
    mutating func keepSchema(_ retreat: Retreat, at now: Instant) {
        endApproval()
        deadlines.arm(.rollback, due: now + plan.timing.rollbackDeadline)
        isSchemaTouched = false
        mend(retreat, at: now)
    }

    /// What may take longer than a whole rollback is not late before its own time is over.
    private mutating func giveTime(_ longest: Duration?, at now: Instant) {
        guard let longest, deadlines.due(.rollback) != nil else { return }
        deadlines.arm(.rollback, due: now + max(plan.timing.rollbackDeadline, longest))
    }

    /// Nobody agreed in time: writes stay fenced, and a person is called.
    mutating func restoreUnapproved(at now: Instant) {
        guard case .mending(let retreat, .awaitingApproval) = state else { return }
        strand(retreat, at: now)
    }

    // MARK: Writes

    private mutating func askForFence(at now: Instant, entering next: (IntentID) -> State) {
        fence = .unsure
        runAction(.fence, lasting: plan.fence, at: now, entering: next)
    }

    private mutating func unfence(at now: Instant, entering next: (IntentID) -> State) {
        fence = .unsure
        deadlines.disarm(.unfence)
        runAction(.unfence, lasting: plan.fence, at: now, entering: next)
    }

    /// The pauses between the first tries to let writes in; each later one is of the last length.
    private static let pauses: [Duration] = [.seconds(1), .seconds(10), .minutes(1)]

    /// Writes that could not be let in are to be let in all the same: it is asked for again after a pause. On the way forward only as
    /// often as there are pauses, on the way back until it is proven, with a person called meanwhile. False for any other action.
    mutating func rests(after action: RunningAction, at now: Instant) -> Bool {
        guard action.kind == .unfence else { return false }
        let isLast = unfenceFailures == Self.pauses.count
        let pause = Self.pauses[min(unfenceFailures, Self.pauses.count - 1)]
        if case .mending(let retreat, _) = state {
            if unfenceFailures == Self.pauses.count - 1 { outbox.append(.note(.fenceStuck)) }
            state = .mending(retreat, .resting)
        } else if !isLast {
            state = .migrating(.resting)
        } else {
            unfenceFailures = 0
            return false
        }
        if !isLast { unfenceFailures += 1 }
        deadlines.arm(.unfence, due: now + pause)
        return true
    }

    mutating func unfenceAgain(at now: Instant) {
        if case .migrating(.resting) = state { unfence(at: now) { .migrating(.unfencing($0)) } }
        if case .mending(let retreat, .resting) = state { unfence(at: now) { .mending(retreat, .unfencing($0)) } }
    }

    /// Only an action that is proven to be done says where writes are.
    mutating func noteFence(_ action: RunningAction?, isDone: Bool) {
        guard isDone, let action else { return }
        switch action.kind {
        case .fence: fence = .closed
        case .unfence:
            fence = .open
            unfenceFailures = 0
        case .deploy, .promote, .rollback, .migrate, .downgrade, .restore: break
        }
    }

    // MARK: A new controller

    /// Fences are conditions and asked for again; a migration is done when its end was read, and goes back otherwise.
    mutating func settle(_ stage: MigrationStage, _ found: TakenAction?, at now: Instant) {
        let isCutOff = found == .failed || found == .unknown
        switch stage {
        case .fencing where isCutOff: askForFence(at: now) { .migrating(.fencing($0)) }
        case .unfencing where isCutOff: unfence(at: now) { .migrating(.unfencing($0)) }
        case .resting: unfenceAgain(at: now)
        case .applying, .fencing, .unfencing: settle(found, at: now)
        }
    }

    /// The schema is read again; only a restore is never begun anew without people.
    mutating func settle(_ retreat: Retreat, _ stage: MendingStage, _ found: TakenAction?, at now: Instant) {
        switch stage {
        case .awaitingApproval: break
        case .downgrading where found == nil, .fencing where found == nil, .unfencing where found == nil: settle(found, at: now)
        case .restoring: settle(found, at: now)
        case .inspecting, .downgrading, .fencing, .unfencing, .resting:
            noteFence(stage.action, isDone: found == .done)
            deadlines.disarm(.action)
            mend(retreat, at: now)
        }
    }
}
