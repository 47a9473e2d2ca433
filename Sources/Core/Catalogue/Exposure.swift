public import SerinModel
public import SerinPolicies

/// How much could be lost, and how fresh what there is.
public struct Exposure: Sendable, Hashable {
    /// One kind's freshness.
    public struct Freshness: Sendable, Hashable {
        /// The kind.
        public var kind: BackupKind
        /// When the newest one that can be restored was begun; nil when there is none.
        public var newest: Instant?
        /// Its age; nil when there is none.
        public var age: Duration?
        /// The oldest that it may be; nil when nothing says so.
        public var limit: Duration?

        /// Whether there is none, or too old a one, although there should be.
        public var isStale: Bool {
            guard let limit else { return false }
            return age.map { $0 > limit } ?? true
        }
    }

    /// The largest time between two consecutive points that can be restored, the time since the last one included.
    public var worstLoss: Duration
    /// The time since the last point that can be restored; nil when there is none.
    public var currentLoss: Duration?
    /// Each kind that the plan makes, sorted.
    public var freshness: [Freshness]

    /// The exposure of one target.
    ///
    /// - Parameters:
    ///   - records: Its backups.
    ///   - plan: Its plan.
    ///   - now: The moment.
    ///   - span: How far back the worst loss is looked for.
    public init(of records: [BackupRecord], plan: BackupPlan, at now: Instant, within span: Duration = .hours(24 * 30)) {
        let usable = records.filter { $0.state.isRestorable && !$0.usableCopies.isEmpty && $0.createdAt <= now }
        let reached = RecoveryWindow(of: records).reaches.map { (from: $0.earliest, to: $0.latest) }
        let points = usable.filter { !$0.kind.isPhysicalBase && $0.kind != .walRange && $0.kind != .globals }
            .map { (from: $0.consistentAt, to: $0.consistentAt) }
        (worstLoss, currentLoss) = Exposure.losses((reached + points).sorted { $0 < $1 }, from: now - span, to: now)
        let kinds = BackupKind.allCases.filter { kind in
            kind == plan.source.defaultKind || plan.schedules.contains { $0.kind == kind }
        }
        freshness = kinds.sorted().map { kind in
            let newest = usable.filter { $0.kind == kind }.map(\.createdAt).max()
            return Freshness(kind: kind, newest: newest, age: newest.map { now - $0 }, limit: plan.maximumAge(of: kind))
        }
    }

    private static func losses(
        _ reached: [(from: Instant, to: Instant)], from start: Instant, to now: Instant
    ) -> (worst: Duration, current: Duration?) {
        var worst = Duration.zero
        var last: Instant?
        for span in reached where span.from <= now {
            let to = min(span.to, now)
            if to >= start {
                // Up to here the last one before was all there was; before the first one, nothing.
                worst = max(worst, span.from - (last.map { max($0, start) } ?? min(start, span.from)))
            }
            last = max(last ?? to, to)
        }
        let since = last.map { now - $0 }
        return (max(worst, since ?? (now - start)), since)
    }
}
