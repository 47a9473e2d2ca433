internal import SerinModel

/// Which way the schema and the data go back, why, and what each way would lose. Computed from what was read, never stored.
public struct RollbackPlan: Sendable, Hashable {
    /// A way back, the cheapest first.
    public enum Way: String, Sendable, Hashable, Codable, CaseIterable {
        /// Nothing was applied, so nothing goes back.
        case nothing
        /// The schema stays: the previous version works on it.
        case keep
        /// The revisions are taken back to the recorded one.
        case downgrade
        /// The revisions are taken back, and the rows of the tables they changed are fetched from the backup; newer rows stay.
        case salvage
        /// The database as it was just before the migration, from the backup and the write-ahead log.
        case pointInTime
        /// The database as it was at the backup.
        case swap
        /// Nobody can tell: a person has to act.
        case unknown

        /// Whether data comes from the backup, so that people must agree and writes must be fenced.
        public var restores: Bool {
            switch self {
            case .salvage, .pointInTime, .swap: true
            case .nothing, .keep, .downgrade, .unknown: false
            }
        }

        /// What is done, for people.
        public var words: String {
            switch self {
            case .nothing: "nothing was applied"
            case .keep: "keep the schema"
            case .downgrade: "take the schema back"
            case .salvage: "take the schema back and fetch the changed tables from the backup"
            case .pointInTime: "restore the moment before the migration"
            case .swap: "swap in a copy restored from the backup"
            case .unknown: "hold at weight 0 and call a person"
            }
        }
    }

    /// One way and what it would lose.
    public struct Choice: Sendable, Hashable {
        /// The way.
        public var way: Way
        /// What is lost, in a clause.
        public var loss: String

        /// A way and its loss.
        public init(_ way: Way, loss: String) {
            self.way = way
            self.loss = loss
        }
    }

    /// The way that is taken.
    public var way: Way
    /// Why this one.
    public var reason: String
    /// How many different people must agree; 0 when nobody has to.
    public var people: Int
    /// Every way there is, the one that is taken among them.
    public var choices: [Choice]
    /// The tables that a salvage fetches, sorted; empty for every other way.
    public var tables: [String]

    /// A plan.
    public init(way: Way, reason: String, people: Int = 0, choices: [Choice] = [], tables: [String] = []) {
        self.way = way
        self.reason = reason
        self.people = people
        self.choices = choices
        self.tables = tables
    }

    /// A plan of which only a person knows more.
    public static func unknown(_ reason: String) -> RollbackPlan { RollbackPlan(way: .unknown, reason: reason) }

    /// The plan once a person has chosen to leave the schema as it is.
    func kept(by person: Principal) -> RollbackPlan {
        RollbackPlan(way: .keep, reason: "\(person) chose it", choices: choices)
    }

    /// `keep the schema: every applied revision only adds`.
    public var sentence: String { "\(way.words): \(reason)" }

    /// The plan as people read it, and as it is hashed: the decision, then what each way would lose.
    public var lines: [String] {
        let agreed = people == 0 ? "" : "; \(people) different people must agree, with writes fenced"
        return ["\(sentence)\(agreed)"] + choices.map { "\($0.way == way ? "→" : "or") \($0.way.words): \($0.loss)" }
    }

    /// What it means to the machine.
    var machineWay: SchemaWay {
        switch way {
        case .nothing, .keep: .keep
        case .downgrade: .downgrade
        case .salvage, .pointInTime, .swap: .restore(people: people)
        case .unknown: .unknown
        }
    }
}
