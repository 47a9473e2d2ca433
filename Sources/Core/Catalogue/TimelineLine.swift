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

/// The histories that are known of each timeline of one cluster: more than one when two servers began one of the same number.
struct TimelineHistories: Sendable, Hashable {
    private var known: [Int: Set<[SourceFacts.TimelineEnd]>] = [:]

    /// Those of ranges, bases and files.
    init(_ facts: [SourceFacts]) {
        for facts in facts {
            if let timeline = facts.timeline, timeline > 1, let history = facts.history {
                known[timeline, default: []].insert(history)
            }
        }
    }

    /// The known ones of a timeline, the one that was left last at the end.
    func of(_ timeline: Int) -> [[SourceFacts.TimelineEnd]] {
        (known[timeline] ?? []).sorted { ($0.last?.end.bytes ?? 0, $0.count) < ($1.last?.end.bytes ?? 0, $1.count) }
    }

    /// Whether what has one history is of a timeline that has another. What tells none is believed only where there is no choice.
    func agree(_ one: [SourceFacts.TimelineEnd]?, _ other: [SourceFacts.TimelineEnd]?, on timeline: Int) -> Bool {
        (known[timeline]?.count ?? 0) < 2 || (one != nil && one == other)
    }
}

/// The timelines that lead to one, the oldest first, each with the position at which the next one left it.
struct TimelineLine: Sendable, Hashable {
    private struct Step: Sendable, Hashable {
        let timeline: Int
        /// Nil for the last one, which nothing has left.
        let end: LogPosition?
        /// The timelines before it.
        let history: [SourceFacts.TimelineEnd]?
    }

    private let steps: [Step]
    private let system: String?
    private let histories: TimelineHistories

    /// The timeline at its end.
    var timeline: Int { steps.last?.timeline ?? 1 }
    /// The timelines before that one; nil when they are not known.
    var history: [SourceFacts.TimelineEnd]? { steps.last?.history }

    /// The lines that a base backup is part of, that of the newest timeline last. Its own timeline is always one of them.
    ///
    /// A timeline without a stored history is none: recovery asks for the file, and a branch that is guessed may be another one.
    static func lines(from base: BackupRecord, through log: [LogRange], _ histories: TimelineHistories) -> [TimelineLine] {
        let (facts, own) = (base.facts?.server, base.facts?.server?.timeline ?? 1)
        func line(_ steps: [Step]) -> TimelineLine {
            TimelineLine(steps: steps, system: facts?.systemIdentifier, histories: histories)
        }
        var lines = [line([Step(timeline: own, end: nil, history: facts?.history)])]
        for timeline in Set(log.map(\.timeline)).sorted() where timeline > own {
            for history in histories.of(timeline) {
                let before = history.prefix { $0.timeline != own }
                guard let left = history.dropFirst(before.count).first?.end,
                    // A base from behind the branch is not on the line that begins there.
                    facts?.lsnStop.map({ $0 <= left }) ?? true, histories.agree(facts?.history, Array(before), on: own)
                else { continue }
                let steps = history.indices.dropFirst(before.count).map { index in
                    Step(timeline: history[index].timeline, end: history[index].end, history: Array(history[..<index]))
                }
                lines.append(line(steps + [Step(timeline: timeline, end: nil, history: history)]))
            }
        }
        return lines
    }

    /// Where a range leaves this line; nil when it is not on it.
    func stop(of range: LogRange) -> LogPosition? {
        guard let step = step(range.facts) else { return nil }
        return step.end.map { min($0, range.stop) } ?? range.stop
    }

    /// Whether a base backup was made on this line.
    func holds(_ base: SourceFacts) -> Bool {
        guard let position = base.lsnStop, let step = step(base) else { return false }
        return step.end.map { position <= $0 } ?? true
    }

    private func step(_ facts: SourceFacts) -> Step? {
        guard facts.systemIdentifier == system else { return nil }
        let timeline = facts.timeline ?? 1
        return steps.first { $0.timeline == timeline && histories.agree($0.history, facts.history, on: timeline) }
    }
}
