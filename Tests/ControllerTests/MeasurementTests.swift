import MemoryJournal
import SerinLocks
import SerinModel
import SerinPorts
import SerinRollouts
import SerinVerdicts
import Testing

@testable import SerinController

/// What a controller measures of itself.
@Suite struct MeasurementTests {
    private let person = Principal.uid(1000)

    private func count(_ histogram: DurationHistogram) -> Int64 { histogram.counts.reduce(0, +) }

    /// Runs a rollout up to its first weight, and the body then.
    private func raised(
        _ service: SimulatedService, _ body: @Sendable (SimulatedService) async throws -> Void
    ) async throws {
        try await service.running {
            _ = try await service.start(by: person)
            #expect(service.pass(atMost: .minutes(10)) { service.weight > .zero })
            try await body(service)
        }
    }

    @Test func aHaltIsMeasuredFromItsArrivalToZeroReadBackOnce() async throws {
        try await raised(try SimulatedService()) { service in
            let before = await service.controller.measurements()
            #expect(count(before.halts) == 0)
            service.balancer.state.withLock { $0.writeFailure = Failure(.transient, "cannot reach the balancer") }
            _ = await service.perform(Command(.halt, by: person, reason: ""))
            _ = await service.perform(Command(.haltForSecurity, by: person, reason: "again"))
            _ = service.pass(atMost: .seconds(3)) { false }
            let pending = await service.controller.measurements()
            #expect(count(pending.halts) == 0, "nothing was read back")
            service.balancer.state.withLock { $0.writeFailure = nil }
            #expect(service.pass(atMost: .minutes(5)) { service.status?.isFinal == true })
            let measured = await service.controller.measurements()
            #expect(count(measured.halts) == 1)
            #expect(measured.halts.sum >= 3 && measured.halts.sum <= 15, "\(measured.halts.sum)")
            #expect(measured.failures[.weight] ?? 0 > 0, "the tries in vain")
        }
    }

    @Test func aWayBackThatNobodyAskedForIsNoHalt() async throws {
        let service = try SimulatedService()
        service.telemetry.state.withLock { $0.canaryFailPermille = 30 }
        try await raised(service) { service in
            #expect(service.pass(atMost: .minutes(20)) { service.status?.isFinal == true })
            #expect(service.status?.ending == .failed)
            let measured = await service.controller.measurements()
            #expect(count(measured.halts) == 0)
            #expect(measured.verdicts[.init("errors", .fail)] ?? 0 > 0)
            #expect(measured.brokenPromises == 0 && measured.failedAppends == 0)
        }
    }

    @Test func everyPollIsADecisionAndItsEvidenceAgesWhileNothingComes() async throws {
        let time = Locked(ContinuousClock().now)
        let service = try SimulatedService(measures: ControllerMeasures { time.withLock { $0 } })
        try await raised(service) { service in
            let name = try #require(service.status?.service)
            let before = await service.controller.measurements()
            #expect(count(before.decisions) > 0)
            #expect(count(before.appends) > 0)
            #expect(before.isInCharge == [name: true])
            #expect(try #require(before.evidenceAges[name]) < .seconds(5))
            service.telemetry.state.withLock { $0.isDown = true }
            _ = service.pass(atMost: .seconds(20)) { false }
            time.withLock { $0 = $0 + .seconds(20) }
            let after = await service.controller.measurements()
            #expect(count(after.decisions) > count(before.decisions), "polls go on")
            #expect(try #require(after.evidenceAges[name]) >= .seconds(20))
            _ = await service.perform(Command(.halt, by: person, reason: ""))
            #expect(service.pass(atMost: .minutes(5)) { service.status?.isFinal == true })
        }
        let last = await service.controller.measurements()
        #expect(last.evidenceAges.isEmpty, "of a live rollout only")
    }

    @Test func aJournalThatCannotBeWrittenIsABrokenPromise() async throws {
        try await raised(try SimulatedService()) { service in
            await service.store.setFault { _ throws(StoreError) in throw .unavailable("no space left on device") }
            _ = service.pass(atMost: .minutes(1)) { false }
            let measured = await service.controller.measurements()
            #expect(measured.failedAppends > 0)
            #expect(measured.brokenPromises == 1, "\(measured.brokenPromises)")
            await service.store.setFault(nil)
            #expect(service.pass(atMost: .minutes(5)) { service.status?.isFinal == true })
        }
    }

    @Test func namesOfSignalsAreBounded() {
        let measures = ControllerMeasures()
        for number in 0..<1000 { measures.judged([SignalAssessment(name: "signal \(number)")]) }
        let verdicts = measures.present.verdicts
        #expect(Set(verdicts.keys.map(\.signal)).count == ControllerMeasures.signalLimit + 1)
        #expect(verdicts.filter { $0.key.signal == "other" }.values.reduce(0, +) == 800)
    }

    @Test func aRaiseThatWasOvertakenIsNoFailure() throws {
        let measures = ControllerMeasures()
        let effect = Effect.setWeight(IntentID(1), try #require(Weight(percent: 5)))
        func report(_ outcome: WeightOutcome) { measures.note(effect, led: .weightReported(IntentID(1), outcome)) }
        report(
            .overtaken(Failure(.conflict, "not sent: a halt is asked for"), readBack: WeightReading(weight: .zero, raw: "0")))
        #expect(measures.present.failures[.weight] ?? 0 == 0)
        report(.failed(Failure(.conflict, "asked haproxy for 5%, read back 0%"), readBack: nil))
        report(.unsettled(Failure(.transient, "no answer")))
        #expect(measures.present.failures[.weight] == 2)
    }

    @Test func theEvidenceIsAsOldAsTheQueryThatDriedUp() {
        let now = Instant(millisecondsSince1970: 1_800_000_000_000)
        func reading(_ ages: [[Int64?]]) -> TelemetryReading {
            TelemetryReading(
                evaluatedAt: now,
                series: ages.map { rows in
                    SeriesReading(
                        rows: rows.map { age in SeriesRow(labels: [], value: 1, sampledAt: age.map { now - .seconds($0) }) })
                }, instances: [], alerts: nil, failures: [])
        }
        #expect(reading([[4, 90], [200, 60]]).newestEvidence == now - .seconds(60))
        #expect(reading([[4], []]).newestEvidence == now - .seconds(4), "what does not exist yet says nothing")
        #expect(reading([[nil]]).newestEvidence == now, "telemetry that tells no times was asked now")
        #expect(reading([[], []]).newestEvidence == nil)
    }

    @Test func aLengthFallsIntoTheFirstBucketThatHoldsIt() {
        var histogram = DurationHistogram(bounds: [0.1, 1])
        for length in [0, 100, 101, 1000, 1001] { histogram.add(.milliseconds(length)) }
        histogram.add(.seconds(-5))
        #expect(histogram.counts == [3, 2, 1])
        #expect(abs(histogram.sum - 2.202) < 1e-9)
    }
}
