import SerinCatalogue
import SerinModel
import SerinPolicies
import Testing

@Suite struct RetentionPropertyTests {
    static let practices: [(name: String, policy: RetentionPolicy, live: Int, oldest: Int64)] = [
        ("quadrant", BackupPreset(.quadrant).retention.standard, 34, 355),
        ("codeblack", BackupPreset(.codeblack).retention.standard.union(BackupPreset(.codeblack).retention[.baseFull]), 59, 27),
        ("platform", BackupPreset(.platform).retention.standard, 121, 30),
        ("saas-chat", BackupPreset(.saasChat).retention.standard, 56, 1785),
        ("strictest", BackupPreset(.strictest).retention.standard, 144, 1785),
    ]

    /// The identifiers that something keeps.
    func kept(_ records: [BackupRecord], _ policy: RetentionPolicy, at now: Instant) -> [BackupID] {
        Retention(standard: RetentionPlan(standard: policy)).evaluate(records, in: RetentionCircumstances(now: now)).entries
            .filter { !$0.reasons.isEmpty }.map(\.backup)
    }

    @Test(arguments: practices.indices)
    func sixHourlyBackupsSinceTwentyTwentyLeaveWhatEachPracticePromises(index: Int) throws {
        let practice = Self.practices[index]
        let now = moment("2026-11-21", 12)
        let template = try record(order(0, now))
        var live: [BackupRecord] = []
        let start = moment("2020-01-01", 2)
        var time = start
        var number = 0
        while time <= now {
            live.append(copy(of: template, number: number, at: time))
            number += 1
            // That the days between make no difference is the next test's.
            let days = (time - start).milliseconds / day.milliseconds
            if (time - start).milliseconds % day.milliseconds == 0, days % 10 == 0 || now - time < day {
                let names = Set(kept(live, practice.policy, at: time))
                live.removeAll { !names.contains($0.id) }
            }
            time = time + .hours(6)
        }
        #expect(live.count == practice.live, "\(practice.name)")
        let oldest = try #require(live.map(\.createdAt).min())
        #expect((now - oldest).milliseconds / day.milliseconds == practice.oldest, "\(practice.name)")
    }

    private func copy(of template: BackupRecord, number: Int, at time: Instant) -> BackupRecord {
        var record = template
        record.order.id = identifier(number)
        record.order.createdAt = time
        return record
    }

    @Test(arguments: practices.indices)
    func pruningEveryDayLeavesWhatTheWholeHistoryWould(index: Int) throws {
        let practice = Self.practices[index]
        let template = try record(order(0, moment("2020-01-01", 2)))
        var live: [BackupRecord] = []
        var all: [BackupRecord] = []
        var differing = 0
        for number in 0..<1200 {
            let time = moment("2020-01-01", 2) + .hours(6) * Int64(number)
            let record = copy(of: template, number: number, at: time)
            live.append(record)
            all.append(record)
            guard number % 4 == 0 else { continue }
            let names = Set(kept(live, practice.policy, at: time))
            live.removeAll { !names.contains($0.id) }
            if number % 60 == 0, Set(kept(all, practice.policy, at: time)) != Set(live.map(\.id)) { differing += 1 }
        }
        #expect(differing == 0, "\(practice.name)")
    }

    @Test func laterGarbageNeverTakesTheGoodOnesPlace() throws {
        let start = moment("2024-06-01", 2)
        let policy = BackupPreset(.saasChat).retention.standard
        let template = try record(order(0, start))
        let good = (0..<800).map { copy(of: template, number: $0, at: start + day * Int64($0)) }
        let garbage = good.suffix(70).enumerated().map { copy(of: template, number: 10_000 + $0, at: $1.createdAt + .hours(21)) }
        let now = (good.last?.createdAt ?? start) + .hours(22)
        let before = Set(kept(good, policy, at: now))
        let after = kept(good + garbage, policy, at: now)
        let lost = before.filter { !after.contains($0) }
        // Only the floor of the newest three may go to newer ones; the first of every bucket stays.
        #expect(lost.count <= 3)
        #expect(after.filter { $0 < identifier(10_000) }.count >= 48)
    }

    @Test(arguments: [UInt64(7), 20_261_121])
    func whateverTheCatalogueHoldsNothingGoesThatMustStay(seed: UInt64) throws {
        var numbers = Numbers(state: seed)
        let now = moment("2026-11-21", 12)
        let template = try record(order(0, now))
        var violations: [String] = []
        for round in 0..<1000 {
            var records: [BackupRecord] = []
            for number in 0..<Int.random(in: 0...30, using: &numbers) {
                var record = copy(
                    of: template, number: number, at: now - .hours(Int64.random(in: -50...(24 * 800), using: &numbers)))
                if Int.random(in: 0..<5, using: &numbers) == 0 { record.state = .available }
                if Int.random(in: 0..<12, using: &numbers) == 0 { record.state = .quarantined }
                for other in 0..<number where Int.random(in: 0..<20, using: &numbers) == 0 {
                    record.order.dependsOn.append(identifier(other))
                }
                if Int.random(in: 0..<20, using: &numbers) == 0 { record.holds = [Hold(.legal, reason: "case")] }
                if Int.random(in: 0..<10, using: &numbers) == 0 {
                    let until = now + day * Int64.random(in: -5...5, using: &numbers)
                    record.copies[0].lock = ObjectLock(mode: .compliance, until: until)
                }
                if Bool.random(using: &numbers) {
                    record.warnedAt = now - day * Int64.random(in: 0...20, using: &numbers)
                    record.expiresAt = record.warnedAt.map { $0 + day * 7 }
                }
                records.append(record)
            }
            func rule() -> KeepRule? {
                switch Int.random(in: 0..<3, using: &numbers) {
                case 0: nil
                case 1: KeepRule(age: day * Int64.random(in: 1...400, using: &numbers))
                default: KeepRule(count: Int.random(in: 1...20, using: &numbers))
                }
            }
            let policy = RetentionPolicy(
                keepAll: rule()?.age, daily: rule(), weekly: rule(), monthly: rule(),
                floor: Int.random(in: 1...4, using: &numbers))
            let plan = Retention(standard: RetentionPlan(standard: policy)).evaluate(
                records, in: RetentionCircumstances(now: now))
            violations += faults(of: plan, policy: policy, records: records, now: now).map { "round \(round): \($0)" }
        }
        #expect(violations.isEmpty, "seed \(seed): \(violations.prefix(3))")
    }

    private func faults(of plan: PrunePlan, policy: RetentionPolicy, records: [BackupRecord], now: Instant) -> [String] {
        var faults: [String] = []
        let gone = Set(plan.deletions.map(\.backup))
        if plan.entries.count != records.count { faults.append("not every copy has an entry") }
        if policy.keepsEverything, !gone.isEmpty { faults.append("something goes without a rule") }
        for record in records where gone.contains(record.id) {
            if !record.holds.isEmpty { faults.append("a held one goes") }
            if record.createdAt > now + Retention.clockTolerance { faults.append("a future one goes") }
            if let lock = record.copies[0].lock, lock.until > now { faults.append("a locked one goes") }
            if record.state == .quarantined { faults.append("evidence goes") }
            if record.warnedAt.map({ now - $0 < day * 7 }) ?? true { faults.append("one goes without a week's warning") }
        }
        let restorable = records.filter { $0.state.isRestorable }
        for record in restorable where plan.entries.contains(where: { $0.backup == record.id && !$0.reasons.isEmpty }) {
            for needed in record.order.dependsOn where gone.contains(needed) { faults.append("a needed one goes") }
        }
        let verified = restorable.filter { $0.state.isVerified && $0.createdAt <= now }.sorted {
            ($0.createdAt, $0.id) < ($1.createdAt, $1.id)
        }
        if verified.suffix(policy.floor).contains(where: { gone.contains($0.id) }) { faults.append("the floor goes") }
        if verified.isEmpty, restorable.contains(where: { gone.contains($0.id) }) { faults.append("unproven ones go") }
        let deletions = plan.deletions.filter(\.isRestorable).count
        let all = plan.entries.filter(\.isRestorable).count
        if deletions > 20 || (deletions > 2 && deletions * 5 > all), !plan.needsApproval { faults.append("many go at once") }
        return faults
    }
}
