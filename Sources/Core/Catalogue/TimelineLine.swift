internal import SerinModel

/// A stored or available range of write-ahead log.
struct LogRange {
    /// Its backup; nil when it is not stored.
    let id: BackupID?
    let facts: SourceFacts
    let timeline: Int
    let start: LogPosition
    let stop: LogPosition

    /// Nil when the facts do not say where it begins and ends.
    init?(id: BackupID?, _ facts: SourceFacts) {
        guard let start = facts.lsnStart, let stop = facts.lsnStop, start < stop else { return nil }
        self.id = id
        self.facts = facts
        timeline = facts.timeline ?? 1
        self.start = start
        self.stop = stop
    }
}

/// The timelines that lead to one, the oldest first, each with the position at which the next one left it.
struct TimelineLine {
    private struct Step {
        let timeline: Int
        /// Nil for the last one, which nothing has left.
        let end: LogPosition?
    }

    private let steps: [Step]

    /// The timeline at its end.
    var timeline: Int { steps.last?.timeline ?? 1 }

    /// The lines that a base backup is part of, that of the newest timeline last. Its own timeline is always one of them.
    static func lines(from base: BackupRecord, through log: [LogRange]) -> [TimelineLine] {
        let own = base.facts?.server?.timeline ?? 1
        var lines = [TimelineLine(steps: [Step(timeline: own, end: nil)])]
        for timeline in Set(log.map(\.timeline)).sorted() where timeline > own {
            let ranges = log.filter { $0.timeline == timeline }
            var steps: [Step] = []
            if let history = ranges.compactMap(\.facts.history).max(by: { $0.count < $1.count }) {
                steps = history.drop { $0.timeline != own }.map { Step(timeline: $0.timeline, end: $0.end) }
            } else if let parent = lines.last, let first = ranges.map(\.start).min() {
                // Its first file begins with what the timeline before has in common with it: the branch is in there.
                steps = parent.steps.map { Step(timeline: $0.timeline, end: $0.end ?? first) }
            }
            // A base from behind the branch is not on the line that begins there.
            guard let left = steps.first?.end, base.facts?.server?.lsnStop.map({ $0 <= left }) ?? true else { continue }
            lines.append(TimelineLine(steps: steps + [Step(timeline: timeline, end: nil)]))
        }
        return lines
    }

    private init(steps: [Step]) { self.steps = steps }

    /// Where a range leaves this line; nil when it is not on it.
    func stop(of range: LogRange) -> LogPosition? {
        guard let step = steps.first(where: { $0.timeline == range.timeline }) else { return nil }
        return step.end.map { min($0, range.stop) } ?? range.stop
    }
}
