internal import SerinModel

// The restore point.
extension Rollout {
    mutating func take(_ outcome: BackupOutcome, of intent: IntentID, at now: Instant, into effects: inout [Effect]) {
        guard machine.openBackup == intent else { return }
        let result = learn(outcome, into: &effects)
        apply(.backupReported(intent, result), at: now, into: &effects)
    }

    /// Writes down what became of the backup. Only a verified one is a restore point.
    mutating func learn(_ outcome: BackupOutcome, into effects: inout [Effect]) -> BackupResult {
        let result: BackupResult
        switch outcome {
        case .made(let reference) where reference.state.isVerified:
            restorePoint = reference
            reason = "the restore point is \(reference.words)"
            result = .verified
        case .made(let reference):
            reason = "a backup was made and is not verified: \(reference.words)"
            result = .unverified
        case .failed(let failure):
            reason = "the backup failed: \(failure.message)"
            result = .failed
        case .unknown(let failure):
            reason = "nobody knows how the backup ended: \(failure.message)"
            result = .unknown
        }
        effects.append(.record(Decision(topic: "backup", text: reason)))
        return result
    }

    /// The rollout is over, and so is the hold on its backup, or a person has to end it.
    func released(_ failure: Failure?) -> [Effect] {
        guard let failure else { return [] }
        let text = "the backup is still held for this rollout: \(failure.message) → asked for again by the next controller"
        return [
            .record(Decision(topic: "backup", text: text)), .notify(Notice(isCall: false, text: headline + text)),
        ]
    }
}
