import SerinModel
import SerinPolicies
import Testing

/// Each preset against the numbers of the practice that it is named after (docs/REQUIREMENTS.md).
@Suite struct PresetNumbersTests {
    private let day = Duration.hours(24)

    /// What sets the backups of a kind going, in words.
    private func times(_ preset: BackupPreset, _ kind: BackupKind) -> [String] {
        preset.schedules.filter { $0.kind == kind }.map { schedule in
            switch schedule.trigger {
            case .cron(let cron): "\(cron)"
            case .every(let length): "every \(length)"
            case .before(let occasion): "before \(occasion.rawValue)"
            }
        }
    }

    private func cron(_ text: String) throws -> String { "\(try CronExpression(text))" }

    @Test func theNumbersOfQuadrant() throws {
        let preset = BackupPreset(.quadrant)
        #expect(times(preset, .logical) == [try cron("0 1 * * *")])
        #expect(times(preset, .baseFull) == ["every \(Duration.hours(6))"])
        for kind in [BackupKind.redisRDB, .redisAOF] { #expect(times(preset, kind) == ["every \(Duration.hours(1))"]) }
        for kind in [BackupKind.files, .logs] { #expect(times(preset, kind) == [try cron("0 0 * * *")]) }
        let standard = preset.retention.standard
        #expect(standard[.daily] == KeepRule(age: day * 14) && standard[.weekly] == KeepRule(age: day * 56))
        #expect(standard[.monthly] == KeepRule(age: day * 366) && standard[.yearly] == nil)
        for kind in [BackupKind.files, .logs] { #expect(preset.retention[kind] == RetentionPolicy(keepAll: day * 30)) }
        #expect(preset.retention.pointInTime == day * 14)
        #expect(preset.retention.proposesOnly, "where deleting needs a second factor, only a person can")
        #expect(preset.serverSide == .kms && preset.minimumTLS == .v1_2 && preset.lockDays == 30 && preset.appendOnly == .copy)
        #expect(preset.approvals == 2)
        #expect(preset.drills == [DrillPolicy(.cron(try CronExpression("0 10 1 1,4,7,10 *")), selection: .latest)])
        #expect(preset.targets == BackupPlan.Targets(recoveryPoint: .hours(6)))
        #expect(preset.windows.isEmpty)
    }

    @Test func theNumbersOfCodeblack() throws {
        let preset = BackupPreset(.codeblack)
        #expect(times(preset, .logical) == ["every \(Duration.hours(6))"])
        #expect(preset.maximumAge == .minutes(390), "at least every six hours, and half an hour for the making")
        #expect(times(preset, .baseFull).count == 1 && times(preset, .redisRDB).count == 1)
        #expect(preset.schedules.filter { $0.kind == .baseFull }.map(\.trigger.longestGap) == [day])
        #expect(preset.schedules.filter { $0.kind == .redisRDB }.map(\.trigger.longestGap) == [day])
        #expect(preset.schedules.filter { $0.kind == .redisRDB }.map(\.maximumAge) == [.hours(25)])
        #expect(preset.retention.standard == RetentionPolicy(keepAll: day * 14))
        #expect(
            preset.retention[.baseFull] == RetentionPolicy(daily: KeepRule(count: 7), weekly: KeepRule(count: 4)),
            "by number, not by age")
        #expect(preset.appendOnly == .require)
        #expect(preset.approvals == 1)
        #expect(preset.drills == [DrillPolicy(.cron(try CronExpression("0 10 1 * *")), selection: .latest)])
        #expect(preset.targets == BackupPlan.Targets(), "both are measured, none is promised")
    }

    @Test func theNumbersOfPlatform() throws {
        let preset = BackupPreset(.platform)
        #expect(times(preset, .logical) == [try cron("0 3 * * *"), "before migrations"])
        #expect(preset.retention == RetentionPlan(standard: RetentionPolicy(keepAll: day * 30)))
        #expect(preset.retention.warning == day * 7)
        #expect(preset.minimumTLS == .v1_3)
        #expect(preset.verifyEvery == day * 30)
        #expect(preset.drills == [DrillPolicy(.cron(try CronExpression("0 10 1 1,4,7,10 *")), selection: .latest)])
        #expect(preset.targets == BackupPlan.Targets(recoveryPoint: day, recoveryTime: .hours(1)))
        #expect(preset.maximumAge == .hours(25))
    }

    @Test func theNumbersOfSaasChat() throws {
        let preset = BackupPreset(.saasChat)
        #expect(times(preset, .logical) == [try cron("0 2 * * *"), "before rollout"])
        #expect(
            times(preset, .baseFull) + times(preset, .baseIncremental) == [try cron("0 2 * * *"), try cron("0 8,14,20 * * *")])
        #expect(times(preset, .mongo) == [try cron("0 3 * * *")])
        #expect(times(preset, .clickhouse) == [try cron("0 4 * * *")])
        #expect(times(preset, .redisRDB) == [try cron("0 6,18 * * *")])
        #expect(preset.windows == [try DayWindow("02:00-05:00"), try DayWindow("14:00-15:00")])
        let standard = preset.retention.standard
        #expect(standard[.daily] == KeepRule(age: day * 30) && standard[.weekly] == KeepRule(age: day * 90))
        #expect(standard[.monthly] == KeepRule(age: day * 366) && standard[.yearly] == KeepRule(age: day * 366 * 5))
        #expect(standard.weekStart == .sunday)
        for kind in [BackupKind.mongo, .clickhouse] { #expect(preset.retention[kind].keepAll == day * 30) }
        for kind in [BackupKind.baseIncremental, .redisRDB] { #expect(preset.retention[kind].keepAll == day * 7) }
        #expect(preset.localRetention?.standard == RetentionPolicy(keepAll: day * 7))
        #expect(preset.localRetention?.pointInTime == day * 7)
        #expect(preset.retention.classes.map(\.name) == ["audit_logs", "transaction_logs", "user_data"])
        #expect(preset.retention.classes.allSatisfy { $0.age == day * 2557 }, "seven years with two leap days")
        #expect(preset.serverSide == .aes256 && preset.minimumTLS == .v1_2)
        #expect(preset.warnSize == 10 << 30)
        #expect(preset.drills == [DrillPolicy(.cron(try CronExpression("first sun 10:00")), selection: .sampled)])
        #expect(preset.drills.first?.within == day * 31)
        #expect(preset.targets == BackupPlan.Targets(recoveryPoint: .hours(6), recoveryTime: .hours(2)))
    }

    @Test(arguments: BackupPreset.Name.allCases)
    func noKindMayBeOlderThanItsNextBackupAllows(name: BackupPreset.Name) throws {
        let preset = BackupPreset(name)
        for schedule in preset.schedules {
            guard let gap = schedule.trigger.longestGap else { continue }
            let limit = preset.schedules.filter { $0.kind == schedule.kind }.compactMap(\.maximumAge).min() ?? preset.maximumAge
            #expect(gap < limit, "\(name.rawValue) \(schedule.kind.rawValue)")
            #expect(limit <= gap + .hours(1), "\(name.rawValue) \(schedule.kind.rawValue)")
        }
    }
}
