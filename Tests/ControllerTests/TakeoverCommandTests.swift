import MemoryJournal
import SerinController
import SerinCrypto
import SerinLocks
import SerinModel
import SerinPolicies
import SerinPorts
import SerinRecords
import SerinRollouts
import Testing

/// What is asked of a rollout while a new controller still reads the world.
@Suite struct TakeoverCommandTests {
    private let author = Principal.uid(1000)
    private let ann = Principal.uid(1001)

    private func policy() -> Policy {
        var policy = SimulatedService.policy()
        for (name, place) in [("promote", \Policy.promote), ("rollback", \Policy.rollback)] {
            policy[keyPath: place] = ActionPolicy(call: .run([name]), check: .run([name, "check"]), deadline: .minutes(1))
        }
        return policy
    }

    /// A new controller with the same journal and the same weight, so much later.
    private func successor(of first: SimulatedService, after pause: Duration = .zero) async throws -> SimulatedService {
        let second = try SimulatedService(store: first.store, policy: policy())
        let weight = first.weight
        second.balancer.state.withLock { $0.weight = weight }
        second.clock.advance(to: first.clock.now() + pause)
        _ = try await second.controller.recover()
        return second
    }

    private func expectEnd(_ ending: Ending, of service: SimulatedService) async throws {
        let hasEnded = service.pass(atMost: .minutes(10)) { service.status?.isFinal == true }
        _ = service.pass(atMost: .seconds(1)) { false }
        let reader = JournalReader(service.store)
        let id = try #require(try await reader.lastRollout()?.charter.id)
        let log = try await reader.decisions(of: id, after: 0, limit: 1000).map(\.line).joined(separator: "\n")
        #expect(hasEnded && service.status?.ending == ending && service.weight == .zero, "\(log)")
        var check = JournalCheck(digest: SHA256.digestOrEmpty)
        for entry in try await service.store.entries(after: 0, rollout: nil, limit: .max) { check.take(entry) }
        #expect(check.faults == [] && check.unread == [], "\(log)")
    }

    @Test func l2WhatAPersonAsksForIsDoneOnceTheWorldWasRead() async throws {
        let first = try SimulatedService(policy: policy())
        first.actions.failing.withLock { $0 = ["rollback"] }
        try await first.running {
            _ = try await first.start(by: author)
            #expect(first.pass(atMost: .minutes(5)) { first.weight > .zero })
            first.telemetry.state.withLock { $0.canaryFailPermille = 300 }
            #expect(first.pass(atMost: .hours(1)) { first.status?.isRollbackIncomplete == true })
        }
        let second = try await successor(of: first)
        let (reading, inlet) = AsyncStream.makeStream(of: Never.self)
        second.balancer.state.withLock { $0.readGate = reading }
        try await second.running {
            guard case .success = await second.perform(Command(.rollback, by: ann, reason: "mended")) else {
                Issue.record("a command waits for the takeover")
                return
            }
            _ = second.pass(atMost: .minutes(2)) { false }
            #expect(second.actions.names.withLock { $0 }.isEmpty)
            inlet.finish()
            try await expectEnd(.failed, of: second)
            #expect(second.actions.names.withLock { $0 } == ["rollback"])
        }
    }

    /// The promotion of the former controller is past its deadline, so nobody waits for its outcome any more. It may run on all the same.
    @Test func s2TheWayBackBeginsOnceNothingOfTheFormerControllersActionIsLeft() async throws {
        let first = try SimulatedService(policy: policy())
        let (run, runInlet) = AsyncStream.makeStream(of: Never.self)
        first.actions.gate.withLock { $0 = run }
        try await first.running {
            _ = try await first.start(by: author)
            #expect(first.pass(atMost: .hours(2)) { first.actions.names.withLock { $0 } == ["promote"] })
        }
        runInlet.finish()
        let second = try await successor(of: first, after: .minutes(30))
        let (leftovers, inlet) = AsyncStream.makeStream(of: Never.self)
        second.actions.leftovers.withLock { $0 = leftovers }
        try await second.running {
            _ = await second.perform(Command(.halt, by: ann, reason: "test"))
            #expect(second.pass(atMost: .seconds(15)) { second.weight == .zero })
            _ = second.pass(atMost: .minutes(1)) { false }
            #expect(second.actions.names.withLock { $0 }.isEmpty, "brought back while the promotion may still run")
            inlet.finish()
            try await expectEnd(.halted, of: second)
            #expect(second.actions.names.withLock { $0 } == ["rollback"])
        }
    }

    @Test func l2ARollbackActionThatWasCutOffAndIsNotDoneIsDoneAgain() async throws {
        let first = try SimulatedService(policy: policy())
        let (run, runInlet) = AsyncStream.makeStream(of: Never.self)
        first.actions.gate.withLock { $0 = run }
        try await first.running {
            _ = try await first.start(by: author)
            #expect(first.pass(atMost: .minutes(5)) { first.weight > .zero })
            first.telemetry.state.withLock { $0.canaryFailPermille = 300 }
            #expect(first.pass(atMost: .hours(1)) { first.actions.names.withLock { $0 } == ["rollback"] })
        }
        runInlet.finish()
        let second = try await successor(of: first)
        second.actions.undone.withLock { $0 = ["rollback"] }
        try await second.running {
            try await expectEnd(.failed, of: second)
            #expect(second.actions.names.withLock { $0 } == ["rollback"])
        }
    }
}
