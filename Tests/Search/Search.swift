import SerinModel
import SerinRollouts

/// A breadth-first search of every reachable state, so that a counterexample is a shortest one.
struct Search {
    struct Result: Sendable {
        var states = 0
        var transitions = 0
        var longest = 0
    }

    private var known = StateTable()
    private var worlds: [World] = []
    private var parents: [(Int32, Move)] = []
    /// Forward edges: those of state i are `edges[starts[i] ..< starts[i + 1]]`.
    private var edges: [Int32] = []
    private var starts: [Int] = [0]

    /// A search from one initial world.
    init(from initial: World) {
        var initial = initial
        initial.canonicalise()
        known.insert(0, hash: initial.hashValue)
        worlds.append(initial)
        parents.append((-1, .ticked))
    }

    /// Explores everything; throws the first broken promise with the moves that lead to it.
    mutating func run(limit: Int) throws(Counterexample) -> Result {
        var result = Result()
        var current = 0
        while current < worlds.count {
            guard worlds.count < limit else {
                throw Counterexample(violation: Violation(promise: "size", words: "more than \(limit) states"), trace: [])
            }
            let before = worlds[current]
            for move in before.moves {
                var after = before
                let effects = after.make(move)
                do throws(Violation) {
                    try after.check(from: before, move, effects)
                } catch {
                    throw Counterexample(violation: error, trace: trace(to: current) + [line(move, effects, after)])
                }
                result.transitions += 1
                // Much of what can happen changes nothing, and what is known needs no canonical form.
                guard after != before else {
                    edges.append(Int32(current))
                    continue
                }
                after.canonicalise()
                edges.append(insert(after, parent: Int32(current), move))
            }
            starts.append(edges.count)
            current += 1
        }
        result.states = worlds.count
        try checkReachability()
        result.longest = try checkConvergence()
        return result
    }

    private mutating func insert(_ world: World, parent: Int32, _ move: Move) -> Int32 {
        let hash = world.hashValue
        if let number = known.number(hash, where: { worlds[$0] == world }) { return number }
        let number = Int32(worlds.count)
        known.insert(number, hash: hash)
        worlds.append(world)
        parents.append((parent, move))
        return number
    }

    /// L3: from every state an end, or a state in which a named person was called, can be reached.
    private func checkReachability() throws(Counterexample) {
        var predecessors: [[Int32]] = Array(repeating: [], count: worlds.count)
        for state in worlds.indices {
            for target in edges[starts[state]..<starts[state + 1]] where Int(target) != state {
                predecessors[Int(target)].append(Int32(state))
            }
        }
        var isGood = worlds.map { $0.machine.ending != nil || $0.machine.waitsForPerson }
        var queue = isGood.indices.filter { isGood[$0] }
        while let state = queue.popLast() {
            for predecessor in predecessors[state] where !isGood[Int(predecessor)] {
                isGood[Int(predecessor)] = true
                queue.append(Int(predecessor))
            }
        }
        guard let lost = isGood.firstIndex(of: false) else { return }
        throw Counterexample(
            violation: Violation(promise: "L3", words: "no end can be reached from here"), trace: trace(to: lost))
    }

    /// L1–L5: once no more faults happen, every state comes to an end or to a person within a few dozen steps.
    private func checkConvergence() throws(Counterexample) -> Int {
        var distance: [Int16] = Array(repeating: -1, count: worlds.count)
        var longest = 0
        for start in worlds.indices where distance[start] < 0 {
            var path: [Int] = []
            var state = start
            while distance[state] < 0 {
                let world = worlds[state]
                if world.machine.ending != nil || world.machine.waitsForPerson {
                    try checkCalled(world, state)
                    distance[state] = 0
                    break
                }
                path.append(state)
                guard path.count < 200, let next = calmStep(from: world) else {
                    let words = "without further faults it does not come to an end"
                    throw Counterexample(
                        violation: Violation(promise: "L2", words: words),
                        trace: trace(to: start) + path.suffix(12).map { "… \(worlds[$0].summary)" })
                }
                state = next
            }
            var steps = distance[state]
            for passed in path.reversed() {
                steps += 1
                distance[passed] = steps
            }
            longest = max(longest, Int(steps))
        }
        return longest
    }

    /// A wait for a person has an end or a reminder of its own.
    private func checkCalled(_ world: World, _ state: Int) throws(Counterexample) {
        guard world.machine.ending == nil else { return }
        let kinds: [DeadlineKind] = [.approval, .hold, .loss, .reminder]
        guard !kinds.contains(where: { world.machine.deadlines.due($0) != nil }) else { return }
        throw Counterexample(
            violation: Violation(promise: "L3", words: "a person is waited for without a reminder"), trace: trace(to: state))
    }

    /// What happens next when nothing goes wrong: answers arrive, actions succeed, polls pass, and time passes last.
    private func calmStep(from world: World) -> Int? {
        for move in world.calmMoves {
            var after = world
            // The promises were checked when this transition was explored; here only the world's memory is brought up to date.
            _ = try? after.check(from: world, move, after.make(move))
            after.canonicalise()
            guard after != world, let number = known.number(after.hashValue, where: { worlds[$0] == after }) else { continue }
            return Int(number)
        }
        return nil
    }

    private func trace(to state: Int) -> [String] {
        var lines: [String] = []
        var current = state
        while current > 0 {
            let (parent, move) = parents[current]
            var after = worlds[Int(parent)]
            let effects = after.make(move)
            lines.append(line(move, effects, after))
            current = Int(parent)
        }
        return lines.reversed()
    }

    private func line(_ move: Move, _ effects: [MachineEffect], _ after: World) -> String {
        "\(move)  ⇒  \(effects.map { "\($0)" }.joined(separator: ", "))\n        \(after.summary)"
    }
}

/// A broken promise with the way to it.
struct Counterexample: Error {
    var violation: Violation
    var trace: [String]
}

extension World {
    /// The state in a line.
    var summary: String {
        let requests = calls.map { "\($0.intent) \($0.weight)" } + late.map { "late \($0)" }
        let state = "\(machine.state)".replacing("SerinRollouts.", with: "").replacing("RolloutMachine.", with: "")
        return
            "\(state) balancer \(balancer) wanted \(machine.wanted) in force \(machine.inForce) [\(requests.joined(separator: ", "))] "
            + "deadlines \(machine.deadlines.armed.map { "\($0.kind)" }.joined(separator: " "))"
    }

    /// Moves of a world without faults, the first that changes something is taken.
    var calmMoves: [Move] {
        switch machine.state {
        case .created: return [.started]
        case .preflight: return [.preflight(true)]
        case .readingHistory: return [.historyRead]
        case .zeroing, .awaitingApproval, .backingUp, .migrating, .deploying, .gate, .raising, .warmingUp, .baking, .watching,
            .held,
            .promoting,
            .verifying,
            .completing, .lowering, .reverting, .mending, .confirming, .stranded, .finished:
            break
        }
        if !calls.isEmpty { return [.answered(0, .confirmed)] }
        if let weight = late.last { return [.appliedLate(weight)] }
        if machine.openBackup != nil { return [.backedUp(.verified)] }
        if machine.openInspection != nil { return [.inspected(.keep)] }
        if machine.openAction != nil { return [.acted(.done)] }
        let timed: [DeadlineKind] = [
            .flight, .unfence, .reask, .warmup, .watch, .verification, .history, .raise, .loss, .zero, .maxBake, .rollback,
            .reminder,
        ]
        return [.ticked, .polled(.pass, .truth)] + timed.filter { machine.deadlines.due($0) != nil }.map { .passed($0) }
    }
}
