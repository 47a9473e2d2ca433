public import SerinModel

/// Which points in time can be reached: by base backups with the write-ahead log that follows each without a gap.
///
/// Every promotion begins a timeline, which leaves the one before at a position of its own; what the old one went on to write is
/// not on the new one's line. Postgres follows one such line (`recovery_target_timeline`), and so does every reach here.
public struct RecoveryWindow: Sendable, Hashable {
    /// What one base backup reaches on one line of timelines.
    public struct Reach: Sendable, Hashable {
        /// The base backup.
        public var base: BackupID
        /// The backups that it is restored from, the full one first, itself last.
        public var chain: [BackupID]
        /// The stored ranges of log that follow it, in order.
        public var log: [BackupID]
        /// The timeline at whose end the line ends: `recovery_target_timeline`.
        public var timeline: Int
        /// The first commit that is known of that timeline, from which on it was the live one; nil for the base's own, and when none
        /// is known.
        public var since: Instant?
        /// The first moment that can be reached: when the base is consistent.
        public var earliest: Instant
        /// The last one: the last commit in the log that follows without a gap.
        public var latest: Instant
        /// The first position that can be reached; nil when the base does not say it.
        public var start: LogPosition?
        /// The last one.
        public var end: LogPosition?
        /// Log that is missing at its end, although there is more behind; nil when it ends with the log.
        public var gap: Gap?
        let line: TimelineLine
        /// The timelines before the one at the end of the line; nil when they are not known, and for the first one.
        public var history: [SourceFacts.TimelineEnd]? { line.history }

        /// Whether its timeline was the live one by then, as far as anything is known.
        func isBorn(at moment: Instant) -> Bool { (since ?? earliest) <= moment }
        func reaches(_ moment: Instant) -> Bool { earliest <= moment && moment <= latest }
    }

    /// Log that is missing: nothing from `after` up to `before` can be reached.
    public struct Gap: Sendable, Hashable {
        /// The last moment before it that can be reached.
        public var after: Instant
        /// Where the log ends before it.
        public var position: LogPosition
        /// The timeline that it is missing on.
        public var timeline: Int
        /// When the log goes on, where that is known.
        public var before: Instant?

        /// What helps when it cannot be stored any more.
        public static let remedy = "nothing later can be reached until there is a new base backup"

        /// What is missing.
        public var words: String {
            "write-ahead log is missing between \(after) and \(before.map { "\($0)" } ?? "what is stored behind \(position)")"
        }
    }

    /// What each base reaches on the newest line that it is part of, the earliest first.
    public private(set) var reaches: [Reach] = []
    /// What each base reaches on older lines, which a promotion left behind: only when asked for by their timeline.
    public private(set) var abandoned: [Reach] = []
    /// Where log is missing after a base, in order and each once.
    public private(set) var gaps: [Gap] = []

    /// Timelines with stored log whose history is not stored, so that nothing can be recovered across where they began.
    public private(set) var unknownTimelines: [Int] = []

    /// Log that is missing behind the base backup that leads furthest: until there is another, nothing later can be reached.
    public var hole: Gap? { newest(reaches)?.gap }

    /// The earliest point in time.
    public var earliest: Instant? { reaches.map(\.earliest).min() }
    /// The latest point in time.
    public var latest: Instant? { reaches.map(\.latest).max() }

    /// The window of the backups of one target.
    ///
    /// - Parameter atHand: Log that is not stored but can be had, such as the files in the archive's folder; without positions, the
    ///   history of a timeline.
    public init(of records: [BackupRecord], atHand: [SourceFacts] = []) {
        let usable = records.filter { $0.state.isRestorable && !$0.usableCopies.isEmpty }
        var log: [LogRange] = usable.filter { $0.kind == .walRange }.compactMap { record in
            record.facts?.server.flatMap { LogRange(id: record.id, $0) }
        }
        log += atHand.compactMap { LogRange(id: nil, $0) }
        // In the order of the log; what is stored before what is only at hand.
        log.sort { ($0.timeline, $0.start, $0.id == nil ? 1 : 0) < ($1.timeline, $1.start, $1.id == nil ? 1 : 0) }
        let told = Dictionary(grouping: usable.compactMap(\.facts?.server) + atHand) { $0.systemIdentifier }
        let histories = told.mapValues { TimelineHistories($0) }
        let unknown = log.filter { $0.timeline > 1 && histories[$0.facts.systemIdentifier]?.of($0.timeline).isEmpty ?? true }
        unknownTimelines = Set(unknown.map(\.timeline)).sorted()
        let bases = usable.filter { $0.kind.isPhysicalBase }.sorted { ($0.consistentAt, $0.id) < ($1.consistentAt, $1.id) }
        for base in bases {
            guard let chain = RecoveryWindow.chain(of: base, in: usable) else { continue }
            let system = base.facts?.server?.systemIdentifier
            let own = log.filter { $0.facts.systemIdentifier == system }
            let known = histories[system] ?? TimelineHistories([])
            var lines = TimelineLine.lines(from: base, through: own, known).map { follow(base, chain: chain, line: $0, own) }
            if let newest = lines.popLast() { reaches.append(newest) }
            abandoned += lines
        }
    }

    /// The backups that one is restored from; nil when one of them is not there.
    private static func chain(of record: BackupRecord, in usable: [BackupRecord]) -> [BackupID]? {
        var chain = [record.id]
        var pending = record.order.dependsOn
        while let needed = pending.popLast() {
            if chain.contains(needed) { continue }
            guard let found = usable.first(where: { $0.id == needed }) else { return nil }
            chain.append(needed)
            pending += found.order.dependsOn
        }
        return usable.filter { chain.contains($0.id) }.sorted { ($0.createdAt, $0.id) < ($1.createdAt, $1.id) }.map(\.id)
    }

    /// Walks along a line from where a base is consistent.
    private mutating func follow(_ base: BackupRecord, chain: [BackupID], line: TimelineLine, _ log: [LogRange]) -> Reach {
        var reach = Reach(
            base: base.id, chain: chain, log: [], timeline: line.timeline, earliest: base.consistentAt, latest: base.consistentAt,
            start: base.facts?.server?.lsnStop, end: base.facts?.server?.lsnStop, line: line)
        guard var position = reach.end else { return reach }
        let parts = log.compactMap { range in line.stop(of: range).map { (range: range, stop: $0) } }
        var timeline = base.facts?.server?.timeline ?? 1
        if line.timeline != timeline {
            reach.since = parts.filter { $0.range.timeline == line.timeline }.compactMap(\.range.facts.firstCommitAt).min()
        }
        // They are in the order of the line, so what was passed leads nowhere again.
        var rest = parts[...]
        while let index = rest.firstIndex(where: { $0.range.start <= position && position < $0.stop }) {
            let next = rest[index]
            rest = rest[(index + 1)...]
            position = next.stop
            timeline = next.range.timeline
            if let id = next.range.id { reach.log.append(id) }
            // The last commits of a range that goes beyond the branch are not on this line.
            if next.stop == next.range.stop, let time = next.range.facts.consistentAt { reach.latest = max(reach.latest, time) }
        }
        reach.end = position
        if let beyond = parts.first(where: { position < $0.range.start && $0.range.start < $0.stop }) {
            let facts = beyond.range.facts
            let gap = Gap(
                after: reach.latest, position: position, timeline: timeline, before: facts.firstCommitAt ?? facts.consistentAt)
            reach.gap = gap
            if !gaps.contains(gap) { gaps.append(gap) }
        }
        return reach
    }

    /// Which base and log lead to a moment: on the line that was the live one then, the newest base from before it.
    ///
    /// - Parameters:
    ///   - target: The moment.
    ///   - record: The backup to begin with; nil chooses one.
    ///   - timeline: The timeline to end on; nil for the one that was live.
    public func path(to target: Instant, from record: BackupRecord? = nil, timeline: Int? = nil) throws(RecoveryRefusal) -> Reach
    {
        let all = try candidates(from: record, timeline, withAbandoned: true)
        guard let earliest = all.map(\.earliest).min() else { throw RecoveryWindow.noBase }
        if target < earliest {
            throw RecoveryRefusal("\(target) is before \(earliest), the earliest moment that can be reached")
        }
        let newest = timeline ?? all.filter { $0.isBorn(at: target) }.map(\.timeline).max()
        let candidates = all.filter { $0.timeline == newest }
        if let reach = candidates.last(where: { $0.reaches(target) }) { return reach }
        let others = timelines(at: target, beside: newest ?? 1, from: record)
        let hint = others.isEmpty ? unknownHint : "it is on timeline \(others.list): --timeline \(others.last ?? 1)"
        let latest = candidates.map(\.latest).max() ?? earliest
        if target > latest {
            let reason = RecoveryWindow.reason(self.newest(candidates))
            throw RecoveryRefusal("\(target) is after \(latest), the latest moment that can be reached\(reason)", hint: hint)
        }
        let gap = gaps.last { $0.after < target }
        let (after, before) = (gap?.after ?? earliest, gap?.before.map { "\($0)" } ?? "the next base")
        throw RecoveryRefusal("write-ahead log is missing between \(after) and \(before)", hint: hint)
    }

    /// Other timelines that have a moment as well: they were live by then, and another state is on each.
    public func timelines(at moment: Instant, beside timeline: Int, from record: BackupRecord? = nil) -> [Int] {
        let found = (reaches + abandoned).filter { reach in
            reach.timeline != timeline && reach.isBorn(at: moment) && reach.reaches(moment)
                && (record == nil || reach.base == record?.id)
        }
        return Set(found.map(\.timeline)).sorted()
    }

    /// Whether log leads from one base backup to another, so that the first reaches whatever the second does.
    func leads(from base: BackupID, to other: BackupRecord) -> Bool {
        guard let facts = other.facts?.server, let position = facts.lsnStop else { return false }
        return (reaches + abandoned).contains { reach in
            reach.base == base && reach.line.holds(facts) && reach.end.map { position <= $0 } ?? false
        }
    }

    private var unknownHint: String? {
        unknownTimelines.first.map {
            "there is log of timeline \(unknownTimelines.list), but where it began is not stored: archive the file "
                + "\(RecoveryWindow.historyName($0)) from pg_wal of its server, then make a backup of kind wal_range"
        }
    }

    /// The name of the file with the history of a timeline: `00000002.history`.
    public static func historyName(_ timeline: Int) -> String {
        let digits = String(timeline, radix: 16, uppercase: true)
        return String(repeating: "0", count: max(0, 8 - digits.count)) + digits + ".history"
    }

    /// Which base and log lead to a position; see above.
    public func path(
        to target: LogPosition, from record: BackupRecord? = nil, timeline: Int? = nil
    ) throws(RecoveryRefusal) -> Reach {
        let candidates = try candidates(from: record, timeline)
        guard let first = candidates.compactMap(\.start).min(), let last = candidates.compactMap(\.end).max() else {
            throw RecoveryWindow.noBase
        }
        if target < first { throw RecoveryRefusal("\(target) is before \(first), the earliest position that can be reached") }
        if target > last {
            throw RecoveryRefusal(
                "\(target) is after \(last), the latest position that can be reached" + RecoveryWindow.reason(newest(candidates)))
        }
        let fitting = candidates.filter { reach in
            guard let start = reach.start, let end = reach.end else { return false }
            return start <= target && target <= end
        }
        guard let reach = newest(fitting) else { throw RecoveryRefusal("write-ahead log is missing before \(target)") }
        return reach
    }

    /// The base and log that lead furthest.
    public func path(from record: BackupRecord? = nil, timeline: Int? = nil) throws(RecoveryRefusal) -> Reach {
        guard let reach = newest(try candidates(from: record, timeline)) else { throw RecoveryWindow.noBase }
        return reach
    }

    /// Why the log ends where it does, when there is more of it.
    private static func reason(_ reach: Reach?) -> String { reach?.gap.map { ": \($0.words)" } ?? "" }

    private static let noBase = RecoveryRefusal(
        "there is no base backup to begin with", hint: "make one: logical dumps reach only their own moment")

    private func candidates(
        from record: BackupRecord?, _ timeline: Int?, withAbandoned: Bool = false
    ) throws(RecoveryRefusal) -> [Reach] {
        if let record, !record.kind.isPhysicalBase {
            throw RecoveryRefusal(
                "backup \(record.id) is a \(record.kind.rawValue) one, onto which no write-ahead log can be replayed",
                hint: "choose a base backup, or restore this one as it is")
        }
        let all = (reaches + abandoned).sorted { ($0.earliest, $0.latest) < ($1.earliest, $1.latest) }
        let wanted = timeline.map { timeline in all.filter { $0.timeline == timeline } } ?? (withAbandoned ? all : reaches)
        if let timeline, wanted.isEmpty {
            let known = Set((reaches + abandoned).map(\.timeline)).sorted().map(String.init).joined(separator: ", ")
            let hint = unknownTimelines.contains(timeline) ? unknownHint : known.isEmpty ? nil : "there are \(known)"
            throw RecoveryRefusal("no base backup leads to timeline \(timeline)", hint: hint)
        }
        return wanted.filter { record == nil || $0.base == record?.id }
    }

    private func newest(_ reaches: [Reach]) -> Reach? {
        let timeline = reaches.map(\.timeline).max()
        return reaches.last { $0.timeline == timeline }
    }
}

/// Why a point in time cannot be reached; lower case.
public struct RecoveryRefusal: Error, Sendable, Hashable, CustomStringConvertible {
    /// Why.
    public var message: String
    /// What to do.
    public var hint: String?

    /// A refusal.
    public init(_ message: String, hint: String? = nil) {
        self.message = message
        self.hint = hint
    }

    /// The message, then the hint on a line of its own.
    public var description: String { hint.map { "\(message)\nhint: \($0)" } ?? message }
}

extension [Int] {
    fileprivate var list: String { map(String.init).joined(separator: ", ") }
}
