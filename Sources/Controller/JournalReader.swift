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
        guard let last = try await rollouts().last else { return nil }
        return try await rollout(last)
    }

    /// The rollouts of the store, oldest first, whether or not this build can replay them.
    public func rollouts() async throws(OperationError) -> [RolloutID] {
        do throws(StoreError) {
            return try await store.rollouts()
        } catch {
            throw .unavailable("the journal cannot be read: \(error)")
        }
    }

    /// Whether the store has entries of a rollout.
    func contains(_ id: RolloutID) async throws(OperationError) -> Bool {
        try await !entries(after: 0, rollout: id, limit: 1).isEmpty
    }

    /// Entries after a number as they are stored, of one rollout or of all, at most `limit`.
    public func entries(after sequence: Int64, rollout: RolloutID? = nil, limit: Int) async throws(OperationError) -> [Entry] {
        do throws(StoreError) {
            return try await store.entries(after: sequence, rollout: rollout, limit: limit)
        } catch {
            throw .unavailable("the journal cannot be read: \(error)")
        }
    }

    /// The last entry; nil in an empty journal.
    public func head() async throws(OperationError) -> Entry? {
        do throws(StoreError) {
            return try await store.head()
        } catch {
            throw .unavailable("the journal cannot be read: \(error)")
        }
    }

    /// What a request with a key was answered with when it came first; nil when it comes for the first time. It is looked for among
    /// the last hundred rollouts.
    ///
    /// - Throws: `refused` when the key was used for another request.
    func firstAnswer(to charter: Charter, key: String) async throws(OperationError) -> RolloutStatus? {
        for id in try await rollouts().suffix(100).reversed() {
            guard let entry = try await entries(after: 0, rollout: id, limit: 1).first, let known = entry.charter,
                known.requestKey == key, known.author == charter.author
            else { continue }
            guard known.policyHash == charter.policyHash, known.version == charter.version, known.previous == charter.previous,
                known.overrides == charter.overrides
            else {
                throw .refused(
                    Refusal(
                        "the key '\(key)' was used for another request, which started \(id)", hint: "a new key for a new request")
                )
            }
            return Rollout(charter: known, createdAt: entry.at).status(at: entry.at)
        }
        return nil
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
            let entries = try await entries(after: last, rollout: id, limit: page)
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
    /// The charter that the entry records; nil when it records something else, or what this build cannot read.
    fileprivate var charter: Charter? {
        do throws(RecordError) {
            guard case .created(let charter) = try CanonicalDecoder.decode(Record.self, from: body) else { return nil }
            return charter
        } catch { return nil }
    }

    /// The decision that the entry records; nil when it records something else.
    var decision: Decision? {
        // Told apart by their canonical beginning: events hold readings and hours of history, and hundreds may read the log.
        guard !body.starts(with: #"{"event":"#.utf8) else { return nil }
        do throws(RecordError) {
            guard case .effect(.record(let decision)) = try CanonicalDecoder.decode(Record.self, from: body) else { return nil }
            return decision
        } catch {
            // A damaged body is found by `serin verify`; the log shows what can be read.
            return nil
        }
    }
}
