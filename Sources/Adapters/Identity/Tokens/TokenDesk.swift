public import SerinAccess
internal import SerinCrypto
public import SerinModel
public import SerinPorts

/// Makes tokens, ends them, and says whose a token is.
public struct TokenDesk: Sendable {
    /// What a new token is to be.
    public struct Order: Sendable, Hashable {
        /// What people call it.
        public var name: String
        /// On whose behalf its bearer acts.
        public var owner: Principal
        /// What it gives.
        public var grant: Grant
        /// How long it lasts, at most a year.
        public var life: Duration

        /// An order.
        public init(name: String, owner: Principal, grant: Grant, life: Duration) {
            self.name = name
            self.owner = owner
            self.grant = grant
            self.life = life
        }
    }

    /// The longest life of a token.
    public static let longestLife = Duration.hours(366 * 24)

    private let store: any AccessStore

    /// A desk over a store.
    public init(store: any AccessStore) { self.store = store }

    /// Makes a token. What is returned is nowhere kept and cannot be asked for again.
    public func create(_ order: Order, by principal: Principal, at now: Instant) async throws(Failure) -> (
        text: TokenText, record: TokenRecord
    ) {
        guard .zero < order.life, order.life <= Self.longestLife else {
            throw Failure(.invalid, "a token cannot last \(order.life)", hint: "at most \(Self.longestLife)")
        }
        let text: TokenText
        let hash: String
        do throws(CryptoError) {
            text = try TokenText.random()
            hash = try text.hash()
        } catch { throw Failure(.transient, "cannot make a token: \(error)") }
        let record = TokenRecord(
            id: text.id, name: order.name, owner: order.owner, isPerson: order.grant.isPerson, roles: Array(order.grant.roles),
            scopes: Array(order.grant.scopes), projects: order.grant.projects?.sorted(), expiresAt: now + order.life, hash: hash)
        try await store.append(AccessLine(at: now, by: principal, .tokenCreated(record)))
        return (text, record)
    }

    /// Ends a token, by its number or its name, from the next request on.
    public func revoke(_ name: String, reason: String, by principal: Principal, at now: Instant) async throws(Failure)
        -> TokenRecord
    {
        let tokens = try await store.state().tokens
        let found = tokens.first { $0.record.id == name } ?? tokens.last { $0.record.name == name }
        guard let found else {
            throw Failure(.conflict, "there is no token '\(name)'", hint: "serin token list shows them all")
        }
        try await store.append(AccessLine(at: now, by: principal, .tokenRevoked(id: found.record.id, reason: reason)))
        return found.record
    }

    /// Agrees to a token that waits for a second person. Whoever made it is looked up among the people: nobody is two.
    public func approve(_ name: String, by principal: Principal, people: People, at now: Instant) async throws(Failure)
        -> TokenRecord
    {
        let tokens = try await store.state().tokens
        let found = tokens.first { $0.record.id == name } ?? tokens.last { $0.record.name == name }
        guard let found else {
            throw Failure(.conflict, "there is no token '\(name)'", hint: "serin token list --all shows them all")
        }
        guard people.principal(behind: found.createdBy) != principal else {
            throw Failure(
                .denied, "\(principal) made the token \(found.record.id) and cannot be the one to agree to it",
                hint: "ask another person to agree")
        }
        try await store.append(AccessLine(at: now, by: principal, .tokenApproved(id: found.record.id)))
        return found.record
    }

    /// Whose a token is and what it gives.
    public func caller(bearing text: String, people: People, at now: Instant) async throws(CredentialError) -> Caller {
        let token = try TokenText(text)
        let state: AccessState
        do throws(Failure) { state = try await store.state() } catch { throw .unavailable(error.description) }
        let hash: String
        do throws(CryptoError) { hash = try token.hash() } catch { throw .unavailable(error.description) }
        guard let known = state.token(token.id), areEqual(Array(known.record.hash.utf8), Array(hash.utf8)) else {
            throw .refused("no token is known by the number '\(token.id)' and this secret")
        }
        // From here on the bearer has proven to have it, and may know what became of it.
        let record = known.record
        if let revoked = known.revoked {
            let told = "the token '\(record.name)' was revoked at \(revoked.at)"
            throw .refused(told: told, detail: "\(record.id): \(told)")
        }
        guard now < record.expiresAt else {
            let told = "the token '\(record.name)' ended at \(record.expiresAt)"
            throw .refused(told: told, detail: "\(record.id): \(told)")
        }
        guard !known.isAwaited else {
            let told = "the token '\(record.name)' waits for a second person: serin token approve \(record.id)"
            throw .refused(told: told, detail: "\(record.id): \(told)")
        }
        store.noteUse(of: record.id, at: now)
        return Caller(
            people.principal(behind: record.owner),
            Grant(
                roles: Set(record.roles), scopes: Set(record.scopes), projects: record.projects.map(Set.init),
                isPerson: record.isPerson))
    }
}
