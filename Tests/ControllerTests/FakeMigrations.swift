import SerinLocks
import SerinModel
import SerinPorts
import SerinRollouts

/// A schema in memory, which outlives the controllers that move it.
final class FakeMigrations: Migrations {
    struct State: Sendable {
        /// Where the schema is; nil is before the first revision.
        var current: RevisionID?
        /// What the next preflight finds to be done.
        var pending: [PlannedRevision] = []
        /// How much each table was written to.
        var activity: [TableActivity]?
        /// The database.
        var database: DatabaseIdentity? = DatabaseIdentity(system: "1", name: "checkout")
        /// The revisions that the last move was allowed, with their digests.
        var judged: [PlannedRevision] = []
        /// What preflight finds wrong.
        var problems: [Failure] = []
        /// A move takes until its end.
        var gate: AsyncStream<Never>?
        /// Why the next moves fail; with whether they were applied all the same.
        var failures: [(failure: Failure, isApplied: Bool)] = []
        /// Why the schema cannot be read.
        var readFailure: Failure?
        /// Every move that was made, as `up 0002` or `down base`.
        var moves: [String] = []
        var ended = 0
        var settled = 0
        /// How many moves are under way.
        var running = 0
        /// Whether the schema was read while a move was under way.
        var wasReadInBetween = false
    }

    let state = Locked(State())

    func state(deadline: Duration) async throws(Failure) -> SchemaState { try read().state }

    func plan(deadline: Duration) async throws(Failure) -> MigrationPlan {
        state.withLock { MigrationPlan(from: $0.current, pending: $0.pending, activity: $0.activity, database: $0.database) }
    }

    func preflight(_ request: MigrationRequest, deadline: Duration) async -> MigrationPreflight {
        state.withLock { state in
            MigrationPreflight(
                plan: MigrationPlan(
                    from: state.current, pending: state.pending, activity: state.activity, database: state.database),
                problems: state.problems)
        }
    }

    func up(
        _ request: MigrationRequest, from: RevisionID?, to target: RevisionID, judged: [PlannedRevision], deadline: Duration
    ) async -> MigrationOutcome {
        state.withLock { $0.judged = judged }
        return await move("up \(target)", to: target)
    }

    func down(
        _ request: MigrationRequest, to target: RevisionID?, judged: [PlannedRevision], deadline: Duration
    ) async -> MigrationOutcome {
        state.withLock { $0.judged = judged }
        return await move("down \(target?.description ?? "base")", to: target)
    }

    func settle(_ request: MigrationRequest, deadline: Duration) async throws(Failure) -> SchemaReport {
        state.withLock { state in
            state.settled += 1
            if state.running > 0 { state.wasReadInBetween = true }
        }
        return try read()
    }

    private func read() throws(Failure) -> SchemaReport {
        let (report, failure) = state.withLock { state in
            (
                SchemaReport(
                    state: SchemaState(
                        current: state.current.map { [$0] } ?? [], heads: state.pending.last.map { [$0.id] } ?? []),
                    activity: state.activity), state.readFailure
            )
        }
        if let failure { throw failure }
        return report
    }

    private func move(_ words: String, to target: RevisionID?) async -> MigrationOutcome {
        let gate = state.withLock { state in
            state.moves.append(words)
            state.running += 1
            return state.gate
        }
        if let gate { for await _ in gate {} }
        return state.withLock { state in
            state.running -= 1
            func place() -> SchemaState { SchemaState(current: state.current.map { [$0] } ?? [], heads: []) }
            if gate != nil, Task.isCancelled {
                state.ended += 1
                return .failed(Failure(.transient, "it was ended"), place())
            }
            if !state.failures.isEmpty {
                let next = state.failures.removeFirst()
                if next.isApplied { state.current = target }
                if next.failure.kind == .unknown { return .unknown(next.failure) }
                return .failed(next.failure, place())
            }
            state.current = target
            return .done(place(), note: "")
        }
    }
}
