import SerinCatalogue
import SerinModel
import SerinPolicies
import Testing

@Suite struct RecoveryTests {
    let start = moment("2026-03-01")

    func base(
        _ number: Int, hour: Int64, stop: UInt64, kind: BackupKind = .baseFull, dependsOn: [Int] = [], timeline: Int = 1
    ) throws -> BackupRecord {
        let time = start + .hours(hour)
        return try record(
            order(number, time, kind: kind, dependsOn: dependsOn),
            server: SourceFacts(
                version: "15", systemIdentifier: "7", timeline: timeline, lsnStart: LogPosition(bytes: stop - 10),
                lsnStop: LogPosition(bytes: stop), consistentAt: time))
    }

    func log(
        _ number: Int, from: UInt64, to: UInt64, until hour: Int64, timeline: Int = 1, system: String = "7",
        history: [(timeline: Int, end: UInt64)]? = nil
    ) throws -> BackupRecord {
        var facts = SourceFacts(
            version: "15", systemIdentifier: system, timeline: timeline, lsnStart: LogPosition(bytes: from),
            lsnStop: LogPosition(bytes: to), consistentAt: start + .hours(hour), firstCommitAt: start + .hours(hour - 1))
        facts.history = history?.map { SourceFacts.TimelineEnd(timeline: $0.timeline, end: LogPosition(bytes: $0.end)) }
        return try record(order(number, start + .hours(hour), kind: .walRange), .available, server: facts)
    }

    /// Recovered to 250 and promoted, while the old timeline had gone on to 400.
    func branched(history: [(timeline: Int, end: UInt64)]? = [(1, 250)]) throws -> [BackupRecord] {
        [
            try base(1, hour: 0, stop: 100), try log(11, from: 90, to: 200, until: 3), try log(12, from: 200, to: 300, until: 6),
            try log(13, from: 300, to: 400, until: 9),
            try log(14, from: 240, to: 340, until: 12, timeline: 2, history: history),
        ]
    }

    @Test func aPromotionThatBranchedEarlierLeavesTheOldTimelineThere() throws {
        let window = RecoveryWindow(of: try branched())
        let reach = try #require(window.reaches.first)
        #expect(window.reaches.count == 1)
        #expect(reach.timeline == 2)
        // The range that holds the branch is needed, the one behind it is not part of the line.
        #expect(reach.log == [11, 12, 14].map(identifier))
        #expect(reach.latest == start + .hours(12))
        #expect(reach.end == LogPosition(bytes: 340))
        #expect(window.gaps.isEmpty)
        // A position that both have is that of the newest line.
        #expect(try window.path(to: LogPosition(bytes: 320)).timeline == 2)
        #expect(throws: RecoveryRefusal.self) { try window.path(to: LogPosition(bytes: 390)) }
        // What was left behind can be reached by its name only.
        let old = try window.path(to: start + .hours(8), timeline: 1)
        #expect(old.log == [11, 12, 13].map(identifier))
        #expect(old.end == LogPosition(bytes: 400))
        #expect(try window.path(to: LogPosition(bytes: 390), timeline: 1).timeline == 1)
        let unknown = #expect(throws: RecoveryRefusal.self) { try window.path(timeline: 3) }
        #expect(unknown?.hint == "there are 1, 2")
    }

    @Test func theEndOfAnAbandonedRangeIsNotTheNewLinesLastMoment() throws {
        // The new timeline has no commit yet that is later than what the old one wrote behind the branch.
        var records = try branched()
        records[4] = try log(14, from: 240, to: 340, until: 5, timeline: 2, history: [(1, 250)])
        #expect(RecoveryWindow(of: records).latest == start + .hours(5))
    }

    @Test func aTimelineWithoutAHistoryIsNeitherFollowedNorAskedFor() throws {
        let records = try branched(history: nil)
        let window = RecoveryWindow(of: records)
        let reach = try #require(window.reaches.first)
        #expect(reach.timeline == 1 && reach.log == [11, 12, 13].map(identifier))
        #expect(window.unknownTimelines == [2])
        let late = #expect(throws: RecoveryRefusal.self) { try window.path(to: start + .hours(11)) }
        #expect(late?.hint?.contains("00000002.history") == true)
        #expect(#expect(throws: RecoveryRefusal.self) { try window.path(timeline: 2) }?.hint == late?.hint)
        // The file may come later, and a base backup of the timeline has it.
        var file = SourceFacts(version: "15", systemIdentifier: "7", timeline: 2)
        file.history = [SourceFacts.TimelineEnd(timeline: 1, end: LogPosition(bytes: 250))]
        #expect(RecoveryWindow(of: records, atHand: [file]).reaches.first?.log == [11, 12, 14].map(identifier))
        var later = try base(2, hour: 11, stop: 260, timeline: 2)
        later.facts?.server?.history = file.history
        #expect(try RecoveryWindow(of: records + [later]).path(to: start + .hours(12), from: records[0]).timeline == 2)
    }

    @Test func twoTimelinesOfOneNumberAreNotMixed() throws {
        let records = try branched() + [try log(15, from: 290, to: 500, until: 15, timeline: 2, history: [(1, 290)])]
        let window = RecoveryWindow(of: records)
        let reach = try #require(window.reaches.first)
        #expect(reach.log == [11, 12, 15].map(identifier) && reach.end == LogPosition(bytes: 500))
        let other = try #require(window.abandoned.first { $0.timeline == 2 })
        #expect(other.log == [11, 12, 14].map(identifier) && other.end == LogPosition(bytes: 340))
        // What does not say to which it belongs belongs to none.
        let unclear = RecoveryWindow(of: records + [try log(16, from: 500, to: 600, until: 18, timeline: 2)])
        #expect(unclear.reaches.first?.end == LogPosition(bytes: 500))
    }

    @Test func aMomentIsOfTheLineThatWasLiveThen() throws {
        // The second timeline's first commit is of hour 11.
        let window = RecoveryWindow(of: try branched())
        #expect(try window.path(to: start + .hours(8)).timeline == 1)
        #expect(try window.path(to: start + .hours(12)).timeline == 2)
        #expect(try window.path(to: start + .hours(8), timeline: 2).timeline == 2)
        // The old server went on beside the new one.
        let beside = RecoveryWindow(of: try branched() + [try log(15, from: 400, to: 500, until: 14)])
        #expect(try beside.path(to: start + .hours(11)).timeline == 2)
        #expect(beside.timelines(at: start + .hours(11), beside: 2) == [1])
        #expect(beside.timelines(at: start + .hours(8), beside: 1).isEmpty)
        let late = #expect(throws: RecoveryRefusal.self) { try beside.path(to: start + .hours(13)) }
        #expect(late?.hint?.contains("--timeline 1") == true)
        #expect(try beside.path(to: start + .hours(13), timeline: 1).log == [11, 12, 13, 15].map(identifier))
    }

    @Test func aBaseFromBehindTheBranchStaysOnItsOwnTimeline() throws {
        let window = RecoveryWindow(of: try branched() + [try base(2, hour: 7, stop: 310)])
        #expect(window.reaches.map(\.timeline) == [2, 1])
        #expect(window.reaches.last?.log == [identifier(13)])
        // The newer line was not there yet.
        #expect(try window.path(to: start + .hours(8)).base == identifier(2))
        #expect(try window.path(to: start + .hours(12)).base == identifier(1))
        let own = try #require(try branched().first)
        #expect(try window.path(to: start + .hours(8), from: own).timeline == 1)
    }

    @Test func promotionsOfPromotionsAreFollowed() throws {
        let third = try log(15, from: 310, to: 500, until: 20, timeline: 3, history: [(1, 250), (2, 320)])
        let window = RecoveryWindow(of: try branched() + [third, try base(2, hour: 11, stop: 260, timeline: 2)])
        #expect(window.reaches.map(\.timeline) == [3, 3])
        #expect(window.reaches.first?.log == [11, 12, 14, 15].map(identifier))
        #expect(window.reaches.last?.log == [14, 15].map(identifier))
        #expect(window.latest == start + .hours(20))
    }

    @Test func logAtHandLeadsFurtherThanWhatIsStored() throws {
        var facts = try #require(try log(13, from: 300, to: 400, until: 9).facts?.server)
        facts.history = nil
        let records = Array(try branched().prefix(3))
        #expect(RecoveryWindow(of: records).latest == start + .hours(6))
        let reach = try #require(RecoveryWindow(of: records, atHand: [facts]).reaches.first)
        #expect(reach.latest == start + .hours(9))
        #expect(reach.log == [11, 12].map(identifier))
    }

    @Test func theWindowReachesFromTheBaseToTheEndOfTheLog() throws {
        let window = RecoveryWindow(of: [
            try base(1, hour: 0, stop: 100), try log(11, from: 90, to: 200, until: 3), try log(12, from: 200, to: 300, until: 6),
            try log(13, from: 300, to: 400, until: 9, timeline: 2, history: [(1, 300)]),
            try log(14, from: 50, to: 900, until: 20, system: "other"),
        ])
        #expect(window.earliest == start)
        #expect(window.latest == start + .hours(9))
        #expect(window.gaps.isEmpty)
        let path = try window.path(to: start + .hours(5))
        #expect(path.base == identifier(1))
        #expect(path.log == [11, 12].map(identifier))
        #expect(try window.path(to: start + .hours(9)).log == [11, 12, 13].map(identifier))
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

    @Test func storedLogThatIsMissingBehindTheNewestBaseIsSaidWhereItMatters() throws {
        let records = [
            try base(1, hour: 0, stop: 100), try log(11, from: 90, to: 200, until: 3), try log(12, from: 250, to: 300, until: 8),
        ]
        let window = RecoveryWindow(of: records)
        let hole = try #require(window.hole)
        #expect(hole.position == LogPosition(bytes: 200) && hole.timeline == 1)
        #expect(hole.words == "write-ahead log is missing between \(start + .hours(3)) and \(start + .hours(7))")
        let late = #expect(throws: RecoveryRefusal.self) { try window.path(to: start + .hours(8)) }
        #expect(late?.message.hasSuffix(hole.words) == true)
        let position = #expect(throws: RecoveryRefusal.self) { try window.path(to: LogPosition(bytes: 260)) }
        #expect(position?.message.hasSuffix(hole.words) == true)
        // The files between close it, and so does a new base.
        #expect(RecoveryWindow(of: records + [try log(13, from: 200, to: 250, until: 6)]).hole == nil)
        #expect(RecoveryWindow(of: records + [try base(2, hour: 12, stop: 290)]).hole == nil)
    }

    @Test func theNextBackupOfLogGoesOnFromTheNewestAndKnowsWhatIsMissing() throws {
        let first = SourceFacts(version: "15", timeline: 1, lsnStart: LogPosition(bytes: 90), lsnStop: LogPosition(bytes: 200))
        let third = SourceFacts(version: "15", timeline: 1, lsnStart: LogPosition(bytes: 250), lsnStop: LogPosition(bytes: 300))
        let whole = SourceFacts(version: "15", timeline: 1, lsnStop: LogPosition(bytes: 100))
        var state = CatalogueState()
        for (number, kind, server) in [(1, BackupKind.baseFull, whole), (2, .walRange, first), (3, .walRange, third)] {
            for event in history(of: order(number, start + .hours(Int64(number)), kind: kind), until: .available, server: server)
            {
                try state.apply(event)
            }
        }
        let next = LogContinuation(of: .walRange, target: "checkout-db", in: state, at: start + .hours(9))
        #expect(next.newest == third)
        #expect(next.gap?.position == LogPosition(bytes: 200))
        #expect(Set(next.stored.compactMap(\.lsnStart)) == [LogPosition(bytes: 90), LogPosition(bytes: 250)])
    }

    @Test func anExportOfRowsGoesOnFromTheNewestWhoseClockWasRight() throws {
        var state = CatalogueState()
        for (number, hours) in [(1, Int64(-72)), (2, -48), (3, 72)] {
            var server = SourceFacts(version: "15")
            server.consistentAt = start + .hours(hours)
            let order = order(number, start + .hours(hours), kind: .logs)
            for event in history(of: order, until: .available, server: server) { try state.apply(event) }
        }
        let next = LogContinuation(of: .logs, target: "checkout-db", in: state, at: start)
        #expect(next.newest?.consistentAt == start - .hours(48))
        #expect(LogContinuation(of: .logs, target: "other", in: state, at: start).newest == nil)
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
