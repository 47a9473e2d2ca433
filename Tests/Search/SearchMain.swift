import SerinModel
import SerinPolicies
import SerinRollouts

/// Searches every reachable state of the rollout machine together with a world that misbehaves, and checks its promises.
///
/// usage: serin-search [scenario]   all scenarios, or the one with that number; exit 1 when a promise does not hold
@main struct SearchMain {
    /// What became of one scenario.
    private enum Outcome: Sendable {
        case holds(Search.Result, seconds: Double)
        case broken(Counterexample)
    }

    static func main() async {
        let began = ContinuousClock().now
        let chosen = CommandLine.arguments.dropFirst().first.flatMap { Int($0) }
        let numbers = Scenario.all.indices.filter { chosen == nil || chosen == $0 + 1 }
        let outcomes = await withTaskGroup(of: (Int, Outcome).self) { group in
            for number in numbers { group.addTask { (number, await search(Scenario.all[number])) } }
            var outcomes: [Int: Outcome] = [:]
            for await (number, outcome) in group { outcomes[number] = outcome }
            return outcomes
        }
        var states = 0
        var transitions = 0
        var isBroken = false
        for number in numbers {
            let name = Scenario.all[number].name
            switch outcomes[number] {
            case .holds(let result, let seconds):
                states += result.states
                transitions += result.transitions
                print("\(name): \(result.states) states, \(result.transitions) transitions, \(end(result)), \(seconds) s")
            case .broken(let found):
                isBroken = true
                print("\(name): \(found.violation.promise) does not hold: \(found.violation.words)")
                for (number, line) in found.trace.enumerated() { print("  \(number + 1). \(line)") }
            case nil: isBroken = true
            }
        }
        if isBroken { Exit.fail() }
        print("search: \(states) states, \(transitions) transitions, \(seconds(since: began)) s, every promise holds")
        if chosen == nil, transitions < 1_000_000 {
            print("search: fewer than 1,000,000 transitions: the world is too small to prove anything")
            Exit.fail()
        }
    }

    @concurrent private static func search(_ scenario: Scenario) async -> Outcome {
        let began = ContinuousClock().now
        var search = Search(from: World(plan: scenario.plan, faults: scenario.faults, need: scenario.need))
        do throws(Counterexample) {
            let result = try search.run(limit: 3_000_000)
            return .holds(result, seconds: seconds(since: began))
        } catch {
            return .broken(error)
        }
    }

    private static func end(_ result: Search.Result) -> String { "an end within \(result.longest) calm steps" }

    private static func seconds(since began: ContinuousClock.Instant) -> Double {
        let duration = ContinuousClock().now - began
        return Double(duration.components.seconds) + (Double(duration.components.attoseconds) / 1e17).rounded() / 10
    }
}
