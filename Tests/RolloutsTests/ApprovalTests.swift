import SerinModel
import SerinPolicies
import Testing

@testable import SerinRollouts
@testable import SerinVerdicts

struct ApprovalTests {
    private let override = Override(key: "bake", value: "40s", reason: "demo")

    @Test func anOverrideWaitsForAnotherPerson() throws {
        var scene = try Scene(overrides: [override])
        scene.toHistory()
        #expect(scene.status.state == "awaiting approval")
        #expect(scene.rollout.refusal(of: Command(.approve, by: Scene.author, reason: ""), at: scene.now) != nil)
        scene.command(.approve, by: Scene.author)
        #expect(scene.status.state == "awaiting approval")
        scene.command(.approve, by: Scene.ann)
        #expect(scene.state == .readingHistory)
    }

    @Test func inADemonstrationAnOverrideNeedsNobody() throws {
        var scene = try Scene(overrides: [override]) { $0.environment = .demo }
        scene.toHistory()
        #expect(scene.state == .readingHistory)
    }

    @Test func afterASecurityHaltSeveralDifferentPeopleAreNeeded() throws {
        var scene = try Scene(requiredApprovals: 2)
        scene.toHistory()
        scene.command(.approve, by: Scene.ann)
        scene.command(.approve, by: Scene.ann)
        #expect(scene.status.state == "awaiting approval")
        scene.command(.approve, by: Scene.bob)
        #expect(scene.state == .readingHistory)
    }

    @Test func aStepWaitsForApprovalAtTheWeightBefore() throws {
        var scene = try Scene { $0.traffic.steps = (try? Scene.steps(5, 25, approved: [25])) ?? [] }
        scene.toBake()
        #expect(weights(scene.poll(healthy: .minutes(3))).isEmpty)
        #expect(scene.status.awaitedApproval?.contains("25%") == true)
        scene.command(.approve, by: Scene.bob)
        #expect(weights(scene.poll()) == [try Scene.weight(25)])
    }

    @Test func anApprovalIsForThePlanThatWasShown() throws {
        var scene = try Scene(overrides: [override])
        scene.toHistory()
        let plan = try #require(scene.status.approvalPlan)
        #expect(scene.status.awaitedApproval?.hasPrefix("plan \(plan), ") == true)
        #expect(scene.status.approvalLines.contains("checkout: 1 → 2"))
        #expect(scene.status.approvalLines.contains("override bake=40s: demo"))
        #expect(scene.status.approvalLines.contains { $0.hasPrefix("policy 00, ") })
        #expect(scene.calls.contains { $0.contains("serin approve checkout-1 --plan \(plan)") })
        for wrong in [nil, "ffffffffffff", String(plan.dropLast()), ""] {
            let command = Command(.approve, by: Scene.ann, reason: "", plan: wrong)
            #expect(scene.rollout.refusal(of: command, at: scene.now)?.hint?.contains("--plan \(plan)") == true)
            scene.happens(.commanded(command))
            #expect(scene.rollout.machine.approvers.isEmpty && scene.status.state == "awaiting approval")
        }
        scene.happens(.commanded(Command(.approve, by: Scene.ann, reason: "", plan: plan.uppercased())))
        #expect(scene.state == .readingHistory)
    }

    @Test func otherVersionsPoliciesAndOverridesAreOtherPlans() throws {
        func plan(_ change: (inout Charter) -> Void) throws -> String? {
            var charter = try Scene(overrides: [override]).rollout.charter
            change(&charter)
            var scene = try Scene()
            scene.rollout = Rollout(charter: charter, createdAt: scene.now)
            scene.toHistory()
            return scene.status.approvalPlan
        }
        let plans = [
            try plan { _ in }, try plan { $0.version = "3" }, try plan { $0.previous = "0" }, try plan { $0.policyHash = "01" },
            try plan { $0.overrides[0].value = "50s" }, try plan { $0.overrides[0].reason = "why not" },
            try plan { $0.id = RolloutID("checkout-2") ?? $0.id },
        ]
        #expect(Set(plans).count == plans.count && !plans.contains(nil))
        #expect(try plan { _ in } == plans[0])
    }

    @Test func anApprovalOfOneStepIsNoneOfTheNext() throws {
        var scene = try Scene { $0.traffic.steps = (try? Scene.steps(5, 10, 25, approved: [10, 25])) ?? [] }
        scene.toBake()
        scene.poll(healthy: .minutes(3))
        let first = try #require(scene.status.approvalPlan)
        scene.command(.approve)
        #expect(weights(scene.poll()) == [try Scene.weight(10)])
        scene.confirm()
        scene.passes(.minutes(1))
        scene.poll(healthy: .minutes(3))
        let second = try #require(scene.status.approvalPlan)
        #expect(first != second)
        scene.happens(.commanded(Command(.approve, by: Scene.ann, reason: "", plan: first)))
        #expect(scene.status.approvalPlan == second)
    }

    @Test func whoAgreesAfterAnotherPersonsApprovalIsOverIsAskedForBothAgain() throws {
        var scene = try Scene(requiredApprovals: 2)
        scene.toHistory()
        scene.command(.approve, by: Scene.ann)
        scene.passes(.minutes(29))
        #expect(scene.rollout.machine.approvers == [Scene.ann])
        scene.passes(.minutes(1))
        #expect(scene.rollout.machine.approvers.isEmpty)
        #expect(scene.log.contains { $0.hasPrefix("what was agreed to 30m ago was not begun and no longer counts") })
        scene.command(.approve, by: Scene.bob)
        #expect(scene.status.state == "awaiting approval")
        scene.command(.approve, by: Scene.ann)
        #expect(scene.state == .readingHistory)
    }

    @Test func anApprovedStepThatWasNotBegunInTimeIsAskedForAgain() throws {
        var scene = try Scene {
            $0.traffic.steps = (try? Scene.steps(5, 25, approved: [25])) ?? []
            $0.timing.approvalFor = .minutes(5)
        }
        scene.toBake()
        scene.poll(healthy: .minutes(3))
        scene.command(.approve)
        scene.command(.hold)
        scene.passes(.minutes(5))
        scene.command(.resume)
        #expect(scene.state == .awaitingApproval(.step(1)))
        #expect(weights(scene.poll()).isEmpty)
        scene.command(.approve)
        #expect(weights(scene.poll()) == [try Scene.weight(25)])
        // A step that was entered stays agreed to.
        scene.confirm()
        scene.passes(.minutes(6))
        #expect(scene.state == .baking(step: 1))
    }

    @Test func aCharterOfAnEngineWithoutPlansIsApprovedAsBefore() throws {
        var scene = try Scene(overrides: [override]) { $0.timing.approvalFor = nil }
        scene.toHistory()
        #expect(scene.status.approvalPlan == nil)
        scene.happens(.commanded(Command(.approve, by: Scene.ann, reason: "")))
        #expect(scene.state == .readingHistory)
    }

    @Test func aFailWhileWaitingForApprovalRollsBack() throws {
        var scene = try Scene { $0.traffic.steps = (try? Scene.steps(5, 25, approved: [25])) ?? [] }
        scene.toBake()
        scene.poll(healthy: .minutes(3))
        scene.poll(.fail)
        #expect(scene.status.ending == .failed)
    }

    @Test func anApprovalThatNobodyGivesRollsBack() throws {
        var scene = try Scene(overrides: [override])
        scene.toHistory()
        scene.passes(.hours(24))
        #expect(scene.status.ending == .inconclusive)
    }

    @Test func aPromotionIsRefusedNamingWhatIsLacking() throws {
        var scene = try Scene()
        scene.toBake()
        scene.poll(.inconclusive, healthy: .minutes(1))
        let refusal = try #require(scene.rollout.refusal(of: Command(.promote, by: Scene.ann, reason: ""), at: scene.now))
        #expect(refusal.message.contains("5m of healthy time"))
        #expect(refusal.message.contains("errors is inconclusive"))
    }

    @Test func aPromotionThatIsAllowedSkipsTheRemainingStepsAtTheNextPoll() throws {
        var scene = try Scene { $0.timing.stepFor = .minutes(8) }
        scene.toBake()
        scene.poll(.pass, healthy: .minutes(6))
        #expect(scene.state == .baking(step: 0))
        scene.command(.promote)
        #expect(actions(scene.effects) == [.deploy])
        scene.poll(.pass)
        #expect(actions(scene.effects) == [.deploy, .promote])
    }

    @Test func aPromotionWhoseEvidenceHasChangedIsWithdrawn() throws {
        var scene = try Scene { $0.timing.stepFor = .minutes(8) }
        scene.toBake()
        scene.poll(.pass, healthy: .minutes(6))
        scene.command(.promote)
        scene.poll(.inconclusive)
        #expect(scene.state == .baking(step: 0))
        scene.poll(.pass)
        #expect(scene.state == .baking(step: 0))
    }
}

struct TakeoverTests {
    private func takeover(_ read: ReadBack, watchdog: Bool = false, _ scene: Scene, _ outcome: ActionOutcome? = nil)
        -> RolloutEvent
    {
        let open = scene.rollout.machine.openAction.flatMap { open in
            outcome.map { Takeover.OpenAction(intent: open.intent, outcome: $0) }
        }
        return .takenOver(Takeover(traffic: Scene.traffic(read), watchdogLowered: watchdog, actions: open.map { [$0] } ?? []))
    }

    @Test func aRaiseThatHadAppliedIsConfirmedByReading() throws {
        var scene = try Scene()
        scene.toRaise()
        scene.happens(takeover(.weight(try Scene.weight(5)), scene))
        #expect(scene.state == .warmingUp(step: 0))
        #expect(scene.rollout.machine.mayStillRise)
    }

    @Test func aRaiseThatHadNotAppliedGoesThroughItsGateAgain() throws {
        var scene = try Scene()
        scene.toRaise()
        #expect(weights(scene.happens(takeover(.weight(.zero), scene))).isEmpty)
        #expect(weights(scene.poll()) == [try Scene.weight(5)])
    }

    @Test func theWatchdogsLoweringIsNoDrift() throws {
        var scene = try Scene()
        scene.toBake()
        #expect(weights(scene.happens(takeover(.weight(.zero), watchdog: true, scene))).isEmpty)
        #expect(scene.state == .gate(step: 0))
        #expect(weights(scene.poll()) == [try Scene.weight(5)])
    }

    @Test func aRaiseThatTheWatchdogTookBackIsToldInTheLog() throws {
        var scene = try Scene()
        scene.toRaise()
        scene.happens(takeover(.weight(.zero), watchdog: true, scene))
        #expect(scene.state == .gate(step: 0))
        #expect(scene.log.contains { $0.contains("the watchdog had lowered the weight to 0%") })
    }

    @Test func afterTheWatchdogsLoweringAnApprovedStepIsReachedThroughTheOneBefore() throws {
        var scene = try Scene { $0.traffic.steps = (try? Scene.steps(5, 25, approved: [25])) ?? [] }
        scene.toBake()
        scene.poll(healthy: .minutes(3))
        #expect(scene.state == .awaitingApproval(.step(1)))
        scene.happens(takeover(.weight(.zero), watchdog: true, scene))
        #expect(scene.state == .awaitingApproval(.step(1)))
        let told = scene.told.filter { $0.contains("the watchdog had lowered the weight to 0%") }
        #expect(told.count == 1 && told.allSatisfy { $0.contains("awaiting approval as before, then the step is entered again") })
        scene.command(.approve, by: Scene.bob)
        scene.poll(healthy: .minutes(3))
        #expect(weights(scene.poll(healthy: .minutes(3))) == [try Scene.weight(5)])
        scene.confirm()
        #expect(scene.state == .warmingUp(step: 0))
        scene.passes(.minutes(1))
        // It was approved, so nobody is asked twice.
        #expect(weights(scene.poll(healthy: .minutes(3))) == [try Scene.weight(25)])
    }

    @Test func afterAnUnreadableWeightAStepIsReachedThroughTheOneBefore() throws {
        var scene = try Scene { $0.traffic.steps = (try? Scene.steps(5, 25, approved: [25])) ?? [] }
        scene.toBake()
        scene.poll(healthy: .minutes(3))
        scene.command(.approve, by: Scene.bob)
        #expect(scene.state == .gate(step: 1))
        #expect(weights(scene.happens(takeover(.unreadable, scene))) == [.zero])
        scene.confirm()
        #expect(weights(scene.poll(healthy: .minutes(3))).isEmpty)
        #expect(weights(scene.poll(healthy: .minutes(3))) == [try Scene.weight(5)])
    }

    @Test func aWeightLoweredByAStrangerMeanwhileIsDrift() throws {
        var scene = try Scene()
        scene.toBake()
        scene.happens(takeover(.weight(.zero), scene))
        #expect(scene.status.state == "held")
    }

    @Test func anUnreadableWeightHoldsAtZeroAndCalls() throws {
        var scene = try Scene()
        scene.toBake()
        #expect(weights(scene.happens(takeover(.unreadable, scene))) == [.zero])
        #expect(scene.status.state == "held")
        #expect(!scene.calls.isEmpty)
    }

    @Test func aRollbackGoesOnWithAFreshZero() throws {
        var scene = try Scene()
        scene.toBake()
        scene.command(.halt)
        #expect(weights(scene.happens(takeover(.unreadable, scene))) == [.zero])
        scene.settle()
        #expect(scene.status.ending == .halted)
    }

    @Test func anOpenActionIsSettledByItsCheck() throws {
        var scene = try Scene()
        scene.toPromotion()
        scene.happens(takeover(.weight(try Scene.weight(25)), scene, .done(output: "")))
        #expect(scene.state == .verifying(isUnseen: false))
    }

    @Test func anActionThatNobodyKnowsAboutHoldsAtZero() throws {
        var scene = try Scene()
        scene.toPromotion()
        let unknown = ActionOutcome.unknown(Failure(.unknown, "it has no check"))
        #expect(weights(scene.happens(takeover(.weight(try Scene.weight(25)), scene, unknown))) == [.zero])
        #expect(scene.status.state == "held")
    }

    @Test func anActionThatTheNewControllerHasBegunItselfGoesOnWithItsWholeTime() throws {
        var scene = try Scene()
        scene.toPromotion()
        let open = try #require(scene.rollout.machine.openAction)
        scene.now = scene.now + .seconds(30)
        #expect(actions(scene.happens(takeover(.weight(try Scene.weight(25)), scene))).isEmpty)
        #expect(scene.rollout.machine.openAction == open)
        let longest = try #require(scene.rollout.machine.plan.promote)
        #expect(scene.rollout.machine.deadlines.due(.action) == scene.now + longest)
        scene.act(.done(output: ""))
        #expect(scene.state == .verifying(isUnseen: false))
    }

    @Test func theWatchOfTheFinalStepBeginsAgain() throws {
        var scene = try Scene { $0.traffic.steps = (try? Scene.steps(5, 25, 100)) ?? [] }
        scene.toLastBake()
        scene.poll(.pass, healthy: .minutes(3))
        scene.confirm()
        scene.passes(.minutes(4))
        scene.happens(takeover(.weight(.all), scene))
        scene.passes(.minutes(4))
        scene.poll(.pass)
        #expect(scene.state == .watching(step: 2, isOver: false))
    }

    @Test func theSameEventsGiveTheSameEffects() throws {
        func play() throws -> Scene {
            var scene = try Scene()
            scene.toPromotion()
            scene.settle()
            return scene
        }
        let first = try play()
        let second = try play()
        #expect(first.effects == second.effects)
        #expect(first.rollout == second.rollout)
    }
}

struct SentenceTests {
    @Test func aVerdictIsWrittenInItsOneForm() throws {
        var scene = try Scene()
        scene.toLastBake()
        let onset = Instant(millisecondsSince1970: 38 * 60_000)
        scene.poll(.fail) { $0.signals[0].onset = onset }
        #expect(
            scene.log.contains(
                "step 25% FAIL errors: canary 2.10% (84/4,003) control 1.02% (122/11,980), ratio 2.06 [1.56–2.72] beyond 1.10, since 00:38 → rollback"
            ))
    }

    @Test func anUnchangedVerdictIsWrittenOnceAMinute() throws {
        var scene = try Scene()
        scene.toBake()
        for _ in 0..<9 { scene.poll() }
        #expect(scene.log.filter { $0.contains("INCONCLUSIVE errors") }.count == 3)
    }

    @Test(arguments: [
        (0.0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567"), (-1234, "-1,234"), (.infinity, "∞"), (.nan, "–"),
    ])
    func thousandsAreSeparated(value: Double, text: String) {
        #expect(Numbers.whole(value) == text)
    }

    @Test(arguments: [(2.0556, "2.06"), (0.005, "0.01"), (-0.001, "0.00"), (1999.999, "2,000.00"), (.infinity, "∞")])
    func decimalsAreRounded(value: Double, text: String) {
        #expect(Numbers.fixed(value, decimals: 2) == text)
    }

    @Test(arguments: [(0, "0s"), (250, "250ms"), (90_000, "1m 30s"), (3_600_000, "1h"), (86_400_000 * 2 + 3_600_000, "2d 1h")])
    func timesUseTheirTwoLargestUnits(milliseconds: Int64, text: String) {
        #expect(Numbers.time(Duration(milliseconds: milliseconds)) == text)
    }
}
