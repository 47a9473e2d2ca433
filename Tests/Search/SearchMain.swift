import SerinModel
import SerinPolicies
import SerinRollouts

/// Searches every reachable state of the rollout machine together with a world that misbehaves, and checks its promises.
///
/// usage: serin-search [scenario]   all scenarios, or the one with that number; exit 1 when a promise does not hold
@main struct SearchMain {
    static func main() {
        let clock = ContinuousClock()
        let began = clock.now
        var states = 0
        var transitions = 0
        let chosen = CommandLine.arguments.dropFirst().first.flatMap { Int($0) }
        for (number, scenario) in Scenario.all.enumerated() where chosen == nil || chosen == number + 1 {
            let start = clock.now
            var search = Search(from: World(plan: scenario.plan, faults: scenario.faults))
            do throws(Counterexample) {
                let result = try search.run(limit: 3_000_000)
                states += result.states
                transitions += result.transitions
                print(
                    "\(scenario.name): \(result.states) states, \(result.transitions) transitions, "
                        + "an end within \(result.longest) calm steps, \(seconds(clock.now - start)) s")
            } catch {
                print("\(scenario.name): \(error.violation.promise) does not hold: \(error.violation.words)")
                for (number, line) in error.trace.enumerated() { print("  \(number + 1). \(line)") }
                Exit.fail()
            }
        }
        print("search: \(states) states, \(transitions) transitions, \(seconds(clock.now - began)) s, every promise holds")
        if chosen == nil, transitions < 1_000_000 {
            print("search: fewer than 1,000,000 transitions: the world is too small to prove anything")
            Exit.fail()
        }
    }

    private static func seconds(_ duration: Swift.Duration) -> Double {
        Double(duration.components.seconds) + (Double(duration.components.attoseconds) / 1e17).rounded() / 10
    }
}
