internal import SerinController
internal import SerinModel
internal import SerinPorts
internal import SerinRecords
internal import SerinRollouts
internal import SerinSQLite

/// A journal that nobody controls: the last rollout and its log. Everything that changes is refused, and so is waiting for a change
/// of a rollout that is not over, since nothing can change it.
///
/// The file is open for the time of one answer only: whoever reads keeps out the controller that is to take the rollout up.
struct JournalOperations: RolloutOperations {
    let service: ServiceName
    let folder: StateFolder

    func start(_ request: StartRequest, by principal: Principal) async throws(OperationError) -> RolloutStatus { throw nobody }

    func statuses() async throws(OperationError) -> [RolloutStatus] {
        try await reading { reader throws(OperationError) in
            guard let last = try await reader.lastRollout() else { return [] }
            return [last.machine.status(at: last.lastAt)]
        }
    }

    func status(of name: String) async throws(OperationError) -> RolloutStatus {
        try await reading { reader throws(OperationError) in try await status(of: name, in: reader) }
    }

    func perform(_ command: Command, on name: String) async throws(OperationError) -> RolloutStatus { throw nobody }

    func decisions(of name: String, after sequence: Int64, limit: Int) async throws(OperationError) -> [LoggedDecision] {
        try await reading { reader throws(OperationError) in
            // By name alone: the log of a rollout that this build cannot replay can still be read.
            let known = try await reader.rollouts()
            let id = name == service.description ? known.last : known.first { $0.description == name }
            guard let id else { throw .notFound("there is no rollout '\(name)' in the journal of '\(service)'") }
            return try await reader.decisions(of: id, after: sequence, limit: limit)
        }
    }

    func entries(of service: ServiceName, after sequence: Int64, limit: Int) async throws(OperationError) -> [Entry] {
        try await reading { reader throws(OperationError) in
            try await reader.entries(after: sequence, limit: limit)
        }
    }

    func head(of service: ServiceName) async throws(OperationError) -> Entry? {
        try await reading { reader throws(OperationError) in try await reader.head() }
    }

    func statusChange(of name: String, from seen: RolloutStatus?, timeout: Duration) async throws(OperationError) -> RolloutStatus
    {
        let status = try await status(of: name)
        guard status.isFinal else { throw .unavailable(ControllerLocator.unattended(status)) }
        return status
    }

    private func status(of name: String, in reader: JournalReader) async throws(OperationError) -> RolloutStatus {
        if let last = try await reader.lastRollout() {
            let status = last.machine.status(at: last.lastAt)
            if status.id.description == name || status.service.description == name { return status }
        }
        guard let id = RolloutID(name) else { throw .notFound("there is no rollout '\(name)'") }
        let replayed = try await reader.rollout(id)
        return replayed.machine.status(at: replayed.lastAt)
    }

    private func reading<Answer: Sendable>(
        _ body: (JournalReader) async throws(OperationError) -> Answer
    ) async throws(OperationError) -> Answer {
        let store: SQLiteStore
        do throws(StoreError) {
            store = try await Self.open(folder)
        } catch {
            throw .unavailable("\(error)")
        }
        let result: Result<Answer, OperationError>
        do throws(OperationError) {
            result = .success(try await body(JournalReader(store)))
        } catch {
            result = .failure(error)
        }
        await store.close()
        return try result.get()
    }

    /// Opens a journal to read it. Another reader is waited for; a controller is not, it answers for itself.
    static func open(_ folder: StateFolder) async throws(StoreError) -> SQLiteStore {
        let clock = SystemClock()
        let limit = clock.now() + .seconds(5)
        while true {
            do throws(StoreError) {
                return try await SQLiteStore.read(folder.journal)
            } catch {
                guard case .locked = error, ServiceLock.holder(of: folder) == nil, clock.now() < limit else { throw error }
                await clock.sleep(for: .milliseconds(50))
            }
        }
    }

    private var nobody: OperationError { .unavailable("no controller is in charge; this is the journal alone") }
}
