public import SerinModel

/// A calendar's day of the week, in UTC. The raw value counts from Sunday, as cron does.
public enum Weekday: Int, Sendable, Hashable, Codable, CaseIterable {
    /// The first day by default.
    case sunday, monday, tuesday, wednesday, thursday, friday, saturday

    /// `sun` … `sat`, as plans write it.
    public var word: String { ["sun", "mon", "tue", "wed", "thu", "fri", "sat"][rawValue] }

    /// A day by its word or whole name, in lower case.
    public init?(_ text: String) {
        let names = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
        guard let day = Weekday.allCases.first(where: { $0.word == text || names[$0.rawValue] == text }) else { return nil }
        self = day
    }
}

/// A length of the calendar whose first backup is kept.
public enum RetentionTier: String, Sendable, Hashable, Codable, CaseIterable {
    /// The first of each hour.
    case hourly
    /// The first of each day.
    case daily
    /// The first of each week.
    case weekly
    /// The first of each month.
    case monthly
    /// The first of each year.
    case yearly

    /// How long one is at most.
    public var length: Duration {
        switch self {
        case .hourly: .hours(1)
        case .daily: .hours(24)
        case .weekly: .hours(24 * 7)
        case .monthly: .hours(24 * 31)
        case .yearly: .hours(24 * 366)
        }
    }
}

/// For how long, or how many, the first backups of a tier are kept. With both, whichever keeps more.
public struct KeepRule: Sendable, Hashable, Codable {
    /// So many of the newest; nil when only age decides.
    public var count: Int?
    /// All that are not older; nil when only the number decides.
    public var age: Duration?

    /// A rule; at least one of them must be there to keep anything.
    public init(count: Int? = nil, age: Duration? = nil) {
        self.count = count
        self.age = age
    }

    /// The rule that keeps whatever either keeps.
    public func union(_ other: KeepRule?) -> KeepRule {
        guard let other else { return self }
        return KeepRule(count: larger(count, other.count), age: larger(age, other.age))
    }
}

/// Which backups of one kind at one destination are kept.
public struct RetentionPolicy: Sendable, Hashable, Codable {
    /// The rule of one tier.
    public struct Tier: Sendable, Hashable, Codable {
        /// The tier.
        public var tier: RetentionTier
        /// Its rule.
        public var rule: KeepRule
    }

    /// Everything not older is kept.
    public var keepAll: Duration?
    /// The rules in the order of the tiers.
    public private(set) var tiers: [Tier]
    /// The first day of a week.
    public var weekStart: Weekday
    /// So many verified ones are kept in any case, 1 or more.
    public var floor: Int

    /// A policy.
    public init(
        keepAll: Duration? = nil, hourly: KeepRule? = nil, daily: KeepRule? = nil, weekly: KeepRule? = nil,
        monthly: KeepRule? = nil, yearly: KeepRule? = nil, weekStart: Weekday = .sunday, floor: Int = 3
    ) {
        self.keepAll = keepAll
        self.weekStart = weekStart
        self.floor = max(1, floor)
        let rules: [(RetentionTier, KeepRule?)] = [
            (.hourly, hourly), (.daily, daily), (.weekly, weekly), (.monthly, monthly), (.yearly, yearly),
        ]
        tiers = rules.compactMap { tier, rule in rule.map { Tier(tier: tier, rule: $0) } }
    }

    /// The rule of a tier.
    public subscript(tier: RetentionTier) -> KeepRule? { tiers.first { $0.tier == tier }?.rule }

    /// Whether it says nothing about what to keep: then everything is kept.
    public var keepsEverything: Bool { keepAll == nil && tiers.isEmpty }

    /// The policy that keeps whatever either keeps. One without any rule keeps everything, and so does the union with it.
    public func union(_ other: RetentionPolicy) -> RetentionPolicy {
        var result = self
        result.floor = max(floor, other.floor)
        if keepsEverything || other.keepsEverything {
            result.keepAll = nil
            result.tiers = []
            return result
        }
        result.keepAll = larger(keepAll, other.keepAll)
        result.tiers = RetentionTier.allCases.compactMap { tier in
            (self[tier]?.union(other[tier]) ?? other[tier]).map { Tier(tier: tier, rule: $0) }
        }
        return result
    }
}

/// What a plan says about keeping and deleting at one destination.
public struct RetentionPlan: Sendable, Hashable, Codable {
    /// The policy of one kind.
    public struct KindRule: Sendable, Hashable, Codable {
        /// The kind.
        public var kind: BackupKind
        /// Its policy, which replaces the standard one.
        public var policy: RetentionPolicy
    }

    /// A compliance class: what bears its name is kept for so long, whatever the tiers say.
    public struct ComplianceClass: Sendable, Hashable, Codable {
        /// Its name, which a backup bears.
        public var name: String
        /// For how long.
        public var age: Duration
    }

    /// For every kind that has no policy of its own.
    public var standard: RetentionPolicy
    /// Policies of kinds, sorted.
    public private(set) var kinds: [KindRule]
    /// Compliance classes, sorted by name.
    public private(set) var classes: [ComplianceClass]
    /// How long before a deletion its owners are warned: 7 days.
    public var warning: Duration
    /// How long a rollout's restore point is kept after the rollout has ended.
    public var afterRollout: Duration
    /// For how long any point in time must be reachable: base backups and write-ahead log are kept for it. Nil: as the tiers keep bases.
    public var pointInTime: Duration?
    /// Whether deletions are only ever proposed, for a bucket that a person must delete from.
    public var proposesOnly: Bool

    /// A plan.
    public init(
        standard: RetentionPolicy = RetentionPolicy(), kinds: [(BackupKind, RetentionPolicy)] = [],
        classes: [(name: String, age: Duration)] = [], warning: Duration = .hours(24 * 7),
        afterRollout: Duration = .hours(24 * 7),
        pointInTime: Duration? = nil, proposesOnly: Bool = false
    ) {
        self.standard = standard
        self.kinds = kinds.map { KindRule(kind: $0.0, policy: $0.1) }.sorted { $0.kind < $1.kind }
        self.classes = classes.map { ComplianceClass(name: $0.name, age: $0.age) }.sorted { $0.name < $1.name }
        self.warning = warning
        self.afterRollout = afterRollout
        self.pointInTime = pointInTime
        self.proposesOnly = proposesOnly
    }

    /// The policy of a kind.
    public subscript(kind: BackupKind) -> RetentionPolicy { kinds.first { $0.kind == kind }?.policy ?? standard }

    /// The plan that keeps whatever either keeps.
    public func union(_ other: RetentionPlan) -> RetentionPlan {
        var ages: [(name: String, age: Duration)] = classes.map { ($0.name, $0.age) }
        for item in other.classes {
            if let place = ages.firstIndex(where: { $0.name == item.name }) {
                ages[place].age = max(ages[place].age, item.age)
            } else {
                ages.append((item.name, item.age))
            }
        }
        let own = BackupKind.allCases.filter { kind in (kinds + other.kinds).contains { $0.kind == kind } }
        return RetentionPlan(
            standard: standard.union(other.standard), kinds: own.map { ($0, self[$0].union(other[$0])) }, classes: ages,
            warning: max(warning, other.warning), afterRollout: max(afterRollout, other.afterRollout),
            pointInTime: larger(pointInTime, other.pointInTime), proposesOnly: proposesOnly || other.proposesOnly)
    }
}

/// The larger of two, where nothing is the smallest.
func larger<Value: Comparable>(_ left: Value?, _ right: Value?) -> Value? {
    guard let left, let right else { return left ?? right }
    return max(left, right)
}

/// The smaller of two, where nothing is the largest.
func smaller<Value: Comparable>(_ left: Value?, _ right: Value?) -> Value? {
    guard let left, let right else { return left ?? right }
    return min(left, right)
}
