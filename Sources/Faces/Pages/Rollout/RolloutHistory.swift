public import SerinController
public import SerinModel
public import SerinRecords
public import SerinRollouts
public import SerinVerdicts

/// What a rollout's journal tells of its course, for drawings: a fold over entries, which may be given in parts.
public struct RolloutHistory: Sendable, Hashable {
    /// The weight from a moment on.
    public struct WeightPoint: Sendable, Hashable {
        /// From when on.
        public var at: Instant
        /// The canary's weight.
        public var weight: Weight
    }

    /// What one signal's evidence said at a moment.
    public struct EvidencePoint: Sendable, Hashable {
        /// When.
        public var at: Instant
        /// The signal as it was written down, with its interval.
        public var signal: SignalAssessment
    }

    /// Something that someone asked for, or that befell the controller.
    public struct Mark: Sendable, Hashable {
        /// Where it came from.
        public enum Source: String, Sendable, Hashable, CaseIterable {
            /// A person, known by name.
            case person
            /// A chat or a webhook.
            case webhook
            /// An alert.
            case alert
            /// Serin itself.
            case serin
        }

        /// When.
        public var at: Instant
        /// Where it came from.
        public var source: Source
        /// What, for people.
        public var text: String
    }

    /// Somebody's halt.
    public struct Halt: Sendable, Hashable {
        /// When.
        public var at: Instant
        /// Where it came from.
        public var source: Mark.Source
        /// Who.
        public var by: Principal
    }

    /// The most that is kept of each kind; the newest stay.
    static let limit = 4000
    /// The most decisions that are kept; the newest stay.
    static let decisionLimit = 500
    /// How the entry begins that creates a rollout.
    private static let creation = Array("{\"created\":".utf8)

    /// The rollout.
    public let rollout: RolloutID
    /// What it was asked to be.
    public private(set) var charter: Charter?
    /// When it was created.
    public private(set) var createdAt: Instant?
    /// The weight that was wanted, one for each change.
    public private(set) var wanted: [WeightPoint] = []
    /// The weight that was read back, one for each change.
    public private(set) var observed: [WeightPoint] = []
    /// Since when no poll has read a weight; nil while they do.
    public private(set) var unreadSince: Instant?
    /// Every verdict that was written down.
    public private(set) var evidence: [EvidencePoint] = []
    /// The newest decisions, oldest first.
    public private(set) var decisions: [LoggedDecision] = []
    /// Commands, and takeovers and doubts of the controller.
    public private(set) var marks: [Mark] = []
    /// The first halt: what came after it, the load balancer's answer for one, is what it led to.
    public private(set) var halt: Halt?
    /// Who or what led to the present state.
    public private(set) var decidedBy = "the controller"
    /// The last poll.
    public private(set) var polledAt: Instant?
    /// What was to be migrated, when the preflight looked.
    public private(set) var migrations: MigrationPlan?
    /// The service's last journal entry that was seen, of whichever rollout.
    public private(set) var head: Checkpoint?

    /// Whether a later rollout of the service has begun, so that nothing more is to come.
    public private(set) var isSucceeded = false

    private var trigger = "the controller"
    /// Whether it is being taken back: what led to that stays what decided.
    private var isTakenBack = false

    /// The history of a rollout of which nothing is known yet.
    public init(of rollout: RolloutID) { self.rollout = rollout }

    /// Takes the next entry of the service's journal.
    public mutating func take(_ entry: Entry) {
        head = Checkpoint(entry)
        guard entry.rollout == rollout else {
            if createdAt != nil, entry.body.starts(with: Self.creation) { isSucceeded = true }
            return
        }
        if let weight = PolledWeight(entry.body) {
            polledAt = entry.at
            guard let weight = weight.weight else {
                trigger = "a weight that cannot be read"
                if unreadSince == nil { unreadSince = entry.at }
                return
            }
            trigger = "the evidence"
            read(weight, at: entry.at)
            return
        }
        // An entry that this build cannot read is found by `serin verify`; a drawing shows the others.
        guard let record = try? CanonicalDecoder.decode(Record.self, from: entry.body) else { return }
        switch record {
        case .created(let charter):
            self.charter = charter
            createdAt = entry.at
            mark(.init(of: charter.author), at: entry.at, "started by \(charter.author)")
        case .event(let event): take(event, at: entry.at)
        case .effect(let effect): take(effect, entry)
        case .opened, .clockJumped: break
        }
    }

    private mutating func read(_ weight: Weight, at now: Instant) {
        observed.note(weight, at: now)
        unreadSince = nil
    }

    private mutating func take(_ event: RolloutEvent, at now: Instant) {
        switch event {
        case .commanded(let command):
            trigger = "\(command.verb.rawValue) by \(command.by)"
            if halt == nil, command.verb == .halt || command.verb == .haltForSecurity {
                halt = Halt(at: now, source: .init(of: command.by), by: command.by)
            }
            let why = command.reason.isEmpty ? "" : ": \(command.reason)"
            mark(.init(of: command.by), at: now, "\(command.verb.rawValue) by \(command.by)\(why)")
        case .weightReported(_, .confirmed(let reading)):
            // What was asked for is there: that decides nothing.
            if let weight = reading.weight { read(weight, at: now) }
        case .weightReported: trigger = "the load balancer's answer"
        case .preflightFinished(let report):
            trigger = "the preflight"
            migrations = report.migrations ?? migrations
        case .historyRead: trigger = "the preflight"
        case .actionReported, .backupReported, .migrationReported, .schemaInspected, .backupReleased: trigger = "an action's end"
        case .takenOver:
            trigger = "a controller that took over"
            mark(.serin, at: now, "a controller took over after a stop")
        case .doubted(let words):
            trigger = "the controller's own doubt"
            mark(.serin, at: now, "doubt: \(words)")
        case .ticked: trigger = "a deadline"
        case .started: trigger = "the start"
        case .observed: trigger = "the evidence"
        }
    }

    private mutating func take(_ effect: Effect, _ entry: Entry) {
        let now = entry.at
        switch effect {
        case .setWeight(_, let weight), .lowerWeight(_, let weight): wanted.note(weight, at: now)
        case .record(let decision):
            decisions.append(LoggedDecision(sequence: entry.sequence, at: now, decision: decision))
            decisions.removeFirst(max(0, decisions.count - Self.decisionLimit))
            if decision.topic == "verdict" {
                evidence += decision.signals.map { EvidencePoint(at: now, signal: $0) }
                evidence.removeFirst(max(0, evidence.count - Self.limit))
            } else if decision.topic == "state", !isTakenBack {
                let names = decision.signals.map(\.name).joined(separator: ", ")
                decidedBy = names.isEmpty ? trigger : "the evidence: \(names)"
                isTakenBack = decision.text.prefix { $0 != ":" && $0 != ";" }.hasSuffix("→ rolling back")
            }
        case .preflight, .readHistory, .takeBackup, .endBackup, .releaseBackup, .runAction, .migrate, .endMigration,
            .inspectSchema, .restore, .notify:
            break
        }
    }

    private mutating func mark(_ source: Mark.Source, at now: Instant, _ text: String) {
        marks.append(Mark(at: now, source: source, text: text))
        marks.removeFirst(max(0, marks.count - Self.limit))
    }
}

extension [RolloutHistory.WeightPoint] {
    /// Notes a weight that differs from the one before.
    fileprivate mutating func note(_ weight: Weight, at now: Instant) {
        if last?.weight == weight { return }
        append(RolloutHistory.WeightPoint(at: now, weight: weight))
        removeFirst(Swift.max(0, count - RolloutHistory.limit))
    }
}

extension RolloutHistory.Mark.Source {
    /// Where a principal's requests come from.
    public init(of principal: Principal) {
        switch principal.channel {
        case "uid", "token", "oidc", "jwt", "mtls", "certificate", "signal", "person", "file": self = .person
        case "serin", "watchdog": self = .serin
        case "alert", "alertmanager", "grafana", "pagerduty", "prometheus": self = .alert
        default: self = .webhook
        }
    }

    /// The word beside the mark.
    var word: String {
        switch self {
        case .person: "person"
        case .webhook: "chat or webhook"
        case .alert: "alert"
        case .serin: "Serin"
        }
    }
}
