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

        /// Whether it gives anything at a moment.
        public func isValid(at now: Instant) -> Bool { revoked == nil && now < record.expiresAt }
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
            if let same = tokens.first(where: { $0.record.name == record.name && $0.isValid(at: line.at) }) {
                throw Failure(
                    .conflict, "there is a token '\(record.name)' already: \(same.record.id)",
                    hint: "take another name, or end that one with serin token revoke \(same.record.id)")
            }
            places[record.id] = tokens.count
            tokens.append(Token(record: record, createdAt: line.at, createdBy: line.by))
        case .tokenRevoked(let id, let reason):
            guard let place = places[id] else { throw Failure(.conflict, "there is no token \(id)") }
            if let earlier = tokens[place].revoked {
                throw Failure(.conflict, "the token \(id) was revoked at \(earlier.at) by \(earlier.by)")
            }
            tokens[place].revoked = Revocation(at: line.at, by: line.by, reason: reason)
        }
    }
}
