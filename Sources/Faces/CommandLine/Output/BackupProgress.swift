internal import SerinCatalogue
internal import SerinLocks
internal import SerinModel

/// Shows how far a backup or restore is: one line that is redrawn on a terminal, elsewhere a line for each stage.
final class BackupProgress: Sendable {
    private let session: Session
    private let block: LiveBlock?
    private let stage = Locked("")

    init(_ session: Session) {
        self.session = session
        block = session.mayRedraw && !session.globals.isQuiet ? LiveBlock(session.console.writeMessage) : nil
    }

    /// Takes progress from any thread.
    func show(_ progress: JobProgress) {
        if session.globals.output == .jsonl {
            session.console.writeData(
                JSONValue.object([
                    "schema": .string("serin.dev/backup-progress/v1"), "stage": .string(progress.stage),
                    "done": .integer(progress.done), "total": progress.total.map { .integer($0) } ?? .null,
                    "seconds_left": progress.timeLeft.map { .integer($0.milliseconds / 1000) } ?? .null,
                ]).canonicalText + "\n")
        }
        if let block { return block.draw([String(plain(BackupText.words(progress)).prefix(session.console.width() - 1))]) }
        let isNew = stage.withLock { stage in
            defer { stage = progress.stage }
            return stage != progress.stage
        }
        if isNew { session.note("\(session.now.timeOfDay) \(progress.stage)") }
    }

    /// Removes what was only there while it went on.
    func end() { block?.clear() }
}
