import SerinModel
import SerinVerdicts
import Testing

/// What raw counters do in the wild, one trap a test. Each process serves 750 requests a poll.
@Suite struct EvidenceTraps {
    @Test func queriesAreSharedAndEqualLabelsBecomeConditions() {
        let limits = EvidenceSignal(
            name: "limits", source: .ratio(counter: "requests", bad: [LabelMatcher("code", .equal, "429")]))
        let queries = Fleet.plan([Fleet.errors(), limits, Fleet.latency()]).telemetryQueries
        #expect(queries.count == 4)
        #expect(queries.count { $0.metric == "requests" && $0.matchers == [LabelMatcher("job", .equal, "shop")] } == 1)
        #expect(queries.allSatisfy { $0.groupedBy == ["instance", "version"] })
    }

    @Test func firstSightIsABaseLine() {
        var fleet = Fleet(Fleet.plan())
        fleet.change("canary-0") {
            $0.requests = 1_000_000
            $0.errors = 500_000
            $0.hasErrors = true
        }
        fleet.run(3, canaryErrors: 0, controlErrors: 0)
        #expect(fleet.signal().counts.canaryExposure == 1500)
        #expect(fleet.signal().counts.canaryEvents == 0)
    }

    @Test func aBirthOfTheErrorSeriesCountsFromZero() {
        var fleet = Fleet(Fleet.plan())
        fleet.run(2, canaryErrors: 0, controlErrors: 0)
        #expect(fleet.signal().counts.canaryEvents == 0)
        fleet.run(1, canaryErrors: 0.02, controlErrors: 0)
        #expect(fleet.signal().counts.canaryEvents == 15)
    }

    @Test func aProvenRestartCountsFromZeroAndKeepsTheBlock() {
        var fleet = Fleet(Fleet.plan())
        fleet.run(3)
        fleet.restart("canary-0")
        fleet.serve(seconds: 15, canaryErrors: 0.02)
        fleet.poll()
        #expect(fleet.signal().counts.canaryExposure == 2250)
        #expect(fleet.signal().counts.canaryEvents == 8 * 2 + 15)
    }

    @Test(arguments: [(Int64.min, Int64.max), (.max, .min), (-9_150_000_000_000_000_000, 9_150_000_000_000_000_000)])
    func startTimesOfAJournalThatCannotBeAreNoTrap(first: Int64, last: Int64) {
        var fleet = Fleet(Fleet.plan())
        fleet.run(3)
        for start in [first, last, first] {
            fleet.change("canary-0") { $0.startedAt = Instant(millisecondsSince1970: start) }
            fleet.run(1)
        }
        // A start that moves forward without a fall is a gap of the only canary, and one that moves back is none.
        let usable = first < last ? 2 : 1
        #expect(fleet.signal().counts.controlExposure == Double((2 + usable) * 3 * 750))
    }

    @Test(arguments: [Int64.min, .max])
    func sampleAgesThatCannotBeAreNoTrap(age: Int64) {
        var fleet = Fleet(Fleet.plan())
        fleet.run(2)
        fleet.change("canary-0") { $0.sampleAge = Duration(milliseconds: age) }
        fleet.run(2)
        #expect(fleet.signal().counts.controlExposure >= 2 * 750)
    }

    @Test func aResetSeenByTelemetryIsProofToo() {
        var fleet = Fleet(Fleet.plan())
        fleet.run(3)
        fleet.restart("control-1", isProven: false)
        fleet.change("control-1") { $0.resets = 1 }
        fleet.run(1)
        #expect(fleet.signal().counts.controlExposure == 3 * 3 * 750)
    }

    @Test func aFallWithoutProofIsAGapOfThatInstanceAlone() {
        var fleet = Fleet(Fleet.plan())
        fleet.run(3)
        fleet.restart("control-1", isProven: false)
        fleet.run(1)
        #expect(fleet.signal().counts.controlExposure == 2 * 3 * 750 + 2 * 750)
        #expect(fleet.signal().counts.canaryExposure == 3 * 750)
        fleet.run(1)
        #expect(fleet.signal().counts.controlExposure == 3 * 3 * 750 + 2 * 750, "it counts again from the next block on")
    }

    @Test func aFallOfTheOnlyCanaryWithoutProofMakesTheBlockUnusable() {
        var fleet = Fleet(Fleet.plan())
        fleet.run(3)
        fleet.restart("canary-0", isProven: false)
        fleet.run(1)
        #expect(fleet.signal().counts.canaryExposure == 2 * 750)
        #expect(fleet.signal().counts.controlExposure == 2 * 3 * 750)
        #expect(fleet.assessment.healthyTime == .zero)
    }

    @Test func aRestartWithoutAFallIsAGap() {
        var fleet = Fleet(Fleet.plan())
        fleet.run(1)
        let now = fleet.now
        fleet.change("canary-0") { $0.startedAt = now }
        fleet.run(1)
        #expect(fleet.signal().counts.canaryExposure == 0)
    }

    /// As of a balancer whose answers take seconds, where every poll waits for them.
    @Test func pollsThatAreHeldUpForSecondsAreStillEvidence() {
        var plan = Fleet.plan()
        plan.poll = .seconds(1)
        plan.scrapeInterval = .milliseconds(500)
        var fleet = Fleet(plan)
        fleet.poll()
        for _ in 0..<30 {
            fleet.serve(seconds: 5, canaryErrors: 0.5)
            fleet.poll()
        }
        #expect(fleet.signal().counts.canaryExposure == 30 * 250)
        #expect(fleet.signal().verdict == .fail)
    }

    @Test func staleSamplesAreAGapAndSaidToBeStale() {
        var fleet = Fleet(Fleet.plan())
        fleet.run(3, canaryErrors: 0)
        fleet.change("canary-0") { $0.sampleAge = .seconds(13) }
        fleet.run(1, canaryErrors: 0)
        #expect(fleet.signal().counts.canaryExposure == 2 * 750)
        #expect(fleet.signal().absences == CohortAbsences(canary: .stale, control: nil))
        #expect(fleet.signal().verdict == .nodata)
        fleet.change("canary-0") { $0.sampleAge = .seconds(12) }
        fleet.run(2, canaryErrors: 0)
        #expect(fleet.signal().absence == nil)
        #expect(fleet.signal().counts.canaryExposure == 3 * 750, "the first fresh value is a base line")
    }

    @Test func aLateJoinerIsCountedFromItsFirstWholeBlock() {
        var fleet = Fleet(Fleet.plan())
        fleet.run(3)
        fleet.processes.append(
            Fleet.Process(cohort: .control, name: "control-9", requests: 900_000, errors: 90_000, hasErrors: true))
        fleet.run(2)
        #expect(fleet.signal().counts.controlExposure == (4 * 3 + 1) * 750)
        #expect(fleet.signal().counts.controlEvents == (4 * 3 + 1) * 8)
    }

    @Test func aVanishedInstanceThatIsDownIsLostAndWithholdsAPass() {
        var fleet = Fleet(Fleet.plan(), canaries: 2)
        fleet.run(80, canaryErrors: 0.001, controlErrors: 0.01)
        #expect(fleet.signal().verdict == .pass)
        fleet.change("canary-1") { $0.isUp = false }
        fleet.run(1, canaryErrors: 0.001, controlErrors: 0.01)
        #expect(fleet.assessment.lost == [LostInstance(cohort: .canary, instance: "canary-1")])
        #expect(fleet.signal().verdict == .inconclusive)
        #expect(fleet.signal().reason.contains("canary-1 is down"))
    }

    @Test func aVanishedInstanceThatIsUpIsOnlyAGap() {
        var fleet = Fleet(Fleet.plan())
        fleet.run(3)
        fleet.change("control-0") { $0.isListed = false }
        fleet.run(1)
        #expect(fleet.assessment.lost.isEmpty)
        #expect(fleet.signal().counts.controlExposure == (2 * 3 + 2) * 750)
    }

    @Test func absencesAreToldApart() {
        var fleet = Fleet(Fleet.plan())
        fleet.run(2)
        #expect(fleet.signal().absences == CohortAbsences())
        fleet.failure = Failure(.transient, "503")
        fleet.run(1)
        #expect(fleet.signal().absences == CohortAbsences(canary: .sourceDown, control: .sourceDown))
        fleet.failure = nil
        fleet.change("canary-0") { $0.isListed = false }
        fleet.run(1)
        #expect(fleet.signal().absences == CohortAbsences(canary: .noSeries, control: nil))
        fleet.change("canary-0") {
            $0.isListed = true
            $0.load = 0
        }
        fleet.run(3)
        #expect(fleet.signal().absences == CohortAbsences(), "less than a minute of silence is not yet zero traffic")
        fleet.run(4)
        #expect(fleet.signal().absences == CohortAbsences(canary: .zeroTraffic, control: nil))
        #expect(fleet.signal().absence == .zeroTraffic)
        #expect(fleet.signal().absentCohort == .canary)
        #expect(fleet.signal().reason == "the canary has no traffic")
    }

    @Test func tooFewRequestsIsSaidAfterTheBake() {
        var fleet = Fleet(Fleet.plan(bake: .minutes(1)))
        fleet.change("canary-0") { $0.load = 0.02 }
        fleet.run(6)
        #expect(fleet.signal().verdict == .nodata)
        #expect(fleet.signal().absence == .tooFewRequests)
        #expect(fleet.signal().absentCohort == .canary)
    }

    @Test func aMissingReadingIsAGapAndSourceDown() {
        var fleet = Fleet(Fleet.plan())
        fleet.run(3)
        fleet.serve()
        fleet.evidence.absorb(nil, at: fleet.now, isCollecting: true)
        #expect(fleet.signal().absence == .sourceDown)
        #expect(fleet.assessment.isDegraded)
        fleet.run(2)
        #expect(fleet.signal().counts.canaryExposure == 3 * 750)
    }

    @Test func aClockThatGoesBackwardsIsNoReading() {
        var fleet = Fleet(Fleet.plan())
        fleet.run(3)
        var reading = fleet.reading()
        reading.evaluatedAt = fleet.now - .seconds(60)
        fleet.evidence.absorb(reading, at: fleet.now + .seconds(15), isCollecting: true)
        #expect(fleet.evidence.assess(withIntervals: false).isDegraded)
        #expect(fleet.signal().absence == .sourceDown)
        #expect(fleet.signal().counts.canaryExposure == 2 * 750)
    }

    @Test func numbersThatAreNoneNeverGetThrough() {
        var fleet = Fleet(Fleet.plan())
        fleet.run(3)
        for value in [Double.nan, .infinity, -.infinity, -5] {
            let before = fleet.signal().counts
            fleet.serve()
            var reading = fleet.reading()
            for k in reading.series.indices {
                for i in reading.series[k].rows.indices { reading.series[k].rows[i].value = value }
            }
            fleet.evidence.absorb(reading, at: fleet.now, isCollecting: true)
            #expect(fleet.signal().counts == before)
            #expect(fleet.signal().absence == .noSeries)
            #expect(fleet.signal().logEFail.isFinite && fleet.signal().logEPass.isFinite)
            fleet.run(1)
            #expect(fleet.signal().counts == before)
        }
    }

    @Test func aBlockSpansTwoScrapesAndAGapInEitherPollDropsTheInstance() {
        var plan = Fleet.plan()
        plan.scrapeInterval = .seconds(15)
        var fleet = Fleet(plan)
        fleet.run(2)
        #expect(fleet.signal().counts == CohortCounts())
        fleet.run(1)
        #expect(fleet.evidence.blockLength == .seconds(30))
        #expect(fleet.signal().counts.canaryExposure == 2 * 750)
        #expect(fleet.assessment.healthyTime == .seconds(30))
        fleet.restart("control-0", isProven: false)
        fleet.run(2)
        #expect(fleet.signal().counts.canaryExposure == 4 * 750)
        #expect(fleet.signal().counts.controlExposure == (2 * 3 + 2 * 2) * 750)
    }

    @Test func pausedPollsAreNoHealthyTime() {
        var fleet = Fleet(Fleet.plan())
        fleet.run(3)
        let before = fleet.signal().counts
        fleet.serve(seconds: 600)
        fleet.poll()
        #expect(fleet.assessment.healthyTime == .zero)
        #expect(fleet.signal().counts == before)
        fleet.run(1)
        #expect(fleet.assessment.healthyTime == .seconds(15))
    }

    @Test func aVanishedSeriesOfErrorsIsAGapAndItsReturnIsNoBurst() {
        var fleet = Fleet(Fleet.plan())
        fleet.run(3, canaryErrors: 0.02)
        let before = fleet.signal().counts
        fleet.change("canary-0") { $0.hasErrors = false }
        fleet.run(2, canaryErrors: 0)
        #expect(fleet.signal().counts == before, "without its errors a canary is neither healthy nor failing")
        #expect(fleet.assessment.healthyTime == .zero)
        fleet.change("canary-0") { $0.hasErrors = true }
        fleet.run(1, canaryErrors: 0)
        #expect(fleet.signal().counts == before, "the first value is a base line")
        fleet.run(1, canaryErrors: 0.02)
        #expect(fleet.signal().counts.canaryExposure == before.canaryExposure + 750)
        #expect(fleet.signal().counts.canaryEvents == before.canaryEvents + 15)
    }

    @Test func anInstanceOfControlWithoutItsErrorsIsLeftOutAlone() {
        var fleet = Fleet(Fleet.plan())
        fleet.run(3)
        fleet.change("control-1") { $0.hasErrors = false }
        for _ in 0..<2 {
            fleet.serve()
            fleet.change("control-1") { $0.hasErrors = false }
            fleet.poll()
        }
        #expect(fleet.signal().counts.controlExposure == (2 * 3 + 2 * 2) * 750)
        #expect(fleet.signal().counts.canaryExposure == 4 * 750)
    }

    @Test func aNewProcessWithoutErrorsHasNone() {
        var fleet = Fleet(Fleet.plan())
        fleet.run(3, canaryErrors: 0.02)
        fleet.restart("canary-0")
        fleet.run(2, canaryErrors: 0)
        #expect(fleet.signal().counts.canaryExposure == 4 * 750)
        #expect(fleet.signal().counts.canaryEvents == 2 * 15)
    }

    @Test func anInstanceThatWasAwayAndIsBackWithLessIsANewProcess() {
        var fleet = Fleet(Fleet.plan())
        fleet.run(3, canaryErrors: 0.02)
        fleet.change("canary-0") { $0.isListed = false }
        fleet.run(1, canaryErrors: 0)
        fleet.restart("canary-0", isProven: false)
        fleet.change("canary-0") { $0.isListed = true }
        fleet.run(2, canaryErrors: 0)
        #expect(fleet.signal().counts.canaryExposure == 3 * 750)
    }

    @Test func bucketsAreLearnedFromControlAndACanaryWithOthersIsNotCounted() {
        var fleet = Fleet(Fleet.plan([Fleet.latency()]))
        for _ in 0..<4 {
            fleet.serve()
            var reading = fleet.reading()
            for row in reading.series[0].rows.indices where reading.series[0].rows[row].label("version") == "v2" {
                reading.series[0].rows[row].buckets.removeFirst()
            }
            fleet.evidence.absorb(reading, at: fleet.now, isCollecting: true)
        }
        #expect(fleet.signal("latency").counts.canaryExposure == 0)
        #expect(fleet.signal("latency").counts == CohortCounts(), "a block without the canary is no evidence")
        fleet.run(8)
        #expect(fleet.signal("latency").counts.canaryExposure > 0)
    }

    @Test func aRowOfBothCohortsMakesTheAnswerDoubtful() {
        var plan = Fleet.plan()
        plan.control = [Label("job", "shop"), Label("track", "stable")]
        var fleet = Fleet(plan)
        fleet.serve()
        var reading = fleet.reading()
        #expect(!reading.series[0].rows.isEmpty)
        reading.series[0].rows[0].labels.append(Label("track", "stable"))
        fleet.evidence.absorb(reading, at: fleet.now, isCollecting: true)
        #expect(fleet.assessment.isDegraded)
    }
}
