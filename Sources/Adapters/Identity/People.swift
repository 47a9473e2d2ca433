public import SerinModel

/// A person and the identities by which they come.
public struct Person: Sendable, Hashable {
    /// What they are called, such as `anna`.
    public var name: String
    /// Their identities, such as `uid:1000`, `github:octocat`, `slack:T1/U2`, `mtls:CN=anna,O=Acme`.
    public var identities: Set<Principal>
    /// What their words in a chat may do; every other way in brings its own rights. Nil: let releases go on, and agree to them.
    public var roles: Set<Role>?

    /// A person.
    public init(_ name: String, identities: Set<Principal>, roles: Set<Role>? = nil) {
        self.name = name
        self.identities = identities
        self.roles = roles
    }
}

/// Everyone of whom it is known by which identities they come. The rule that nobody approves alone what they started compares
/// principals, so every way in looks the person up first.
public struct People: Sendable, Hashable {
    private let byIdentity: [Principal: String]

    /// Nobody.
    public static let none = People()

    private init() { byIdentity = [:] }

    /// These people. Fails as `invalid` when one identity would be two people.
    public init(_ people: [Person]) throws(Failure) {
        var known: [Principal: String] = [:]
        for person in people {
            for identity in person.identities {
                if let other = known.updateValue(person.name, forKey: identity) {
                    throw Failure(.invalid, "\(identity) cannot be both \(other) and \(person.name)")
                }
            }
        }
        byIdentity = known
    }

    /// Whom an identity belongs to: the person, or itself where none is known.
    public func principal(behind identity: Principal) -> Principal { byIdentity[identity].map(Principal.person) ?? identity }

    /// Everyone whom a principal is by these people, or may be by others that are proposed: nobody agrees to what is theirs by becoming
    /// somebody else with it. The bearer of an identity token whom these do not know may be by it whoever is newly named at an issuer,
    /// as a person's claim need not be the subject.
    ///
    /// - Parameter issuers: The names of the issuers that are proposed with the others.
    public func selves(of principal: Principal, by others: People, issuers: Set<String>) -> Set<Principal> {
        let known = self.principal(behind: principal)
        var identities = [principal] + byIdentity.filter { Principal.person($0.value) == known }.map(\.key)
        if known.channel == Principal.oidc(issuer: "", subject: "").channel {
            identities += others.byIdentity.keys.filter { byIdentity[$0] == nil && issuers.contains($0.channel) }
        }
        return Set([known] + identities.map(others.principal(behind:)))
    }
}
