import SerinLocks
import SerinModel
import SerinPorts
import SerinRollouts
import Testing

@testable import SerinController

@Suite struct WeightSetterTests {
    @Test func nothingIsRaisedWhileAHaltIsAskedFor() async throws {
        let balancer = FakeBalancer()
        let clock = VirtualClock()
        let setter = WeightSetter(traffic: balancer, clock: clock, limits: CallLimits(), isHaltAsked: { true })
        let weight = try #require(Weight(percent: 5))
        let outcome = await setter.set(weight, intent: IntentID(1), decidedAt: clock.now(), lease: .seconds(10))
        guard case .overtaken(let failure, _) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(failure.message == "not sent: a halt is asked for")
        #expect(balancer.state.withLock { $0.weight } == .zero)
    }

    /// What is written, and answered, when 5 % at most is wanted.
    private func lower(from present: Int) async throws -> (written: [Weight], outcome: WeightOutcome) {
        let balancer = FakeBalancer()
        let weight = try #require(Weight(percent: present))
        balancer.state.withLock { $0.weight = weight }
        let clock = VirtualClock()
        let setter = WeightSetter(traffic: balancer, clock: clock, limits: CallLimits())
        let outcome = await setter.set(
            try #require(Weight(percent: 5)), intent: IntentID(1), atMost: true, decidedAt: clock.now(), lease: .seconds(15))
        return (balancer.state.withLock { $0.written }, outcome)
    }

    @Test func aLoweringToAHeldWeightDoesNotUndoAZero() async throws {
        let (written, outcome) = try await lower(from: 0)
        #expect(written.isEmpty)
        guard case .overtaken(let failure, let readBack) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(failure.message == "not sent: 0% is in force already")
        #expect(readBack.weight == .zero)
    }

    @Test func aLoweringToAHeldWeightLowersWhatIsAbove() async throws {
        let (written, outcome) = try await lower(from: 25)
        #expect(written == [try #require(Weight(percent: 5))])
        guard case .confirmed = outcome else {
            Issue.record("\(outcome)")
            return
        }
    }
}
