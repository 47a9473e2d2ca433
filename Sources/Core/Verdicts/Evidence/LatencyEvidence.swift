internal import SerinModel

/// The histograms behind a latency signal and the one edge at which it is tested.
///
/// The edge is chosen once, from the control alone and before any block is counted (history, or what the control did so far), so that
/// no choice depends on the evidence that it is used on.
struct LatencyEvidence: Sendable, Hashable {
    /// Observations of the control from which an edge is chosen without history.
    static let enough = 200.0

    let quantile: Double
    /// The finite edges, as first seen on control; a series with others is not counted.
    private(set) var edges: [Double] = []
    /// The edge tested, once it is chosen.
    private(set) var edge: Int?
    /// When it was chosen during the run; nil from history.
    private(set) var chosenAt: Instant?
    /// What the edge was chosen from.
    private(set) var reference: LatencyTail?
    /// The control over all usable blocks.
    private(set) var pooled: LatencyTail?

    init(quantile: Double) { self.quantile = quantile }

    /// Whether a series has the edges of the others.
    func accepts(_ other: [Double]) -> Bool { !other.isEmpty && edges == other }

    /// Takes the edges from the first of control's series that has any; the canary's own say nothing about where to test.
    mutating func learn(from control: [CohortRow]) {
        if edges.isEmpty, let first = control.first(where: { !$0.edges.isEmpty }) { edges = first.edges }
    }

    /// Requests slower than the edge.
    func slow(_ increase: InstanceTrack.Increase) -> Double {
        guard let edge, edge < increase.counts.count else { return 0 }
        return max(0, increase.exposure - increase.counts[edge])
    }

    /// Adds what the control did, until an edge is chosen.
    mutating func observe(_ increase: InstanceTrack.Increase) {
        if edge == nil { reference = LatencyEvidence.added(increase, to: reference, edges: edges) }
    }

    /// Adds a block's control.
    mutating func pool(_ increase: InstanceTrack.Increase) {
        pooled = LatencyEvidence.added(increase, to: pooled, edges: edges)
    }

    /// Chooses the edge from history.
    mutating func freeze(_ tail: LatencyTail) {
        guard tail.total >= LatencyEvidence.enough, let chosen = tail.edge(nearest: quantile) else { return }
        edges = tail.edges
        reference = tail
        edge = chosen
    }

    /// Chooses the edge once the control was seen often enough.
    mutating func freezeIfReady(at time: Instant) {
        guard edge == nil, let reference, reference.total >= LatencyEvidence.enough else { return }
        edge = reference.edge(nearest: quantile)
        if edge != nil { chosenAt = time }
    }

    /// Whether the edge was chosen after a block had begun, whose first part then had no edge.
    func isUnsettled(in start: Instant) -> Bool { chosenAt.map { start < $0 } ?? false }

    private static func added(
        _ increase: InstanceTrack.Increase, to tail: LatencyTail?, edges: [Double]
    ) -> LatencyTail? {
        guard increase.counts.count == edges.count, !edges.isEmpty else { return tail }
        var tail = tail ?? LatencyTail(edges: edges, above: edges.map { _ in 0 }, total: 0)
        for i in edges.indices { tail.above[i] += max(0, increase.exposure - increase.counts[i]) }
        tail.total += increase.exposure
        return tail
    }

    /// The tail that the permitted ratio is read off: the control of the run once ten of its requests were slower, before that what
    /// the edge was chosen from.
    var tail: LatencyTail? {
        guard let edge else { return nil }
        if let pooled, pooled.above[edge] >= 10 { return pooled }
        return reference
    }

    /// The permitted ratio of shares at the edge.
    func boundary(tolerance: Double, slack: Double) -> Double? {
        guard let edge, let tail, tail.above[edge] > 0 else { return nil }
        return tail.boundary(edge: edge, tolerance: tolerance, slack: slack)
    }

    /// What people should know about the edge.
    var notes: [String] {
        guard let edge, let reference else { return [] }
        var notes: [String] = []
        let share = (reference.above.last ?? 0) / reference.total
        if share > 1 - quantile {
            notes.append(
                "the quantile lies beyond the last bucket edge, \(decimal(edges.last ?? 0, places: 3)) s: only that edge is tested"
            )
        }
        if edge > 0, edges[edge] > 1.25 * edges[edge - 1] {
            notes.append(
                "tested at \(decimal(edges[edge], places: 3)) s; the bucket below is wide, from \(decimal(edges[edge - 1], places: 3)) s"
            )
        }
        return notes
    }
}
