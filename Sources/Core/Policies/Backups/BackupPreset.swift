public import SerinModel

/// Defaults of a whole practice under a name. A plan that names a preset begins with its values and may set its own.
public struct BackupPreset: Sendable, Hashable {
    /// The names.
    public enum Name: String, Sendable, Hashable, Codable, CaseIterable {
        /// Nightly dumps, six-hourly snapshots with point in time, encrypted buckets, quarterly drills.
        case quadrant
        /// Dumps at least every six hours, daily snapshots by number, staging before production, monthly drills.
        case codeblack
        /// A project's schema, thirty days, own restores beside the live database, TLS 1.3.
        case platform
        /// Windows, local and remote tiers up to five years, random monthly drills on the first Sunday.
        case saasChat = "saas-chat"
        /// The strictest value of every other preset.
        case strictest
    }

    /// How strongly a server must encrypt on its side.
    public enum ServerSide: Int, Sendable, Hashable, Comparable {
        /// As the bucket is set up.
        case none
        /// With the provider's keys.
        case aes256
        /// With a key service.
        case kms

        /// As the settings of destinations write it.
        public var word: String {
            switch self {
            case .none: "none"
            case .aes256: "aes256"
            case .kms: "kms"
            }
        }

        /// Weaker first.
        public static func < (left: ServerSide, right: ServerSide) -> Bool { left.rawValue < right.rawValue }
    }

    /// The name.
    public var name: Name
    /// When, for every kind of source; a plan takes those of its own source's kinds.
    public var schedules: [BackupSchedule]
    /// Hours in UTC in which backups should begin.
    public var windows: [DayWindow] = []
    /// The oldest that the newest good backup may be.
    public var maximumAge: Duration
    /// What is kept.
    public var retention: RetentionPlan
    /// What is kept in folders on this machine, where that is another.
    public var localRetention: RetentionPlan?
    /// The least version of TLS.
    public var minimumTLS = TLSVersion.v1_2
    /// What the server encrypts with, on top of the encryption before upload.
    public var serverSide = ServerSide.none
    /// For how many days objects of files and logs in buckets should be locked; nil for no lock.
    public var lockDays: Int?
    /// The size of a stored backup from which a warning is raised, in bytes; nil for none.
    public var warnSize: Int64?
    /// What is done about Redis' append-only file.
    public var appendOnly = RedisSource.AppendOnly.off
    /// How often each stored backup is read again completely.
    public var verifyEvery = Duration.hours(24 * 30)
    /// How many people must approve that a restore takes a live database's place.
    public var approvals: Int
    /// Drills.
    public var drills: [DrillPolicy]
    /// What a recovery is measured against.
    public var targets: BackupPlan.Targets

    /// What it asks of the settings of a destination that has them. The words of such a setting stand from weak to strong.
    var demands: [(key: String, word: String)] { [("tls_min", minimumTLS.rawValue), ("sse", serverSide.word)] }

    /// The keys of `demands`.
    static let demandedKeys = ["tls_min", "sse"]

    /// The values of a name.
    public init(_ name: Name) {
        switch name {
        case .quadrant: self = .quadrant
        case .codeblack: self = .codeblack
        case .platform: self = .platform
        case .saasChat: self = .saasChat
        case .strictest:
            var merged = BackupPreset.quadrant.strictest(with: .codeblack).strictest(with: .platform).strictest(with: .saasChat)
            merged.name = .strictest
            self = merged
        }
    }

    init(
        name: Name, schedules: [BackupSchedule], maximumAge: Duration, retention: RetentionPlan,
        approvals: Int,
        drills: [DrillPolicy], targets: BackupPlan.Targets
    ) {
        self.name = name
        self.schedules = schedules
        self.maximumAge = maximumAge
        self.retention = retention
        self.approvals = approvals
        self.drills = drills
        self.targets = targets
    }
}

/// The strictest of two presets: the shortest interval, the longest retention, the strongest encryption, the most gates, the most
/// frequent drill. No value of either is stricter than the result's.
extension BackupPreset {
    /// The strictest of this one and another.
    public func strictest(with other: BackupPreset) -> BackupPreset {
        var result = self
        result.schedules = BackupKind.allCases.flatMap { kind in
            let own = schedules.filter { $0.kind == kind }
            let others = other.schedules.filter { $0.kind == kind }
            func timed(_ list: [BackupSchedule]) -> [BackupSchedule] { list.filter { $0.trigger.isTimed } }
            var timers = BackupPreset.gap(timed(own)) <= BackupPreset.gap(timed(others)) ? timed(own) : timed(others)
            let limit = smaller(age(of: timed(own)), other.age(of: timed(others)))
            for place in timers.indices { timers[place].maximumAge = limit }
            let events = own.filter { !$0.trigger.isTimed }
            return timers + events
                + others.filter { event in
                    !event.trigger.isTimed && !events.contains { $0.trigger == event.trigger }
                }
        }
        result.windows = windows.isEmpty ? other.windows : windows
        result.maximumAge = min(maximumAge, other.maximumAge)
        result.retention = retention.union(other.retention)
        let local = (localRetention ?? retention).union(other.localRetention ?? other.retention)
        result.localRetention = local == result.retention ? nil : local
        result.minimumTLS = max(minimumTLS, other.minimumTLS)
        result.serverSide = max(serverSide, other.serverSide)
        result.lockDays = larger(lockDays, other.lockDays)
        result.warnSize = smaller(warnSize, other.warnSize)
        result.appendOnly = max(appendOnly, other.appendOnly)
        result.verifyEvery = min(verifyEvery, other.verifyEvery)
        result.approvals = max(approvals, other.approvals)
        let gaps = [drills, other.drills].map { $0.compactMap(\.trigger.longestGap).min() ?? BackupPreset.never }
        let rarer = gaps[0] <= gaps[1] ? other.drills : drills
        let oftener = gaps[0] <= gaps[1] ? drills : other.drills
        result.drills = oftener + rarer.filter { drill in !oftener.contains { $0.selection == drill.selection } }
        result.targets = BackupPlan.Targets(
            recoveryPoint: smaller(targets.recoveryPoint, other.targets.recoveryPoint),
            recoveryTime: smaller(targets.recoveryTime, other.targets.recoveryTime))
        return result
    }

    /// The oldest that what these schedules make may be; nil without any.
    private func age(of schedules: [BackupSchedule]) -> Duration? {
        schedules.isEmpty ? nil : schedules.compactMap(\.maximumAge).min() ?? maximumAge
    }

    static let never = Duration.hours(24 * 366 * 100)

    static func gap(_ schedules: [BackupSchedule]) -> Duration { schedules.compactMap(\.trigger.longestGap).min() ?? never }
}

extension BackupTrigger {
    /// Whether a clock sets it going, and not an event.
    public var isTimed: Bool {
        switch self {
        case .before: false
        case .every, .cron: true
        }
    }

    /// The longest time between two runs within two years that hold a leap day, in UTC; nil for one that no clock sets going.
    public var longestGap: Duration? {
        switch self {
        case .before: return nil
        case .every(let length): return length
        case .cron:
            let end = Instant(dayNumber: CivilDate(year: 2025, month: 6, day: 1).dayNumber)
            var last = Instant(dayNumber: CivilDate(year: 2024, month: 1, day: 1).dayNumber)
            var gap: Duration?
            guard let first = next(after: last, zone: "UTC", offsets: { _, _ in nil }) else { return nil }
            last = first
            // Regular ones repeat soon; a thousand runs show the longest of a day, week or month as well.
            for _ in 0..<1000 {
                guard last < end, let time = next(after: last, zone: "UTC", offsets: { _, _ in nil }) else { break }
                gap = larger(gap, time - last)
                last = time
            }
            return gap ?? BackupPreset.never
        }
    }
}
