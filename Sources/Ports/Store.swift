public import SerinModel
public import SerinRecords

/// Why the journal could not do what was asked.
public enum StoreError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Another process holds the store.
    case locked(String)
    /// The disk is full, the file unreadable, a write failed: nothing was acknowledged.
    case unavailable(String)
    /// A write failed without anyone knowing whether it took place: this opening of the store writes nothing any more.
    case uncertain(String)
    /// The stored chain does not hold together.
    case damaged(String)

    /// The words.
    public var description: String {
        switch self {
        case .locked(let text), .unavailable(let text), .uncertain(let text), .damaged(let text): text
        }
    }
}

/// Where the journal is kept. One process holds it at a time, in an epoch that each opening raises.
public protocol Store: Sendable {
    /// The epoch of this opening, from 1.
    var epoch: Int64 { get }

    /// Appends all entries or none; they survive power loss when this returns. Drafts become entries in the order given.
    func append(_ drafts: [Draft]) async throws(StoreError) -> [Entry]

    /// Entries after a sequence number in order, at most `limit`; of one rollout when it is named.
    func entries(after sequence: Int64, rollout: RolloutID?, limit: Int) async throws(StoreError) -> [Entry]

    /// Every rollout that has entries, in the order of their first ones.
    func rollouts() async throws(StoreError) -> [RolloutID]

    /// The controller's own entries, which belong to no rollout (openings, clock jumps), in order.
    func controllerEntries() async throws(StoreError) -> [Entry]

    /// The last entry; nil in an empty store.
    func head() async throws(StoreError) -> Entry?

    /// Releases the store.
    func close() async
}

extension Store {
    /// Reads through the whole journal; stores that have an index answer faster.
    public func rollouts() async throws(StoreError) -> [RolloutID] {
        var rollouts: [RolloutID] = []
        var seen: Set<RolloutID> = []
        var last: Int64 = 0
        while true {
            let page = try await entries(after: last, rollout: nil, limit: 64)
            guard let end = page.last else { return rollouts }
            for entry in page {
                if let rollout = entry.rollout, seen.insert(rollout).inserted { rollouts.append(rollout) }
            }
            last = end.sequence
        }
    }

    /// Reads through the whole journal; stores that have an index answer faster.
    public func controllerEntries() async throws(StoreError) -> [Entry] {
        var own: [Entry] = []
        var last: Int64 = 0
        while true {
            let page = try await entries(after: last, rollout: nil, limit: 64)
            guard let end = page.last else { return own }
            own += page.filter { $0.rollout == nil }
            last = end.sequence
        }
    }
}
