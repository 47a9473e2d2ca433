public import SerinModel

/// Which backups a question is about. What is left out does not matter.
public struct BackupSelection: Sendable, Hashable {
    /// The project that owns them.
    public var project: String?
    /// The target of the plan.
    public var target: String?
    /// Their type.
    public var type: BackupType?
    /// Their kind.
    public var kind: BackupKind?
    /// The rollout that they belong to.
    public var rollout: RolloutID?

    /// A selection.
    public init(
        project: String? = nil, target: String? = nil, type: BackupType? = nil, kind: BackupKind? = nil, rollout: RolloutID? = nil
    ) {
        self.project = project
        self.target = target
        self.type = type
        self.kind = kind
        self.rollout = rollout
    }

    /// Whether a backup belongs to it.
    public func contains(_ record: BackupRecord) -> Bool {
        (project == nil || record.order.project == project) && (target == nil || record.order.target == target)
            && (type == nil || record.type == type) && (kind == nil || record.kind == kind)
            && (rollout == nil || record.order.rollout == rollout)
    }
}

/// Numbers of some backups.
public struct BackupStatistics: Sendable, Hashable, Codable {
    /// How many.
    public var count = 0
    /// Their size as stored, in bytes; each copy is as large again.
    public var totalSize: Int64 = 0
    /// How many of each type.
    public var countByType: [BackupType: Int] = [:]
    /// When the oldest was begun.
    public var oldest: Instant?
    /// When the newest was begun.
    public var newest: Instant?

    init(of records: [BackupRecord]) {
        for record in records {
            count += 1
            totalSize = saturatingSum([totalSize, record.size ?? 0])
            countByType[record.type, default: 0] += 1
            oldest = min(oldest ?? record.createdAt, record.createdAt)
            newest = max(newest ?? record.createdAt, record.createdAt)
        }
    }
}

/// How many backups of a type there are by age.
public struct BackupAges: Sendable, Hashable, Codable {
    /// The type.
    public var type: BackupType
    /// Begun within the last 7 days.
    public var last7Days: Int
    /// Begun within the last 30 days.
    public var last30Days: Int
    /// All.
    public var total: Int
}

extension BackupRecord {
    /// Whether it counts as a backup: begun and neither failed nor deleted. The mirrored table has a row for each of these.
    public var isLive: Bool {
        switch state {
        case .running, .uploaded, .available, .verified, .drilled, .quarantined, .deleting: true
        case .failed, .deleted: false
        }
    }
}

extension CatalogueState {
    /// The backups, the newest first: in the order in which they were begun, which no clock can change.
    ///
    /// - Parameter includingDead: Whether failed and deleted ones are wanted too.
    public func history(_ selection: BackupSelection = BackupSelection(), includingDead: Bool = false) -> [BackupRecord] {
        let times = orderingTimes()
        return records.indices.filter { selection.contains(records[$0]) && (includingDead || records[$0].isLive) }
            .sorted { (times[$1], $1) < (times[$0], $0) }.map { records[$0] }
    }

    /// Count, size, types, oldest and newest of the live backups.
    public func statistics(_ selection: BackupSelection = BackupSelection()) -> BackupStatistics {
        BackupStatistics(of: history(selection))
    }

    /// The same of each type that has any, in the order of the alphabet.
    public func statisticsByType(_ selection: BackupSelection = BackupSelection()) -> [(type: BackupType, BackupStatistics)] {
        types(selection).map { type, records in (type, BackupStatistics(of: records)) }
    }

    /// The live backups that expire later than now and within a time, the first to expire first.
    ///
    /// - Parameter expiries: What the retention plan says; a record's own date is that of its warning and holds where this says nothing.
    public func expiring(
        _ selection: BackupSelection = BackupSelection(), within span: Duration = .hours(24 * 7), at now: Instant,
        expiries: [BackupID: Instant] = [:]
    ) -> [BackupRecord] {
        dated(selection, expiries).filter { $0.date > now && $0.date <= now + span }.map(\.record)
    }

    /// The live backups whose time is over, the first to expire first.
    public func expired(
        _ selection: BackupSelection = BackupSelection(), at now: Instant, expiries: [BackupID: Instant] = [:]
    ) -> [BackupRecord] {
        dated(selection, expiries).filter { $0.date < now }.map(\.record)
    }

    /// How many live backups of each type were begun within 7 days, within 30 days, and ever.
    public func countsByAge(_ selection: BackupSelection = BackupSelection(), at now: Instant) -> [BackupAges] {
        types(selection).map { type, records in
            func count(_ days: Int64) -> Int { records.count { $0.createdAt > now - .hours(24 * days) } }
            return BackupAges(type: type, last7Days: count(7), last30Days: count(30), total: records.count)
        }
    }

    private func types(_ selection: BackupSelection) -> [(BackupType, [BackupRecord])] {
        let records = history(selection)
        return BackupType.allCases.sorted { $0.rawValue < $1.rawValue }.compactMap { type in
            let matching = records.filter { $0.type == type }
            return matching.isEmpty ? nil : (type, matching)
        }
    }

    private func dated(
        _ selection: BackupSelection, _ expiries: [BackupID: Instant]
    ) -> [(record: BackupRecord, date: Instant)] {
        history(selection).compactMap { record in (expiries[record.id] ?? record.expiresAt).map { (record, $0) } }
            .sorted { ($0.date, $0.record.id) < ($1.date, $1.record.id) }
    }
}
