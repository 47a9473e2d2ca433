internal import SerinController
internal import SerinModel
internal import SerinPorts
internal import SerinRecords
internal import SerinRollouts
internal import SerinSQLite

/// A journal that nobody controls, opened to be read: the last rollout and its log. Everything that changes is refused.
struct JournalOperations: RolloutOperations {
    let service: ServiceName
    let store: SQLiteStore

    func start(_ request: StartRequest, by principal: Principal) async throws(OperationError) -> RolloutStatus { throw nobody }

    func statuses() async throws(OperationError) -> [RolloutStatus] {
        guard let last = try await JournalReader(store).lastRollout() else { return [] }
        return [last.machine.status(at: last.lastAt)]
    }

    func status(of name: String) async throws(OperationError) -> RolloutStatus {
        let last = try await statuses().last
        if let last, last.id.description == name || last.service.description == name { return last }
        guard let id = RolloutID(name) else { throw .notFound("there is no rollout '\(name)'") }
        let replayed = try await JournalReader(store).rollout(id)
        return replayed.machine.status(at: replayed.lastAt)
    }

    func perform(_ command: Command, on name: String) async throws(OperationError) -> RolloutStatus { throw nobody }

    func decisions(of name: String, after sequence: Int64, limit: Int) async throws(OperationError) -> [LoggedDecision] {
        // By name alone: the log of a rollout that this build cannot replay can still be read.
        let known: [RolloutID]
        do throws(StoreError) {
            known = try await store.rollouts()
        } catch {
            throw .unavailable("\(error)")
        }
        let id = name == service.description ? known.last : known.first { $0.description == name }
        guard let id else { throw .notFound("there is no rollout '\(name)' in the journal of '\(service)'") }
        return try await JournalReader(store).decisions(of: id, after: sequence, limit: limit)
    }

    func entries(of service: ServiceName, after sequence: Int64, limit: Int) async throws(OperationError) -> [Entry] {
        do throws(StoreError) {
            return try await store.entries(after: sequence, rollout: nil, limit: limit)
        } catch {
            throw .unavailable("\(error)")
        }
    }

    func statusChange(of name: String, from seen: RolloutStatus?, timeout: Duration) async throws(OperationError) -> RolloutStatus
    {
        try await status(of: name)
    }

    private var nobody: OperationError { .unavailable("no controller is in charge; this is the journal alone") }
}
