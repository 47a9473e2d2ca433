import SerinModel
import SerinVerdicts
import Testing

/// Whether the series show the new version on control, once the promotion has begun.
@Suite struct NewVersionTests {
    private func fleet(_ change: (inout EvidencePlan) -> Void = { _ in }) -> Fleet {
        var plan = Fleet.plan()
        plan.newVersion = [Label("version", "v2")]
        change(&plan)
        var fleet = Fleet(plan)
        fleet.run(3)
        fleet.evidence.promotionBegan()
        return fleet
    }

    private func redeploy(_ name: String, in fleet: inout Fleet) {
        fleet.restart(name)
        fleet.change(name) { $0.cohort = .canary }
    }

    @Test func theCanaryItselfIsNotControl() {
        var fleet = fleet()
        fleet.run(3)
        #expect(fleet.assessment.newVersion == .unseen)
    }

    @Test func anInstanceOfControlWithTheNewVersionIsSeen() {
        var fleet = fleet()
        redeploy("control-0", in: &fleet)
        fleet.run(1)
        #expect(fleet.assessment.newVersion == .seen)
    }

    @Test func anInstanceWithANewNameIsSeen() {
        var fleet = fleet()
        fleet.processes.append(Fleet.Process(cohort: .canary, name: "control-9"))
        fleet.run(1)
        #expect(fleet.assessment.newVersion == .seen)
    }

    @Test func anInstanceThatIsDownOrStaleIsNotSeenHealthy() {
        var fleet = fleet()
        redeploy("control-0", in: &fleet)
        redeploy("control-1", in: &fleet)
        fleet.change("control-0") { $0.sampleAge = .seconds(60) }
        fleet.change("control-1") { $0.sampleAge = .seconds(60) }
        fleet.run(1)
        #expect(fleet.assessment.newVersion == .unseen)
        fleet.change("control-0") { $0.sampleAge = .seconds(1) }
        fleet.change("control-1") { $0.sampleAge = .seconds(1) }
        fleet.run(1)
        #expect(fleet.assessment.newVersion == .seen)
        fleet.change("control-1") { $0.isUp = false }
        fleet.run(1)
        #expect(fleet.assessment.newVersion == .unseen, "one of them runs, the other is down")
    }

    @Test func anAnswerWithWarningsOrNoneShowsNothing() {
        var fleet = fleet()
        redeploy("control-0", in: &fleet)
        fleet.warnings = ["partial"]
        fleet.run(1)
        #expect(fleet.assessment.newVersion == .unseen)
        fleet.warnings = []
        fleet.run(1)
        #expect(fleet.assessment.newVersion == .seen)
        fleet.serve()
        fleet.evidence.absorb(nil, at: fleet.now, isCollecting: false)
        #expect(fleet.assessment.newVersion == .unseen)
    }

    @Test func aCanaryThatRanControlsVersionBeforeItsDeployIsNotControl() {
        var plan = Fleet.plan()
        plan.newVersion = [Label("version", "v2")]
        var fleet = Fleet(plan)
        fleet.change("canary-0") { $0.cohort = .control }
        fleet.run(2)
        redeploy("canary-0", in: &fleet)
        fleet.run(2)
        fleet.evidence.promotionBegan()
        fleet.run(2)
        #expect(fleet.assessment.newVersion == .unseen)
    }

    @Test func aNameThatBothCohortsShareIsSeenWhenControlsVersionIsGoneFromIt() {
        var fleet = fleet { $0.instanceLabel = "host" }
        func poll(_ versions: String...) -> NewVersionSight {
            fleet.serve()
            var reading = fleet.reading()
            for series in reading.series.indices {
                reading.series[series].rows = versions.map {
                    SeriesRow(labels: [Label("host", "a"), Label("version", $0)], value: 1000, sampledAt: fleet.now)
                }
            }
            fleet.evidence.absorb(reading, at: fleet.now, isCollecting: false)
            return fleet.assessment.newVersion
        }
        fleet = Fleet(fleet.evidence.plan)
        _ = poll("v1", "v2")
        fleet.evidence.promotionBegan()
        #expect(poll("v1", "v2") == .unseen)
        #expect(poll("v2") == .seen)
    }

    @Test func controlIsFoundByTheVersionWhateverElseTheCanaryIsToldApartBy() {
        var fleet = fleet {
            $0.canary = [Label("job", "shop"), Label("track", "canary"), Label("version", "v2")]
            $0.control = [Label("job", "shop"), Label("track", "stable"), Label("version", "v1")]
        }
        redeploy("control-0", in: &fleet)
        fleet.run(1)
        #expect(fleet.assessment.newVersion == .seen, "its track is still stable, so it is in neither cohort")
    }

    @Test func seriesWithoutAVersionOrAnInstanceDoNotTell() {
        var unnamed = fleet { $0.newVersion = [] }
        unnamed.run(1)
        #expect(unnamed.assessment.newVersion == .untold)
        var pooled = fleet { $0.instanceLabel = "pod" }
        pooled.run(1)
        #expect(pooled.assessment.newVersion == .untold)
    }
}
