public import SerinModel

/// What the log of access leads to.
public struct AccessState: Sendable, Hashable {
    /// A token and what became of it.
    public struct Token: Sendable, Hashable {
        /// What was made.
        public var record: TokenRecord
        /// When.
        public var createdAt: Instant
        /// By whom.
        public var createdBy: Principal
        /// When and by whom it was ended before its time; nil while it was not.
        public var revoked: Revocation?
        /// Whether a second person has to agree before it gives anything.
        public var needsApproval = false
        /// Who agreed to it; nil while nobody did.
        public var approvedBy: Principal?

        /// Whether a second person has yet to agree.
        public var isAwaited: Bool { needsApproval && approvedBy == nil }

        /// Whether it gives anything at a moment.
        public func isValid(at now: Instant) -> Bool { revoked == nil && now < record.expiresAt && !isAwaited }
    }

    /// The early end of a token.
    public struct Revocation: Sendable, Hashable {
        /// When.
        public var at: Instant
        /// By whom.
        public var by: Principal
        /// Why; may be empty.
        public var reason: String
    }

    /// A change that waits for a second person.
    public struct Proposal: Sendable, Hashable {
        /// What it changes.
        public var change: ConfigurationChange
        /// Why; may be empty.
        public var reason: String
        /// When it was proposed.
        public var at: Instant
        /// By whom.
        public var by: Principal

        /// When it no longer counts.
        public var endsAt: Instant { at + AccessState.proposalLife }
    }

    /// How long a proposal waits for a second person.
    public static let proposalLife = Duration.minutes(30)

    /// What is in force, as it was signed; nil where nothing was ever decided by two people.
    public private(set) var configuration: ConfigurationStatement?
    /// The signature over it.
    public private(set) var signature: ConfigurationSignature?
    /// The latest proposal that was not taken; it may be over.
    public private(set) var proposal: Proposal?
    /// Whether two people decide about what is critical.
    public var asksTwo: Bool { configuration?.set.asksTwo ?? false }

    /// All tokens that ever were, in the order they were made.
    public private(set) var tokens: [Token] = []
    private var places: [String: Int] = [:]

    /// Nothing yet.
    public init() {}

    /// The token of a number.
    public func token(_ id: String) -> Token? { places[id].map { tokens[$0] } }

    /// Applies a line, or says why it cannot be so.
    public mutating func apply(_ line: AccessLine) throws(Failure) {
        switch line.event {
        case .tokenCreated(let record):
            if let defect = record.defect { throw Failure(.invalid, "the token '\(record.name)' cannot be: \(defect)") }
            guard line.at < record.expiresAt else {
                throw Failure(.invalid, "the token '\(record.name)' would end before it begins")
            }
            guard places[record.id] == nil else { throw Failure(.conflict, "there is a token \(record.id) already") }
            let same = tokens.first {
                $0.record.name == record.name && ($0.isValid(at: line.at) || $0.isAwaited && $0.revoked == nil)
            }
            if let same {
                throw Failure(
                    .conflict, "there is a token '\(record.name)' already: \(same.record.id)",
                    hint: "take another name, or end that one with serin token revoke \(same.record.id)")
            }
            places[record.id] = tokens.count
            tokens.append(
                Token(
                    record: record, createdAt: line.at, createdBy: line.by, needsApproval: asksTwo && record.isCritical))
        case .tokenRevoked(let id, let reason):
            guard let place = places[id] else { throw Failure(.conflict, "there is no token \(id)") }
            if let earlier = tokens[place].revoked {
                throw Failure(.conflict, "the token \(id) was revoked at \(earlier.at) by \(earlier.by)")
            }
            tokens[place].revoked = Revocation(at: line.at, by: line.by, reason: reason)
        case .tokenApproved(let id): try approve(id, line)
        case .configurationProposed(let change, let reason):
            guard let configuration, configuration.set.asksTwo else {
                throw Failure(.conflict, "nobody has to agree: fewer than two people are known")
            }
            guard change.before == configuration.change.after else {
                throw Failure(.conflict, "the change begins at another configuration than the one in force")
            }
            proposal = Proposal(change: change, reason: reason, at: line.at, by: line.by)
        case .configurationSet(let statement, let signature): try set(statement, signature, line)
        }
    }

    private mutating func approve(_ id: String, _ line: AccessLine) throws(Failure) {
        guard let place = places[id] else { throw Failure(.conflict, "there is no token \(id)") }
        let token = tokens[place]
        guard token.needsApproval, token.revoked == nil else {
            throw Failure(.conflict, "the token \(id) waits for nobody")
        }
        if let earlier = token.approvedBy { throw Failure(.conflict, "\(earlier) has agreed to the token \(id) already") }
        guard token.createdBy != line.by else {
            throw Failure(
                .denied, "\(line.by) made the token \(id) and cannot be the one to agree to it",
                hint: "ask another person to agree")
        }
        tokens[place].approvedBy = line.by
    }

    /// Nobody changes alone what two people decide about.
    private mutating func set(
        _ statement: ConfigurationStatement, _ signature: ConfigurationSignature, _ line: AccessLine
    ) throws(Failure) {
        guard statement.by == line.by, statement.at == line.at else {
            throw Failure(.invalid, "the configuration was signed for somebody else or another time")
        }
        if asksTwo {
            guard let proposal, proposal.change == statement.change, proposal.by == statement.proposedBy else {
                throw Failure(.conflict, "nobody proposed this change")
            }
            guard proposal.by != line.by else {
                throw Failure(
                    .denied, "\(line.by) proposed the change and cannot be the one to agree to it",
                    hint: "ask another person to agree")
            }
            guard line.at < proposal.endsAt else {
                throw Failure(
                    .conflict, "the proposal of \(proposal.by) was over at \(proposal.endsAt)", hint: "propose it again")
            }
        }
        configuration = statement
        self.signature = signature
        proposal = nil
    }
}
