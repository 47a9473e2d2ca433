public import SerinModel
public import SerinPolicies

/// What retention has to know beside the records.
public struct RetentionCircumstances: Sendable, Hashable {
    /// The moment.
    public var now: Instant
    /// When retention last ran; nil at the first time.
    public var lastRun: Instant?
    /// Rollouts that are open, or ended so short ago that they may still be rolled back.
    public var neededRollouts: [RolloutID]
    /// How many backups were imported since a person last agreed to deletions.
    public var imported: Int

    /// Circumstances.
    public init(now: Instant, lastRun: Instant? = nil, neededRollouts: [RolloutID] = [], imported: Int = 0) {
        self.now = now
        self.lastRun = lastRun
        self.neededRollouts = neededRollouts
        self.imported = imported
    }
}

/// Decides which copies of one target's backups are kept, and which go.
public struct Retention: Sendable {
    /// At most this share of all copies goes at once without a person, unless no more than `fewDeletions` go.
    public static let brakeShare = 0.2
    /// At most so many go at once without a person.
    public static let brakeCount = 20
    /// So few never need a person for their share alone: one of four weekly backups is more than the share, every week.
    public static let fewDeletions = 2
    /// A clock that moved further since the last run needs a person.
    public static let clockLimit = Duration.hours(26)
    /// A backup may say to be so much younger than now without being from the future.
    public static let clockTolerance = Duration.minutes(5)
    /// The topic of the notes that a person agreed to deletions after backups were imported.
    public static let settledTopic = "import settled"
    /// The topic of the notes that what held an imported backup is known from the register beside the objects.
    public static let coveredTopic = "import covered"
    /// What was never finished is deleted after so long.
    public static let leftoverAge = Duration.hours(24 * 7)

    let standard: RetentionPlan
    let overrides: [(destination: String, plan: RetentionPlan)]
    let maximumAges: [(kind: BackupKind, age: Duration)]

    /// Retention by plans.
    ///
    /// - Parameters:
    ///   - standard: For every destination that is not named.
    ///   - destinations: Plans of destinations.
    ///   - maximumAges: The oldest that the newest verified backup of a kind may be before nothing of it is deleted any more.
    public init(
        standard: RetentionPlan, destinations: [(name: String, plan: RetentionPlan)] = [],
        maximumAges: [(kind: BackupKind, age: Duration)] = []
    ) {
        self.standard = standard
        overrides = destinations.map { ($0.name, $0.plan) }
        self.maximumAges = maximumAges
    }

    /// Retention of a plan.
    public init(of plan: BackupPlan) {
        self.init(
            standard: plan.retention,
            destinations: plan.destinations.compactMap { place in place.retention.map { (place.name, $0) } },
            maximumAges: BackupKind.allCases.compactMap { kind in plan.maximumAge(of: kind).map { (kind, $0) } })
    }

    /// The plan of a destination.
    func plan(at destination: String) -> RetentionPlan {
        overrides.first { $0.destination == destination }?.plan ?? standard
    }

    /// What is to be done about every copy of these backups, which are all those of one target.
    public func evaluate(_ records: [BackupRecord], in circumstances: RetentionCircumstances) -> PrunePlan {
        var evaluation = RetentionEvaluation(retention: self, records: records, circumstances: circumstances)
        evaluation.noteRules()
        evaluation.notePointInTime()
        evaluation.closeOverDependencies()
        let entries = evaluation.entries()
        return PrunePlan(at: circumstances.now, entries: entries, brakes: brakes(on: entries, in: circumstances))
    }

    /// When each of these backups, which are all those of one target, is no longer kept anywhere; nothing where it has no end.
    public func expiries(of records: [BackupRecord], at now: Instant) -> [BackupID: Instant] {
        var expiries: [BackupID: Instant] = [:]
        for entry in evaluate(records, in: RetentionCircumstances(now: now)).entries {
            if let time = entry.expiresAt { expiries[entry.backup] = max(time, expiries[entry.backup] ?? time) }
        }
        return expiries
    }

    private func brakes(on entries: [PrunePlan.Entry], in circumstances: RetentionCircumstances) -> [PruneBrake] {
        var brakes: [PruneBrake] = []
        var deletions: [String: Int] = [:]
        var count = 0
        for entry in entries {
            guard case .delete = entry.step else { continue }
            // What was never finished protects nothing.
            guard let destination = entry.destination, entry.isRestorable else { continue }
            count += 1
            deletions[destination, default: 0] += 1
        }
        let all = entries.filter { $0.destination != nil && $0.isRestorable }.count
        if count > Retention.brakeCount || (count > Retention.fewDeletions && Double(count) > Retention.brakeShare * Double(all))
        {
            brakes.append(.many(deletions: count, of: all))
        }
        if let lastRun = circumstances.lastRun {
            let moved = circumstances.now - lastRun
            if moved > Retention.clockLimit || moved < .zero { brakes.append(.clock(moved)) }
        }
        if circumstances.imported > 0 { brakes.append(.imported(circumstances.imported)) }
        for destination in deletions.keys.sorted() where plan(at: destination).proposesOnly {
            brakes.append(.proposesOnly(destination: destination))
        }
        return brakes
    }
}
