public import SerinModel
public import SerinPorts
public import SerinRecords

/// The store port's reference: a journal in memory, with the same chain, numbering and epochs as a durable one. It forgets
/// everything when the process ends, so it serves rehearsals and tests.
///
/// An actor, because it waits for nothing while it holds its entries: every method but the fault runs to its end at once.
public actor MemoryStore: Store {
    /// Stands between an append and its success: it may wait (a stalled disk) or throw (a full one).
    public typealias Fault = @Sendable ([Draft]) async throws(StoreError) -> Void

    /// The epoch of this opening.
    public nonisolated let epoch: Int64
    private let chain: Chain
    private var journal: [Entry]
    private var fault: Fault?
    private var isClosed = false

    /// Opens a journal that holds these entries, in the epoch after their last, and journals the opening.
    ///
    /// - Parameters:
    ///   - entries: What an earlier store left, in order.
    ///   - at: The moment of the opening; the last entry's when that is later.
    ///   - engine: The engine version to journal.
    ///   - digest: SHA-256.
    public init(
        holding entries: [Entry] = [], at now: Instant, engine: String = engineVersion, digest: @escaping Digest
    ) throws(StoreError) {
        chain = Chain(digest: digest)
        let last = entries.last
        epoch = (last?.epoch ?? 0) + 1
        if let fault = chain.verify(entries, from: nil).first { throw .damaged("cannot open the journal: \(fault)") }
        let opening = Draft(rollout: nil, at: max(now, last?.at ?? now), record: .opened(epoch: epoch, engine: engine))
        do {
            journal = entries + (try chain.link([opening], after: last, epoch: epoch))
        } catch {
            throw .unavailable("cannot journal the opening: \(error)")
        }
    }

    /// Puts a fault between every following append and its success; nil takes it away.
    public func setFault(_ fault: Fault?) { self.fault = fault }

    /// Everything in the journal, in order.
    public var entries: [Entry] { journal }

    /// Appends all drafts or none.
    public func append(_ drafts: [Draft]) async throws(StoreError) -> [Entry] {
        if let fault { try await fault(drafts) }
        guard !isClosed else { throw .unavailable("cannot append to the journal: it is closed") }
        let linked: [Entry]
        do {
            linked = try chain.link(drafts, after: journal.last, epoch: epoch)
        } catch {
            throw .unavailable("cannot append to the journal: \(error)")
        }
        journal += linked
        return linked
    }

    /// Entries after a sequence number, at most `limit`.
    public func entries(after sequence: Int64, rollout: RolloutID?, limit: Int) async throws(StoreError) -> [Entry] {
        guard !isClosed else { throw .unavailable("cannot read the journal: it is closed") }
        let matching = journal.lazy.filter { $0.sequence > sequence && (rollout == nil || $0.rollout == rollout) }
        return Array(matching.prefix(max(0, limit)))
    }

    /// The last entry.
    public func head() async throws(StoreError) -> Entry? {
        guard !isClosed else { throw .unavailable("cannot read the journal: it is closed") }
        return journal.last
    }

    /// Ends the use of this opening; the entries can be given to a new one.
    public func close() async { isClosed = true }
}
