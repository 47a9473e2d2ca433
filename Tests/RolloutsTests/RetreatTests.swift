import SerinModel
import SerinPolicies
import Testing

@testable import SerinRollouts
@testable import SerinVerdicts

struct RetreatTests {
    @Test func afterATakeoverTheActionThatWasNotDoneIsTheCause() throws {
        var scene = try Scene()
        scene.toPromotion()
        let open = try #require(scene.rollout.machine.openAction)
        let outcome = ActionOutcome.failed(Failure(.invalid, "the check says no: exit status 1"), output: "one\ntwo\n")
        scene.happens(
            .takenOver(
                Takeover(
                    traffic: Scene.traffic(.weight(try Scene.weight(25))), watchdogLowered: false,
                    actions: [.init(intent: open.intent, outcome: outcome)])))
        let cause = "the promote action was not done: the check says no: exit status 1"
        #expect(scene.status.cause == cause)
        #expect(scene.log.contains("the promote action's last output: one | two"), "\(scene.log)")
        scene.settle()
        #expect(scene.status.isFinal)
        #expect(scene.status.cause == cause)
    }

    @Test func controlMayServeTheNewVersionUntilThePreviousOneIsBack() throws {
        var scene = try Scene()
        #expect(!scene.status.isPromotionBegun)
        scene.toPromotion()
        #expect(scene.status.isPromotionBegun)
        scene.act(.failed(Failure(.invalid, "x ended with exit status 1"), output: ""))
        #expect(scene.status.isPromotionBegun && scene.status.ending != .promoted)
        scene.settle()
        #expect(scene.status.isFinal && !scene.status.isPromotionBegun)
    }

    @Test func theTroubleOfAPollIsNamedOnceAndWithItsHint() throws {
        let down = Failure(.transient, "prometheus sent no JSON", hint: "is it behind a proxy?")
        let series = [
            SeriesReading(rows: [], failure: down), SeriesReading(rows: [], failure: down),
            SeriesReading(rows: [], warnings: ["a store is away"]),
        ]
        let at = Instant(millisecondsSince1970: 0)
        let trouble = Trouble(
            Observation(
                at: at,
                telemetry: TelemetryReading(evaluatedAt: at, series: series, instances: [], alerts: nil, failures: [down]),
                database: nil, traffic: Scene.traffic(.unreadable)))
        #expect(trouble.telemetry == "prometheus sent no JSON (hint: is it behind a proxy?)")
        #expect(trouble.warnings == "a store is away")
        #expect(trouble.weight == "no answer")
    }

    @Test func aHoldForAWeightThatCannotBeReadSaysWhy() throws {
        var scene = try Scene()
        scene.toBake()
        for _ in 0..<3 { scene.poll(read: .unreadable) }
        #expect(scene.status.cause == "the weight cannot be read: no answer")
        #expect(!scene.status.isWatched)
    }

    @Test func theEndOfAFailedActionsOutputIsLogged() throws {
        var scene = try Scene()
        scene.toPromotion()
        let output = (1...30).map { "line \($0)" }.joined(separator: "\n")
        scene.act(.failed(Failure(.invalid, "x ended with exit status 1"), output: output))
        let words = (21...30).map { "line \($0)" }.joined(separator: " | ")
        #expect(scene.log.contains("the promote action's last output: \(words)"), "\(scene.log)")
        #expect(scene.status.cause == "promote action failed: x ended with exit status 1")
    }

    @Test func aZeroWithoutAnswerIsSaidToBeTriedAgain() throws {
        var scene = try Scene()
        scene.toBake()
        scene.command(.halt)
        scene.unsettle()
        #expect(scene.log.contains("lowering to 0% is not confirmed: timed out; tried again"), "\(scene.log)")
    }

    @Test func aHaltBeforeAnythingWasAskedOfTheBalancerEndsWithoutItsAnswer() throws {
        for verb in [Command.Verb.halt, .rollback] {
            var scene = try Scene()
            scene.happens(.started)
            scene.command(verb)
            scene.unsettle()
            scene.passes(.seconds(14))
            #expect(!scene.status.isFinal)
            scene.unsettle()
            scene.passes(.seconds(1))
            #expect(scene.status.state == "rolled back")
            #expect(scene.status.ending == .halted)
            #expect(!scene.status.isRollbackIncomplete)
            let words = "weight 0 could not be read back (2 tries since"
            #expect(scene.status.cause.contains(words), "\(scene.status.cause)")
            #expect(scene.status.cause.contains("timed out), and this rollout never raised it"), "\(scene.status.cause)")
            #expect(scene.status.next.contains("look at the load balancer"), "\(scene.status.next)")
            #expect(scene.status.unconfirmedZero?.tries == 2)
            #expect(scene.calls.isEmpty, "\(scene.calls)")
        }
    }

    @Test func aHaltDuringTheApprovalEndsWithoutTheBalancerToo() throws {
        var scene = try Scene(requiredApprovals: 1)
        scene.toPreflight()
        scene.confirm()
        scene.command(.halt)
        scene.unsettle()
        scene.passes(.seconds(15))
        #expect(scene.status.ending == .halted)
    }

    @Test func aNewControllerTriesForZeroBeforeItEndsWithoutIt() throws {
        var scene = try Scene()
        scene.happens(.started)
        scene.command(.halt)
        scene.unsettle()
        scene.now = scene.now + .minutes(1)
        let takeover = Takeover(traffic: Scene.traffic(.weight(.zero)), watchdogLowered: false, actions: [])
        #expect(weights(scene.happens(.takenOver(takeover))) == [.zero])
        #expect(!scene.status.isFinal)
        scene.confirm()
        #expect(scene.status.ending == .halted)
        #expect(scene.status.unconfirmedZero == nil)
        #expect(!scene.status.cause.contains("never raised"), "\(scene.status.cause)")
    }

    @Test func aDoubtBeforeAnythingWasAskedEndsAsInconclusive() throws {
        var scene = try Scene()
        scene.happens(.started)
        scene.happens(.doubted("the journal cannot be written"))
        scene.unsettle()
        scene.passes(.seconds(15))
        #expect(scene.status.ending == .inconclusive)
    }

    @Test func s2AfterADeployOrARaiseOnlyAReadBackEndsIt() throws {
        for isRaised in [false, true] {
            var scene = try Scene { ($0.promote, $0.rollback) = (nil, nil) }
            if isRaised { scene.toBake() } else { scene.toFirstGate() }
            scene.command(.halt)
            for _ in 0..<8 {
                scene.unsettle()
                scene.passes(.seconds(15))
            }
            #expect(!scene.status.isFinal)
            #expect(scene.calls.contains { $0.contains("weight 0 is not confirmed after 15s (") }, "\(scene.calls)")
            scene.confirm()
            #expect(scene.status.ending == .halted)
            #expect(scene.status.unconfirmedZero == nil)
        }
    }

    @Test func aWeightThatSomeoneElseGaveTheCanaryIsLoweredUntilItIsZero() throws {
        var scene = try Scene()
        scene.happens(.started)
        scene.command(.halt)
        scene.poll(read: .weight(try Scene.weight(25)))
        scene.unsettle()
        for _ in 0..<8 { scene.passes(.seconds(15)) }
        #expect(!scene.status.isFinal)
        // Nobody can tell any more, and what was read has not become 0 by that.
        scene.poll(read: .unreadable)
        for _ in 0..<8 { scene.passes(.seconds(15)) }
        #expect(!scene.status.isFinal)
        #expect(scene.calls.contains { $0.contains("weight 0 is not confirmed") })
        scene.confirm()
        #expect(scene.status.ending == .halted)
    }

    @Test(arguments: [ReadBack.weight(Weight.all), .meaningless]) func aWeightReadBeforeTheHaltKeepsItFromEndingUnread(
        read: ReadBack
    ) throws {
        var scene = try Scene(requiredApprovals: 1)
        scene.toHistory()
        scene.poll(read: read)
        scene.unsettle()
        scene.command(.halt)
        for _ in 0..<8 {
            scene.unsettle()
            scene.poll(read: .unreadable)
        }
        #expect(!scene.status.isFinal)
        scene.poll(read: .weight(.zero))
        for _ in 0..<2 {
            scene.unsettle()
            scene.passes(.seconds(15))
        }
        #expect(scene.status.ending == .halted)
        #expect(scene.status.cause.contains("never raised"), "\(scene.status.cause)")
    }

    @Test func valuesWithoutMeaningReadBackFromALoweringKeepItFromEnding() throws {
        var scene = try Scene()
        scene.happens(.started)
        scene.command(.halt)
        let intent = try #require(scene.rollout.machine.request?.intent)
        let read = WeightReading(weight: nil, raw: "0/0")
        scene.happens(.weightReported(intent, .failed(Failure(.transient, "503"), readBack: read)))
        for _ in 0..<8 {
            scene.unsettle()
            scene.passes(.seconds(15))
        }
        #expect(!scene.status.isFinal)
    }

    @Test func everyTryForZeroIsCountedAndOnlyNewsIsWrittenDown() throws {
        var scene = try Scene()
        scene.toBake()
        scene.command(.halt)
        func lines(_ scene: Scene) -> [String] { scene.log.filter { $0.hasPrefix("lowering to 0% is not confirmed") } }
        for _ in 0..<20 {
            scene.unsettle()
            scene.passes(.seconds(2))
        }
        #expect(lines(scene) == ["lowering to 0% is not confirmed: timed out; tried again"])
        scene.fail()
        #expect(lines(scene).dropFirst() == ["lowering to 0% is not confirmed after 21 tries: 503; tried again"])
        scene.passes(.seconds(30))
        scene.unsettle()
        #expect(lines(scene).last == "lowering to 0% is not confirmed after 22 tries: timed out; tried again")
        #expect(scene.status.unconfirmedZero?.tries == 22)
        #expect(scene.status.unconfirmedZero?.failedAt == scene.now)
        #expect(scene.status.unconfirmedZero?.reason == "timed out")
        #expect(scene.status.next.contains("22 tries since"), "\(scene.status.next)")
        scene.confirm()
        #expect(scene.log.contains { $0.hasPrefix("weight 0% confirmed after 22 in vain since") }, "\(scene.log)")
    }

    @Test func reasonsThatChangeWithEveryTryAreWrittenDownAFewTimesAMinute() throws {
        var scene = try Scene()
        scene.toBake()
        scene.command(.halt)
        for number in 0..<30 {
            guard let request = scene.rollout.machine.request else { return }
            scene.happens(.weightReported(request.intent, .unsettled(Failure(.unknown, "no answer in \(number) ms"))))
            scene.passes(.seconds(1))
        }
        let lines = scene.log.filter { $0.hasPrefix("lowering to 0% is not confirmed") }
        #expect(lines.count == 5, "\(lines)")
        #expect(scene.status.unconfirmedZero?.tries == 30)
    }

    @Test func aFailLowersTheWeightInTheSameCallAndEndsAsFailed() throws {
        var scene = try Scene()
        scene.toBake()
        #expect(weights(scene.poll(.fail)) == [.zero])
        #expect(scene.status.state == "rolling back")
        scene.confirm()
        #expect(actions(scene.effects) == [.deploy, .rollback])
        scene.settle()
        #expect(scene.status.state == "rolled back")
        #expect(scene.status.ending == .failed)
        #expect(scene.status.cause.contains("ratio 2.06 [1.56–2.72] beyond 1.10"))
    }

    @Test func aHaltDuringADeployWithoutARollbackWaitsForItsOutcome() throws {
        for outcome in [
            ActionOutcome.done(output: ""), .failed(Failure(.transient, "x"), output: ""), .unknown(Failure(.unknown, "x")),
        ] {
            var scene = try Scene { ($0.promote, $0.rollback) = (nil, nil) }
            scene.toHistory()
            scene.happens(
                .historyRead(HistoryReading(start: scene.now, step: .seconds(60), series: [], scrapeInterval: nil, warnings: [])))
            scene.command(.halt)
            scene.confirm()
            #expect(scene.status.state == "rolling back")
            #expect(scene.status.next.contains("the deploy action is waited for"))
            #expect(weights(scene.act(outcome)) == [.zero], "0 is read once more after it")
            #expect(!scene.status.isFinal)
            scene.confirm()
            #expect(scene.status.ending == .halted)
        }
    }

    @Test func aDeployThatIsNeverHeardOfIsWaitedForUntilItsDeadline() throws {
        var scene = try Scene { ($0.promote, $0.rollback) = (nil, nil) }
        scene.toHistory()
        scene.happens(
            .historyRead(HistoryReading(start: scene.now, step: .seconds(60), series: [], scrapeInterval: nil, warnings: [])))
        scene.command(.halt)
        scene.confirm()
        scene.passes(.minutes(3))
        scene.confirm()
        #expect(scene.status.ending == .halted)
    }

    @Test func aRollbackActionDoesNotWaitForTheDeployItEnds() throws {
        var scene = try Scene()
        scene.toHistory()
        scene.happens(
            .historyRead(HistoryReading(start: scene.now, step: .seconds(60), series: [], scrapeInterval: nil, warnings: [])))
        scene.command(.halt)
        scene.confirm()
        #expect(actions(scene.effects) == [.deploy, .rollback])
    }

    @Test func aFailDuringTheWarmupCountsToo() throws {
        var scene = try Scene()
        scene.toWarmup()
        scene.poll { $0.signals[0].isBeyondHardLimit = true }
        #expect(scene.status.ending == .failed)
    }

    @Test func aHaltForSecurityOnTheWayBackIsRemembered() throws {
        var scene = try Scene()
        scene.toBake()
        scene.poll(.fail)
        #expect(!scene.status.isSecurityHalt)
        scene.command(.haltForSecurity)
        scene.settle()
        #expect(scene.status.isFinal && scene.status.ending == .failed)
        #expect(scene.status.isSecurityHalt)
    }

    @Test(arguments: [true, false]) func aSecuritySignalBesideOrAfterAnotherCauseIsRemembered(isAfter: Bool) throws {
        var scene = try Scene()
        scene.toBake()
        if isAfter { scene.poll(.fail) }
        scene.poll(.fail) {
            $0.signals[0].isBeyondHardLimit = true
            $0.signals.append($0.signals[0])
            $0.signals[1].isSecurity = true
        }
        #expect(scene.status.isSecurityHalt)
    }

    @Test func aSecuritySignalHalts() throws {
        var scene = try Scene()
        scene.toBake()
        scene.poll(.fail) { $0.signals[0].isSecurity = true }
        #expect(scene.status.ending == .halted)
    }

    @Test func aReportOnlySignalDecidesNothing() throws {
        var scene = try Scene()
        scene.toBake()
        scene.poll { assessment in
            var other = SignalAssessment(name: "extra")
            other.verdict = .fail
            other.isReportOnly = true
            other.isBeyondHardLimit = true
            assessment.signals.append(other)
        }
        #expect(scene.state == .baking(step: 0))
    }

    @Test func theFamilyAsAWholeCanFail() throws {
        var scene = try Scene()
        scene.toBake()
        scene.poll { $0.failing = "errors" }
        #expect(scene.status.ending == .failed)
    }

    @Test(arguments: [Command.Verb.halt, .haltForSecurity, .rollback])
    func aHaltLowersTheWeightInTheSameCall(verb: Command.Verb) throws {
        let places: [(inout Scene) -> Void] = [
            { $0.happens(.started) }, { $0.toPreflight() }, { $0.toHistory() }, { $0.toFirstGate() }, { $0.toRaise() },
            { $0.toWarmup() },
            { $0.toBake() }, { $0.toLastBake() }, { $0.toPromotion() },
            {
                $0.toPromotion()
                $0.act()
            },
        ]
        for place in places {
            var scene = try Scene()
            place(&scene)
            #expect(weights(scene.command(verb, by: Scene.author)) == [.zero])
            #expect(scene.status.ending == .halted)
        }
    }

    @Test func zeroIsAskedForUntilItIsReadBack() throws {
        var scene = try Scene()
        scene.toBake()
        scene.command(.halt)
        for _ in 0..<5 {
            scene.fail()
            #expect(!scene.status.isFinal)
            #expect(weights(scene.happens(.ticked)) == [.zero])
        }
        scene.confirm()
        scene.settle()
        #expect(scene.status.ending == .halted)
    }

    @Test func aRaiseOnTheWireKeepsTheRolloutFromEndingUntilItCanNoLongerApply() throws {
        var scene = try Scene { $0.rollback = nil }
        scene.toRaise()
        let raise = try #require(scene.rollout.machine.request?.intent)
        scene.command(.halt)
        scene.confirm()
        #expect(!scene.status.isFinal)
        scene.happens(.weightReported(raise, .unsettled(Failure(.unknown, "timed out"))))
        scene.confirm()
        #expect(!scene.status.isFinal)
        let lowered = scene.poll(read: .weight(try Scene.weight(5)))
        #expect(weights(lowered) == [.zero])
        scene.confirm()
        scene.passes(.minutes(2))
        #expect(!scene.status.isFinal)
        scene.confirm()
        #expect(scene.status.ending == .halted)
    }

    @Test func pastItsDeadlineARollbackIsIncompleteAndGoesOn() throws {
        var scene = try Scene()
        scene.toBake()
        scene.command(.halt)
        scene.fail()
        scene.passes(.minutes(10))
        #expect(scene.status.isRollbackIncomplete)
        #expect(scene.status.state == "rollback incomplete")
        #expect(!scene.status.isFinal)
        #expect(!scene.calls.isEmpty)
        scene.confirm()
        scene.settle()
        #expect(scene.status.isFinal)
        #expect(!scene.status.isRollbackIncomplete)
        #expect(scene.status.ending == .halted)
    }

    @Test func aFailedRollbackActionWaitsForAPersonWhoIsReminded() throws {
        var scene = try Scene()
        scene.toBake()
        scene.poll(.fail)
        scene.confirm()
        scene.act(.failed(Failure(.transient, "exit status 1"), output: ""))
        #expect(scene.status.isRollbackIncomplete && scene.status.cause.contains("exit status 1"))
        let calls = scene.calls.count
        scene.passes(.hours(1))
        #expect(scene.calls.count > calls)
        scene.command(.rollback)
        scene.act()
        scene.confirm()
        #expect(scene.status.ending == .failed && !scene.status.cause.contains("exit status 1"), "\(scene.status.cause)")
    }

    @Test func aPersonMaySayThatThePreviousVersionIsBack() throws {
        var scene = try Scene()
        scene.toBake()
        scene.poll(.fail)
        scene.confirm()
        scene.act(.unknown(Failure(.unknown, "cut off")))
        scene.command(.resume)
        #expect(!scene.status.isFinal)
        scene.confirm()
        #expect(scene.status.ending == .failed)
    }

    @Test func drainLeavesTheCanaryRunning() throws {
        var scene = try Scene { $0.onFailure = .drain }
        scene.toBake()
        scene.poll(.fail)
        scene.confirm()
        #expect(scene.status.ending == .failed)
        #expect(actions(scene.effects) == [.deploy])
    }

    @Test func aFailedPromotionBringsThePreviousVersionBackEvenWhenDraining() throws {
        var scene = try Scene { $0.onFailure = .drain }
        scene.toPromotion()
        #expect(weights(scene.act(.failed(Failure(.invalid, "exit status 2"), output: ""))) == [.zero])
        scene.settle()
        #expect(actions(scene.effects) == [.deploy, .promote, .rollback])
        #expect(scene.status.ending == .failed)
    }

    @Test func aFailedDeployRollsBackAtWeightZero() throws {
        var scene = try Scene()
        scene.toHistory()
        scene.happens(
            .historyRead(HistoryReading(start: scene.now, step: .seconds(60), series: [], scrapeInterval: nil, warnings: [])))
        scene.act(.failed(Failure(.invalid, "exit status 2"), output: ""))
        scene.settle()
        #expect(scene.status.ending == .failed)
        #expect(weights(scene.effects).allSatisfy { $0 == .zero })
    }

    @Test func aDoubtLowersAndSaysNothingAboutTheCanary() throws {
        var scene = try Scene()
        scene.toLastBake()
        #expect(weights(scene.happens(.doubted("the journal is full"))) == [.zero])
        scene.settle()
        #expect(scene.status.ending == .inconclusive)
        #expect(scene.log.contains { $0.contains("the journal is full") })
    }

    @Test func duringThePromotionOnlyVetoesCount() throws {
        var scene = try Scene()
        scene.toPromotion()
        scene.poll(.fail, requests: TrafficCounts(canary: 0, control: 10_000))
        scene.poll(.nodata, read: .weight(try Scene.weight(5)))
        #expect(scene.status.state == "promoting")
        scene.poll { $0.signals[0].isBeyondHardLimit = true }
        #expect(scene.status.ending == .failed)
    }
}
