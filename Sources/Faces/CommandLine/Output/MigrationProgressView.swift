internal import SerinLocks
internal import SerinMigrationTools
internal import SerinModel

/// Shows how far a migration or a backfill is: one line that is redrawn on a terminal, elsewhere a line for each new phase.
final class MigrationProgressView: Sendable {
    private let session: Session
    private let block: LiveBlock?
    private let shown = Locked("")

    init(_ session: Session) {
        self.session = session
        block = session.mayRedraw && !session.globals.isQuiet ? LiveBlock(session.console.writeMessage) : nil
    }

    /// Takes progress of a migration from any thread.
    func show(_ progress: MigrationProgress) {
        let share = progress.total > 0 ? " \(progress.done * 100 / progress.total)%" : ""
        let words = "\(progress.number)/\(progress.count) \(progress.revision): \(progress.phase)"
        document([
            "revision": .string("\(progress.revision)"), "number": .integer(Int64(progress.number)),
            "count": .integer(Int64(progress.count)), "phase": .string(progress.phase), "done": .integer(progress.done),
            "total": .integer(progress.total),
        ])
        draw(words + share, key: words)
    }

    /// Takes progress of a backfill from any thread.
    func show(_ progress: BackfillProgress, _ name: String) {
        let left = progress.timeLeft.map { ", \($0.milliseconds / 1000) s left" } ?? ""
        let words = "\(name): \(progress.walked)\(progress.total.map { " of \($0)" } ?? "") keys, \(Int(progress.rate))/s\(left)"
        document([
            "backfill": .string(name), "phase": .string(progress.phase), "walked": .integer(progress.walked),
            "changed": .integer(progress.changed), "total": progress.total.map { .integer($0) } ?? .null,
            "rate": .integer(Int64(progress.rate)),
            "seconds_left": progress.timeLeft.map { .integer($0.milliseconds / 1000) } ?? .null,
        ])
        draw("\(words), \(progress.phase)", key: progress.phase)
    }

    private func document(_ pairs: KeyValuePairs<String, JSONValue>) {
        guard session.globals.output == .jsonl else { return }
        let members = pairs.map { JSONValue.Member($0.key, $0.value) }
        let schema = JSONValue.Member("schema", .string("serin.dev/migration-progress/v1"))
        session.console.writeData(JSONValue.sortedObject(members + [schema]).canonicalText + "\n")
    }

    private func draw(_ words: String, key: String) {
        if let block { return block.draw([String(plain(words).prefix(session.console.width() - 1))]) }
        let isNew = shown.withLock { shown in
            defer { shown = key }
            return shown != key
        }
        if isNew { session.note("\(session.now.timeOfDay) \(plain(words))") }
    }

    /// Removes what was only there while it went on.
    func end() { block?.clear() }
}
