public import SerinModel

/// Which points in time can be reached: by base backups with the write-ahead log that follows each without a gap.
public struct RecoveryWindow: Sendable, Hashable {
    /// What one base backup reaches.
    public struct Reach: Sendable, Hashable {
        /// The base backup.
        public var base: BackupID
        /// The backups that it is restored from, the full one first, itself last.
        public var chain: [BackupID]
        /// The ranges of log that follow it, in order.
        public var log: [BackupID]
        /// The first moment that can be reached: when the base is consistent.
        public var earliest: Instant
        /// The last one: the last commit in the log that follows without a gap.
        public var latest: Instant
    }

    /// Log that is missing: nothing from `after` up to `before` can be reached.
    public struct Gap: Sendable, Hashable {
        /// The last moment before it that can be reached.
        public var after: Instant
        /// Where the log ends before it.
        public var position: LogPosition
        /// When the log goes on, where that is known.
        public var before: Instant?
    }

    /// What each base reaches, the earliest first.
    public private(set) var reaches: [Reach] = []
    /// Where log is missing after a base, in order and each once.
    public private(set) var gaps: [Gap] = []

    /// The earliest point in time.
    public var earliest: Instant? { reaches.map(\.earliest).min() }
    /// The latest point in time.
    public var latest: Instant? { reaches.map(\.latest).max() }

    /// The window of the backups of one target.
    public init(of records: [BackupRecord]) {
        let usable = records.filter { $0.state.isRestorable && !$0.usableCopies.isEmpty }
        let ranges = usable.filter { $0.kind == .walRange }
        let bases = usable.filter { $0.kind.isPhysicalBase }.sorted { ($0.consistentAt, $0.id) < ($1.consistentAt, $1.id) }
        for base in bases {
            guard let chain = RecoveryWindow.chain(of: base, in: usable) else { continue }
            follow(base, chain: chain, ranges: ranges)
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

    /// Walks along the log from where a base is consistent.
    private mutating func follow(_ base: BackupRecord, chain: [BackupID], ranges: [BackupRecord]) {
        var reach = Reach(base: base.id, chain: chain, log: [], earliest: base.consistentAt, latest: base.consistentAt)
        guard let server = base.facts?.server, var position = server.lsnStop else { return reaches.append(reach) }
        var timeline = server.timeline ?? 1
        // Of the same cluster, in the order of the log; a newer timeline goes on where the older one was left.
        let log = ranges.compactMap { range -> (id: BackupID, facts: SourceFacts, start: LogPosition, stop: LogPosition)? in
            guard let facts = range.facts?.server, facts.systemIdentifier == server.systemIdentifier, let start = facts.lsnStart,
                let stop = facts.lsnStop
            else { return nil }
            return (range.id, facts, start, stop)
        }.sorted { ($0.facts.timeline ?? 1, $0.start, $0.id) < ($1.facts.timeline ?? 1, $1.start, $1.id) }
        while let next = log.first(where: { range in
            let other = range.facts.timeline ?? 1
            return other >= timeline && range.start <= position && position < range.stop
        }) {
            position = next.stop
            timeline = next.facts.timeline ?? timeline
            reach.log.append(next.id)
            if let time = next.facts.consistentAt { reach.latest = max(reach.latest, time) }
        }
        if let beyond = log.first(where: { ($0.facts.timeline ?? 1) >= timeline && position < $0.start }) {
            let gap = Gap(
                after: reach.latest, position: position, before: beyond.facts.firstCommitAt ?? beyond.facts.consistentAt)
            if !gaps.contains(gap) { gaps.append(gap) }
        }
        reaches.append(reach)
    }

    /// Which base and log lead to a moment: the newest base from before it.
    ///
    /// - Parameters:
    ///   - target: The moment.
    ///   - record: The backup to begin with; nil chooses one.
    public func path(to target: Instant, from record: BackupRecord? = nil) throws(RecoveryRefusal) -> Reach {
        if let record, !record.kind.isPhysicalBase {
            throw RecoveryRefusal(
                "backup \(record.id) is a \(record.kind.rawValue) one, onto which no write-ahead log can be replayed",
                hint: "choose a base backup, or restore this one as it is")
        }
        let candidates = reaches.filter { record == nil || $0.base == record?.id }
        guard let earliest = candidates.map(\.earliest).min(), let latest = candidates.map(\.latest).max() else {
            throw RecoveryRefusal(
                "there is no base backup to begin with", hint: "make one: logical dumps reach only their own moment")
        }
        if target < earliest {
            throw RecoveryRefusal("\(target) is before \(earliest), the earliest moment that can be reached")
        }
        if target > latest { throw RecoveryRefusal("\(target) is after \(latest), the latest moment that can be reached") }
        guard let reach = candidates.last(where: { $0.earliest <= target && target <= $0.latest }) else {
            let gap = gaps.last { $0.after < target }
            throw RecoveryRefusal(
                "write-ahead log is missing between \(gap?.after ?? earliest) and \(gap?.before.map { "\($0)" } ?? "the next base")"
            )
        }
        return reach
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
