import SerinModel
import SerinPolicies
import Testing

@testable import SerinRollouts
@testable import SerinVerdicts

/// The 0 at the end: what keeps a rollout from ending without it, and who is called for it.
struct LastZeroTests {
    @Test(arguments: [Weight.all, nil]) func aWeightThatThePreflightReadKeepsAHaltedRolloutFromEndingUnread(
        read: Weight?
    ) throws {
        var scene = try Scene()
        scene.happens(.started)
        scene.command(.halt)
        // It was under way at the halt, and nothing answers after it.
        let reading = WeightReading(weight: read, raw: read == nil ? "0/0" : "app 100")
        scene.happens(.preflightFinished(PreflightReport(problems: [], warnings: [], weight: reading, database: nil)))
        #expect(scene.log.contains { $0.contains("the preflight that was under way read \(read == nil ? "no weight" : "100%")") })
        #expect(scene.status.observedWeight == read)
        for _ in 0..<8 {
            scene.unsettle()
            scene.poll(read: .unreadable)
        }
        #expect(!scene.status.isFinal)
        scene.confirm()
        #expect(scene.status.ending == .halted)
    }

    @Test func aZeroOfAPreflightTakesNothingBackThatWasReadAfterTheHalt() throws {
        var scene = try Scene()
        scene.happens(.started)
        scene.command(.halt)
        scene.poll(read: .weight(try Scene.weight(25)))
        let zero = WeightReading(weight: .zero, raw: "app 0")
        scene.happens(.preflightFinished(PreflightReport(problems: [], warnings: [], weight: zero, database: nil)))
        for _ in 0..<8 {
            scene.unsettle()
            scene.poll(read: .unreadable)
        }
        #expect(!scene.status.isFinal)
    }

    @Test func aLastZeroThatIsNotConfirmedCallsAPersonOnce() throws {
        var scene = try Scene { $0.promote = nil }
        scene.toPromotion()
        #expect(scene.state == .completing)
        for _ in 0..<8 {
            scene.unsettle()
            scene.poll(.pass, read: .weight(try Scene.weight(25)))
        }
        #expect(scene.calls.count { $0.contains("is not confirmed") } == 1, "\(scene.calls)")
        scene.confirm()
        #expect(scene.status.ending == .promoted)
    }
}
