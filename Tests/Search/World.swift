import SerinModel
import SerinPolicies
import SerinRollouts

/// The machine and everything around it that matters to its promises: the balancer, requests under way, and what was seen.
struct World: Hashable {
    /// A request for a weight that the controller is carrying out.
    struct Call: Hashable {
        var intent: IntentID
        var weight: Weight
    }

    /// How many of each fault may still happen.
    struct Faults: Hashable {
        var strangers: Int8
        var crashes: Int8
        var doubts: Int8
    }

    var machine: RolloutMachine
    /// What the balancer does now.
    var balancer = Weight.zero
    /// Requests under way, oldest first.
    var calls: [Call] = []
    /// Requests that nobody waits for any more and that may still apply, ascending.
    var late: [Weight] = []
    var faults: Faults

    // What the promises are checked against, kept apart from the machine.

    /// The highest weight that a poll has allowed.
    var granted = Weight.zero
    /// Whether a poll said that the granted step is done, or that everything passes.
    var isStepProven = false
    /// Whether a fail or halt is durable.
    var mayNotRise = false
    /// Whether the promotion was allowed by a poll.
    var isPromotionProven = false
    /// Whether the final step's watch is over.
    var isWatchOver = false
    /// Actions asked for so far.
    var deploys: Int8 = 0
    var promotes: Int8 = 0
    /// Whether a rollback action was asked for without a person asking again.
    var hasReverted = false
    /// Steps approved by someone other than the author.
    var approved: [Int] = []
    /// Different people other than the author who agreed to the start, sorted.
    var starters: [Principal] = []

    init(plan: MachinePlan, faults: Faults) {
        machine = RolloutMachine(plan: plan)
        self.faults = faults
    }

    /// Numbers intents anew, so that a longer past does not make another state.
    mutating func canonicalise() {
        let live = machine.liveIntents
        machine = machine.withIntentsRenumbered()
        for index in calls.indices {
            calls[index].intent = IntentID((live.firstIndex(of: calls[index].intent) ?? -1) + 1)
        }
        // Requests that are not waited for differ only in their weight.
        calls.sort { ($0.intent, $0.weight) < ($1.intent, $1.weight) }
        late.sort()
    }
}

/// One thing that can happen.
enum Move: Hashable, CustomStringConvertible {
    enum Answer: String, CaseIterable {
        case confirmed, refused, appliedUnanswered, lateUnanswered
    }

    enum Poll: String, CaseIterable {
        case fail, hardLimit, security, alert, databaseBeyond, databaseUnsure, telemetryLost, shareLow, shareHigh, nodata,
            inconclusive
        case stepDone, passWithoutBake, pass
    }

    enum Read: String, CaseIterable {
        case truth, unreadable, meaningless, firstStep
    }

    case started
    case preflight(Bool)
    case historyRead
    case answered(Int, Answer)
    case appliedLate(Weight)
    case polled(Poll, Read)
    case passed(DeadlineKind)
    case ticked
    case commanded(Command.Verb, Principal)
    case acted(TakenAction)
    case stranger(Weight)
    case crashed(Read, watchdogLowered: Bool, TakenAction)
    case doubted

    var description: String {
        switch self {
        case .started: "started"
        case .preflight(let passes): "preflight \(passes ? "passes" : "refuses")"
        case .historyRead: "history read"
        case .answered(let index, let answer): "request \(index) \(answer.rawValue)"
        case .appliedLate(let weight): "a request for \(weight) applies late"
        case .polled(let poll, let read): "poll: \(poll.rawValue), weight read: \(read.rawValue)"
        case .passed(let kind): "deadline passed: \(kind)"
        case .ticked: "tick"
        case .commanded(let verb, let person): "\(verb.rawValue) by \(person)"
        case .acted(let outcome): "action \(outcome.rawValue)"
        case .stranger(let weight): "a stranger sets \(weight)"
        case .crashed(let read, let lowered, let action):
            "crash and restart: weight read \(read.rawValue)\(lowered ? ", lowered by the watchdog" : ""), action \(action.rawValue)"
        case .doubted: "doubt"
        }
    }
}
