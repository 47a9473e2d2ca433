import SerinModel
import SerinPolicies
import Testing

@testable import SerinRollouts
@testable import SerinVerdicts

struct HoldTests {
    @Test func nothingRisesWhileHeldAndResumeGoesOn() throws {
        var scene = try Scene()
        scene.toBake()
        scene.command(.hold)
        #expect(scene.status.state == "held")
        for _ in 0..<5 { #expect(weights(scene.poll(.pass, healthy: .minutes(5))).isEmpty) }
        #expect(scene.status.baked == .zero)
        scene.command(.resume)
        #expect(scene.state == .baking(step: 0))
    }

    @Test func aHoldDuringARaiseLowersTheRaiseWhenItAppliesAfterAll() throws {
        var scene = try Scene()
        scene.toBake()
        scene.poll(healthy: .minutes(3))
        scene.command(.hold)
        let asked = scene.confirm()
        #expect(weights(asked) == [try Scene.weight(5)])
        // A 0 that a person has set meanwhile stays.
        #expect(asked.contains { if case .lowerWeight = $0 { true } else { false } })
    }

    @Test(arguments: [true, false]) func aLossWhileSomeoneHoldsRollsBackForWhatWasLost(isUnreadable: Bool) throws {
        var scene = try Scene()
        scene.toBake()
        scene.command(.hold)
        for _ in 0..<45 {
            if isUnreadable {
                scene.poll(read: .unreadable)
            } else {
                scene.poll(requests: TrafficCounts(canary: 0, control: 10_000))
            }
        }
        #expect(scene.status.ending == (isUnreadable ? .inconclusive : .failed))
        #expect(scene.status.cause.contains(isUnreadable ? "cannot be read" : "received"))
    }

    @Test func tooSmallAShareWhilePeopleAreAskedRollsBackForTheShare() throws {
        var scene = try Scene { $0.traffic.steps = (try? Scene.steps(5, 25, approved: [25])) ?? [] }
        scene.toBake()
        scene.poll(healthy: .minutes(3))
        #expect(scene.status.state == "awaiting approval")
        for _ in 0..<60 where scene.status.ending == nil { scene.poll(requests: TrafficCounts(canary: 0, control: 10_000)) }
        #expect(scene.status.ending == .failed)
    }

    @Test func aHoldThatNobodyEndsIsRolledBack() throws {
        var scene = try Scene()
        scene.toBake()
        scene.command(.hold)
        scene.passes(.hours(24))
        #expect(scene.status.ending == .inconclusive)
    }

    @Test func aHoldBeforeTheFirstStepBeginsThere() throws {
        var scene = try Scene()
        scene.toHistory()
        scene.command(.hold)
        scene.happens(
            .historyRead(HistoryReading(start: scene.now, step: .seconds(60), series: [], scrapeInterval: nil, warnings: [])))
        scene.act()
        #expect(scene.status.state == "held")
        #expect(weights(scene.poll()).isEmpty)
    }

    @Test func aHaltOutranksAHold() throws {
        var scene = try Scene()
        scene.toBake()
        scene.command(.hold)
        #expect(weights(scene.command(.halt)) == [.zero])
        #expect(scene.rollout.refusal(of: Command(.resume, by: Scene.ann, reason: ""), at: scene.now) != nil)
    }

    @Test func lostTelemetryHoldsAtOnceGoesOnWhenItIsBackAndRollsBackAfterTenMinutes() throws {
        var scene = try Scene()
        scene.toBake()
        scene.poll(.nodata, isLost: true)
        #expect(scene.status.state == "held")
        scene.poll()
        #expect(scene.state == .baking(step: 0))
        scene.poll(.nodata, isLost: true)
        scene.passes(.minutes(10))
        #expect(scene.status.ending == .inconclusive)
    }

    @Test func lostTelemetryRollsBackAtOnceWhereThePolicySaysSo() throws {
        var scene = try Scene { $0.onTelemetryLoss = .rollback }
        scene.toBake()
        scene.poll(.nodata, isLost: true)
        #expect(scene.status.ending == .inconclusive)
    }

    @Test func aCanaryAtZeroWithoutSeriesCanResume() throws {
        var scene = try Scene()
        scene.toBake()
        let isAbsent: (inout Assessment) -> Void = {
            $0.signals[0].absence = .noSeries
            $0.signals[0].absentCohort = .canary
        }
        // Someone lowers it to 0; without traffic its series go.
        scene.poll(read: .weight(.zero))
        #expect(scene.status.state == "held")
        for _ in 0..<20 { scene.poll(.nodata, change: isAbsent) }
        scene.command(.resume)
        #expect(weights(scene.poll(.nodata, change: isAbsent)) == [try Scene.weight(5)])
        scene.confirm()
        // After that it has its two minutes again, and no more.
        for _ in 0..<7 { scene.poll(.nodata, change: isAbsent) }
        #expect(scene.status.state == "baking")
        scene.poll(.nodata, change: isAbsent)
        #expect(scene.status.state == "held")
    }

    @Test func timeWithoutAControllerDoesNotCountAgainstTheLongestBake() throws {
        var scene = try Scene()
        scene.toBake()
        scene.poll()
        scene.now = scene.now + .hours(5)
        scene.happens(
            .takenOver(
                Takeover(
                    traffic: Scene.traffic(.weight(try Scene.weight(5))), watchdogLowered: false, actions: [])))
        #expect(scene.state == .baking(step: 0))
        // 24 minutes in all, of which little more than one has passed.
        scene.passes(.minutes(22))
        #expect(scene.state == .baking(step: 0))
        scene.passes(.minutes(2))
        #expect(scene.status.state == "held")
    }

    @Test func s8ABlockWithoutAControllerIsNoHealthyTime() throws {
        var scene = try Scene()
        scene.toBake()
        scene.poll(healthy: .seconds(30))
        #expect(scene.status.baked == .seconds(30))
        scene.poll()
        scene.happens(
            .takenOver(
                Takeover(
                    traffic: Scene.traffic(.weight(try Scene.weight(5))), watchdogLowered: false, actions: [])))
        // The block that the former controller began ends here, and the next one counts.
        scene.poll(healthy: .seconds(30))
        #expect(scene.status.baked == .seconds(30))
        scene.poll(healthy: .seconds(30))
        #expect(scene.status.baked == .seconds(60))
    }

    @Test func whileHeldVerdictsThatComeAndGoAreWrittenOnceAMinute() throws {
        var scene = try Scene()
        scene.toBake()
        scene.command(.hold)
        let written = scene.log.count
        for k in 0..<16 { scene.poll(k.isMultiple(of: 2) ? .nodata : .inconclusive) }
        #expect(scene.log.count - written <= 5, "\(scene.log.suffix(16))")
        // A failure is not waited for.
        scene.poll(.fail) { $0.failing = "errors" }
        #expect(scene.log.contains { $0.contains("FAIL errors") }, "\(scene.log.suffix(3))")
    }

    @Test func aHoldSaysOnlyTheEndThatComesFirst() throws {
        var scene = try Scene()
        scene.toBake()
        scene.poll(read: .weight(.zero))
        #expect(scene.status.next.hasSuffix("by itself in 1d"), "\(scene.status.next)")
        while scene.rollout.machine.deadlines.due(.loss) == nil { scene.poll(isLost: true) }
        #expect(scene.status.next.hasSuffix(" unless what is amiss ends before"), "\(scene.status.next)")
        #expect(!scene.status.next.contains("1d"), "\(scene.status.next)")
    }

    @Test func doubtThatComesAndGoesIsSaidOnceAMinute() {
        var doubt = DoubtLog()
        let start = Instant(millisecondsSince1970: 0)
        let lines = (0..<40).compactMap { doubt.take($0.isMultiple(of: 2) ? "slow" : "", at: start + .seconds(15 * $0)) }
        #expect(lines.count <= 11, "\(lines)")
        #expect(lines.first == "prometheus' evidence is doubtful: slow")
        #expect(lines.dropFirst().first == "prometheus' evidence is no longer doubtful")
    }

    @Test func aCanaryWithoutSeriesIsLostTwoMinutesAfterItsFirstRaiseOnly() throws {
        var scene = try Scene { $0.timing.warmup = .seconds(10) }
        scene.toWarmup()
        let isAbsent: (inout Assessment) -> Void = {
            $0.signals[0].absence = .noSeries
            $0.signals[0].absentCohort = .canary
        }
        for _ in 0..<7 { scene.poll(.nodata, change: isAbsent) }
        #expect(scene.status.state == "baking")
        scene.poll(.nodata, change: isAbsent)
        #expect(scene.status.state == "held")
    }

    @Test func aMissingControlHoldsAndCalls() throws {
        var scene = try Scene()
        scene.toBake()
        scene.poll(.nodata) {
            $0.signals[0].absence = .noSeries
            $0.signals[0].absentCohort = .control
        }
        #expect(scene.status.state == "held")
        #expect(!scene.calls.isEmpty)
    }

    @Test func telemetryDownBeforeTheFirstRaiseBlocksIt() throws {
        var scene = try Scene()
        scene.toFirstGate()
        #expect(weights(scene.poll(.nodata, isLost: true)).isEmpty)
        #expect(weights(scene.poll()) == [try Scene.weight(5)])
    }

    @Test func theLongestBakeEndsInAHoldThatAPersonMayPromoteFromOnAPass() throws {
        var scene = try Scene()
        scene.toLastBake()
        scene.passes(.minutes(24))
        #expect(scene.status.state == "held")
        #expect(scene.rollout.refusal(of: Command(.promote, by: Scene.ann, reason: ""), at: scene.now) != nil)
        scene.command(.resume)
        scene.poll(.pass, healthy: .minutes(6))
        #expect(scene.status.state == "promoting")
    }

    @Test func theLongestBakeRollsBackWhereThePolicySaysSo() throws {
        var scene = try Scene { $0.onInconclusive = .rollback }
        scene.toBake()
        scene.passes(.minutes(24))
        #expect(scene.status.ending == .inconclusive)
    }

    @Test func anUnreadableWeightHoldsAndRollsBackAfterTenMinutes() throws {
        var scene = try Scene()
        scene.toBake()
        scene.poll(read: .unreadable)
        #expect(scene.status.state == "held")
        scene.passes(.minutes(10))
        #expect(scene.status.ending == .inconclusive)
        #expect(weights(scene.effects).last == .zero)
    }

    @Test func aBalancerWithoutAnyWeightIsAskedForZero() throws {
        var scene = try Scene()
        scene.toBake()
        #expect(weights(scene.poll(read: .meaningless)) == [.zero])
    }

    @Test func anUnknownDeployHoldsAtZeroAndCallsAPerson() throws {
        var scene = try Scene()
        scene.toHistory()
        scene.happens(
            .historyRead(HistoryReading(start: scene.now, step: .seconds(60), series: [], scrapeInterval: nil, warnings: [])))
        scene.act(.unknown(Failure(.unknown, "cut off")))
        #expect(scene.status.state == "held")
        #expect(!scene.calls.isEmpty)
        scene.confirm()
        scene.poll()
        #expect(scene.status.state == "held")
        scene.command(.resume)
        #expect(scene.state == .gate(step: 0))
    }
}
