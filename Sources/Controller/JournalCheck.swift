public import SerinModel
public import SerinRecords
internal import SerinRollouts

/// Checks a whole journal in one reading: its chain, every decision again from what was read, and what must always hold (S3, S6, S13,
/// L2) of what was asked for and answered. It is given the entries from the first on, wherever they come from, and trusts nobody's word
/// for them.
public struct JournalCheck: Sendable {
    /// How many entries were decided again or compared.
    public private(set) var replayed = 0
    /// Where a replay differs from the journal, in words.
    private var differences: [String] = []
    /// What an older engine decided otherwise, in words; the chain knows that engine.
    private var undecided: [String] = []
    private var chain: ChainVerification
    private let wanted: RolloutID?
    private var engines = EngineHistory()
    private var replays: [RolloutID: Replay<Rollout>] = [:]
    private var broken: Set<RolloutID> = []
    /// In the order of their creation.
    private var promises: [(of: RolloutID, kept: JournalPromises)] = []
    private var noted: TreeHead?
    private var tree: MerkleTree

    /// A check.
    ///
    /// - Parameters:
    ///   - wanted: The one rollout to decide again; nil is all. The chain is always checked whole.
    ///   - noted: What was noted of the journal earlier and it must contain.
    ///   - digest: SHA-256.
    public init(of wanted: RolloutID? = nil, against noted: NotedJournal? = nil, digest: @escaping Digest) {
        self.wanted = wanted
        var checkpoint: Checkpoint?
        switch noted {
        case .head(let head): checkpoint = head
        case .tree(let head): self.noted = head
        case nil: break
        }
        chain = ChainVerification(chain: Chain(digest: digest), checkpoint: checkpoint)
        tree = MerkleTree(digest: digest)
    }

    /// The last entry's number; 0 before the first.
    public var last: Int64 { chain.last?.sequence ?? 0 }

    /// The journal's size and the hash of its last entry.
    public var head: Checkpoint { Checkpoint(chain.last) }

    /// Whether the rollout asked for was among the entries.
    public var hasFoundRollout: Bool { wanted.map { replays[$0] != nil } ?? true }

    /// Where the journal does not hold together, in words.
    public var faults: [String] {
        chain.faults.filter { !$0.isOfAnotherVersion }.map(\.description) + differences
            + promises.flatMap { of, kept in kept.faults.map { "\(of): \($0)" } }
    }

    /// What another version of Serin wrote, so that it could be neither read nor decided again, in words.
    public var unread: [String] { chain.faults.filter(\.isOfAnotherVersion).map(\.description) + undecided }

    /// Takes the next entry.
    public mutating func take(_ entry: Entry) {
        chain.take(entry)
        if let noted, tree.size < noted.size { tree.append(entry.hash) }
        guard let id = entry.rollout else {
            // What cannot be read here is among the chain's faults.
            try? engines.take(entry)
            return
        }
        guard wanted == nil || wanted == id, !broken.contains(id) else { return }
        // Taken out, because a rollout that two hold is copied whole at every entry.
        var replay = replays.removeValue(forKey: id) ?? Replay(of: id, engines: engines)
        replay.learn(engines)
        do throws(ReplayError) {
            try replay.take(entry)
            replayed += 1
            hold(id, to: entry, replay)
        } catch {
            if !error.isUnread {
                differences.append("\(id): \(error)")
            } else if case .unknownEngine(_, let engine?) = error, replayableEngineVersions.contains(engine) {
                undecided.append("\(id): \(error)")
            }
            broken.insert(id)
        }
        replays[id] = replay
    }

    /// Holds a rollout to its promises. What an older engine promised is its own.
    private mutating func hold(_ id: RolloutID, to entry: Entry, _ replay: Replay<Rollout>) {
        guard let record = replay.record, let rollout = replay.current else { return }
        if case .created(let charter) = record {
            guard engines.version(in: entry.epoch) == engineVersion else { return }
            promises.append((id, JournalPromises(charter: charter)))
        }
        guard let place = promises.lastIndex(where: { $0.of == id }) else { return }
        promises[place].kept.take(entry.sequence, at: entry.at, record, JournalPromises.Standing(rollout))
    }

    /// Ends the check: a journal shorter than what was noted was cut, one with another root up to there was rewritten, and what was
    /// being taken back must be at its end or a person called, unless a controller goes on with it.
    public mutating func finish(isHeld: Bool) {
        chain.finish()
        for place in promises.indices { promises[place].kept.finish(isHeld: isHeld) }
        guard let noted else { return }
        if tree.size < noted.size {
            differences.append(
                "entry \(tree.size) is the last, but the journal had \(noted.size) entries when the checkpoint was signed: its end was "
                    + "cut off")
        } else if tree.head != noted {
            differences.append(
                "the first \(noted.size) entries are not those of the signed checkpoint: the journal was rewritten before its entry "
                    + "\(noted.size)")
        }
    }
}
