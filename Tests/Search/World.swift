import SerinModel
import SerinPolicies
import SerinRollouts

/// The machine and everything around it that matters to its promises: the balancer, requests under way, and what was seen.
struct World: Hashable {
    /// A request for a weight that the controller is carrying out.
    struct Call: Hashable {
        var intent: IntentID
        var weight: Weight
        var isAtMost = false
    }

    /// How many of each fault may still happen.
    struct Faults: Hashable {
        var strangers: Int8
        var crashes: Int8
        /// Whether people only halt and polls only pass, fail or lack data: what many crashes have to do with.
        var isPlain = false
    }

    var machine: RolloutMachine
    /// What the balancer does now.
    var balancer = Weight.zero
    /// Requests under way, oldest first.
    var calls: [Call] = []
    /// Raises that nobody waits for any more and that may still apply, ascending. (A 0 that applies late is a stranger who lowers.)
    var late: [Weight] = []
    var faults: Faults
    /// How many strangers there were at first: with none gone, nobody but Serin has moved the weight.
    let strangersAtFirst: Int8
    /// What is to be migrated.
    let need: MigrationNeed?

    // What the promises are checked against, kept apart from the machine.

    /// The highest weight that a poll has allowed.
    var granted = Weight.zero
    /// Whether a poll said that the granted step is done, or that everything passes.
    var isStepProven = false
    /// Whether a weight above 0 was ever asked for.
    var hasRaised = false
    /// Before any raise: whether the latest reading that said anything was not 0.
    var isReadAboveZero = false
    /// Whether a preflight is under way.
    var isPreflightOpen = false
    /// Whether a fail or halt is durable.
    var mayNotRise = false
    /// Whether a poll since the latest request above 0 saw requests in the share that was asked for.
    var hasShareFit = false
    /// Whether the promotion was allowed by a poll.
    var isPromotionProven = false
    /// Whether the final step's watch is over.
    var isWatchOver = false
    /// Actions asked for so far.
    var deploys: Int8 = 0
    var promotes: Int8 = 0
    /// Whether a verified backup was made.
    var isBackedUp = false
    /// Whether a backup was asked for and its outcome is not known yet.
    var isBackupRunning = false
    /// Whether an action was asked for and its outcome is not known yet.
    var isActionRunning = false
    /// Whether a rollback action was asked for without a person asking again.
    var hasReverted = false
    /// What became of the schema, of writes, and of what people agreed to.
    var schema = SchemaMemory()
    /// Steps approved by someone other than the author.
    var approved: [Int] = []
    /// Different people other than the author who agreed to the start, sorted.
    var starters: [Principal] = []

    /// The schema as the world knows it.
    struct SchemaMemory: Hashable {
        /// Whether a migration was asked for and nobody has seen to it since.
        var isChanged = false
        /// Whether a move of the schema, or of its fence, was asked for and its outcome is not known yet.
        var isMoving = false
        /// Migrations asked for so far.
        var migrations: Int8 = 0
        /// Whether writes were proven to be fenced, and nobody asked to let them in since.
        var isFenced = false
        /// Whether writes may be fenced.
        var mayBeFenced = false
        /// How many people a restore needs, as was last decided; 0 when none was.
        var people: Int8 = 0
        /// Who agreed to it since.
        var approvers: [Principal] = []
    }

    init(plan: MachinePlan, faults: Faults, need: MigrationNeed? = nil) {
        self.need = need
        machine = RolloutMachine(plan: plan)
        self.faults = faults
        strangersAtFirst = faults.strangers
    }

    /// Most of what tells worlds apart, packed into few words: hashing is what the search spends most of its time on.
    func hash(into hasher: inout Hasher) {
        hasher.combine(machine.state)
        hasher.combine(machine.entered)
        hasher.combine(machine.openRaise)
        var bits = machine.deadlines.armed.reduce(0) { $0 | 1 << $1.kind.rawValue }
        func add(_ value: Int, below limit: Int) { bits = bits &* limit &+ value }
        add(
            machine.request.map { $0.intent.number &* 4 &+ ($0.progress == .asked ? 1 : $0.progress == .confirmed ? 2 : 3) } ?? 0,
            below: 16)
        add(machine.hasUnsettledRaise ? 1 : 0, below: 2)
        add(machine.allowsPromotion ? 1 : 0, below: 2)
        add(machine.isPromotionAsked ? 1 : 0, below: 2)
        add(machine.isReadAboveZero ? 1 : 0, below: 2)
        add(isReadAboveZero ? 1 : 0, below: 2)
        add(isPreflightOpen ? 1 : 0, below: 2)
        add(machine.isHoldAsked ? 1 : 0, below: 2)
        add(machine.approvedSteps.count &* 4 &+ machine.approvers.count, below: 16)
        add(isPromotionProven ? 1 : 0, below: 2)
        add(isWatchOver ? 1 : 0, below: 2)
        add(hasShareFit ? 1 : 0, below: 2)
        add(machine.hasShareFit ? 1 : 0, below: 2)
        add(machine.highShares, below: 2)
        add(isStepProven ? 1 : 0, below: 2)
        add(mayNotRise ? 1 : 0, below: 2)
        add(hasReverted ? 1 : 0, below: 2)
        add(isActionRunning ? 1 : 0, below: 2)
        add(isBackedUp ? 1 : 0, below: 2)
        add(schema.isChanged ? 1 : 0, below: 2)
        add(schema.mayBeFenced ? schema.isFenced ? 2 : 1 : 0, below: 3)
        add(machine.fence == .open ? 0 : machine.fence == .unsure ? 1 : 2, below: 3)
        add(schema.approvers.count, below: 4)
        add(Int(faults.strangers) &* 2 &+ Int(faults.crashes), below: 4)
        hasher.combine(bits)
        var weights = machine.wanted.basisPoints
        for weight in [machine.inForce, machine.observed ?? .zero, balancer, granted] {
            weights = weights &* 10_007 &+ weight.basisPoints
        }
        for call in calls { weights = weights &* 31 &+ call.intent.number &* 10_007 &+ call.weight.basisPoints }
        for weight in late { weights = weights &* 37 &+ weight.basisPoints }
        hasher.combine(weights)
    }

    /// Numbers intents anew, so that a longer past does not make another state.
    mutating func canonicalise() {
        let live = machine.liveIntents
        machine = machine.canonical
        var waitedFor: [Call] = []
        for call in calls {
            if let index = live.firstIndex(of: call.intent) {
                waitedFor.append(Call(intent: IntentID(index + 1), weight: call.weight, isAtMost: call.isAtMost))
            } else if call.weight > .zero, !late.contains(call.weight) {
                // Its answer would change nothing, but it may still apply.
                late.append(call.weight)
            }
        }
        calls = waitedFor
        late.sort()
        forget()
    }

    /// Drops memories that no promise asks about any more.
    private mutating func forget() {
        if hasRaised { isReadAboveZero = false }
        if machine.ending != nil { isPreflightOpen = false }
        guard mayNotRise || machine.isPromotionStarted || machine.ending != nil else { return }
        if mayNotRise {
            granted = .zero
            if need == nil { isBackedUp = false }
        }
        isStepProven = false
        hasShareFit = false
        isWatchOver = false
        approved = []
        starters = []
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
        /// A pass that does not show the new version on control.
        case passUnseen
        /// A pass in which nobody saw a request.
        case passUncounted
    }

    enum Read: String, CaseIterable {
        case truth, unreadable, meaningless, firstStep
    }

    case started
    case preflight(Bool)
    /// The preflight that was under way at a halt ends.
    case preflightLate(Read)
    case historyRead
    case answered(Int, Answer)
    case appliedLate(Weight)
    case polled(Poll, Read)
    case passed(DeadlineKind)
    case ticked
    case commanded(Command.Verb, Principal)
    case acted(TakenAction)
    case backedUp(BackupResult)
    case inspected(SchemaWay)
    case stranger(Weight)
    /// Nil where the new controller itself has begun what is under way.
    case crashed(Read, watchdogLowered: Bool, TakenAction?)
    case doubted

    var description: String {
        switch self {
        case .started: "started"
        case .preflight(let passes): "preflight \(passes ? "passes" : "refuses")"
        case .preflightLate(let read): "the preflight ends, weight read: \(read.rawValue)"
        case .historyRead: "history read"
        case .answered(let index, let answer): "request \(index) \(answer.rawValue)"
        case .appliedLate(let weight): "a request for \(weight) applies late"
        case .polled(let poll, let read): "poll: \(poll.rawValue), weight read: \(read.rawValue)"
        case .passed(let kind): "deadline passed: \(kind)"
        case .ticked: "tick"
        case .commanded(let verb, let person): "\(verb.rawValue) by \(person)"
        case .acted(let outcome): "action \(outcome.rawValue)"
        case .backedUp(let result): "backup \(result.rawValue)"
        case .inspected(let way): "schema inspected: \(way)"
        case .stranger(let weight): "a stranger sets \(weight)"
        case .crashed(let read, let lowered, let action):
            "crash and restart: weight read \(read.rawValue)\(lowered ? ", lowered by the watchdog" : ""), action \(action?.rawValue ?? "its own")"
        case .doubted: "doubt"
        }
    }
}
