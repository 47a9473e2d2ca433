public import SerinModel
public import SerinPorts

/// An outbox that keeps calls in memory while its store cannot be written, so that people are called all the same, and what became of
/// a message, so that it is not sent again and again. Everything is written once that is possible; a restart before then loses it.
public actor SteadyOutbox: Outbox {
    private struct Unkept: Sendable, Hashable {
        var entry: OutboxEntry
        /// Whether the store knows an earlier state of it.
        var isStored: Bool
    }

    private let outbox: any Outbox
    private var unkept: [Unkept] = []
    /// What the last try to write failed with; nil when it did not.
    public private(set) var trouble: Failure?

    /// Steadies a store.
    public init(_ outbox: any Outbox) { self.outbox = outbox }

    /// Adds messages. When that fails the calls among them are sent all the same.
    public func add(_ entries: [OutboxEntry]) async throws(Failure) {
        do throws(Failure) {
            try await flush()
            try await outbox.add(entries)
            trouble = nil
        } catch {
            trouble = error
            if unkept.count >= OutboxEntry.limit { unkept.removeAll { !$0.isStored && $0.entry.state != .waiting } }
            let room = max(0, OutboxEntry.limit - unkept.count)
            let calls = entries.filter { entry in entry.isCall && !unkept.contains { $0.entry.isSame(as: entry) } }
            unkept += calls.prefix(room).map { Unkept(entry: $0, isStored: false) }
            throw error
        }
    }

    /// The messages of a destination that wait, also those that could not be written.
    public func waiting(for destination: String, limit: Int) async throws(Failure) -> [OutboxEntry] {
        var stored: [OutboxEntry] = []
        if !unkept.isEmpty {
            do throws(Failure) {
                try await flush()
                trouble = nil
            } catch { trouble = error }
        }
        do throws(Failure) { stored = try await outbox.waiting(for: destination, limit: limit) } catch {
            guard unkept.contains(where: { $0.entry.destination == destination }) else { throw error }
        }
        let own = unkept.map(\.entry).filter { $0.destination == destination }
        let all = stored.filter { entry in !own.contains { $0.isSame(as: entry) } } + own.filter { $0.state == .waiting }
        return Array((all.filter(\.isCall) + all.filter { !$0.isCall }).prefix(limit))
    }

    /// The destinations for which messages wait.
    public func destinations() async throws(Failure) -> [String] {
        let own = unkept.map(\.entry).filter { $0.state == .waiting }.map(\.destination)
        do throws(Failure) { return Set(try await outbox.destinations() + own).sorted() } catch {
            guard !own.isEmpty else { throw error }
            return Set(own).sorted()
        }
    }

    /// How many messages wait for a destination.
    public func waitingCount(for destination: String) async throws(Failure) -> Int {
        let own = unkept.filter { $0.entry.destination == destination }
        let added = own.count { !$0.isStored && $0.entry.state == .waiting }
        do throws(Failure) {
            let stored = try await outbox.waitingCount(for: destination)
            return max(added, stored + added - own.count { $0.isStored && $0.entry.state != .waiting })
        } catch {
            guard added > 0 else { throw error }
            return added
        }
    }

    /// Replaces a message by its next state, in memory when the store does not take it.
    public func put(_ entry: OutboxEntry) async throws(Failure) {
        do throws(Failure) {
            if let index = unkept.firstIndex(where: { $0.entry.isSame(as: entry) }) {
                unkept[index].entry = entry
                try await flush()
            } else {
                try await outbox.put(entry)
            }
            trouble = nil
        } catch {
            trouble = error
            if !unkept.contains(where: { $0.entry.isSame(as: entry) }) { unkept.append(Unkept(entry: entry, isStored: true)) }
            throw error
        }
    }

    /// Messages that were given up, the latest first.
    public func dead(limit: Int) async throws(Failure) -> [OutboxEntry] {
        let stored = try await outbox.dead(limit: limit)
        return Array((unkept.map(\.entry).filter { $0.state == .dead }.reversed() + stored).prefix(limit))
    }

    /// The calls that a destination took, the latest first.
    public func deliveredCalls(to destination: String, limit: Int) async throws(Failure) -> [OutboxEntry] {
        let stored = try await outbox.deliveredCalls(to: destination, limit: limit)
        let own = unkept.map(\.entry).filter { $0.destination == destination && $0.state == .delivered && $0.isCall }
        return Array((own.reversed() + stored).prefix(limit))
    }

    /// Forgets what was delivered or given up before a moment.
    public func forget(before moment: Instant) async throws(Failure) {
        do throws(Failure) {
            try await flush()
            try await outbox.forget(before: moment)
            trouble = nil
        } catch {
            trouble = error
            throw error
        }
    }

    /// Writes what could not be written before.
    private func flush() async throws(Failure) {
        for late in unkept {
            if !late.isStored { try await outbox.add([late.entry]) }
            try await outbox.put(late.entry)
            guard let index = unkept.firstIndex(where: { $0.entry.isSame(as: late.entry) }) else { continue }
            // It may have gone on meanwhile.
            if unkept[index].entry == late.entry { unkept.remove(at: index) } else { unkept[index].isStored = true }
        }
    }
}
