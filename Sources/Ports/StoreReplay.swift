public import SerinModel
public import SerinRecords

extension Store {
    /// Which engine version ran in each epoch.
    public func engineHistory() async throws(StoreError) -> EngineHistory {
        var engines = EngineHistory()
        for entry in try await controllerEntries() {
            do {
                try engines.take(entry)
            } catch {
                throw .damaged(
                    "entry \(entry.sequence) is not of a form that this build (engine \(engineVersion)) knows: \(error)")
            }
        }
        return engines
    }

    /// Rebuilds a rollout from its entries, comparing what it asks for with what was journaled. Used to verify, and to recover:
    /// a failure then means that the rollout must not go on.
    ///
    /// - Parameters:
    ///   - rollout: The rollout.
    ///   - machine: What to rebuild it as.
    ///   - engines: The store's engine history, when it is known already.
    public func replay<Machine: Replayable>(
        _ rollout: RolloutID, as machine: Machine.Type = Machine.self, engines: EngineHistory? = nil
    ) async throws(StoreError) -> Result<Replayed<Machine>, ReplayError> {
        let known: EngineHistory
        if let engines { known = engines } else { known = try await engineHistory() }
        var replay = Replay<Machine>(of: rollout, engines: known)
        var next: Int64 = 0
        while true {
            let page = try await entries(after: next, rollout: rollout, limit: 64)
            guard let end = page.last else { break }
            do throws(ReplayError) {
                for entry in page { try replay.take(entry) }
            } catch {
                return .failure(error)
            }
            next = end.sequence
        }
        do throws(ReplayError) {
            return .success(try replay.finish())
        } catch {
            return .failure(error)
        }
    }
}
