import SerinLocks
import SerinModel
import SerinPolicies
import SerinPorts
import SerinRollouts
import Testing

@testable import SerinController

/// S20: what failed is tried again ever more slowly, at moments that differ, and all rollouts of a process share a budget.
@Suite struct RetryTests {
    private let clock = VirtualClock()
    private let backoff = Backoff(first: .seconds(1), longest: .seconds(8))

    @Test func s20PausesDoubleUpToTheLongestAndChanceHasHalfOfEach() {
        let budget = RetryBudget(clock: clock) { 1 }
        #expect((1...6).map { budget.pause(backoff, after: $0).milliseconds } == [1000, 2000, 4000, 8000, 8000, 8000])
        let early = RetryBudget(clock: clock) { 0 }
        #expect((1...6).map { early.pause(backoff, after: $0).milliseconds } == [500, 1000, 2000, 4000, 4000, 4000])
        #expect(budget.pause(backoff, after: .max) == .seconds(8))
    }

    @Test func s20ABudgetThatIsUsedUpLeavesTheLongestPauseAndFillsAgain() {
        let budget = RetryBudget(clock: clock, size: 2, perTry: .seconds(1)) { 1 }
        #expect(budget.pauseIfAllowed(backoff, after: 1) == .seconds(1))
        #expect(budget.pauseIfAllowed(backoff, after: 1) == .seconds(1))
        #expect(budget.pauseIfAllowed(backoff, after: 1) == nil)
        #expect(budget.pause(backoff, after: 1) == .seconds(8))
        clock.advance(to: clock.now() + .seconds(1))
        #expect(budget.pauseIfAllowed(backoff, after: 1) == .seconds(1))
        #expect(budget.pauseIfAllowed(backoff, after: 1) == nil)
        clock.advance(to: clock.now() + .hours(1))
        #expect((0..<3).map { _ in budget.pauseIfAllowed(backoff, after: 1) != nil } == [true, true, false])
    }

    /// The longest time in which a balancer that refuses was not asked for 0, and how often it was asked in `span`.
    private func lowering(
        with budget: RetryBudget?, for span: SerinModel.Duration
    ) async throws -> (longest: SerinModel.Duration, tries: Int) {
        var policy = SimulatedService.policy()
        // Polls ask again as well; here they are too rare to help.
        policy.timing.poll = .minutes(1)
        policy.timing.rollbackDeadline = .hours(1)
        let service = try SimulatedService(policy: policy, budget: budget)
        return try await service.running {
            _ = try await service.start(by: .uid(1000))
            #expect(service.pass(atMost: .minutes(10)) { service.weight > .zero })
            let failure = Failure(.transient, "cannot reach the balancer")
            service.balancer.state.withLock { $0.writeFailure = failure }
            _ = await service.perform(Command(.halt, by: .uid(1000), reason: ""))
            let before = service.balancer.state.withLock { $0.tries }
            var last = (tries: before, at: service.clock.now())
            var longest = SerinModel.Duration.zero
            _ = service.pass(atMost: span) {
                let tries = service.balancer.state.withLock { $0.tries }
                longest = max(longest, service.clock.now() - last.at)
                if tries != last.tries { last = (tries, service.clock.now()) }
                return false
            }
            service.balancer.state.withLock { $0.writeFailure = nil }
            #expect(service.pass(atMost: .seconds(5)) { service.weight == .zero })
            return (longest, last.tries - before)
        }
    }

    @Test func s20ALoweringIsTriedEverMoreSlowlyAndAtLeastEveryFewSeconds() async throws {
        let (longest, tries) = try await lowering(with: nil, for: .minutes(5))
        // A steady second would be 300 of them.
        #expect((60...150).contains(tries), "\(tries) tries")
        #expect(longest <= .seconds(5), "\(longest)")
    }

    /// A balancer that has refused a halt for a while, with polls every second that ask for 0 again, and a second halt.
    @Test func s20AHaltIsSentAtOnceWhileALoweringWaitsForItsPause() async throws {
        var policy = SimulatedService.policy()
        policy.timing.poll = .seconds(1)
        policy.timing.rollbackDeadline = .hours(1)
        let service = try SimulatedService(policy: policy, budget: RetryBudget(clock: VirtualClock()) { 1 })
        try await service.running {
            _ = try await service.start(by: .uid(1000))
            #expect(service.pass(atMost: .minutes(10)) { service.weight > .zero })
            service.balancer.state.withLock { $0.writeFailure = Failure(.transient, "cannot reach the balancer") }
            let halt = Command(.halt, by: .uid(1000), reason: "")
            _ = await service.perform(halt)
            for _ in 0..<6 {
                // A try has just failed with the longest pause before the next, and polls have asked meanwhile.
                let failed = service.balancer.state.withLock { $0.tries }
                #expect(service.pass(atMost: .seconds(10)) { service.balancer.state.withLock { $0.tries } > failed })
                _ = service.pass(atMost: .milliseconds(1500)) { false }
                let before = service.balancer.state.withLock { $0.tries }
                _ = await service.perform(halt, atMost: .zero)
                service.executor.drain()
                #expect(service.balancer.state.withLock { $0.tries } == before + 1)
            }
            service.balancer.state.withLock { $0.writeFailure = nil }
            #expect(service.pass(atMost: .seconds(5)) { service.weight == .zero })
            #expect(service.pass(atMost: .minutes(1)) { service.status?.isFinal == true })
        }
    }

    @Test func s20ALoweringIsNotStarvedByAUsedUpBudget() async throws {
        let empty = RetryBudget(clock: VirtualClock(), size: 0) { 0 }
        let (longest, tries) = try await lowering(with: empty, for: .minutes(5))
        #expect(tries >= 60, "\(tries) tries")
        #expect(longest <= .seconds(5), "\(longest)")
    }
}
