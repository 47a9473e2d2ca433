import SerinCatalogue
import SerinModel
import SerinPolicies
import Testing

@Suite struct RetentionTests {
    let now = moment("2026-11-21", 12)

    func plan(
        _ policy: RetentionPolicy, _ records: [BackupRecord], at now: Instant? = nil, lastRun: Instant? = nil,
        rollouts: [RolloutID] = [], maximumAge: Duration? = nil, plan: RetentionPlan? = nil
    ) -> PrunePlan {
        Retention(
            standard: plan ?? RetentionPlan(standard: policy),
            maximumAges: maximumAge.map { age in [(.logical, age)] } ?? []
        ).evaluate(
            records,
            in: RetentionCircumstances(now: now ?? self.now, lastRun: lastRun, neededRollouts: rollouts))
    }

    /// The steps of the copies in the order of age, as words.
    func steps(_ plan: PrunePlan) -> [String] {
        plan.entries.map { entry in
            switch entry.step {
            case .keep: "keep"
            case .spare: "spare"
            case .warn: "warn"
            case .wait: "wait"
            case .delete: "delete"
            }
        }
    }

    let twoDays = RetentionPolicy(daily: KeepRule(count: 2), floor: 1)

    func nightly(_ days: Int, _ edit: (Int, inout BackupRecord) -> Void = { _, _ in }) throws -> [BackupRecord] {
        try (0..<days).map { number in
            var result = try record(order(number, now - day * Int64(days - number) + .hours(1)))
            edit(number, &result)
            return result
        }
    }

    @Test func theLastCopyIsDeletedOnlyAWeekAfterItsWarning() throws {
        var records = try nightly(4)
        let first = plan(twoDays, records)
        // The newest will be outlived by tomorrow's; the one before it is kept for want of today's, with no end in sight.
        #expect(steps(first) == ["warn", "warn", "keep", "warn"])
        #expect(first.entries[0].step == .warn(expiresAt: now + day * 7))
        records[0].warnedAt = now
        records[0].expiresAt = now + day * 7
        #expect(steps(plan(twoDays, records, at: now + day * 7 - .minutes(1)))[0] == "wait")
        #expect(steps(plan(twoDays, records, at: now + day * 7))[0] == "delete")
    }

    @Test func aCopyGoesAtOnceWhereAnotherIsKept() throws {
        let local = RetentionPlan(standard: RetentionPolicy(keepAll: day, floor: 1))
        let retention = Retention(
            standard: RetentionPlan(standard: RetentionPolicy(keepAll: day * 30)), destinations: [("local", local)])
        let records = try (0..<4).map { try record(order($0, now - day * Int64(4 - $0)), at: ["bucket", "local"]) }
        let result = retention.evaluate(records, in: RetentionCircumstances(now: now))
        #expect(
            result.entries.map(\.destination) == ["bucket", "local", "bucket", "local", "bucket", "local", "bucket", "local"])
        #expect(steps(result) == ["keep", "delete", "keep", "delete", "keep", "delete", "keep", "keep"])
        #expect(result.entry(identifier(0), at: "bucket")?.expiresAt == now + day * 26)
    }

    @Test func nothingGoesThatMustStay() throws {
        let rollout = try #require(RolloutID("checkout-1"))
        let tomorrow = now + day
        let none = RetentionPolicy(keepAll: .hours(1), floor: 1)
        var records = try nightly(12) { number, record in
            record.warnedAt = now - day * 30
            record.expiresAt = now - day
            switch number {
            case 0: record.holds = [Hold(.legal, reason: "case")]
            case 1: record.holds = [Hold(.permanent, reason: "archive")]
            case 2: record.holds = [Hold(.rollout(rollout), reason: "restore point", until: tomorrow)]
            case 3: record.order.rollout = rollout
            case 4: record.copies[0].lock = ObjectLock(mode: .compliance, until: tomorrow)
            case 5: record.order.retentionClass = "user_data"
            case 6: record.order.retentionClass = "unheard-of"
            case 7: record.state = .quarantined
            default: break
            }
        }
        records.append(try record(order(90, now + day)))
        records.append(try record(order(91, now), .running))
        let classes = RetentionPlan(standard: none, classes: [("user_data", day * 2557)])
        let result = plan(none, records, rollouts: [rollout], plan: classes)
        let deleted = result.deletions.map(\.backup)
        #expect(deleted == [8, 9, 10].map(identifier))
        #expect(result.entries.first { $0.backup == identifier(90) }?.reasons == [.future])
        #expect(result.entries.first { $0.backup == identifier(11) }?.reasons == [.floor])
    }

    @Test func theReceiptOfWhatItsToolRemovedIsNotTheLastVerifiedOneAndNoEvidence() throws {
        let records = try nightly(3) { number, record in
            record.warnedAt = now - day * 30
            record.expiresAt = now - day
            guard number > 0 else { return }
            record.state = .quarantined
            record.failure = number == 1 ? .expiredByItsTool : Failure(.invalid, "it reads otherwise than written")
        }
        let result = plan(RetentionPolicy(keepAll: .hours(1), floor: 1), records)
        #expect(result.entries.map(\.reasons) == [[.floor], [], [.evidence]])
        #expect(
            steps(result) == ["keep", "delete", "keep"] || steps(result) == ["spare", "delete", "spare"], "\(steps(result))")
    }

    @Test func nothingGoesWhileTheNewestVerifiedOneIsTooOldOrThereIsNone() throws {
        let old = try nightly(4) { _, record in
            record.warnedAt = now - day * 30
            record.expiresAt = now - day
        }
        #expect(plan(twoDays, old, maximumAge: day * 2).deletions.count == 2)
        #expect(plan(twoDays, old, at: now + day * 3, maximumAge: day * 2).deletions.isEmpty)
        let unproven = old.map { record in
            var record = record
            record.state = .available
            return record
        }
        #expect(plan(twoDays, unproven).deletions.isEmpty)
    }

    @Test func withoutARuleEverythingIsKept() throws {
        let result = plan(RetentionPolicy(), try nightly(5))
        #expect(steps(result) == ["keep", "keep", "keep", "keep", "keep"])
        #expect(result.entries.allSatisfy { $0.expiresAt == nil })
    }

    @Test func manyDeletionsAndAMovedClockNeedAPerson() throws {
        let records = try nightly(40) { _, record in
            record.warnedAt = now - day * 30
            record.expiresAt = now - day
        }
        func brakes(_ count: Int, lastRun: Instant?) -> [PruneBrake] {
            plan(RetentionPolicy(daily: KeepRule(count: 40 - count), floor: 1), records, lastRun: lastRun).brakes
        }
        #expect(brakes(8, lastRun: now - day) == [])
        #expect(brakes(9, lastRun: now - day) == [.many(deletions: 9, of: 40)])
        #expect(brakes(1, lastRun: now - .hours(27)) == [.clock(.hours(27))])
        #expect(brakes(1, lastRun: now + .hours(1)) == [.clock(.hours(-1))])
    }

    @Test func aClockTenYearsAheadDeletesNothing() throws {
        let records = try nightly(60) { _, record in
            record.warnedAt = now - day * 30
            record.expiresAt = now - day
        }
        let ahead = now + day * 3653
        let policy = RetentionPolicy(daily: KeepRule(age: day * 30), monthly: KeepRule(age: day * 366))
        let frozen = plan(policy, records, at: ahead, lastRun: now, maximumAge: day)
        #expect(frozen.deletions.isEmpty)
        let braked = plan(policy, records, at: ahead, lastRun: now)
        #expect(braked.needsApproval)
        #expect(braked.entries.filter { !$0.reasons.isEmpty }.count == 3)
    }

    @Test func whatAnotherOneNeedsStays() throws {
        let full = try record(order(1, now - day * 20, kind: .baseFull))
        var records = [full]
        for number in 2...4 {
            let time = now - day * Int64(5 - number)
            records.append(try record(order(number, time, kind: .baseIncremental, dependsOn: [number - 1])))
        }
        records = records.map { record in
            var record = record
            (record.warnedAt, record.expiresAt) = (now - day * 30, now - day)
            return record
        }
        let result = plan(RetentionPolicy(keepAll: .hours(30), floor: 1), records)
        #expect(result.deletions.isEmpty)
        #expect(result.entry(identifier(2), at: "bucket")?.reasons == [.dependency(identifier(3))])
    }

    @Test func theBaseBeforeTheWindowAndAllLogFromItStay() throws {
        var records: [BackupRecord] = []
        for number in 0..<6 {
            let time = now - day * Int64(12 - number * 2)
            records.append(try record(order(number, time, kind: .baseFull)))
            records.append(
                try record(
                    order(100 + number, time + .hours(1), kind: .walRange), .available,
                    server: SourceFacts(version: "15", consistentAt: time + day)))
        }
        records = records.map { record in
            var record = record
            (record.warnedAt, record.expiresAt) = (now - day * 30, now - day)
            return record
        }
        let rules = RetentionPlan(standard: RetentionPolicy(keepAll: .hours(1), floor: 1), pointInTime: day * 7)
        let deleted = plan(RetentionPolicy(), records, plan: rules).deletions.map(\.backup)
        // Bases 12, 10, 8, 6, 4 and 2 days old: the one of 8 days is the last before the window, the newest is the floor.
        #expect(Set(deleted) == Set([0, 100, 1, 101, 3, 4].map(identifier)))
    }

    /// Two bases in the window, log of each one's timeline, and which of them are kept for the point in time.
    private func keptBases(history: [SourceFacts.TimelineEnd]?, end: UInt64 = 400) throws -> [BackupID] {
        func facts(_ start: UInt64, _ stop: UInt64, _ timeline: Int, _ time: Instant) -> SourceFacts {
            var facts = SourceFacts(
                version: "15", systemIdentifier: "7", timeline: timeline, lsnStart: LogPosition(bytes: start),
                lsnStop: LogPosition(bytes: stop), consistentAt: time)
            if timeline > 1 { facts.history = history }
            return facts
        }
        let time = now - .hours(5)
        let records = [
            try record(order(1, time, kind: .baseFull), server: facts(90, 100, 1, time)),
            try record(order(11, time + .hours(1), kind: .walRange), .available, server: facts(90, 300, 1, time + .hours(1))),
            try record(order(2, time + .hours(2), kind: .baseFull), server: facts(310, 320, 2, time + .hours(2))),
            try record(order(12, time + .hours(3), kind: .walRange), .available, server: facts(240, end, 2, time + .hours(3))),
            try record(order(3, time + .hours(4), kind: .baseFull), server: facts(410, 420, 2, time + .hours(4))),
        ]
        let rules = RetentionPlan(standard: RetentionPolicy(keepAll: .seconds(1), floor: 1), pointInTime: day)
        return plan(RetentionPolicy(), records, plan: rules).entries.filter {
            $0.kind == .baseFull && $0.reasons.contains(.pointInTime)
        }
        .map(\.backup)
    }

    @Test func aBaseThatTheLogOfTheOneBeforeDoesNotLeadToStays() throws {
        let fork = [SourceFacts.TimelineEnd(timeline: 1, end: LogPosition(bytes: 250))]
        #expect(try keptBases(history: fork, end: 500) == [1].map(identifier))
        // Its timeline cannot be reached across where it began.
        #expect(try keptBases(history: nil, end: 500) == [1, 2].map(identifier))
        // Log is missing, or not stored yet.
        #expect(try keptBases(history: fork, end: 405) == [1, 3].map(identifier))
    }

    @Test func leftoversGoAndWhatIsWrongStaysAsEvidence() throws {
        var failed = try record(order(1, now - day * 9), .uploaded)
        (failed.state, failed.failedAt) = (.failed, now - day * 8)
        #expect(steps(plan(twoDays, [failed])) == ["delete"])
        failed.failedAt = now - day
        #expect(steps(plan(twoDays, [failed])) == ["wait"])
    }

    @Test func aWarningIsTakenBackWhenTheBackupIsHeld() throws {
        let records = try nightly(1) { _, record in
            (record.warnedAt, record.expiresAt) = (now - day, now + day)
            record.holds = [Hold(.legal, reason: "case")]
        }
        #expect(steps(plan(RetentionPolicy(keepAll: day, floor: 1), records)) == ["spare"])
    }
}
