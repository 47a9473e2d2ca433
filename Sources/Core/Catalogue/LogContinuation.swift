public import SerinModel

/// What the next backup of a log goes on from, so that nothing is left out between two of them.
public struct LogContinuation: Sendable, Hashable {
    /// The facts of the newest good one; for write-ahead log, of the base backup where none of it is stored yet.
    public var newest: SourceFacts?
    /// For write-ahead log: the newest base backup, from which it may go on where what was before is lost.
    public var base: SourceFacts?
    /// Stored write-ahead log that is missing behind the newest base backup, so that what was stored later leads nowhere.
    public var gap: RecoveryWindow.Gap?
    /// The write-ahead log that is stored.
    public var stored: [SourceFacts] = []

    /// The continuation of one backup; nil when there is none.
    public init(_ newest: SourceFacts? = nil) { self.newest = newest }

    /// The continuation of what a target has of a kind.
    ///
    /// - Parameter now: An end that lies behind it is of a clock that was wrong, and nothing goes on from there.
    public init(of kind: BackupKind, target: String, in state: CatalogueState, at now: Instant) {
        let usable = state.history(BackupSelection(target: target)).filter { $0.state.isRestorable && !$0.usableCopies.isEmpty }
        let own = usable.filter { $0.kind == kind }.compactMap(\.facts?.server)
        guard kind == .walRange else {
            newest = own.first { $0.consistentAt.map { $0 <= now } ?? false }
            return
        }
        stored = own
        base = usable.first { $0.kind.isPhysicalBase }?.facts?.server
        gap = RecoveryWindow(of: state.live(target: target)).hole
        newest =
            own.max { ($0.timeline ?? 1, $0.lsnStop?.bytes ?? 0) < ($1.timeline ?? 1, $1.lsnStop?.bytes ?? 0) }
            ?? usable.last { $0.kind.isPhysicalBase }?.facts?.server
    }
}
