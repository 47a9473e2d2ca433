public import SerinModel

/// One backup as the catalogue knows it: what was asked, what was produced, where it is and how well it is known to be good.
/// Made by folding events; nothing else changes it.
public struct BackupRecord: Sendable, Hashable, Codable {
    /// What was asked for.
    public var order: BackupOrder
    /// What was produced; nil while it runs and when it failed before the end.
    public var facts: BackupFacts?
    /// How far it has come.
    public var state: BackupState
    /// What it was before the deletion of its last copy was begun; nil while none is.
    var stateBefore: BackupState?
    /// Its copies, one a destination, in the order in which they were stored.
    public var copies: [BackupCopy]
    /// Why it must not be deleted, in the order in which it was said.
    public var holds: [Hold]
    /// The holds of people that were taken away, so that no register brings them back.
    public var released: [Hold]
    /// When it will be deleted; nil while nothing says so or something holds it. Set with the warning.
    public var expiresAt: Instant?
    /// When its owners were warned that it will be deleted.
    public var warnedAt: Instant?
    /// The last verification, good or bad.
    public var verification: VerificationResult?
    /// The last drill, good or bad.
    public var drill: DrillResult?
    /// Why it failed or was quarantined.
    public var failure: Failure?
    /// Whether its run was called off, and did not fail.
    public var wasInterrupted: Bool { state == .failed && failure == .runWasInterrupted }
    /// Its state in a word for people: one whose run was called off is `interrupted`, and not `failed`.
    public var stateWord: String { wasInterrupted ? "interrupted" : state.rawValue }
    /// When it failed or was quarantined.
    public var failedAt: Instant?
    /// What stays of it, once deleted.
    public var tombstone: Tombstone?

    /// The record of a backup that has begun.
    public init(order: BackupOrder) {
        self.order = order
        state = .running
        copies = []
        holds = []
        released = []
    }

    /// The backup.
    public var id: BackupID { order.id }
    /// Its kind.
    public var kind: BackupKind { order.kind }
    /// The mirrored table's type.
    public var type: BackupType { BackupType(of: order.kind) }
    /// When it was begun.
    public var createdAt: Instant { order.createdAt }
    /// The mirrored table's size: as stored, in bytes.
    public var size: Int64? { facts.map { Int64($0.envelope.storedBytes) } }
    /// The mirrored table's `file_id`: the first copy that may be read, or the first one at all.
    public var fileReference: String? { (copies.first { $0.state.isUsable } ?? copies.first)?.reference }
    /// The copy at a destination.
    public func copy(at destination: String) -> BackupCopy? { copies.first { $0.destination == destination } }
    /// The copies that may be read.
    public var usableCopies: [BackupCopy] { copies.filter(\.state.isUsable) }
    /// The holds that are in force.
    public func holds(at now: Instant) -> [Hold] { holds.filter { $0.holds(at: now) } }
    /// The moment to which a restore of this backup leads: its snapshot, or when it was begun.
    public var consistentAt: Instant { facts?.server?.consistentAt ?? order.createdAt }
}
