import SerinController
import SerinLocks
import SerinModel
import SerinPolicies
import SerinPorts
import SerinRecords
import SerinRollouts
import Testing

@Suite struct ServiceControllerTests {
    private let person = Principal.uid(1000)

    private func status(_ service: SimulatedService) async throws -> RolloutStatus {
        try await service.controller.status(of: SimulatedService.name)
    }

    @Test func aGoodReleaseIsPromotedAndTheWeightIsBackAtZero() async throws {
        let service = try SimulatedService()
        try await service.running {
            _ = try await service.controller.start(SimulatedService.request, by: person)
            let ended = try await service.pass(atMost: .hours(2)) { try await status(service).isFinal }
            let last = try await status(service)
            #expect(ended, "\(last.state): \(last.cause); \(last.next)")
            #expect(last.ending == .promoted, "\(last.cause)")
            #expect(service.weight == .zero)
            let written = service.balancer.state.withLock { $0.written.map(\.basisPoints) }
            #expect(written == [0, 500, 2500, 5000, 0])
        }
    }

    @Test func aReleaseThatFailsThreePercentIsTakenBack() async throws {
        let service = try SimulatedService()
        service.telemetry.state.withLock { $0.canaryFailPermille = 30 }
        try await service.running {
            _ = try await service.controller.start(SimulatedService.request, by: person)
            #expect(try await service.pass(atMost: .minutes(20)) { try await status(service).isFinal })
            let last = try await status(service)
            #expect(last.ending == .failed, "\(last.cause)")
            #expect(service.weight == .zero)
            let lines = try await service.controller.decisions(of: SimulatedService.name, after: 0, limit: 500).map(\.line)
            #expect(lines.contains { $0.contains("FAIL errors: canary") && $0.contains("→") }, "\(lines)")
        }
    }

    @Test func aHaltIsDurableAndTheWeightGoesToZeroWithinTheDeadline() async throws {
        let service = try SimulatedService()
        try await service.running {
            _ = try await service.controller.start(SimulatedService.request, by: person)
            #expect(try await service.pass(atMost: .minutes(5)) { service.weight > .zero })
            let before = service.clock.now()
            async let halted = service.controller.perform(Command(.halt, by: person, reason: "test"), on: SimulatedService.name)
            #expect(try await service.pass(atMost: .minutes(1)) { service.weight == .zero })
            #expect(service.clock.now() - before <= .seconds(15))
            _ = try await halted
            let entries = await service.store.entries
            let records = try entries.map { try CanonicalDecoder.decode(Record.self, from: $0.body) }
            #expect(
                records.contains {
                    if case .event(.commanded(let command)) = $0 { return command.verb == .halt }
                    return false
                })
            #expect(try await service.pass(atMost: .minutes(5)) { try await status(service).isFinal })
            #expect(try await status(service).ending == .halted)
        }
    }

    @Test func aSecondRolloutOfTheServiceIsRefusedWhileOneIsLive() async throws {
        let service = try SimulatedService()
        try await service.running {
            _ = try await service.controller.start(SimulatedService.request, by: person)
            await #expect(throws: OperationError.self) {
                _ = try await service.controller.start(SimulatedService.request, by: person)
            }
        }
    }

    @Test func aHaltGoesAheadOfAStalledJournalAndIsNotAcknowledged() async throws {
        let service = try SimulatedService()
        try await service.running {
            _ = try await service.controller.start(SimulatedService.request, by: person)
            #expect(try await service.pass(atMost: .minutes(5)) { service.weight > .zero })
            let clock = service.clock
            await service.store.setFault { _ throws(StoreError) in await clock.sleep(for: .seconds(30)) }
            let before = clock.now()
            let answer = Locked<OperationError?>(nil)
            await withTaskGroup(of: Void.self) { group in
                group.addTask {
                    do throws(OperationError) {
                        _ = try await service.controller.perform(
                            Command(.halt, by: person, reason: ""), on: SimulatedService.name)
                    } catch {
                        answer.withLock { $0 = error }
                    }
                }
                #expect(await service.passed(atMost: .minutes(1)) { service.weight == .zero })
            }
            #expect(clock.now() - before <= .seconds(3))
            guard case .unavailable = answer.withLock({ $0 }) else {
                Issue.record("the halt was acknowledged: \(String(describing: answer.withLock { $0 }))")
                return
            }
        }
    }

    @Test func aBrokenJournalLowersTheWeightAndNothingIsRaisedAgain() async throws {
        let service = try SimulatedService()
        try await service.running {
            _ = try await service.controller.start(SimulatedService.request, by: person)
            #expect(try await service.pass(atMost: .minutes(5)) { service.weight > .zero })
            await service.store.setFault { _ throws(StoreError) in throw .unavailable("disk full") }
            #expect(try await service.pass(atMost: .minutes(2)) { service.weight == .zero })
            let written = service.balancer.state.withLock { $0.written.count }
            _ = try await service.pass(atMost: .minutes(5)) { false }
            #expect(service.balancer.state.withLock { $0.written.dropFirst(written).allSatisfy { $0 == .zero } })
            await service.store.setFault(nil)
            #expect(try await service.pass(atMost: .minutes(30)) { try await status(service).isFinal })
            #expect(try await status(service).ending != .promoted)
            #expect(service.balancer.state.withLock { $0.written.dropFirst(written).allSatisfy { $0 == .zero } })
        }
    }

    @Test func aNewControllerTakesTheRolloutOver() async throws {
        let first = try SimulatedService()
        try await first.running {
            _ = try await first.controller.start(SimulatedService.request, by: person)
            #expect(try await first.pass(atMost: .minutes(5)) { first.weight > .zero })
        }
        let weight = first.weight
        let second = try SimulatedService(store: first.store)
        second.balancer.state.withLock { $0.weight = weight }
        let taken = try await second.controller.recover()
        #expect(taken?.isFinal == false)
        try await second.running {
            #expect(try await second.pass(atMost: .hours(2)) { try await status(second).isFinal })
            let last = try await status(second)
            #expect(last.ending == .promoted, "\(last.cause)")
        }
        let check = try await JournalReader(second.store).replayAll(only: nil)
        #expect(check.faults == [])
    }
}
