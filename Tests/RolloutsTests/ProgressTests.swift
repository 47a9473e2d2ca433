import SerinModel
import SerinPolicies
import Testing

@testable import SerinRollouts
@testable import SerinVerdicts

struct ProgressTests {
    @Test func aGoodReleaseGoesThroughEveryStepAndIsPromoted() throws {
        var scene = try Scene()
        scene.toPromotion()
        #expect(scene.status.state == "promoting")
        #expect(actions(scene.effects) == [.deploy, .promote])
        scene.act()
        #expect(weights(scene.poll(.nodata)) == [.zero])
        scene.confirm()
        #expect(scene.status.state == "promoted")
        #expect(scene.status.ending == .promoted)
        #expect(weights(scene.effects) == [.zero, try Scene.weight(5), try Scene.weight(25), .zero])
    }

    @Test func withoutAPromotionActionNobodyIsToldThatTheNewVersionServes() throws {
        var scene = try Scene { $0.promote = nil }
        scene.toPromotion()
        scene.confirm()
        #expect(scene.status.ending == .promoted)
        #expect(scene.status.state == "passed")
        #expect(scene.status.next == "the weight is back to 0 and the control still runs 1; now give 2 to everyone")
        #expect(!scene.log.contains { $0.contains("serves everyone") || $0.contains("promoted") }, "\(scene.log)")
    }

    @Test func aWeightThatIsNotZeroRefusesAndWritesNothing() throws {
        var scene = try Scene()
        scene.toPreflight(weight: try Scene.weight(5))
        #expect(scene.status.ending == .refused)
        #expect(weights(scene.effects).isEmpty)
        #expect(scene.status.cause.contains("must be 0%"))
    }

    @Test func aProblemInThePreflightRefusesAndWritesNothing() throws {
        var scene = try Scene()
        scene.toPreflight(problems: ["no series for control"])
        #expect(scene.status.ending == .refused)
        #expect(scene.status.isFinal)
        #expect(weights(scene.effects).isEmpty)
        #expect(scene.status.cause == "no series for control")
    }

    @Test func aZeroThatIsNeverReadBackRefuses() throws {
        var scene = try Scene()
        scene.toPreflight()
        scene.fail()
        scene.passes(.minutes(2))
        #expect(scene.status.ending == .refused)
    }

    @Test func nothingIsDeployedBeforeTheZeroIsReadBack() throws {
        var scene = try Scene()
        scene.toPreflight()
        #expect(actions(scene.effects).isEmpty)
        #expect(weights(scene.effects) == [.zero])
    }

    @Test func aRaiseIsConfirmedByItsReadBackOnly() throws {
        var scene = try Scene()
        scene.toRaise()
        #expect(scene.state == .raising(step: 0))
        let intent = try #require(scene.rollout.machine.request?.intent)
        scene.happens(.weightReported(intent, .confirmed(WeightReading(weight: .zero, raw: "app 0"))))
        #expect(scene.state == .raising(step: 0))
        #expect(scene.status.wantedWeight == (try Scene.weight(5)))
    }

    @Test func aLateAnswerToAnOlderRequestChangesNothing() throws {
        var scene = try Scene()
        scene.toRaise()
        let before = scene.rollout
        scene.happens(.weightReported(IntentID(1), .confirmed(WeightReading(weight: .zero, raw: "app 0"))))
        #expect(scene.rollout == before)
    }

    @Test func aRefusedRaiseIsTriedAgainAtTheNextPoll() throws {
        var scene = try Scene()
        scene.toRaise()
        scene.fail()
        #expect(weights(scene.poll(read: .weight(.zero))) == [try Scene.weight(5)])
    }

    @Test func aRaiseThatIsNeverConfirmedRollsBackAsInconclusive() throws {
        var scene = try Scene()
        scene.toRaise()
        scene.fail()
        scene.passes(.minutes(2))
        #expect(scene.status.ending == .inconclusive)
        #expect(weights(scene.effects).last == .zero)
    }

    @Test func aGateThatIsLeftAgainTakesItsDeadlineWithIt() throws {
        var scene = try Scene { $0.traffic.steps = (try? Scene.steps(5, 25, approved: [25])) ?? [] }
        scene.toBake()
        scene.poll(healthy: .minutes(3))
        scene.command(.approve)
        #expect(scene.state == .gate(step: 1))
        scene.poll(.nodata)
        #expect(scene.state == .baking(step: 0))
        scene.passes(.minutes(2))
        #expect(scene.state == .baking(step: 0))
    }

    @Test func healthyTimeDuringTheWarmupDoesNotCount() throws {
        var scene = try Scene()
        scene.toWarmup()
        scene.poll(healthy: .minutes(10))
        #expect(scene.status.baked == .zero)
        #expect(scene.state == .warmingUp(step: 0))
    }

    @Test func stepsBelowFivePerCentBakeButDoNotCountForTheBake() throws {
        var scene = try Scene { $0.traffic.steps = (try? Scene.steps(1, 25)) ?? [] }
        scene.toBake()
        scene.poll(healthy: .minutes(3))
        #expect(scene.status.baked == .zero)
        #expect(scene.state == .raising(step: 1))
    }

    @Test func aStepIsNotLeftWhileASignalLacksData() throws {
        var scene = try Scene()
        scene.toBake()
        scene.poll(.nodata, healthy: .minutes(4))
        #expect(scene.state == .baking(step: 0))
        scene.poll(.inconclusive)
        #expect(scene.state == .raising(step: 1))
    }

    @Test(arguments: [Verdict.inconclusive, .nodata]) func withoutAPassTheLastStepGoesOn(verdict: Verdict) throws {
        var scene = try Scene()
        scene.toLastBake()
        scene.poll(verdict, healthy: .minutes(10))
        #expect(scene.state == .baking(step: 1))
        #expect(actions(scene.effects) == [.deploy])
    }

    @Test func aPassBeforeTheBakeIsDoneDoesNotPromote() throws {
        var scene = try Scene()
        scene.toLastBake()
        scene.poll(.pass, healthy: .minutes(1))
        #expect(scene.state == .baking(step: 1))
    }

    @Test func telemetryThatWarnsLetsNothingPass() throws {
        var scene = try Scene()
        scene.toLastBake()
        scene.poll(.pass, healthy: .minutes(6)) { $0.isDegraded = true }
        #expect(scene.state == .baking(step: 1))
    }

    @Test func aControlBeyondItsOwnLimitLetsNothingPass() throws {
        var scene = try Scene()
        scene.toLastBake()
        scene.poll(.pass, healthy: .minutes(6)) { $0.signals[0].isControlBeyondHardLimit = true }
        #expect(scene.state == .baking(step: 1))
    }

    @Test func theFinalStepIsEnteredOnAPassAndWatchedBeforeThePromotion() throws {
        var scene = try Scene { $0.traffic.steps = (try? Scene.steps(5, 25, 100)) ?? [] }
        scene.toLastBake()
        #expect(weights(scene.poll(.pass, healthy: .minutes(3))) == [.all])
        scene.confirm()
        #expect(scene.state == .watching(step: 2, isOver: false))
        scene.poll(.pass)
        #expect(scene.state == .watching(step: 2, isOver: false))
        scene.passes(.minutes(5))
        #expect(actions(scene.effects) == [.deploy])
        #expect(actions(scene.poll(.pass)) == [.promote])
    }

    @Test func withoutAPromotionActionTheWeightGoesBackAndThePipelineDoesTheRest() throws {
        var scene = try Scene { $0.promote = nil }
        scene.toPromotion()
        #expect(weights(scene.effects).last == .zero)
        scene.confirm()
        #expect(scene.status.ending == .promoted)
    }

    @Test func aPromotionIsNotDoneBeforeTheNewVersionIsSeenHealthy() throws {
        var scene = try Scene()
        scene.toPromotion()
        scene.act()
        #expect(scene.state == .verifying(isUnseen: false))
        scene.passes(.minutes(10))
        #expect(scene.status.ending == .inconclusive)
        scene.settle()
        #expect(actions(scene.effects) == [.deploy, .promote, .rollback])
    }

    @Test func promotedMeansThatControlWasSeenOnTheNewVersion() throws {
        var scene = try Scene()
        scene.toPromotion()
        scene.act()
        for _ in 0..<3 {
            #expect(weights(scene.poll(.nodata) { $0.newVersion = .unseen }).isEmpty)
            #expect(scene.state == .verifying(isUnseen: true))
        }
        #expect(weights(scene.poll(.nodata) { $0.newVersion = .seen }) == [.zero])
        #expect(scene.status.cause == "the new version is seen healthy on control")
        scene.confirm()
        #expect(scene.status.ending == .promoted)
    }

    @Test func aPromoteActionThatLeavesControlOnTheOldVersionIsTakenBackAsFailed() throws {
        var scene = try Scene()
        scene.toPromotion()
        scene.act()
        for _ in 0..<39 { scene.poll(.nodata) { $0.newVersion = .unseen } }
        #expect(scene.state == .verifying(isUnseen: true))
        #expect(weights(scene.poll(.nodata) { $0.newVersion = .unseen }) == [.zero])
        #expect(scene.status.cause == "the promote action was done, but 2 was not seen healthy on control within 10m")
        scene.settle()
        #expect(scene.status.ending == .failed)
        #expect(actions(scene.effects) == [.deploy, .promote, .rollback])
    }

    @Test func withoutSeriesThatTellTheVersionThePromoteActionIsTakenAtItsWord() throws {
        var scene = try Scene()
        scene.toPromotion()
        scene.act()
        #expect(weights(scene.poll(.nodata) { $0.newVersion = .untold }) == [.zero])
        #expect(scene.status.cause.contains("the series do not tell what control runs"))
    }

    @Test(
        arguments: [
            (["version": "2"], ["version": "1"], ["version"]), (["image": "shop:2"], ["image": "shop:1"], ["image"]),
            (["version": "2", "track": "canary"], ["track": "stable"], ["version"]), (["pool": "a2"], ["pool": "b7"], []),
            (["track": "canary"], ["track": "stable"], []),
        ] as [([String: String], [String: String], [String])])
    func theLabelThatNamesTheVersionIsFound(canary: [String: String], control: [String: String], naming: [String]) throws {
        let scene = try Scene {
            $0.prometheus.canary = canary.map { Label($0.key, $0.value) }
            $0.prometheus.control = control.map { Label($0.key, $0.value) }
        }
        let plan = EvidencePlan(scene.rollout.charter.policy, version: "2", previous: "1")
        #expect(plan.newVersion.map(\.name) == naming)
    }

    @Test func afterTheFinalStepControlGetsItsShareBackToBeSeen() throws {
        var scene = try Scene { $0.traffic.steps = (try? Scene.steps(5, 25, 100)) ?? [] }
        scene.toLastBake()
        scene.poll(.pass, healthy: .minutes(3))
        scene.confirm()
        scene.passes(.minutes(5))
        scene.poll(.pass)
        scene.act()
        #expect(weights(scene.poll(.nodata, read: .weight(.all)) { $0.newVersion = .unseen }) == [try Scene.weight(25)])
        scene.confirm()
        #expect(weights(scene.poll(.nodata) { $0.newVersion = .unseen }).isEmpty)
        #expect(weights(scene.poll(.nodata) { $0.newVersion = .seen }) == [.zero])
        scene.confirm()
        #expect(scene.status.ending == .promoted)
    }

    @Test func theReasonIsAlwaysThatOfTheStateItIsIn() throws {
        var scene = try Scene()
        scene.toBake()
        scene.poll(.nodata, isLost: true)
        #expect(scene.status.cause.contains("telemetry is lost"))
        scene.poll()
        #expect(scene.state == .baking(step: 0))
        #expect(scene.status.cause == "weight 5% is in force and nothing speaks against it")
        // The block in which telemetry was lost is not healthy time, the next one is.
        scene.poll(healthy: .minutes(3))
        scene.poll(healthy: .minutes(3))
        #expect(scene.state == .raising(step: 1))
        #expect(scene.status.cause == "nothing speaks against it")
    }

    @Test func aFinishedRolloutAbsorbsEverything() throws {
        var scene = try Scene()
        scene.toPreflight(problems: ["x"])
        let before = scene.rollout
        scene.command(.halt)
        scene.happens(.doubted("x"))
        scene.happens(.started)
        scene.passes(.hours(100))
        #expect(scene.rollout == before)
    }
}
