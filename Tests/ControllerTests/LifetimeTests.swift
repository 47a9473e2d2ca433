import MemoryJournal
import SerinController
import SerinLocks
import SerinModel
import SerinPolicies
import SerinPorts
import SerinRecords
import SerinRollouts
import Testing

/// What a controller keeps, lets go of, hands on and outlasts.
@Suite struct LifetimeTests {
    private let person = Principal.uid(1000)

    private func halt(_ service: SimulatedService) async throws {
        _ = try await service.start(by: person)
        #expect(service.pass(atMost: .minutes(10)) { service.weight > .zero })
        _ = await service.perform(Command(.halt, by: person, reason: ""))
        #expect(service.pass(atMost: .minutes(5)) { service.status?.isFinal == true })
    }

    @Test func aFinishedRolloutIsLetGoWithItsConnections() async throws {
        let open = Locked(0)
        let service = try SimulatedService(database: { CountedDatabase(open) })
        try await service.running {
            try await halt(service)
            #expect(service.pass(atMost: .seconds(30)) { open.withLock { $0 } == 0 })
            let first = try #require(service.status?.id)
            try await halt(service)
            #expect(service.status?.id != first)
            #expect(service.pass(atMost: .seconds(30)) { open.withLock { $0 } == 0 })
            #expect(try await service.controller.status(of: first.description).isFinal)
        }
    }

    @Test func aHaltIsSentToTheBalancerBeforeAnyoneIsToldOfIt() async throws {
        let service = try SimulatedService()
        try await service.running {
            _ = try await service.start(by: person)
            #expect(service.pass(atMost: .minutes(10)) { service.weight > .zero })
            let told = Locked<Weight?>(nil)
            await withTaskGroup(of: Void.self) { group in
                group.addTask(executorPreference: service.executor) {
                    _ = try? await service.controller.perform(
                        Command(.halt, by: person, reason: ""), on: SimulatedService.name)
                    told.withLock { $0 = service.weight }
                }
                #expect(service.pass(atMost: .seconds(10)) { told.withLock { $0 } != nil })
            }
            #expect(told.withLock { $0 } == .zero)
        }
    }

    @Test func whoeverKnowsTheEndOfARolloutWaitsForTheNextOne() async throws {
        let first = try SimulatedService()
        try await first.running { try await halt(first) }
        // The next controller has the finished rollout from the journal alone.
        let second = try SimulatedService(
            store: MemoryStore(holding: await first.store.entries, at: first.clock.now(), digest: first.digest))
        second.clock.advance(to: first.clock.now())
        _ = try await second.controller.recover()
        for service in [first, second] {
            let seen = try #require(service.status)
            try await service.running {
                let answer = Locked<RolloutStatus?>(nil)
                await withTaskGroup(of: Void.self) { group in
                    for _ in 1...2 {
                        answer.withLock { $0 = nil }
                        group.addTask(executorPreference: service.executor) {
                            let status = try? await service.controller.statusChange(
                                of: SimulatedService.name, from: seen, timeout: .seconds(30))
                            answer.withLock { $0 = status }
                        }
                        #expect(!service.pass(atMost: .seconds(29)) { answer.withLock { $0 } != nil })
                        #expect(service.pass(atMost: .seconds(2)) { answer.withLock { $0 } == seen })
                    }
                }
            }
        }
        let seen = try #require(second.status)
        let third = try SimulatedService(
            store: MemoryStore(holding: await second.store.entries, at: second.clock.now(), digest: second.digest))
        third.clock.advance(to: second.clock.now())
        _ = try await third.controller.recover()
        try await third.running {
            let answer = Locked<RolloutStatus?>(nil)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask(executorPreference: third.executor) {
                    let status = try await third.controller.statusChange(
                        of: SimulatedService.name, from: seen, timeout: .hours(1))
                    answer.withLock { $0 = status }
                }
                #expect(!third.pass(atMost: .seconds(10)) { answer.withLock { $0 } != nil })
                _ = try await third.start(by: person)
                #expect(third.pass(atMost: .seconds(10)) { answer.withLock { $0 } != nil })
                #expect(answer.withLock { $0?.id } == third.status?.id && answer.withLock { $0?.id } != seen.id)
                try await group.waitForAll()
            }
        }
    }

    @Test func whatTheDatabaseWasComparedWithIsHandedToWhoeverTakesOver() async throws {
        let first = try SimulatedService(database: { CountedDatabase(Locked(0)) })
        try await first.running {
            _ = try await first.start(by: person)
            #expect(first.pass(atMost: .minutes(10)) { first.weight > .zero })
        }
        #expect(first.starts.withLock { $0 } == [nil])
        let second = try SimulatedService(
            store: MemoryStore(holding: await first.store.entries, at: first.clock.now(), digest: first.digest))
        _ = try await second.controller.recover()
        #expect(second.starts.withLock { $0 } == [CountedDatabase.start])
    }

    @Test func aPreflightUnderWayAtAStopIsMadeOnceByWhoeverTakesOver() async throws {
        let first = try SimulatedService()
        let (gate, _) = AsyncStream.makeStream(of: Never.self)
        first.telemetry.state.withLock { $0.gate = gate }
        try await first.running {
            _ = try await first.start(by: person)
            #expect(first.pass(atMost: .seconds(5)) { first.telemetry.state.withLock { $0.waited } == 1 })
        }
        let second = try SimulatedService(
            store: MemoryStore(holding: await first.store.entries, at: first.clock.now(), digest: first.digest))
        let (gateOfSecond, _) = AsyncStream.makeStream(of: Never.self)
        second.telemetry.state.withLock { $0.gate = gateOfSecond }
        _ = try await second.controller.recover()
        try await second.running {
            #expect(second.pass(atMost: .seconds(5)) { second.telemetry.state.withLock { $0.waited } > 0 })
            _ = second.pass(atMost: .seconds(2)) { false }
            // The preflight, and the first poll of a controller that takes over.
            #expect(second.telemetry.state.withLock { $0.waited } == 2)
        }
    }

    @Test func theStartAndEachStepAreTold() async throws {
        let service = try SimulatedService()
        try await service.running {
            _ = try await service.start(by: person)
            #expect(service.pass(atMost: .minutes(10)) { service.weight > .zero })
            #expect(
                service.pass(atMost: .minutes(5)) {
                    service.notifier.notices.withLock { $0.contains { $0.kind == .rolloutProgressed } }
                })
            let notices = service.notifier.notices.withLock { $0 }
            let start = try #require(notices.first)
            #expect(start.kind == .rolloutChanged && start.subject.hasSuffix(": started"), "\(start.subject)")
            #expect(start.text == "started by uid:1000, after 1")
            let step = try #require(notices.first { $0.kind == .rolloutProgressed })
            #expect(step.severity == .info && step.text.hasPrefix("step 1 of "), "\(step.text)")
            #expect(step.fields.contains { $0.name == "state" && $0.value == "baking" })
        }
    }

    @Test func s18TheNoticeOfTheEndOutlastsTheRollout() async throws {
        let service = try SimulatedService()
        let clock = service.clock
        service.notifier.delay.withLock { $0 = { await clock.sleep(for: .seconds(5)) } }
        try await service.running {
            try await halt(service)
            func ends() -> Bool { service.notifier.notices.withLock { $0.contains { $0.kind == .rolloutEnded } } }
            #expect(!ends())
            #expect(service.pass(atMost: .seconds(20)) { ends() })
            #expect(service.notifier.givenUp.withLock { $0 } == 0)
            let last = try #require(service.notifier.notices.withLock { $0.last })
            #expect(last.kind == .rolloutEnded)
            #expect(last.severity == .warning, "a rollout that was taken back is worth a look")
            #expect(last.subject.hasPrefix("checkout ") && last.subject.hasSuffix(": rolled back"), "\(last.subject)")
            #expect(last.fields.contains { $0.name == "state" && $0.value == "rolled back" })
            #expect(last.deduplicationKey.hasPrefix("rollout checkout"))
        }
    }

    @Test func s18ANoticeThatIsNotDeliveredIsGivenUpAndHoldsNothingUp() async throws {
        let service = try SimulatedService()
        let clock = service.clock
        service.notifier.delay.withLock { $0 = { await clock.sleep(for: .hours(10)) } }
        try await service.running {
            try await halt(service)
            #expect(service.pass(atMost: .seconds(30)) { service.notifier.givenUp.withLock { $0 } > 0 })
            #expect(service.notifier.notices.withLock { $0 }.isEmpty)
        }
    }

    @Test func aRaiseDeadlineShorterThanTheBalancerNeedsIsRefusedBeforeTheRollout() async throws {
        var policy = SimulatedService.policy()
        policy.timing.raiseDeadline = .seconds(6)
        let service = try SimulatedService(policy: policy)
        try await service.running {
            _ = try await service.start(by: person)
            #expect(service.pass(atMost: .minutes(2)) { service.status?.isFinal == true })
            #expect(service.status?.ending == .refused)
            #expect(service.status?.cause.contains("raise_deadline 6s is too short") == true, "\(service.status?.cause ?? "")")
        }
    }
}

/// A database that counts how many of it are in use.
private final class CountedDatabase: DatabaseHealth {
    static let start = DatabaseStart(started: "2026-01-01 00:00:00+00", system: "7")
    private let open: Locked<Int>

    init(_ open: Locked<Int>) {
        self.open = open
        open.withLock { $0 += 1 }
    }

    deinit { open.withLock { $0 -= 1 } }

    func read(deadline: SerinModel.Duration) async -> DatabaseReading { DatabaseReading(values: [], start: Self.start) }
}
