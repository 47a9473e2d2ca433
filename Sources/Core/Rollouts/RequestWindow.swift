internal import SerinModel

/// The latest requests out of totals that only grow: those of a least time and of a least number, whichever goes further back.
struct RequestWindow: Sendable, Hashable {
    private struct Mark: Sendable, Hashable {
        var at: Instant
        var total: TrafficCounts
        var requests: Double { total.canary + total.control }
    }

    /// The base first; totals that did not move leave no mark, so there are at most about as many as requests.
    private var marks: [Mark] = []

    /// How long ago the window began.
    func span(until now: Instant) -> Duration { marks.first.map { now - $0.at } ?? .zero }

    /// As `take(_:at:lasting:holding:)` for totals that began at zero: the first of them count as well.
    mutating func take(
        sinceConfirmed total: TrafficCounts, at now: Instant, lasting length: Duration, holding fewest: Double
    ) -> TrafficCounts? {
        if marks.isEmpty { marks.append(Mark(at: now, total: TrafficCounts(canary: 0, control: 0))) }
        return take(total, at: now, lasting: length, holding: fewest)
    }

    /// Takes the totals of a poll and returns what came in the window; nil at the first sight, and after totals that fell.
    mutating func take(_ total: TrafficCounts, at now: Instant, lasting length: Duration, holding fewest: Double)
        -> TrafficCounts?
    {
        if let last = marks.last, total.canary < last.total.canary || total.control < last.total.control { marks = [] }
        let newest = Mark(at: now, total: total)
        if marks.last.map({ $0.total != total }) ?? true { marks.append(newest) }
        let base = marks.lastIndex { now - $0.at >= length && newest.requests - $0.requests >= fewest }
        if let base { marks.removeFirst(base) }
        guard let first = marks.first, first.at < now || marks.count > 1 else { return nil }
        return TrafficCounts(canary: total.canary - first.total.canary, control: total.control - first.total.control)
    }
}
