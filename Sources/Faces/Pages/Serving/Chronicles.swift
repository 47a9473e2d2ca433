internal import SerinController
internal import SerinLocks
internal import SerinModel
internal import SerinRecords
internal import SerinRollouts

/// The histories of rollouts, read from their journals once and then only as those grow.
final class Chronicles: Sendable {
    /// The most histories that are kept.
    private static let limit = 128
    /// How many entries are asked for at once: a halt waits for one page at the most.
    private static let page = 256
    /// How far before its first decision a rollout's first entry may lie.
    private static let lead: Int64 = 32

    private let operations: any RolloutOperations
    private let known = Locked<[RolloutID: RolloutHistory]>([:])

    init(_ operations: any RolloutOperations) { self.operations = operations }

    /// The course of a rollout up to now.
    func history(of status: RolloutStatus) async throws(OperationError) -> RolloutHistory {
        var history = known.withLock { $0[status.id] } ?? RolloutHistory(of: status.id)
        if history.isSucceeded { return history }
        var last: Int64
        if let head = history.head {
            last = head.size
        } else {
            let first = try await operations.decisions(of: status.id.description, after: 0, limit: 1).first
            guard let first else { return history }
            last = max(0, first.sequence - Self.lead)
        }
        while !history.isSucceeded {
            let entries = try await operations.entries(of: status.service, after: last, limit: Self.page)
            for entry in entries { history.take(entry) }
            guard let next = entries.last?.sequence, entries.count == Self.page else { break }
            last = next
        }
        keep(history)
        return history
    }

    private func keep(_ history: RolloutHistory) {
        known.withLock { known in
            let size = history.head?.size ?? 0
            guard size >= known[history.rollout]?.head?.size ?? 0 else { return }
            known[history.rollout] = history
            guard known.count > Self.limit, let oldest = known.keys.min(by: { ($0 < $1) }) else { return }
            known[oldest] = nil
        }
    }
}
