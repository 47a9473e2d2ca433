internal import SerinModel

// The backup that a release stands on.
extension RolloutMachine {
    /// The backup first, when the policy asks for one: nothing is brought up or raised before it is known to be good. Only where data
    /// may be destroyed writes are fenced before: what is written between a backup and the fence would be in neither of them.
    mutating func backUp(at now: Instant) {
        guard let longest = plan.backup, !plan.isBackupForMigrations || migrating != nil else { return migrate(at: now) }
        guard migrating != .destructive || fence == .closed else { return fenceForMigration(at: now) }
        askForBackup(newIntent(), lasting: longest, at: now)
    }

    private mutating func askForBackup(_ intent: IntentID, lasting: Duration, at now: Instant) {
        state = .backingUp(intent)
        deadlines.arm(.backup, due: now + lasting)
        outbox.append(.takeBackup(intent))
    }

    mutating func backupReported(_ intent: IntentID, _ result: BackupResult, at now: Instant) {
        guard openBackup == intent else { return }
        deadlines.disarm(.backup)
        switch state {
        case .backingUp:
            guard result == .verified else { return refuseMigration(at: now) }
            isBackedUp = true
            migrate(at: now)
        case .lowering(var retreat):
            retreat.backup = nil
            state = .lowering(retreat)
            ask(.zero, at: now)
        case .created, .preflight, .zeroing, .awaitingApproval, .migrating, .readingHistory, .deploying, .gate, .raising,
            .warmingUp,
            .baking, .watching, .held, .promoting, .verifying, .completing, .reverting, .mending, .confirming, .stranded,
            .finished:
            break
        }
    }

    /// Whoever goes back stands on no backup: one under way is asked to end, and waited for no longer than that takes.
    mutating func endBackup(at now: Instant) {
        guard let intent = openBackup, let due = deadlines.due(.backup) else { return }
        deadlines.arm(.backup, due: min(due, now + .minutes(1)))
        outbox.append(.endBackup(intent))
    }

    /// A new controller asked the catalogue. When it does not know, the backup is asked for again: there is one a rollout, however
    /// often it is asked for.
    mutating func settleBackup(_ found: TakenAction?, at now: Instant) {
        guard let intent = openBackup else { return }
        switch found {
        case nil: if let longest = plan.backup { deadlines.arm(.backup, due: now + longest) }
        case .done: backupReported(intent, .verified, at: now)
        case .failed: backupReported(intent, .failed, at: now)
        case .unknown:
            guard case .backingUp = state, let longest = plan.backup else {
                return backupReported(intent, .unknown, at: now)
            }
            askForBackup(intent, lasting: longest, at: now)
        }
    }
}
