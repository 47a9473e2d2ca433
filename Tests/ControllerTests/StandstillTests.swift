import MemoryJournal
import SerinController
import SerinLocks
import SerinModel
import SerinPorts
import SerinRecords
import SerinRollouts
import Testing

/// A controller that was stopped for a while, as by SIGSTOP: time has passed and it has decided nothing.
@Suite struct StandstillTests {
    private let person = Principal.uid(1000)

    private func atFirstStep(_ body: @Sendable (SimulatedService) async throws -> Void) async throws {
        let service = try SimulatedService()
        try await service.running {
            _ = try await service.start(by: person)
            #expect(service.pass(atMost: .minutes(5)) { service.status?.state.hasPrefix("baking") == true })
            #expect(service.weight > .zero)
            try await body(service)
        }
    }

    /// Lets time pass without the controller, in which the watchdog lowers the weight.
    private func standStill(_ service: SimulatedService, marking: Bool) {
        service.clock.advance(to: service.clock.now() + .minutes(1))
        service.watchdogMark.withLock { $0 = marking }
        service.balancer.state.withLock { $0.weight = .zero }
    }

    private func log(_ service: SimulatedService) async throws -> String {
        try await service.controller.decisions(of: SimulatedService.name, after: 0, limit: 1000).map(\.line)
            .joined(separator: "\n")
    }

    @Test func aDrivingControllerShowsLifeEverySecond() async throws {
        try await atFirstStep { service in
            let before = service.pulses.withLock { $0 }
            _ = service.pass(atMost: .minutes(1)) { false }
            #expect((55...65).contains(service.pulses.withLock { $0 } - before))
        }
    }

    @Test func aControllerThatWakesUpTakesTheWatchdogsLoweringForSerinsOwnAndPassesTheGateAgain() async throws {
        try await atFirstStep { service in
            let raises = service.balancer.state.withLock { $0.written.count }
            standStill(service, marking: true)
            #expect(service.pass(atMost: .minutes(2)) { service.weight > .zero })
            #expect(service.balancer.state.withLock { Array($0.written.dropFirst(raises)).map(\.basisPoints) } == [500])
            let text = try await log(service)
            #expect(text.contains("watchdog"), "\(text)")
            #expect(!text.contains("held"), "\(text)")
            #expect(service.pass(atMost: .seconds(5)) { !service.watchdogMark.withLock { $0 } }, "the mark was not taken")
            #expect(service.pass(atMost: .hours(2)) { service.status?.isFinal == true })
            #expect(service.status?.ending == .promoted)
        }
    }

    @Test func aWeightLoweredWithoutAMarkIsDriftAfterAStandstillToo() async throws {
        try await atFirstStep { service in
            standStill(service, marking: false)
            #expect(service.pass(atMost: .minutes(1)) { service.status?.state.hasPrefix("held") == true })
            #expect(service.weight == .zero)
        }
    }

    @Test func aMarkWithoutALoweringIsTakenAwayOnceWhatShowsItIsRecorded() async throws {
        try await atFirstStep { service in
            let raises = service.balancer.state.withLock { $0.written.count }
            // The watchdog of the controller before left it while this one came.
            service.watchdogMark.withLock { $0 = true }
            _ = service.pass(atMost: .seconds(10)) { false }
            #expect(service.watchdogMark.withLock { $0 }, "its lowering may still come")
            #expect(service.pass(atMost: .minutes(2)) { !service.watchdogMark.withLock { $0 } }, "the mark was not taken")
            #expect(service.balancer.state.withLock { $0.written.count } == raises, "a step was entered again")
            // What somebody else lowers now is theirs.
            service.balancer.state.withLock { $0.weight = .zero }
            #expect(service.pass(atMost: .minutes(1)) { service.status?.state.hasPrefix("held") == true })
            #expect(service.weight == .zero)
        }
    }

    @Test func aMarkThatIsSeenBeforeItsLoweringIsThereForTheLowering() async throws {
        let first = try SimulatedService()
        try await first.running {
            _ = try await first.start(by: person)
            #expect(first.pass(atMost: .minutes(5)) { first.status?.state.hasPrefix("baking") == true })
        }
        let second = try SimulatedService(store: first.store)
        let weight = first.weight
        second.balancer.state.withLock { $0.weight = weight }
        second.clock.advance(to: first.clock.now())
        second.watchdogMark.withLock { $0 = true }
        _ = try await second.controller.recover()
        try await second.running {
            #expect(second.pass(atMost: .seconds(5)) { second.signs.withLock { $0 } > 0 })
            #expect(second.watchdogMark.withLock { $0 }, "the mark was taken before its lowering")
            second.balancer.state.withLock { $0.weight = .zero }
            #expect(second.pass(atMost: .minutes(2)) { second.weight > .zero }, "Serin's own lowering was taken for drift")
            #expect(second.pass(atMost: .seconds(5)) { !second.watchdogMark.withLock { $0 } }, "the mark was not taken")
            let text = try await log(second)
            #expect(text.contains("the watchdog had lowered the weight") && !text.contains("drift"), "\(text)")
        }
    }

    @Test func s5WhatWasReadBeforeAStandstillDecidesNothing() async throws {
        try await atFirstStep { service in
            // A poll whose answer comes only when the controller wakes up.
            let (gate, opening) = AsyncStream.makeStream(of: Never.self)
            service.telemetry.state.withLock { $0.gate = gate }
            #expect(service.pass(atMost: .minutes(1)) { service.telemetry.state.withLock { $0.waited } > 0 })
            let before = await service.store.entries.count
            service.clock.advance(to: service.clock.now() + .minutes(1))
            service.telemetry.state.withLock { $0.gate = nil }
            opening.finish()
            service.executor.drain()
            let later = try await service.store.entries.dropFirst(before).map {
                try CanonicalDecoder.decode(Record.self, from: $0.body)
            }
            let observations = later.count { record in
                if case .event(.observed) = record { return true }
                return false
            }
            #expect(observations == 0, "evidence from before the standstill was taken")
            // The next poll counts again.
            #expect(service.pass(atMost: .hours(2)) { service.status?.isFinal == true })
            #expect(service.status?.ending == .promoted)
        }
    }

    @Test func l6AControllerThatTakesOverIsInChargeOnceItsFirstPollIsFinished() async throws {
        let first = try SimulatedService()
        try await first.running {
            _ = try await first.start(by: person)
            _ = first.pass(atMost: .seconds(1)) { false }
            #expect(first.signs.withLock { $0 } > 0, "whoever begins a rollout is in charge of it")
            #expect(first.pass(atMost: .minutes(5)) { first.weight > .zero })
        }
        let second = try SimulatedService(store: first.store)
        let weight = first.weight
        second.balancer.state.withLock { $0.weight = weight }
        second.clock.advance(to: first.clock.now())
        let (gate, opening) = AsyncStream.makeStream(of: Never.self)
        second.telemetry.state.withLock { $0.gate = gate }
        _ = try await second.controller.recover()
        try await second.running {
            #expect(second.pass(atMost: .seconds(3)) { second.telemetry.state.withLock { $0.waited } > 0 }, "no poll at once")
            _ = second.pass(atMost: .seconds(3)) { false }
            #expect(second.pulses.withLock { $0 } > 0)
            #expect(second.signs.withLock { $0 } == 0)
            second.telemetry.state.withLock { $0.gate = nil }
            opening.finish()
            #expect(second.pass(atMost: .seconds(1)) { second.signs.withLock { $0 } > 0 })
        }
    }

    @Test func s15APollThatNeverEndsTakesTheRolloutBack() async throws {
        try await atFirstStep { service in
            let (gate, opening) = AsyncStream.makeStream(of: Never.self)
            service.telemetry.state.withLock { $0.gate = gate }
            #expect(service.pass(atMost: .minutes(11)) { service.weight == .zero })
            #expect(service.pass(atMost: .minutes(5)) { service.status?.isFinal == true })
            #expect(service.status?.ending != .promoted)
            opening.finish()
        }
    }

    @Test func aWeightThatWasLoweredWhileTheBalancerCouldNotBeReadIsDrift() async throws {
        try await atFirstStep { service in
            let failure = Failure(.transient, "cannot reach the balancer")
            service.balancer.state.withLock { $0.readFailure = failure }
            #expect(service.pass(atMost: .minutes(1)) { service.status?.state.hasPrefix("held") == true })
            service.balancer.state.withLock {
                $0.readFailure = nil
                $0.weight = .zero
            }
            _ = service.pass(atMost: .minutes(5)) { false }
            #expect(service.weight == .zero, "the weight was raised again without a person")
            #expect(service.status?.state.hasPrefix("held") == true)
            let text = try await log(service)
            #expect(text.contains("drift"), "\(text)")
        }
    }
}
