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
        scene.poll(requests: TrafficCounts(canary: 2000, control: 4000))
        #expect(scene.state == .baking(step: 0))
        scene.poll(requests: TrafficCounts(canary: 210, control: 3800))
        scene.poll(requests: TrafficCounts(canary: 2000, control: 4000))
        #expect(scene.state == .baking(step: 0))
        scene.poll(requests: TrafficCounts(canary: 2000, control: 4000))
        #expect(scene.status.ending == .failed)
    }

    @Test func fewRequestsSayNothingAboutTheShare() throws {
        var scene = try Scene()
        scene.toBake()
        scene.poll(requests: TrafficCounts(canary: 0, control: 99))
        #expect(scene.state == .baking(step: 0))
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
