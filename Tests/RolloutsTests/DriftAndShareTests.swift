import SerinModel
import SerinPolicies
import Testing

@testable import SerinRollouts
@testable import SerinVerdicts

struct DriftAndShareTests {
    @Test func aWeightAboveTheWantedOneIsLoweredAtOnce() throws {
        var scene = try Scene()
        scene.toBake()
        #expect(weights(scene.poll(read: .weight(try Scene.weight(70)))) == [try Scene.weight(5)])
        #expect(scene.log.contains { $0.contains("someone else raised it") })
    }

    @Test func aWeightAboveZeroBeforeTheFirstStepIsLoweredToZero() throws {
        var scene = try Scene()
        scene.toFirstGate()
        #expect(weights(scene.poll(read: .weight(try Scene.weight(70)))) == [.zero])
    }

    @Test(arguments: [false, true]) func aWeightThatCannotBeLoweredCallsAPersonAndIsSaidOnce(isAtStep: Bool) throws {
        var scene = try Scene(requiredApprovals: isAtStep ? 0 : 1)
        if isAtStep { scene.toBake() } else { scene.toHistory() }
        let wanted = scene.rollout.machine.wanted
        let found = ReadBack.weight(try Scene.weight(70))
        scene.poll(read: found)
        let intent = try #require(scene.rollout.machine.request?.intent)
        for _ in 0..<20 {
            scene.fail()
            let asked = weights(scene.poll(read: found))
            #expect(!asked.isEmpty && asked.allSatisfy { $0 == wanted })
            #expect(scene.rollout.machine.request?.intent == intent)
        }
        #expect(scene.log.filter { $0.contains("someone else raised it → is being lowered") }.count == 1)
        #expect(
            scene.calls.filter { $0.contains("the balancer shows 70% where \(wanted) is wanted: it is being lowered") }.count == 1
        )
        // One line a minute, not one a try.
        #expect(scene.log.filter { $0.hasPrefix("lowering to \(wanted) is not confirmed") }.count == 5)
        #expect(scene.status.cause.hasPrefix("the balancer shows 70% where \(wanted) is wanted"), "\(scene.status.cause)")
        #expect(scene.status.cause.contains("20 tries"), "\(scene.status.cause)")
        scene.passes(.hours(1))
        #expect(scene.calls.filter { $0.contains("it is being lowered") }.count == 2)
    }

    @Test func aLoweringThatIsConfirmedCallsNobodyAndANewOneIsSaidAgain() throws {
        var scene = try Scene(requiredApprovals: 1)
        scene.toHistory()
        let calls = scene.calls
        for _ in 0..<2 {
            scene.poll(read: .weight(try Scene.weight(70)))
            scene.fail()
            scene.passes(.seconds(2))
            scene.confirm()
            #expect(!scene.status.cause.contains("is being lowered"), "\(scene.status.cause)")
            scene.passes(.minutes(1))
        }
        #expect(scene.calls == calls)
        #expect(scene.log.filter { $0.contains("someone else raised it") }.count == 2)
    }

    @Test func aWeightThatSomeoneLoweredThemselvesCallsNobody() throws {
        var scene = try Scene(requiredApprovals: 1)
        scene.toHistory()
        let calls = scene.calls
        scene.poll(read: .weight(try Scene.weight(70)))
        scene.unsettle()
        scene.poll(read: .weight(.zero))
        scene.passes(.minutes(1))
        #expect(scene.calls == calls)
        #expect(!scene.status.cause.contains("is being lowered"), "\(scene.status.cause)")
    }

    @Test func aLoweredWeightIsHeldByDefault() throws {
        var scene = try Scene()
        scene.toBake()
        #expect(weights(scene.poll(read: .weight(.zero))).isEmpty)
        #expect(scene.status.state == "held")
        #expect(!scene.calls.isEmpty)
        for _ in 0..<3 { #expect(weights(scene.poll(.pass, read: .weight(.zero))).isEmpty) }
    }

    @Test func aLoweredWeightIsAppliedAgainThroughTheGateWhereThePolicySaysSo() throws {
        var scene = try Scene { $0.onDrift = .reapply }
        scene.toBake()
        scene.poll(read: .weight(.zero))
        #expect(scene.state == .gate(step: 0))
        #expect(weights(scene.poll(.nodata, read: .weight(.zero), isLost: true)).isEmpty)
        #expect(weights(scene.poll(read: .weight(.zero))) == [try Scene.weight(5)])
        scene.confirm()
        #expect(scene.state == .warmingUp(step: 0))
    }

    @Test func aLoweredWeightRollsBackWhereThePolicySaysSo() throws {
        var scene = try Scene { $0.onDrift = .rollback }
        scene.toBake()
        scene.poll(read: .weight(.zero))
        #expect(scene.status.ending == .failed)
    }

    @Test func tooSmallAShareHoldsAndRollsBackAfterTenMinutes() throws {
        var scene = try Scene()
        scene.toBake()
        scene.poll(requests: TrafficCounts(canary: 5, control: 4000))
        #expect(scene.status.state == "held")
        #expect(scene.status.cause.contains("received 5 of 4,005 requests"))
        scene.passes(.minutes(10))
        #expect(scene.status.ending == .failed)
    }

    @Test func tooLargeAShareInTwoPollsRollsBack() throws {
        var scene = try Scene()
        scene.toBake()
        scene.poll(requests: TrafficCounts(canary: 400, control: 600))
        #expect(scene.state == .baking(step: 0))
        scene.poll(requests: TrafficCounts(canary: 2000, control: 50_000))
        scene.poll(requests: TrafficCounts(canary: 20_000, control: 40_000))
        #expect(scene.state == .baking(step: 0))
        scene.poll(requests: TrafficCounts(canary: 20_000, control: 40_000))
        #expect(scene.status.ending == .failed)
    }

    @Test func tooLargeAShareRollsBackInTwoPollsAfterHoursOfTheRightOne() throws {
        var scene = try Scene()
        scene.toBake()
        scene.command(.hold)
        for _ in 0..<2400 { scene.poll() }
        scene.poll(requests: TrafficCounts(canary: 500, control: 500))
        scene.poll(requests: TrafficCounts(canary: 500, control: 500))
        #expect(scene.status.ending == .failed)
        #expect(scene.status.cause.contains("requests at weight 5%"))
    }

    @Test func tooSmallAShareHoldsAtOnceAfterAnHourOfTheRightOne() throws {
        var scene = try Scene { $0.timing.bake = .hours(10) }
        scene.toBake()
        for _ in 0..<80 { scene.poll() }
        for _ in 0..<4 { scene.poll(requests: TrafficCounts(canary: 0, control: 1000)) }
        #expect(scene.status.state == "held")
    }

    @Test func fewRequestsSayNothingAboutTheShare() throws {
        var scene = try Scene()
        scene.toBake()
        scene.poll(requests: TrafficCounts(canary: 99, control: 0))
        scene.poll(requests: TrafficCounts(canary: 0, control: 0))
        #expect(scene.state == .baking(step: 0))
    }

    @Test func aPassWithoutARequestSeenPromotesNothing() throws {
        var scene = try Scene()
        scene.toLastBake()
        let nobody = TrafficCounts(canary: 0, control: 0)
        for _ in 0..<3 { #expect(actions(scene.poll(.pass, healthy: .minutes(3), requests: nobody)).isEmpty) }
        #expect(scene.state == .baking(step: 1))
        let refusal = scene.rollout.refusal(of: Command(.promote, by: Scene.ann, reason: ""), at: scene.now)
        #expect(refusal?.message.contains("requests") == true)
        #expect(actions(scene.poll(.pass)) == [.promote])
    }

    @Test func aShareThatFitBeforeTheLatestRaisePromotesNothing() throws {
        var scene = try Scene()
        scene.toBake()
        scene.poll()
        scene.poll(healthy: .minutes(3))
        scene.confirm()
        scene.passes(.minutes(1))
        #expect(actions(scene.poll(.pass, healthy: .minutes(3), requests: TrafficCounts(canary: 0, control: 0))).isEmpty)
    }

    @Test func theShareIsWatchedAgainAfterARaiseThatDidNotTake() throws {
        var scene = try Scene { $0.traffic.steps = (try? Scene.steps(5, 25, 100)) ?? [] }
        scene.toLastBake()
        #expect(weights(scene.poll(.pass, healthy: .minutes(3))) == [.all])
        scene.fail()
        let judged = try Scene.weight(25)
        scene.poll(read: .weight(judged))
        scene.poll(read: .weight(judged))
        #expect(scene.state == .warmingUp(step: 1))
        scene.passes(.minutes(1))
        #expect(scene.state == .baking(step: 1))
        scene.poll(read: .weight(judged), requests: TrafficCounts(canary: 5, control: 4000))
        #expect(scene.status.state == "held")
    }

    @Test func aPollThatBeganBeforeTheConfirmationIsNoDrift() throws {
        var scene = try Scene()
        scene.toWarmup()
        scene.poll(read: .weight(.zero), lasting: .seconds(16))
        #expect(scene.state == .warmingUp(step: 0))
    }

    @Test func aPollThatBeganInTheMillisecondOfTheConfirmationIsNoDrift() throws {
        var scene = try Scene()
        scene.toWarmup()
        scene.poll(read: .weight(.zero), lasting: .seconds(15))
        #expect(scene.state == .warmingUp(step: 0))
    }
}

struct ShareGuardTests {
    private let start = Instant(millisecondsSince1970: 1_700_000_000_000)

    /// So many polls of a share that fits, then polls of another one; what was said of each of those.
    private func judge(polls: Int, share: Double, isDirect: Bool, scrape: Duration? = .seconds(5), more: Int = 4)
        throws -> [PollFindings.Share]
    {
        var sharing = ShareGuard()
        var total = TrafficCounts(canary: isDirect ? 5000 : 0, control: isDirect ? 70_000 : 0)
        let weight = try Scene.weight(25)
        var said: [PollFindings.Share] = []
        for poll in 0..<polls + more {
            let canary = poll < polls ? 0.25 : share
            total.canary += 750 * canary
            total.control += 750 * (1 - canary)
            let found = sharing.judge(
                weight, counts: isDirect ? total : nil, telemetry: isDirect ? nil : total, scrape: scrape,
                at: start + .seconds(15) * Int64(poll))
            if poll >= polls { said.append(found) }
        }
        return said
    }

    @Test(arguments: [true, false], [2, 2400])
    func aChangeShowsAsSoonAfterHoursAsAfterAMinute(isDirect: Bool, polls: Int) throws {
        #expect(try judge(polls: polls, share: 0.7, isDirect: isDirect).suffix(3) == [.high, .high, .high])
        #expect(try judge(polls: polls, share: 0, isDirect: isDirect).suffix(2) == [.low, .low])
    }

    @Test(arguments: [true, false]) func aShareThatStaysFits(isDirect: Bool) throws {
        #expect(try judge(polls: 100, share: 0.25, isDirect: isDirect) == [.fits, .fits, .fits, .fits])
    }

    @Test(arguments: [nil, .seconds(15), .minutes(5)] as [Duration?], [2, 2400])
    func aDoubledShareShowsHoweverOftenInstancesAreSampled(scrape: Duration?, polls: Int) throws {
        // Five samples of each instance are the longest that it may take.
        let found = try judge(polls: polls, share: 0.45, isDirect: false, scrape: scrape, more: 240)
        #expect(found.contains(.high))
        #expect(found.suffix(10).allSatisfy { $0 == .high }, "\(found)")
        if scrape == nil { #expect(found.prefix(4).contains(.high), "\(found)") }
    }

    @Test func countersThatBeginAnewAreNoShare() throws {
        var sharing = ShareGuard()
        let weight = try Scene.weight(5)
        for (poll, canary) in [(0, 1000.0), (1, 1050), (2, 10), (3, 60)] {
            let said = sharing.judge(
                weight, counts: TrafficCounts(canary: canary, control: canary * 19), telemetry: nil, scrape: nil,
                at: start + .seconds(15) * Int64(poll))
            #expect(said == (poll % 2 == 0 ? .unknown : .fits))
        }
    }

    @Test func aSampleMoreOfTheCanaryRightAfterTheConfirmationIsNoOtherShare() throws {
        let weight = try #require(Weight(basisPoints: 1000))
        var share = ShareGuard()
        let found = (1...8).map { poll in
            // A poll every sample; the canary is sampled a moment before each poll, the control a moment after it.
            let total = TrafficCounts(canary: 10_000 * Double(poll), control: 90_000 * Double(poll - 1))
            return share.judge(
                weight, counts: nil, telemetry: total, scrape: .seconds(15), at: start + .seconds(15) * Int64(poll))
        }
        // One poll alone rolls nothing back.
        #expect(!found.dropFirst().contains(.high), "\(found)")
        #expect(found.last == .fits, "\(found)")
    }

    @Test func aSampleMoreOfTheCanaryThanOfTheControlIsNoOtherShare() throws {
        // Each minute one sample of the canary and, two polls later, one of the control.
        var sharing = ShareGuard()
        let weight = try Scene.weight(5)
        var total = TrafficCounts(canary: 500, control: 9500)
        for poll in 0..<400 {
            if poll % 4 == 0 { total.canary += 500 }
            if poll % 4 == 2 { total.control += 9500 }
            let said = sharing.judge(
                weight, counts: nil, telemetry: total, scrape: .minutes(1), at: start + .seconds(15) * Int64(poll))
            if poll > 40 { #expect(said == .fits) }
        }
    }
}

struct DatabaseTests {
    private func reading(_ value: Double?) -> DatabaseReading {
        DatabaseReading(values: [DatabaseValue(.blockedSessions, value)])
    }

    private func scene(max: Double? = 5, maxRatio: Double? = nil, lasting: Duration = .seconds(30)) throws -> Scene {
        try Scene {
            $0.postgres = PostgresPolicy(
                primary: .environment("DATABASE_URL"), replicas: [],
                limits: [DatabaseLimit(signal: .blockedSessions, max: max, maxRatio: maxRatio, lasting: lasting)])
        }
    }

    private func bake(_ scene: inout Scene, baseline: Double) {
        scene.toPreflight(database: reading(baseline))
        scene.confirm()
        scene.happens(
            .historyRead(HistoryReading(start: scene.now, step: .seconds(60), series: [], scrapeInterval: nil, warnings: [])))
        scene.act()
        scene.poll(database: reading(0))
        scene.confirm()
        scene.passes(.minutes(1))
    }

    @Test(arguments: [9.0, nil]) func aDatabaseOutOfLimitsOrUnknownRefuses(value: Double?) throws {
        var scene = try scene()
        scene.toPreflight(database: reading(value))
        #expect(scene.status.ending == .refused)
        #expect(weights(scene.effects).isEmpty)
    }

    @Test func aLimitExceededForTooLongRollsBack() throws {
        var scene = try scene()
        bake(&scene, baseline: 0)
        scene.poll(database: reading(9))
        scene.poll(database: reading(9))
        #expect(scene.state == .baking(step: 0))
        scene.poll(database: reading(9))
        #expect(scene.status.ending == .failed)
        #expect(scene.status.cause.contains("blocked_sessions 9 above 5"))
    }

    @Test func aShortExcessBlocksARaiseAndCountsForNothing() throws {
        var scene = try scene()
        bake(&scene, baseline: 0)
        scene.poll(healthy: .minutes(3), database: reading(9))
        #expect(scene.status.baked == .zero)
        #expect(scene.state == .baking(step: 0))
        #expect(weights(scene.poll(healthy: .minutes(3), database: reading(1))) == [try Scene.weight(25)])
    }

    @Test func noDataIsNeverHealthyAndRollsBackAfterAMinute() throws {
        var scene = try scene()
        bake(&scene, baseline: 0)
        scene.poll(healthy: .minutes(3), database: nil)
        #expect(scene.status.baked == .zero)
        for _ in 0..<4 { scene.poll(database: reading(nil)) }
        #expect(scene.status.ending == .failed)
    }

    @Test func aRelativeLimitComparesWithTheValueBefore() throws {
        var scene = try scene(max: nil, maxRatio: 2, lasting: .zero)
        bake(&scene, baseline: 4)
        scene.poll(database: reading(8))
        #expect(scene.state == .baking(step: 0))
        scene.poll(database: reading(9))
        #expect(scene.status.ending == .failed)
    }
}
