public import SerinModel
public import SerinPorts
public import SerinRecords
public import SerinRollouts

/// Reads what a store's entries amount to: rollouts rebuilt by replay, and decisions.
public struct JournalReader: Sendable {
    private let store: any Store

    /// A reader of a store.
    public init(_ store: any Store) { self.store = store }

    /// The last rollout of the store, rebuilt from its entries; nil in a store without one.
    public func lastRollout() async throws(OperationError) -> Replayed<Rollout>? {
        let last: RolloutID?
        do throws(StoreError) {
            last = try await store.rollouts().last
        } catch {
            throw .unavailable("the journal cannot be read: \(error)")
        }
        guard let last else { return nil }
        return try await rollout(last)
    }

    /// One rollout rebuilt from its entries.
    public func rollout(_ id: RolloutID) async throws(OperationError) -> Replayed<Rollout> {
        let result: Result<Replayed<Rollout>, ReplayError>
        do throws(StoreError) {
            result = try await store.replay(id)
        } catch {
            throw .unavailable("the journal cannot be read: \(error)")
        }
        switch result {
        case .success(let replayed): return replayed
        case .failure(.notCreated): throw .notFound("the journal has no rollout '\(id)'")
        case .failure(let error) where error.isUnread:
            throw .refused(
                Refusal(
                    "rollout \(id) is left as it is, its journal is never guessed at: \(error)",
                    hint: "end it with the version of Serin that wrote it; once it is over, move its journal.sqlite away"))
        case .failure(let error): throw .unavailable("the journal does not hold together: \(error)")
        }
    }

    /// The decisions of a rollout after an entry's number, oldest first, at most `limit`.
    public func decisions(of id: RolloutID, after sequence: Int64, limit: Int) async throws(OperationError) -> [LoggedDecision] {
        let page = 500
        var found: [LoggedDecision] = []
        var last = sequence
        while found.count < limit {
            let entries: [Entry]
            do throws(StoreError) {
                entries = try await store.entries(after: last, rollout: id, limit: page)
            } catch {
                throw .unavailable("the journal cannot be read: \(error)")
            }
            for entry in entries {
                if let decision = entry.decision {
                    found.append(LoggedDecision(sequence: entry.sequence, at: entry.at, decision: decision))
                }
            }
            guard let next = entries.last?.sequence, entries.count == page else { break }
            last = next
        }
        return Array(found.prefix(limit))
    }
}

extension Entry {
    /// The decision that the entry records; nil when it records something else.
    var decision: Decision? {
        do throws(RecordError) {
            guard case .effect(.record(let decision)) = try CanonicalDecoder.decode(Record.self, from: body) else { return nil }
            return decision
        } catch {
            // A damaged body is found by `serin verify`; the log shows what can be read.
            return nil
        }
    }
}
