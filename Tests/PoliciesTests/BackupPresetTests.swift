import SerinModel
import SerinPolicies
import Testing

@Suite struct BackupPresetTests {
    static let names: [BackupPreset.Name] = [.quadrant, .codeblack, .platform, .saasChat]

    @Test(arguments: names)
    func noPresetIsStricterInAnythingThanTheStrictest(name: BackupPreset.Name) {
        let strictest = BackupPreset(.strictest)
        let preset = BackupPreset(name)
        for kind in BackupKind.allCases {
            func gap(_ preset: BackupPreset) -> Duration? {
                preset.schedules.filter { $0.kind == kind }.compactMap(\.trigger.longestGap).min()
            }
            if let own = gap(preset) { #expect(gap(strictest).map { $0 <= own } == true, "\(kind)") }
            #expect(strictest.retention[kind].union(preset.retention[kind]) == strictest.retention[kind], "\(kind)")
        }
        for event in preset.schedules where event.trigger.longestGap == nil {
            #expect(strictest.schedules.contains { $0.trigger == event.trigger && $0.kind == event.kind })
        }
        #expect(strictest.retention.union(preset.retention) == strictest.retention)
        #expect(strictest.maximumAge <= preset.maximumAge)
        #expect(strictest.minimumTLS >= preset.minimumTLS)
        #expect(strictest.serverSide >= preset.serverSide)
        #expect(strictest.appendOnly >= preset.appendOnly)
        #expect((strictest.lockDays ?? 0) >= (preset.lockDays ?? 0))
        #expect(strictest.approvals >= preset.approvals)
        #expect(strictest.verifyEvery <= preset.verifyEvery)
        for drill in preset.drills { #expect(strictest.drills.contains { $0.selection == drill.selection }) }
        let drillGap = strictest.drills.compactMap(\.trigger.longestGap).min()
        #expect(preset.drills.compactMap(\.trigger.longestGap).min().map { own in drillGap.map { $0 <= own } ?? false } == true)
        if let point = preset.targets.recoveryPoint { #expect(strictest.targets.recoveryPoint.map { $0 <= point } == true) }
        if let time = preset.targets.recoveryTime { #expect(strictest.targets.recoveryTime.map { $0 <= time } == true) }
    }

    @Test func theStrictestIsTheUnionAndNothingMore() {
        let strictest = BackupPreset(.strictest)
        let day = Duration.hours(24)
        #expect(strictest.retention.standard.keepAll == day * 30)
        #expect(strictest.retention.standard[.weekly] == KeepRule(age: day * 90))
        #expect(strictest.retention.standard[.monthly] == KeepRule(age: day * 366))
        #expect(strictest.retention.standard[.yearly] == KeepRule(age: day * 366 * 5))
        #expect(strictest.retention.classes.map(\.name) == ["audit_logs", "transaction_logs", "user_data"])
        #expect(
            strictest.schedules.filter { $0.kind == .logical }.map(\.trigger) == [
                .every(.hours(6)), .before(.migrations), .before(.rollout),
            ])
        #expect(strictest.minimumTLS == .v1_3)
        #expect(strictest.serverSide == .kms)
        #expect(strictest.appendOnly == .require)
        #expect(strictest.targets == BackupPlan.Targets(recoveryPoint: .hours(6), recoveryTime: .hours(1)))
    }

    @Test func everyTimeOfThePresetsIsWellWritten() {
        let counts = Self.names.map { BackupPreset($0).schedules.count }
        #expect(counts == [11, 10, 10, 11])
        #expect(Self.names.map { BackupPreset($0).drills.count } == [1, 1, 1, 1])
    }
}
