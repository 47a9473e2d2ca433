public import SerinModel
public import SerinRollouts

/// A machine that a journal can be replayed on.
public protocol Replayable: Sendable {
    /// The machine at its creation.
    init(charter: Charter, createdAt: Instant)

    /// Takes an event and returns what it asks of the world; nothing but the events may decide what that is.
    mutating func handle(_ event: RolloutEvent, at now: Instant) -> [Effect]
}

extension Rollout: Replayable {}

/// Why a rollout's entries cannot be replayed, or do not come out as they were journaled.
public enum ReplayError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The machine asks for something else than the journal says. Nil is "nothing".
    case difference(sequence: Int64, expected: Effect?, journaled: Effect?)
    /// The entry's epoch ran an engine that this build does not know; nil when the epoch was never opened.
    case unknownEngine(sequence: Int64, version: String?)
    /// The entry is of no form that this build knows.
    case undecodable(sequence: Int64, RecordError)
    /// The entry does not belong there: an event before the creation, a second creation, an entry of another rollout.
    case misplaced(sequence: Int64, String)
    /// There is no entry that creates the rollout.
    case notCreated

    /// What is wrong, with the entry's number and, for a difference, both values.
    public var description: String {
        switch self {
        case .difference(let sequence, let expected, let journaled):
            "entry \(sequence): replay asks for \(ReplayError.text(expected)), the journal has \(ReplayError.text(journaled))"
        case .unknownEngine(let sequence, let version):
            if let version {
                "entry \(sequence): \(writtenByAnother(version))"
            } else {
                "entry \(sequence): its epoch has no record of its opening, so its engine is not known"
            }
        case .undecodable(let sequence, let error): "entry \(sequence): not of a form that this build knows: \(error)"
        case .misplaced(let sequence, let reason): "entry \(sequence): \(reason)"
        case .notCreated: "the journal has no entry that creates this rollout"
        }
    }

    /// Whether the entries are not known to this build, rather than wrong: a check of the chain tells whether they were tampered with.
    public var isUnread: Bool {
        switch self {
        case .unknownEngine, .undecodable: true
        case .difference, .misplaced, .notCreated: false
        }
    }

    private static func text(_ effect: Effect?) -> String {
        guard let effect else { return "nothing" }
        do {
            return try CanonicalEncoder.encode(effect).canonicalText
        } catch {
            return "\(effect) (\(error))"
        }
    }
}

/// Runs a rollout's journaled events through the machine again and compares what it asks for with what was journaled.
///
/// Entries are given in order, one rollout's only. Between two events stand the effects of the first, all of them or, when the
/// controller was cut off there (the next entry is of a later epoch), the first of them.
public struct Replay<Machine: Replayable>: Sendable {
    private let rollout: RolloutID
    private var engines: EngineHistory
    private var machine: Machine?
    private var charter: Charter?
    private var pending: [Effect] = []
    private var open: [Effect] = []
    private var last: (sequence: Int64, epoch: Int64, at: Instant)?
    private var inexact = 0
    private var hasBegun = false
    /// The last entry's record; nil before the first.
    public private(set) var record: Record?
    /// What the latest event asks for, whether or not that was journaled.
    public private(set) var asked: [Effect] = []

    /// The replay of a rollout.
    ///
    /// - Parameters:
    ///   - rollout: Whose entries will be given.
    ///   - engines: Which engine ran in each epoch, from the store's own entries.
    public init(of rollout: RolloutID, engines: EngineHistory) {
        self.rollout = rollout
        self.engines = engines
    }

    /// Whether it is the replay of this rollout.
    public func isOf(_ id: RolloutID) -> Bool { rollout == id }

    /// The machine after the last entry; nil before its creation.
    public var current: Machine? { machine }

    /// Learns of engines that opened the store since.
    public mutating func learn(_ engines: EngineHistory) { self.engines = engines }

    /// Takes the rollout's next entry. After an error the replay is over.
    public mutating func take(_ entry: Entry) throws(ReplayError) {
        guard entry.rollout == rollout else {
            throw .misplaced(
                sequence: entry.sequence, "it belongs to \(entry.rollout?.description ?? "no rollout"), not to \(rollout)")
        }
        if let last, entry.sequence <= last.sequence {
            throw .misplaced(sequence: entry.sequence, "it stands after entry \(last.sequence)")
        }
        guard let engine = engines.version(in: entry.epoch), replayableEngineVersions.contains(engine) else {
            throw .unknownEngine(sequence: entry.sequence, version: engines.version(in: entry.epoch))
        }
        let record: Record
        do {
            record = try CanonicalDecoder.decode(Record.self, from: entry.body)
        } catch {
            throw .undecodable(sequence: entry.sequence, error)
        }
        switch record {
        case .opened: throw .misplaced(sequence: entry.sequence, "the opening of a store belongs to no rollout")
        case .clockJumped: break
        case .created(let charter): try create(charter, entry)
        case .event(let event): try handle(event, entry)
        case .effect(let effect): try compare(effect, entry)
        }
        last = (entry.sequence, entry.epoch, entry.at)
        self.record = record
    }

    private mutating func create(_ charter: Charter, _ entry: Entry) throws(ReplayError) {
        guard machine == nil else { throw .misplaced(sequence: entry.sequence, "it creates the rollout a second time") }
        guard charter.id == rollout else {
            throw .misplaced(sequence: entry.sequence, "it creates \(charter.id) under the name \(rollout)")
        }
        self.charter = charter
        machine = Machine(charter: charter, createdAt: entry.at)
    }

    private mutating func handle(_ event: RolloutEvent, _ entry: Entry) throws(ReplayError) {
        guard machine != nil else { throw .misplaced(sequence: entry.sequence, "an event before the rollout's creation") }
        if let missing = pending.first, let last, last.epoch == entry.epoch {
            throw difference(at: entry, expected: missing, journaled: nil)
        }
        close(event)
        hasBegun = true
        pending = machine?.handle(event, at: entry.at) ?? []
        asked = pending
    }

    private mutating func compare(_ effect: Effect, _ entry: Entry) throws(ReplayError) {
        guard let expected = pending.first else {
            throw difference(at: entry, expected: nil, journaled: effect)
        }
        // Equal bytes are the rule. On another kind of machine the last bits of computed numbers may differ.
        let bytes = try? CanonicalEncoder.bytes(of: Record.effect(expected))  // An effect that cannot be written differs anyway.
        if bytes != entry.body {
            guard areClose(.effect(expected), .effect(effect)) else {
                throw difference(at: entry, expected: expected, journaled: effect)
            }
            inexact += 1
        }
        pending.removeFirst()
        if effect.isAnswered, !open.contains(effect) { open.append(effect) }
    }

    /// What a difference says: of what another engine wrote, that this one decides otherwise, and not that anything was changed.
    private func difference(at entry: Entry, expected: Effect?, journaled: Effect?) -> ReplayError {
        let engine = engines.version(in: entry.epoch)
        return engine == engineVersion
            ? .difference(sequence: entry.sequence, expected: expected, journaled: journaled)
            : .unknownEngine(sequence: entry.sequence, version: engine)
    }

    /// Strikes out the intents that an event answers. A takeover has read the world, which settles every weight.
    private mutating func close(_ event: RolloutEvent) {
        switch event {
        case .started, .ticked, .observed, .commanded, .doubted: break
        case .preflightFinished: open.removeAll { $0 == .preflight }
        case .historyRead: open.removeAll { $0 == .readHistory }
        case .weightReported(let intent, _): open.removeAll { $0.weightIntent == intent }
        case .actionReported(let intent, _): open.removeAll { $0.actionIntent == intent }
        case .backupReported(let intent, _): open.removeAll { $0 == .takeBackup(intent) }
        case .migrationReported(let intent, _): open.removeAll { $0.migrationIntent == intent }
        case .schemaInspected(let intent, _): open.removeAll { $0 == .inspectSchema(intent) }
        case .backupReleased(let failure): if failure == nil { open.removeAll { $0 == .releaseBackup } }
        case .takenOver(let takeover):
            open.removeAll { effect in
                effect.weightIntent != nil || effect.isBackup && takeover.backup != nil
                    || effect.migrationIntent != nil && takeover.migration != nil || effect.isInspection
                    || takeover.actions.contains { $0.intent == effect.actionIntent }
            }
        }
    }

    /// What the entries amount to.
    public func finish() throws(ReplayError) -> Replayed<Machine> {
        guard let machine, let charter, let last else { throw .notCreated }
        return Replayed(
            machine: machine, charter: charter, hasBegun: hasBegun, openEffects: open, unjournaledEffects: pending,
            lastSequence: last.sequence, lastAt: last.at, inexactEffects: inexact)
    }
}

/// A rollout rebuilt from its entries.
public struct Replayed<Machine: Replayable>: Sendable {
    /// The machine after the last event.
    public var machine: Machine
    /// What the rollout was asked to be.
    public var charter: Charter
    /// Whether any event was journaled; a rollout whose creation is all there is has still to be started.
    public var hasBegun: Bool
    /// Journaled effects that wait for an answer, oldest first: weights, actions, backup, migrations, preflight, history. They may have been carried
    /// out, in part or not at all: read the world.
    public var openEffects: [Effect]
    /// Effects of the last event that were not journaled, so never carried out.
    public var unjournaledEffects: [Effect]
    /// The last entry's number.
    public var lastSequence: Int64
    /// The last entry's time; the controller's clock may not begin before it.
    public var lastAt: Instant
    /// Effects whose numbers agree only to 1e-9: none with the same build on the same kind of machine.
    public var inexactEffects: Int
}

extension Effect {
    /// Whether an event answers it one day.
    fileprivate var isAnswered: Bool {
        switch self {
        case .preflight, .readHistory, .setWeight, .lowerWeight, .takeBackup, .releaseBackup, .runAction, .migrate,
            .inspectSchema,
            .restore:
            true
        case .endBackup, .endMigration, .record, .notify: false
        }
    }

    fileprivate var weightIntent: IntentID? {
        switch self {
        case .setWeight(let intent, _), .lowerWeight(let intent, _): intent
        case .preflight, .readHistory, .takeBackup, .endBackup, .releaseBackup, .runAction, .migrate, .endMigration,
            .inspectSchema, .restore, .record, .notify:
            nil
        }
    }

    fileprivate var isBackup: Bool {
        if case .takeBackup = self { return true }
        return false
    }

    fileprivate var actionIntent: IntentID? {
        switch self {
        case .runAction(let intent, _), .restore(let intent, _, _): intent
        case .preflight, .readHistory, .setWeight, .lowerWeight, .takeBackup, .endBackup, .releaseBackup, .migrate, .endMigration,
            .inspectSchema, .record, .notify:
            nil
        }
    }

    fileprivate var migrationIntent: IntentID? {
        if case .migrate(let intent, _) = self { return intent }
        return nil
    }

    /// After a takeover the rollout asks for another look by itself.
    fileprivate var isInspection: Bool {
        if case .inspectSchema = self { return true }
        return false
    }
}

/// Whether two records are equal but for the last bits of their floating-point numbers: 1e-9 relative.
private func areClose(_ left: Record, _ right: Record) -> Bool {
    do {
        return areClose(try CanonicalEncoder.encode(left), try CanonicalEncoder.encode(right))
    } catch {
        return false
    }
}

private func areClose(_ left: JSONValue, _ right: JSONValue) -> Bool {
    switch (left, right) {
    case (.array(let left), .array(let right)):
        return left.count == right.count && zip(left, right).allSatisfy { areClose($0, $1) }
    case (.object(let left), .object(let right)):
        return left.count == right.count
            && zip(left, right).allSatisfy { $0.key == $1.key && areClose($0.value, $1.value) }
    case (.string(let leftText), .string(let rightText)):
        if leftText == rightText { return true }
        guard let left = Double(leftText), let right = Double(rightText), left.isFinite, right.isFinite else { return false }
        return abs(left - right) <= 1e-9 * max(abs(left), abs(right))
    default:
        return left == right
    }
}
