internal import SerinModel

/// What came of reading a file of identities: what it says, or everything that is wrong with it.
public struct IdentityReading: Sendable {
    /// What it says; nil when there is any complaint.
    public let policy: IdentityPolicy?
    /// Every complaint, in the order of the document.
    public let diagnostics: [Diagnostic]

    /// Reads a file from its document.
    ///
    /// - Parameters:
    ///   - node: The document's root; nil when it could not be read at all.
    ///   - file: Its name, for complaints.
    ///   - earlier: What was complained about while the document was read.
    public init(of node: MarkedNode?, file: String, earlier: [Diagnostic] = []) {
        let root = identityShape()
        var reader = ShapeReader(file: file, root: root, document: "identities", foreign: [:])
        var builder = IdentityBuilder(file: file)
        var built: IdentityPolicy?
        if let node, case .section(let section)? = reader.read(node, as: .section(root), path: "") {
            built = builder.policy(from: section)
        }
        let complaints = earlier + reader.diagnostics + builder.diagnostics
        diagnostics = complaints.sorted { ($0.mark, $0.message) < ($1.mark, $1.message) }
        policy = complaints.isEmpty ? built : nil
    }
}

/// Makes the value from sections that have their shape.
private struct IdentityBuilder {
    let file: String
    private(set) var diagnostics: [Diagnostic] = []

    init(file: String) { self.file = file }

    mutating func policy(from root: ReadSection) -> IdentityPolicy {
        var policy = IdentityPolicy()
        for entry in root.map("people") {
            guard case .section(let section) = entry.value else { continue }
            let identities = texts(section.list("is")).compactMap { identity($0, section.mark(of: "is")) }
            policy.people.append(
                .init(
                    name: entry.key, identities: identities, roles: section.isGiven("roles") ? Set(roles(section)) : nil))
        }
        for entry in root.map("issuers") {
            if case .section(let section) = entry.value, let issuer = issuer(entry.key, section) { policy.issuers.append(issuer) }
        }
        for case .section(let section) in root.list("certificates") {
            let match =
                section.text("subject").map(IdentityPolicy.Certificate.subject)
                ?? section.text("name").map(IdentityPolicy.Certificate.name)
                ?? section.text("fingerprint").map(IdentityPolicy.Certificate.fingerprint)
            if let match { policy.certificates.append(.init(match: match, rights: rights(section, isPerson: false))) }
        }
        for case .section(let section) in root.list("local_users") {
            let match =
                section.number("user").map { IdentityPolicy.LocalUser.user(UInt32($0)) }
                ?? section.number("group").map { IdentityPolicy.LocalUser.group(UInt32($0)) }
            if let match { policy.localUsers.append(.init(match: match, rights: rights(section, isPerson: true))) }
        }
        return policy
    }

    private mutating func issuer(_ name: String, _ section: ReadSection) -> IdentityPolicy.Issuer? {
        let kind = section.text("kind") ?? "general"
        if kind == "general", section.text("issuer") == nil {
            complain(section.mark, "issuers.\(name): its address is missing", hint: "add issuer: https://… as the tokens have it")
        }
        let keys: IdentityPolicy.Keys
        if let address = section.text("keys_url") {
            keys = .address(address)
        } else if section.isGiven("key_files") {
            keys = .files(texts(section.list("key_files")))
        } else if let secret = secret(section) {
            keys = .secret(secret)
        } else {
            keys = .discovery
        }
        var rules: [IdentityPolicy.Rule<[IdentityPolicy.Condition]>] = []
        for case .section(let rule) in section.list("rules") {
            let conditions = rule.map("when").map { entry in
                switch entry.value {
                case .scalar(let scalar): IdentityPolicy.Condition(claim: entry.key, patterns: [scalar.text])
                case .list(let items): IdentityPolicy.Condition(claim: entry.key, patterns: texts(items))
                case .section, .map: IdentityPolicy.Condition(claim: entry.key, patterns: [])
                }
            }
            rules.append(.init(match: conditions, rights: rights(rule, isPerson: false)))
        }
        let algorithms = Set(texts(section.list("algorithms")))
        return IdentityPolicy.Issuer(
            name: name, kind: kind, issuer: section.text("issuer"), audiences: Set(texts(section.list("audiences"))),
            algorithms: algorithms.isEmpty ? ["RS256"] : algorithms, keys: keys, personClaim: section.text("person_claim"),
            types: Set(texts(section.list("types"))), signIn: signIn(section), authorityFile: section.text("ca_file"),
            rules: rules)
    }

    private func signIn(_ issuer: ReadSection) -> IdentityPolicy.SignIn? {
        guard let section = issuer.section("sign_in"), let client = section.text("client_id") else { return nil }
        return IdentityPolicy.SignIn(clientID: client, secret: secret(section), scopes: texts(section.list("scopes")))
    }

    private func rights(_ section: ReadSection, isPerson: Bool) -> IdentityPolicy.Rights {
        IdentityPolicy.Rights(
            roles: Set(roles(section)), scopes: Set(texts(section.list("scopes")).compactMap { Scope(rawValue: $0) }),
            projects: section.isGiven("projects") ? Set(texts(section.list("projects"))) : nil,
            isPerson: section.isGiven("person") ? section.flag("person") : isPerson)
    }

    private func roles(_ section: ReadSection) -> [Role] { texts(section.list("roles")).compactMap { Role(rawValue: $0) } }

    private mutating func identity(_ text: String, _ mark: Mark) -> Principal? {
        guard let colon = text.firstIndex(of: ":"), colon > text.startIndex, text[colon...].utf8.count > 1 else {
            complain(mark, "people: '\(text)' is no identity", hint: "write CHANNEL:IDENTITY, such as uid:1000 or github:octocat")
            return nil
        }
        return Principal(channel: String(text[..<colon]), identity: String(text[text.index(after: colon)...]))
    }

    private mutating func complain(_ mark: Mark, _ message: String, hint: String) {
        diagnostics.append(Diagnostic(file: file, mark: mark, message: message, hint: hint))
    }

    private func texts(_ items: [ReadValue]) -> [String] {
        items.compactMap { if case .scalar(let scalar) = $0 { scalar.text } else { nil } }
    }

    private func secret(_ section: ReadSection) -> SecretReference? {
        if let name = section.text("secret_env") { return .environment(name) }
        if let path = section.text("secret_file") { return .file(path) }
        return section.text("secret_cred").map(SecretReference.credential)
    }
}
