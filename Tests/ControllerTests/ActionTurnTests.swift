import SerinLocks
import SerinModel
import SerinRollouts
import Testing

@testable import SerinController

@Suite struct ActionTurnTests {
    private let ended = Failure(.unknown, "ended")

    @Test func aNewerActionEndsTheOneBeforeAndBeginsWhenThatIsGone() async {
        let turn = ActionTurn<ActionOutcome>()
        let steps = Locked<[String]>([])
        let (begun, beginning) = AsyncStream.makeStream(of: Never.self)
        async let first = turn.run(orElse: .unknown(ended)) {
            steps.withLock { $0.append("first begins") }
            beginning.finish()
            // Ends when the task is cancelled, as an action does that is ended.
            let (forever, inlet) = AsyncStream.makeStream(of: Never.self)
            for await _ in forever {}
            inlet.finish()
            steps.withLock { $0.append("first ends") }
            return .failed(Failure(.transient, "ended"), output: "")
        }
        for await _ in begun {}
        let second = await turn.run(orElse: .unknown(ended)) {
            steps.withLock { $0.append("second begins") }
            return .done(output: "second")
        }
        #expect(second == .done(output: "second"))
        #expect(await first == .failed(Failure(.transient, "ended"), output: ""))
        #expect(steps.withLock { $0 } == ["first begins", "first ends", "second begins"])
    }

    @Test func anActionAfterAFinishedOneDoesNotWait() async {
        let turn = ActionTurn<ActionOutcome>()
        #expect(await turn.run(orElse: .unknown(ended)) { .done(output: "1") } == .done(output: "1"))
        #expect(await turn.run(orElse: .unknown(ended)) { .done(output: "2") } == .done(output: "2"))
    }
}
