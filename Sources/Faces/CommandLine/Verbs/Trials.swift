internal import SerinController
internal import SerinLocks
internal import SerinModel
internal import SerinPolicies
internal import SerinRecords
internal import SerinRollouts
internal import SerinTrials

/// Policies that are tried. Trying takes long, so it happens on threads that leave the processor to everything else, and where others
/// share the process one at a time: a decision never waits for it.
final class Trials: Sendable {
    /// The most polls of one simulation where others share the process, and at the command line.
    static let sharedPolls = 20_000
    static let ownPolls = 2_000_000
    /// How many rollouts are simulated when nobody says.
    static let usualRuns = 100

    private let isTaken = Locked(false)

    /// Does one of these at a time.
    func alone(
        _ body: () async throws(OperationError) -> JSONValue
    ) async throws(OperationError) -> JSONValue {
        let wasTaken = isTaken.withLock { taken in
            defer { taken = true }
            return taken
        }
        guard !wasTaken else { throw .unavailable("another policy is being tried at the moment; try again") }
        defer { isTaken.withLock { $0 = false } }
        return try await body()
    }

    /// Computes on a thread of its own.
    static func aside<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async throws(OperationError) -> Value {
        let value: Value? = await withCheckedContinuation { continuation in
            let code = startThread {
                yieldToOthers()
                continuation.resume(returning: work())
            }
            if code != 0 { continuation.resume(returning: nil) }
        }
        guard let value else { throw .unavailable("there is no thread to compute on; try again") }
        return value
    }

    /// Simulates rollouts of a policy.
    ///
    /// - Parameters:
    ///   - runs: How many; nil is as many as are usual and allowed.
    ///   - most: How many polls they may have together.
    static func simulate(
        _ policy: Policy, named file: String, _ load: SimulatedLoad, runs: Int?, seed: UInt64, most: Int
    ) async throws(OperationError) -> SimulationSummary {
        let simulation: Simulation
        do throws(TrialError) { simulation = try Simulation(policy, load, seed: seed) } catch { throw .cannotTry(error, file) }
        let allowed = most / simulation.polls
        guard runs ?? 1 <= allowed else {
            throw .cannotTry(
                TrialError(
                    "\(runs ?? 1) runs of up to \(simulation.polls) polls each are more than the \(most) polls that are simulated",
                    hint: allowed == 0 ? "its longest bake holds too many polls" : "ask for at most \(allowed) runs"), file)
        }
        let count = runs ?? min(usualRuns, allowed)
        return try await aside { SimulationSummary((0..<count).map { simulation.run($0) }) }
    }

    /// Judges the journal of a rollout, or of a service's last one, by another policy, which is read with that rollout's versions.
    static func backtest(
        _ name: String, from operations: any RolloutOperations, named file: String,
        read: @escaping @Sendable (Charter) throws(OperationError) -> Policy
    ) async throws(OperationError) -> Backtest {
        for service in StateRoot.services(named: name) {
            do throws(OperationError) {
                let id = service.description == name ? try await operations.status(of: name).id : RolloutID(name)
                guard let id else { continue }
                var reader = JournalTrial(id, file: file, read: read)
                var last: Int64 = 0
                while true {
                    let entries = try await operations.entries(of: service, after: last, limit: 64)
                    let before = reader
                    reader = try await aside { Result { () throws(OperationError) in try before.taking(entries) } }.get()
                    guard let next = entries.last?.sequence, next > last else { break }
                    last = next
                }
                return try reader.finished()
            } catch .notFound { continue }
        }
        throw .notFound("there is no journal of '\(name)'")
    }
}

/// A backtest that reads a service's journal.
private struct JournalTrial: Sendable {
    private let rollout: RolloutID
    private let file: String
    private let read: @Sendable (Charter) throws(OperationError) -> Policy
    private var engines = EngineHistory()
    private var backtest: Backtest?

    init(_ rollout: RolloutID, file: String, read: @escaping @Sendable (Charter) throws(OperationError) -> Policy) {
        self.rollout = rollout
        self.file = file
        self.read = read
    }

    /// After the next entries.
    func taking(_ entries: [Entry]) throws(OperationError) -> JournalTrial {
        var next = self
        for entry in entries { try next.take(entry) }
        return next
    }

    private mutating func take(_ entry: Entry) throws(OperationError) {
        guard let id = entry.rollout else {
            // An opening that cannot be read is found out at the first entry of its epoch.
            try? engines.take(entry)
            backtest?.learn(engines)
            return
        }
        guard id == rollout else { return }
        if backtest == nil {
            guard let charter = Self.charter(in: entry) else {
                throw .unavailable(
                    "entry \(entry.sequence) of the journal does not create \(rollout), or is of no form known here")
            }
            let policy = try read(charter)
            do throws(TrialError) {
                backtest = try Backtest(of: charter, createdAt: entry.at, by: policy, engines: engines)
            } catch { throw .cannotTry(error, file) }
        }
        do throws(ReplayError) { try backtest?.take(entry) } catch {
            throw .refused(
                Refusal(
                    "the journal of \(rollout) cannot be decided again: \(error)",
                    hint: "serin verify \(rollout) tells what is wrong with it"))
        }
    }

    private static func charter(in entry: Entry) -> Charter? {
        do throws(RecordError) {
            guard case .created(let charter) = try CanonicalDecoder.decode(Record.self, from: entry.body) else { return nil }
            return charter
        } catch { return nil }
    }

    func finished() throws(OperationError) -> Backtest {
        guard var backtest, backtest.finish() else { throw .notFound("the journal has no rollout '\(rollout)'") }
        return backtest
    }
}

extension OperationError {
    /// What cannot be tried, said of the file that was to be.
    static func cannotTry(_ error: TrialError, _ file: String) -> OperationError {
        .invalid([Diagnostic(file: file, mark: Mark(line: 1, column: 1), message: error.message, hint: error.hint)])
    }
}
