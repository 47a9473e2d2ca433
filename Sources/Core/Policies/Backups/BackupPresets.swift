internal import SerinModel

private let day = Duration.hours(24)

/// Times that are known to be well written; a wrong one would leave the schedule out, and a test says so.
private func at(_ cron: String, _ kinds: BackupKind...) -> [BackupSchedule] {
    // The tests of the presets count their schedules.
    guard let expression = try? CronExpression(cron) else { return [] }
    return kinds.map { BackupSchedule(.cron(expression), kind: $0) }
}

private func every(_ length: Duration, _ kinds: BackupKind...) -> [BackupSchedule] {
    kinds.map { BackupSchedule(.every(length), kind: $0) }
}

private func drill(_ cron: String, _ selection: DrillPolicy.Selection) -> [DrillPolicy] {
    // The tests of the presets count their drills.
    guard let expression = try? CronExpression(cron) else { return [] }
    return [DrillPolicy(.cron(expression), selection: selection)]
}

extension BackupPreset {
    static var quadrant: BackupPreset {
        let logs = RetentionPolicy(keepAll: day * 30)
        var preset = BackupPreset(
            name: .quadrant,
            schedules: at("0 1 * * *", .logical, .globals, .mongo, .clickhouse, .command)
                + every(.hours(6), .baseFull) + every(.minutes(15), .walRange) + every(.hours(1), .redisRDB, .redisAOF)
                + at("0 0 * * *", .files, .logs),
            maximumAge: .hours(25),
            retention: RetentionPlan(
                standard: RetentionPolicy(
                    daily: KeepRule(age: day * 14), weekly: KeepRule(age: day * 56), monthly: KeepRule(age: day * 366)),
                kinds: [(.files, logs), (.logs, logs)], pointInTime: day * 14, proposesOnly: true),
            approvals: 2, drills: drill("0 10 1 1,4,7,10 *", .latest),
            targets: BackupPlan.Targets(recoveryPoint: .hours(6)))
        preset.serverSide = .kms
        preset.lockDays = 30
        preset.appendOnly = .copy
        preset.allow(.hours(7), .baseFull)
        preset.allow(.hours(2), .redisRDB, .redisAOF)
        preset.allow(.hours(1), .walRange)
        return preset
    }

    static var codeblack: BackupPreset {
        let dumps = RetentionPolicy(keepAll: day * 14)
        let snapshots = RetentionPolicy(daily: KeepRule(count: 7), weekly: KeepRule(count: 4))
        var preset = BackupPreset(
            name: .codeblack,
            schedules: every(.hours(6), .logical, .globals) + at("0 2 * * *", .baseFull)
                + at("0 3 * * *", .redisRDB, .redisAOF, .files, .logs, .mongo, .clickhouse, .command),
            // At least every six hours, and half an hour for the dump itself; daily kinds say their own.
            maximumAge: .minutes(6 * 60 + 30),
            retention: RetentionPlan(standard: dumps, kinds: [(.baseFull, snapshots)]),
            approvals: 1, drills: drill("0 10 1 * *", .latest), targets: BackupPlan.Targets())
        preset.appendOnly = .require
        preset.allow(.hours(25), .baseFull, .redisRDB, .redisAOF, .files, .logs, .mongo, .clickhouse, .command)
        return preset
    }

    static var platform: BackupPreset {
        var preset = BackupPreset(
            name: .platform,
            schedules: at(
                "0 3 * * *", .logical, .globals, .baseFull, .redisRDB, .files, .logs, .mongo, .clickhouse, .command)
                + [BackupSchedule(.before(.migrations), kind: .logical, label: "before-migration")],
            maximumAge: .hours(25), retention: RetentionPlan(standard: RetentionPolicy(keepAll: day * 30)),
            approvals: 1, drills: drill("0 10 1 1,4,7,10 *", .latest),
            targets: BackupPlan.Targets(recoveryPoint: .hours(24), recoveryTime: .hours(1)))
        preset.minimumTLS = .v1_3
        return preset
    }

    /// The full base backup takes the place of the incremental one at 02:00.
    static var saasChat: BackupPreset {
        let week = RetentionPolicy(keepAll: day * 7)
        let month = RetentionPolicy(keepAll: day * 30)
        let classes: [(name: String, age: Duration)] = ["transaction_logs", "user_data", "audit_logs"].map { ($0, day * 2557) }
        var preset = BackupPreset(
            name: .saasChat,
            schedules: at("0 2 * * *", .logical, .globals, .baseFull, .files, .logs, .command)
                + at("0 8,14,20 * * *", .baseIncremental) + at("0 3 * * *", .mongo) + at("0 6,18 * * *", .redisRDB)
                + at("0 4 * * *", .clickhouse)
                + [BackupSchedule(.before(.rollout), kind: .logical, label: "pre-deployment")],
            maximumAge: .hours(25),
            retention: RetentionPlan(
                standard: RetentionPolicy(
                    daily: KeepRule(age: day * 30), weekly: KeepRule(age: day * 90), monthly: KeepRule(age: day * 366),
                    yearly: KeepRule(age: day * 366 * 5)),
                kinds: [
                    (.baseIncremental, week), (.redisRDB, week), (.redisAOF, week), (.mongo, month), (.clickhouse, month),
                ], classes: classes, pointInTime: day * 7),
            approvals: 1, drills: drill("first sun 10:00", .sampled),
            targets: BackupPlan.Targets(recoveryPoint: .hours(6), recoveryTime: .hours(2)))
        preset.localRetention = RetentionPlan(standard: week, classes: classes, pointInTime: day * 7)
        preset.serverSide = .aes256
        preset.warnSize = 10 << 30
        preset.allow(.hours(13), .baseIncremental, .redisRDB)
        preset.windows = [DayWindow(start: 120, end: 300), DayWindow(start: 840, end: 900)]
        return preset
    }

    /// Says how old the newest of some kinds may be, where that is not the preset's: the time between two and some for the making.
    private mutating func allow(_ age: Duration, _ kinds: BackupKind...) {
        for place in schedules.indices where kinds.contains(schedules[place].kind) { schedules[place].maximumAge = age }
    }
}
