internal import SerinModel

/// What the holder of a client certificate may do. Its chain was checked before: only certificates of an own authority come here.
public struct CertificateRule: Sendable, Hashable {
    /// What must be so of the certificate.
    public enum Match: Sendable, Hashable {
        /// Exactly its subject (RFC 4514): `CN=deploy,O=Acme`.
        case subject(String)
        /// One of its alternative names with its kind fits as a whole: `dns:*.deploy.acme.example`, `uri:spiffe://acme/ci/**`. `*` stands
        /// for any characters but `/` and `:`, `**` for any.
        case name(String)
        /// Exactly its SHA-256, in hexadecimal, with or without colons.
        case fingerprint(String)
    }

    /// What must be so.
    public var match: Match
    /// What it gives.
    public var grant: Grant

    /// A rule.
    public init(_ match: Match, gives grant: Grant) {
        self.match = match
        self.grant = grant
    }

    /// What is wrong with it; nil when nothing is.
    var defect: String? {
        if grant.roles.isEmpty && grant.scopes.isEmpty { return "gives no role and no scope" }
        switch match {
        case .subject(let subject): return subject.contains("=") ? nil : "has a subject that is no distinguished name"
        case .name(let pattern):
            let value = pattern.drop { $0 != ":" }.dropFirst()
            guard ["dns", "email", "uri"].contains(String(pattern.prefix { $0 != ":" })), !value.isEmpty else {
                return "has a name without its kind: dns:, email: or uri:"
            }
            return value.contains { $0 != "*" && $0 != "." } ? nil : "has a name that every certificate would have"
        case .fingerprint(let text):
            let digits = Self.digits(text)
            return digits.utf8.count == 64 && digits.allSatisfy(\.isHexDigit) ? nil : "has a fingerprint that is no SHA-256"
        }
    }

    func fits(_ certificate: ClientCertificate) -> Bool {
        switch match {
        case .subject(let subject): certificate.subject.isExactly(subject)
        case .name(let pattern): certificate.names.contains { ClaimRule.fits(Array($0.utf8), Array(pattern.utf8)) }
        case .fingerprint(let text): Self.digits(text) == Self.digits(certificate.fingerprint)
        }
    }

    private static func digits(_ text: String) -> String { text.lowercased().filter { $0 != ":" } }
}

/// What a client certificate says of its holder, once its chain was checked.
public struct ClientCertificate: Sendable, Hashable {
    /// The subject's distinguished name (RFC 4514).
    public var subject: String
    /// Its alternative names with their kind: `dns:…`, `email:…`, `uri:…`.
    public var names: [String]
    /// SHA-256 of the certificate, hexadecimal.
    public var fingerprint: String

    /// A certificate.
    public init(subject: String, names: [String], fingerprint: String) {
        self.subject = subject
        self.names = names
        self.fingerprint = fingerprint
    }
}

/// What a local user may do who asks over the unix socket.
public struct PeerRule: Sendable, Hashable {
    /// Whom it is for.
    public enum Match: Sendable, Hashable {
        /// A user.
        case user(UInt32)
        /// The members of a group.
        case group(UInt32)
    }

    /// Whom it is for.
    public var match: Match
    /// What it gives.
    public var grant: Grant

    /// A rule.
    public init(_ match: Match, gives grant: Grant) {
        self.match = match
        self.grant = grant
    }

    func fits(user: UInt32, groups: [UInt32]) -> Bool {
        switch match {
        case .user(let number): number == user
        case .group(let number): groups.contains(number)
        }
    }
}
