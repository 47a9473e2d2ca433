import MemoryJournal
import SerinController
import SerinLocks
import SerinModel
import SerinPorts
import SerinRollouts
import Testing

/// A journal that is slow, refuses, or has to be opened again.
@Suite struct JournalTroubleTests {
    private let person = Principal.uid(1000)

    /// Runs a rollout up to its first weight, and the body then.
    private func raised(_ body: @Sendable (SimulatedService) async throws -> Void) async throws {
        let service = try SimulatedService()
        try await service.running {
            _ = try await service.start(by: person)
            #expect(service.pass(atMost: .minutes(10)) { service.weight > .zero })
            try await body(service)
        }
    }

    @Test func s15AJournalThatMustBeOpenedAgainEndsTheControllerOnceZeroIsConfirmed() async throws {
        try await raised { service in
            await service.store.setFault { _ throws(StoreError) in throw .uncertain("a write may or may not have happened") }
            #expect(service.pass(atMost: .minutes(2)) { service.failure.withLock { $0 } != nil })
            #expect(service.weight == .zero)
            #expect(service.status?.isFinal == false)
            #expect(service.failure.withLock { $0?.message.contains("may or may not") } == true)
            let answer = await service.perform(Command(.halt, by: person, reason: ""))
            guard case .failure(.unavailable(_))? = answer else {
                Issue.record("\(String(describing: answer))")
                return
            }
        }
    }

    @Test func s15TheControllerOfALostJournalGoesOnUntilTheWeightIsZero() async throws {
        try await raised { service in
            let refusal = Failure(.transient, "cannot reach the balancer")
            service.balancer.state.withLock { $0.writeFailure = refusal }
            await service.store.setFault { _ throws(StoreError) in throw .uncertain("a write may or may not have happened") }
            #expect(!service.pass(atMost: .minutes(5)) { service.failure.withLock { $0 } != nil })
            service.balancer.state.withLock { $0.writeFailure = nil }
            #expect(service.pass(atMost: .seconds(30)) { service.failure.withLock { $0 } != nil })
            #expect(service.weight == .zero)
        }
    }

    @Test func s20ABrokenJournalIsTriedByOneTimerOnlyHoweverMuchIsQueued() async throws {
        try await raised { service in
            let tries = Locked(0)
            let refusal = Failure(.transient, "cannot reach the balancer")
            service.balancer.state.withLock { $0.writeFailure = refusal }
            await service.store.setFault { _ throws(StoreError) in
                tries.withLock { $0 += 1 }
                throw .unavailable("no space left on device")
            }
            _ = service.pass(atMost: .minutes(10)) { false }
            // One at most every 4 s once the pauses have grown.
            let count = tries.withLock { $0 }
            #expect((70...170).contains(count), "\(count) tries in ten minutes")
            service.balancer.state.withLock { $0.writeFailure = nil }
            await service.store.setFault(nil)
            #expect(service.pass(atMost: .minutes(2)) { service.weight == .zero && service.status?.wantedWeight == .zero })
        }
    }

    @Test func s7ASlowJournalSpeaksOfTheWeightOnlyToWhoeverLoweredIt() async throws {
        try await raised { service in
            let clock = service.clock
            await service.store.setFault { _ in await clock.sleep(for: .seconds(5)) }
            func words(_ verb: Command.Verb) async -> String {
                let answer = await service.perform(Command(verb, by: person, reason: ""))
                guard case .failure(.unavailable(let words))? = answer else { return "\(String(describing: answer))" }
                return words
            }
            let held = await words(.hold)
            #expect(held.contains("not recorded yet") && !held.contains("lowered"), "\(held)")
            let halted = await words(.halt)
            #expect(halted.contains("the weight is being lowered"), "\(halted)")
        }
    }
}
