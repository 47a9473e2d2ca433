import FakeController
import SerinController
import SerinLocks
import SerinModel
import SerinRollouts
import Testing

@testable import SerinCommandLine

/// Whether writes may be fenced and let in again beside a rollout.
@Suite struct MaintenanceFenceTests {
    @Test func onlyThatThereIsNoRolloutIsNoObjection() async throws {
        let program = try TestProgram(hasJournal: true)
        let session = try program.session()
        func objection(_ failure: OperationError?) async -> Failure? {
            program.operations.state.withLock { $0.failure = failure }
            return await MaintenanceFence.objection(to: program.service, session)
        }
        let live = await objection(nil)
        #expect(live?.kind == .conflict && live?.message.contains("checkout-01k5") == true, "\(String(describing: live))")
        for failure in [OperationError.unavailable("entry 7 is damaged"), .refused(Refusal("you may not look"))] {
            let unknown = await objection(failure)
            #expect(
                unknown?.kind == .unknown && unknown?.message.hasPrefix("nobody can tell whether a rollout of checkout") == true,
                "\(String(describing: unknown))")
        }
        #expect(await objection(.notFound("there is no rollout yet")) == nil)
        program.operations.state.withLock { $0.status = .sample(isFinal: true, ending: .promoted) }
        #expect(await objection(nil) == nil)
    }

    @Test func whereNoControllerEverWasThereIsNoObjection() async throws {
        let program = try TestProgram()
        #expect(await MaintenanceFence.objection(to: program.service, try program.session()) == nil)
    }
}
