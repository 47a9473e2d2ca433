import SerinModel
import SerinVerdicts
import Testing

/// From evidence to verdicts.
@Suite struct EvidenceVerdicts {
    @Test func anEqualCanaryPassesAfterTheBake() {
        var fleet = Fleet(Fleet.plan())
        fleet.run(20)
        #expect(fleet.signal().verdict == .inconclusive)
        #expect(fleet.signal().reason == "baking")
        fleet.run(200)
        #expect(fleet.signal().verdict == .pass)
        #expect(fleet.assessment.failing == nil)
    }

    @Test func aWorseCanaryFailsWithItsOnset() throws {
        var fleet = Fleet(Fleet.plan())
        fleet.evidence.absorb(history: fleet.history())
        fleet.run(40)
        let onset = fleet.now
        fleet.run(8, canaryErrors: 0.08)
        #expect(fleet.signal().verdict == .fail)
        #expect(fleet.assessment.failing == "errors")
        #expect(abs((try #require(fleet.signal().onset) - onset).seconds) <= 15)
        let interval = fleet.evidence.assess(withIntervals: true).signals[0].interval
        #expect(try #require(interval).low > 1)
    }

    @Test func signalsThatAgreeFailTogetherBeforeOneFailsAlone() {
        var second = Fleet.errors()
        second.name = "limits"
        second.matchers = [LabelMatcher("path", .notEqual, "/health")]
        var fleet = Fleet(Fleet.plan([Fleet.errors(), second]))
        fleet.evidence.absorb(history: fleet.history())
        var polls = 0
        while fleet.assessment.failing == nil, polls < 200 {
            fleet.run(1, canaryErrors: 0.014)
            polls += 1
        }
        #expect(fleet.assessment.failing != nil)
        #expect(fleet.assessment.signals.allSatisfy { $0.verdict != .fail })
        fleet.run(100, canaryErrors: 0.014)
        #expect(fleet.assessment.signals.allSatisfy { $0.verdict == .fail })
    }

    @Test func aReportOnlySignalFailsNoFamilyAndHoldsUpNoHealthyTime() {
        var shown = Fleet.errors()
        shown.isReportOnly = true
        var other = Fleet.latency()
        other.isReportOnly = false
        var fleet = Fleet(Fleet.plan([shown, other]))
        fleet.evidence.absorb(history: fleet.history())
        fleet.run(20, canaryErrors: 0.2)
        #expect(fleet.signal().verdict == .fail)
        #expect(fleet.signal().isReportOnly)
        #expect(fleet.assessment.failing == nil)
        #expect(fleet.assessment.healthyTime == .seconds(15))
    }

    @Test func warmupIsNoEvidenceAndBaseLinesMoveOn() {
        var fleet = Fleet(Fleet.plan())
        fleet.isCollecting = false
        fleet.run(10, canaryErrors: 0.5)
        #expect(fleet.signal().counts == CohortCounts())
        fleet.isCollecting = true
        fleet.run(1, canaryErrors: 0.5)
        #expect(fleet.signal().counts == CohortCounts(), "the poll at which collecting begins is a base line")
        fleet.run(2, canaryErrors: 0)
        #expect(fleet.signal().counts.canaryExposure == 2 * 750)
        #expect(fleet.signal().counts.canaryEvents == 0)
    }

    @Test func evidenceCarriesOnOverStepsWithoutPooling() throws {
        // Errors of everybody rise fourfold while the canary's share rises: pooled, an equal canary would look worse.
        var fleet = Fleet(Fleet.plan())
        fleet.change("canary-0") { $0.load = 1 }
        fleet.run(40, canaryErrors: 0.01, controlErrors: 0.01)
        let first = fleet.signal().counts
        fleet.isCollecting = false
        fleet.change("canary-0") { $0.load = 20 }
        fleet.run(8, canaryErrors: 0.3, controlErrors: 0.01)
        #expect(fleet.signal().counts == first)
        fleet.isCollecting = true
        fleet.run(40, canaryErrors: 0.04, controlErrors: 0.04)
        let signal = fleet.signal()
        #expect(signal.counts.canaryExposure > first.canaryExposure)
        #expect(signal.verdict != .fail)
        #expect(abs(try #require(signal.ratio) - 1) < 0.05)
        let pooled =
            (signal.counts.canaryEvents / signal.counts.canaryExposure)
            / (signal.counts.controlEvents / signal.counts.controlExposure)
        #expect(pooled > 1.3)
    }

    @Test func warningsMayFailAndNeverPass() {
        var fleet = Fleet(Fleet.plan())
        fleet.evidence.absorb(history: fleet.history())
        fleet.warnings = ["partial response"]
        fleet.run(220)
        #expect(fleet.assessment.isDegraded)
        #expect(fleet.signal().verdict == .nodata)
        #expect(fleet.assessment.healthyTime == .zero)
        fleet.run(10, canaryErrors: 0.2)
        #expect(fleet.signal().verdict == .fail)
    }

    @Test func oneWarningWithholdsThePassOfItsPoll() {
        var fleet = Fleet(Fleet.plan())
        fleet.run(220)
        #expect(fleet.signal().verdict == .pass)
        fleet.warnings = ["partial response"]
        fleet.run(1)
        #expect(fleet.signal().verdict == .inconclusive)
        fleet.warnings = []
        fleet.run(1)
        #expect(fleet.signal().verdict == .pass)
    }

    @Test func theHardLimitFailsOnTheLastMinuteEvenInWarmup() {
        var fleet = Fleet(Fleet.plan([Fleet.errors(hardLimit: 0.1)]))
        fleet.isCollecting = false
        fleet.run(5)
        #expect(!fleet.signal().isBeyondHardLimit)
        fleet.run(4, canaryErrors: 0.2)
        #expect(fleet.signal().isBeyondHardLimit)
        #expect(fleet.signal().verdict == .fail)
        fleet.run(5)
        #expect(!fleet.signal().isBeyondHardLimit)
    }

    @Test func fewerThanFiveEventsAreNoHardLimit() {
        var fleet = Fleet(Fleet.plan([Fleet.errors(hardLimit: 0.1)]))
        fleet.change("canary-0") { $0.load = 0.01 }
        fleet.run(3, canaryErrors: 1)
        #expect(fleet.signal().counts.canaryEvents == 4)
        #expect(!fleet.signal().isBeyondHardLimit)
    }

    @Test func aControlBeyondTheLimitIsNeverAPass() {
        var fleet = Fleet(Fleet.plan([Fleet.errors(hardLimit: 0.1)]))
        fleet.run(220, canaryErrors: 0.01, controlErrors: 0.2)
        #expect(fleet.signal().isControlBeyondHardLimit)
        #expect(!fleet.signal().isBeyondHardLimit)
        #expect(fleet.signal().verdict == .inconclusive)
        #expect(fleet.signal().reason == "the control itself is beyond the hard limit")
    }

    @Test func aSecuritySignalNeedsLessProof() {
        func polls(_ isSecurity: Bool) -> Int {
            var fleet = Fleet(Fleet.plan([Fleet.errors(isSecurity: isSecurity)]), canaries: 2, controls: 4)
            for count in 1...400 {
                fleet.run(1, canaryErrors: 0.016, controlErrors: 0.01)
                if fleet.signal().verdict == .fail { return count }
            }
            return 999
        }
        let flag = polls(true)
        #expect(flag < polls(false))
        var fleet = Fleet(Fleet.plan([Fleet.errors(isSecurity: true)]))
        fleet.run(3)
        #expect(fleet.signal().isSecurity)
    }

    @Test func anUnknownCounterIsNeverAPass() {
        let signal = EvidenceSignal(name: "errors", source: .per(counter: "typo", exposure: "requests"))
        var fleet = Fleet(Fleet.plan([signal]))
        for _ in 0..<100 {
            fleet.serve()
            var reading = fleet.reading()
            for (k, query) in fleet.evidence.telemetryQueries.enumerated() where query.metric == "typo" {
                reading.series[k].rows = []
            }
            fleet.evidence.absorb(reading, at: fleet.now, isCollecting: true)
        }
        #expect(fleet.signal().verdict == .nodata)
        #expect(fleet.signal().absence == .noSeries)
    }

    @Test func aSlowCanaryFailsAtAnEdgeChosenFromTheControl() throws {
        var fleet = Fleet(Fleet.plan([Fleet.latency()]))
        fleet.isCollecting = false
        fleet.run(3)
        fleet.isCollecting = true
        fleet.run(20)
        #expect(fleet.signal("latency").counts.canaryExposure > 0)
        #expect(fleet.signal("latency").verdict != .fail)
        fleet.run(20, slow: 0.2)
        #expect(fleet.signal("latency").verdict == .fail)
        #expect(try #require(fleet.signal("latency").slowdown) > 1.1)
    }

    @Test func aLatencyPassExcludesItsAssuranceNotItsTolerance() throws {
        var assured = Fleet.latency()
        assured.name = "assured"
        assured.rule.assureTolerance = 1
        var fleet = Fleet(Fleet.plan([Fleet.latency(), assured]))
        fleet.evidence.absorb(history: fleet.history())
        // A little worse, within both.
        fleet.run(21, slow: 0.06)
        #expect(fleet.signal("latency").verdict == .inconclusive)
        #expect(fleet.signal("assured").verdict == .pass)
        // What is allowed stays the same.
        #expect(fleet.signal("assured").boundary == fleet.signal("latency").boundary)
        fleet.run(20, slow: 0.2)
        #expect(fleet.signal("latency").verdict == .fail)
        #expect(fleet.signal("assured").verdict == .fail)
    }

    @Test func aQuantileBeyondTheLastEdgeIsFlagged() {
        let signal = EvidenceSignal(name: "latency", source: .latency(histogram: "seconds", quantile: 0.999))
        var fleet = Fleet(Fleet.plan([signal]))
        fleet.run(10)
        #expect(fleet.signal("latency").notes.contains { $0.contains("beyond the last bucket edge") })
    }

    @Test func noiseIsMeasuredOnTheControlsPast() throws {
        var fleet = Fleet(Fleet.plan([Fleet.errors(), Fleet.latency(), Fleet.gauge()]))
        fleet.evidence.absorb(history: fleet.history())
        fleet.run(4)
        let signal = fleet.signal()
        #expect(signal.noise.hasPrefix("noise measured on 2 h of 3 control instances: "))
        #expect(signal.phi >= 1 && signal.phi < 2, "noise that is no more than chance")
        #expect(fleet.signal("latency").counts.canaryExposure == 3 * 750, "the edge is known from the first block on")
        #expect(fleet.signal("queue").noise.hasPrefix("differences measured on "))
        let forecast = try #require(fleet.evidence.forecast(weight: Weight(percent: 25)).first)
        #expect(abs(forecast.canaryTraffic - 50) < 1e-9)
        #expect(abs(forecast.controlTraffic - 150) < 1e-9)
        #expect(try #require(forecast.findings[2].seconds) < (try #require(forecast.findings[0].seconds)))
        let least = try #require(forecast.findings[2].seconds)
        #expect(least >= fleet.evidence.plan.minEvidence.seconds, "nothing fails before min_evidence: \(least)")
        let alarm = forecast.thresholdFalseAlarm
        #expect(alarm > 0.1 && alarm < 0.5)
    }

    @Test func tooLittleHistoryFallsBackToTheRunAndThreeMinutes() {
        var plan = Fleet.plan()
        plan.minEvidenceWithoutHistory = .minutes(3)
        for (minutes, errors, isEnough) in [(59, 30.0, false), (60, 30.0, true), (120, 0.0, false)] {
            var fleet = Fleet(plan)
            fleet.evidence.absorb(history: fleet.history(minutes: minutes, errors: errors))
            fleet.run(4, canaryErrors: 0.5, controlErrors: 0.01)
            #expect((fleet.signal().verdict == .fail) == isEnough)
            #expect(fleet.signal().noise.hasPrefix(isEnough ? "noise measured on 60 min of 3" : "noise estimated from this run"))
        }
    }

    @Test func withOneControlInstanceItIsSaidWhatCannotBeToldApart() {
        var fleet = Fleet(Fleet.plan(), controls: 1)
        fleet.evidence.absorb(history: fleet.history())
        fleet.run(4)
        #expect(fleet.signal().noise.contains("of 1 control instance: "))
        #expect(fleet.signal().notes.contains { $0.hasPrefix("one control instance") })
    }

    @Test func aHighGaugeFailsAndAnEqualOneDoesNot() {
        func verdict(_ factor: Double) -> Verdict {
            var fleet = Fleet(Fleet.plan([Fleet.gauge()], bake: .minutes(30)))
            for _ in 0..<180 {
                fleet.serve()
                var reading = fleet.reading()
                for i in reading.series[0].rows.indices {
                    let isCanary = reading.series[0].rows[i].label("version") == "v2"
                    reading.series[0].rows[i].value = isCanary ? 10 * factor : 10
                }
                fleet.evidence.absorb(reading, at: fleet.now, isCollecting: true)
            }
            return fleet.signal("queue").verdict
        }
        #expect(verdict(1) == .pass)
        #expect(verdict(1.5) == .fail)
    }

    @Test func theThresholdRuleSpeaksOnlyAtTheEndOfTheBake() {
        for (errors, expected) in [(0.011, Verdict.pass), (0.02, Verdict.fail)] {
            var fleet = Fleet(Fleet.plan([Fleet.errors(judge: .threshold)]))
            fleet.change("canary-0") { $0.load = 8 }
            fleet.run(20, canaryErrors: errors, controlErrors: 0.0107)
            #expect(fleet.signal().verdict == .inconclusive)
            fleet.run(1, canaryErrors: errors, controlErrors: 0.0107)
            #expect(fleet.signal().verdict == expected)
        }
    }

    @Test(arguments: [
        (5000.0, 0.0, 0.0, Rule.Direction.increase, Verdict.fail), (0, 0, 0, .increase, .pass), (3, 0, 5, .increase, .pass),
        (14, 10, 5, .increase, .pass), (16, 10, 5, .increase, .fail), (11, 10, 0, .increase, .pass),
        (11.1, 10, 0, .increase, .fail), (-20, -10, 0, .increase, .pass), (-5, -10, 0, .increase, .fail),
        (-20, -10, 0, .decrease, .fail), (5, 10, 0, .either, .fail), (0.33, 0.3, 0, .increase, .pass),
    ])
    func theThresholdRuleComparesTheMeansOfAGaugeWithItsMargin(
        canary: Double, control: Double, slack: Double, direction: Rule.Direction, expected: Verdict
    ) {
        var rule = Rule()
        rule.direction = direction
        rule.minExposure = 1
        let signal = EvidenceSignal(
            name: "errors", source: .gauge(metric: "queue"), rule: rule, slack: slack, judge: .threshold)
        var fleet = Fleet(Fleet.plan([signal]))
        for k in fleet.processes.indices { fleet.processes[k].gauge = fleet.processes[k].cohort == .canary ? canary : control }
        fleet.run(40)
        #expect(fleet.signal().verdict == expected, "\(fleet.signal().reason)")
    }

    @Test(arguments: [(0.1, Verdict.inconclusive), (0.5, .pass)])
    func aGaugesPassExcludesItsAssurance(assurance: Double, expected: Verdict) {
        var rule = Rule()
        rule.minExposure = 1
        rule.assureTolerance = assurance
        // Beyond the tolerance in every fifth sample: neither a fail nor, at the tolerance, a pass.
        let signal = EvidenceSignal(name: "errors", source: .gauge(metric: "queue"), rule: rule)
        var fleet = Fleet(Fleet.plan([signal], bake: .minutes(30)))
        for poll in 0..<400 {
            for k in fleet.processes.indices {
                fleet.processes[k].gauge = fleet.processes[k].cohort == .canary && poll / 4 % 5 < 2 ? 12 : 10
            }
            fleet.run(1)
        }
        #expect(fleet.signal().verdict == expected, "\(fleet.signal().reason)")
    }

    @Test func requestsAreCountedAnewAfterAConfirmedWeight() throws {
        var fleet = Fleet(Fleet.plan())
        fleet.run(5)
        #expect(fleet.assessment.observedRequests == nil)
        fleet.evidence.weightConfirmed(at: fleet.now)
        fleet.run(1)
        #expect(fleet.assessment.observedRequests == nil, "its interval began before the samples can show the weight")
        fleet.run(2)
        let counts = try #require(fleet.assessment.observedRequests)
        #expect(counts == TrafficCounts(canary: 2 * 750, control: 2 * 3 * 750))
    }

    @Test func theSameReadingsGiveTheSameAssessment() {
        var left = Fleet(Fleet.plan([Fleet.errors(), Fleet.latency(), Fleet.gauge()]))
        var right = left
        left.run(30, canaryErrors: 0.02)
        right.run(30, canaryErrors: 0.02)
        #expect(left.evidence == right.evidence)
        #expect(left.assessment == right.assessment)
    }
}
