internal import SerinCatalogue
internal import SerinModel

/// The rows of the mirrored audit: what happened to backups in words, one row for each entry of the log.
struct AuditRows {
    let rows: [MirrorRow]

    /// - Parameter entries: The whole log, from its first entry on: what a change changes is told against what stood before.
    init(_ entries: [CatalogueEntry], _ state: CatalogueState) {
        var projects: [String: String] = [:]
        for record in state.records { projects[record.order.target] = record.order.project }
        var revisions: [String: String] = [:]
        var rows: [MirrorRow] = []
        for entry in entries {
            var line = AuditLine(entry.line)
            if case .event(let event) = entry.line {
                line.target = state[event.backup]?.order.target
                if case .begun(let order) = event.change, let revision = order.planRevision {
                    if let before = revisions.updateValue(revision, forKey: order.target), before != revision {
                        line.change = "plan: \(before.prefix(12)) → \(revision.prefix(12))"
                    }
                }
            }
            rows.append(MirrorRow(entry.sequence, line, project: line.target.flatMap { projects[$0] }))
        }
        self.rows = rows
    }
}

/// One entry in words.
struct AuditLine {
    /// How much it matters: `info`, `warning` or `error`.
    let level: String
    /// A word for what was done: `begun`, `restore`.
    let action: String
    /// What was done, without secrets.
    let text: String
    let at: Instant
    let by: Principal
    var target: String?
    let backup: BackupID?
    /// What it changed in how backups are kept or used; nil for work that changes nothing of that.
    var change: String?

    init(_ line: CatalogueLine) {
        switch line {
        case .note(let note):
            (action, text, at, by, target, backup) = (note.topic, note.text, note.at, note.by, note.target, note.backup)
            level = "info"
            change = ["approval", "release"].contains(note.topic) ? "\(note.topic): \(note.text)" : nil
        case .event(let event):
            let words = event.change.words
            (level, action, text, change) = (words.level, words.action, words.text, words.change)
            (at, by, backup) = (event.at, event.by, event.backup)
        }
    }
}

extension CatalogueEvent.Change {
    fileprivate var words: (level: String, action: String, text: String, change: String?) {
        switch self {
        case .begun(let order):
            ("info", "begun", "a backup of kind \(order.kind.rawValue)" + (order.purpose.map { ": \($0)" } ?? ""), nil)
        case .stored(let copy, let facts): ("info", "stored", "\(facts.envelope.storedBytes) bytes at \(copy.reference)", nil)
        case .confirmed(let destination, _): ("info", "confirmed", "read back at \(destination)", nil)
        case .verified(let result):
            (
                result.passed ? "info" : "error", "verified",
                "at \(result.destination): \(outcome(result.passed, result.checks))", nil
            )
        case .drilled(let result):
            (result.passed ? "info" : "error", "drilled", outcome(result.passed, result.checks), nil)
        case .failed(.runWasInterrupted): ("warning", "interrupted", Failure.runWasInterrupted.message, nil)
        case .failed(let failure): ("error", "failed", failure.message, nil)
        case .quarantined(let destination, let failure):
            ("error", "quarantined", (destination.map { "at \($0): " } ?? "") + failure.message, nil)
        case .held(let hold):
            ("info", "held", hold.reason, "hold \(word(hold.kind))\(hold.until.map { " until \($0)" } ?? ""): \(hold.reason)")
        case .releasedHold(let id): ("info", "released", id, "hold \(id) taken away")
        case .released(let kind): ("info", "released", word(kind), "hold \(word(kind)) taken away")
        case .warned(let expiry): ("warning", "warned", "will be deleted at \(expiry)", nil)
        case .spared: ("info", "spared", "is kept after all", nil)
        case .rewrapped(let keyIDs, _):
            ("info", "rewrapped", "opened by \(keyIDs.joined(separator: ", "))", "keys: \(keyIDs.joined(separator: ", "))")
        case .deleting(let destination, let reason): ("info", "deleting", "\(place(destination)): \(reason)", nil)
        case .notDeleted(let destination, let failure):
            ("warning", "not deleted", "\(place(destination)), and as it was: \(failure.message)", nil)
        case .deleted(let destination): ("info", "deleted", place(destination), nil)
        case .imported(let manifest): ("info", "imported", "from \(manifest.copy.reference)", nil)
        }
    }

    private func place(_ destination: String?) -> String { destination.map { "at \($0)" } ?? "without copies" }

    private func outcome(_ passed: Bool, _ checks: [BackupCheck]) -> String {
        let bad = checks.first { !$0.passed }
        return passed ? "passed" : "FAILED" + (bad.map { ": \($0.name): \($0.detail)" } ?? "")
    }

    private func word(_ kind: Hold.Kind) -> String {
        switch kind {
        case .legal: "for the law"
        case .permanent: "for good"
        case .rollout(let rollout): "for rollout \(rollout)"
        case .use(let name): "for \(name)"
        }
    }
}
