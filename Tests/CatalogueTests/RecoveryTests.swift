import SerinCatalogue
import SerinModel
import SerinPolicies
import Testing

@Suite struct RecoveryTests {
    let start = moment("2026-03-01")

    func base(_ number: Int, hour: Int64, stop: UInt64, kind: BackupKind = .baseFull, dependsOn: [Int] = []) throws
        -> BackupRecord
    {
        let time = start + .hours(hour)
        return try record(
            order(number, time, kind: kind, dependsOn: dependsOn),
            server: SourceFacts(
                version: "15", systemIdentifier: "7", timeline: 1, lsnStart: LogPosition(bytes: stop - 10),
                lsnStop: LogPosition(bytes: stop), consistentAt: time))
    }

    func log(_ number: Int, from: UInt64, to: UInt64, until hour: Int64, timeline: Int = 1, system: String = "7") throws
        -> BackupRecord
    {
        try record(
            order(number, start + .hours(hour), kind: .walRange), .available,
            server: SourceFacts(
                version: "15", systemIdentifier: system, timeline: timeline, lsnStart: LogPosition(bytes: from),
                lsnStop: LogPosition(bytes: to), consistentAt: start + .hours(hour), firstCommitAt: start + .hours(hour - 1)))
    }

    @Test func theWindowReachesFromTheBaseToTheEndOfTheLog() throws {
        let window = RecoveryWindow(of: [
            try base(1, hour: 0, stop: 100), try log(11, from: 90, to: 200, until: 3), try log(12, from: 200, to: 300, until: 6),
            try log(13, from: 300, to: 400, until: 9, timeline: 2), try log(14, from: 50, to: 900, until: 20, system: "other"),
        ])
        #expect(window.earliest == start)
        #expect(window.latest == start + .hours(9))
        #expect(window.gaps.isEmpty)
        let path = try window.path(to: start + .hours(5))
        #expect(path.base == identifier(1))
        #expect(path.log == [11, 12, 13].map(identifier))
    }

    @Test func missingLogIsAGapThatNoTargetMayLieIn() throws {
        let window = RecoveryWindow(of: [
            try base(1, hour: 0, stop: 100), try log(11, from: 90, to: 200, until: 3), try log(12, from: 250, to: 300, until: 8),
            try base(2, hour: 12, stop: 290),
        ])
        #expect(window.gaps.map(\.after) == [start + .hours(3)])
        #expect(window.gaps.first?.before == start + .hours(7))
        #expect(throws: RecoveryRefusal.self) { try window.path(to: start + .hours(5)) }
        #expect(try window.path(to: start + .hours(3)).base == identifier(1))
        #expect(throws: RecoveryRefusal.self) { try window.path(to: start - .hours(1)) }
        #expect(throws: RecoveryRefusal.self) { try window.path(to: start + .hours(13)) }
        #expect(try window.path(to: start + .hours(12)).base == identifier(2))
    }

    @Test func aLogicalDumpIsNoBase() throws {
        let dump = try record(order(1, start))
        let error = #expect(throws: RecoveryRefusal.self) { try RecoveryWindow(of: [dump]).path(to: start, from: dump) }
        #expect(error?.message.contains("logical") == true)
        #expect(throws: RecoveryRefusal.self) { try RecoveryWindow(of: [dump]).path(to: start) }
    }

    @Test func anIncrementReachesOnlyWithItsWholeChain() throws {
        let full = try base(1, hour: 0, stop: 100)
        let first = try base(2, hour: 6, stop: 200, kind: .baseIncremental, dependsOn: [1])
        let second = try base(3, hour: 12, stop: 300, kind: .baseIncremental, dependsOn: [2])
        #expect(
            RecoveryWindow(of: [second, full, first]).reaches.map(\.chain)
                == [[1], [1, 2], [1, 2, 3]].map { $0.map(identifier) })
        #expect(RecoveryWindow(of: [full, second]).reaches.map(\.base) == [identifier(1)])
    }

    @Test func theWorstLossIsTheLargestTimeBetweenPointsThatCanBeRestored() throws {
        let plan = try examplePlan(maximumAge: .hours(7))
        let records = try [0, 6, 18, 24].map { try record(order(Int($0) + 1, start + .hours($0))) }
        let exposure = Exposure(of: records, plan: plan, at: start + .hours(26))
        #expect(exposure.worstLoss == .hours(24 * 30 - 26))
        #expect(exposure.currentLoss == .hours(2))
        let recent = Exposure(of: records, plan: plan, at: start + .hours(26), within: .hours(26))
        #expect(recent.worstLoss == .hours(12))
        #expect(recent.freshness.map(\.isStale) == [false])
        #expect(Exposure(of: records, plan: plan, at: start + .hours(32)).freshness.map(\.isStale) == [true])
        let nothing = Exposure(of: [], plan: plan, at: start, within: day)
        #expect(nothing.worstLoss == day)
        #expect(nothing.currentLoss == nil)
        #expect(nothing.freshness.map(\.isStale) == [true])
    }

    func examplePlan(maximumAge: Duration) throws -> BackupPlan {
        BackupPlan(
            target: try #require(ServiceName("checkout-db")), project: "shop",
            source: .postgres(PostgresDumpSource(url: .environment("URL"))), destinations: [],
            encryption: EncryptionPolicy(key: .passphrase(.file("/k"))), maximumAge: maximumAge)
    }
}
