public import SerinModel
public import SerinRecords
internal import SerinRollouts

/// Checks a whole journal in one reading: its chain, and every decision again from what was read. It is given the entries from the
/// first on, wherever they come from, and trusts nobody's word for them.
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

    /// A check.
    ///
    /// - Parameters:
    ///   - wanted: The one rollout to decide again; nil is all. The chain is always checked whole.
    ///   - checkpoint: A noted size and hash that the journal must contain.
    ///   - digest: SHA-256.
    public init(of wanted: RolloutID? = nil, against checkpoint: Checkpoint? = nil, digest: @escaping Digest) {
        self.wanted = wanted
        chain = ChainVerification(chain: Chain(digest: digest), checkpoint: checkpoint)
    }

    /// The last entry's number; 0 before the first.
    public var last: Int64 { chain.last?.sequence ?? 0 }

    /// The journal's size and the hash of its last entry.
    public var head: Checkpoint { Checkpoint(chain.last) }

    /// Whether the rollout asked for was among the entries.
    public var hasFoundRollout: Bool { wanted.map { replays[$0] != nil } ?? true }

    /// Where the journal does not hold together, in words.
    public var faults: [String] { chain.faults.filter { !$0.isOfAnotherVersion }.map(\.description) + differences }

    /// What another version of Serin wrote, so that it could be neither read nor decided again, in words.
    public var unread: [String] { chain.faults.filter(\.isOfAnotherVersion).map(\.description) + undecided }

    /// Takes the next entry.
    public mutating func take(_ entry: Entry) {
        chain.take(entry)
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

    /// Ends the check: a journal shorter than the checkpoint was cut.
    public mutating func finish() { chain.finish() }
}
