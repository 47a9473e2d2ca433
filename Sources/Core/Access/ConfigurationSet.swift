public import SerinModel

/// Everything that a daemon was told at one moment, by its files and its command line. Secrets are named there, never contained.
public struct ConfigurationSet: Sendable, Hashable, Codable {
    /// What a file is for.
    public enum Kind: String, Sendable, Hashable, Codable {
        /// The daemon's own configuration.
        case configuration
        /// People, issuers, certificates and local users.
        case identities
        /// A backup plan.
        case plan
        /// The policy of a service, whose name is its path.
        case policy
    }

    /// One file as it was read.
    public struct File: Sendable, Hashable, Codable {
        /// What it is for.
        public var kind: Kind
        /// Its path as it was named.
        public var path: String
        /// What it says.
        public var text: String

        /// A file.
        public init(_ kind: Kind, path: String, text: String) {
            self.kind = kind
            self.path = path
            self.text = text
        }
    }

    /// The files, in the order in which they were named.
    public var files: [File]
    /// What the command line says of who may ask, a line each.
    public var flags: [String]
    /// Whether two people decide about changes: two are known by name.
    public var asksTwo: Bool

    /// What was read.
    public init(files: [File], flags: [String], asksTwo: Bool) {
        self.files = files
        self.flags = flags
        self.asksTwo = asksTwo
    }

    /// The policies of services, by which rollouts may start.
    public var policies: [File] { files.filter { $0.kind == .policy } }

    /// The same with other policies: they come with rollouts, and from no file of the daemon.
    public func with(policies: [File]) -> ConfigurationSet {
        var set = self
        set.files = files.filter { $0.kind != .policy } + policies.sorted { $0.path < $1.path }
        return set
    }

    /// The same with another policy of one service.
    public func replacing(_ policy: File) -> ConfigurationSet {
        with(policies: policies.filter { $0.path != policy.path } + [policy])
    }

    /// The first file of a kind.
    public func file(_ kind: Kind) -> File? { files.first { $0.kind == kind } }
}

/// What differs between two sets in what is critical, by line. Addresses with credentials are shown without them.
public struct ConfigurationChange: Sendable, Hashable, Codable {
    /// SHA-256 of the critical lines before, lower-case hexadecimal; empty before the first.
    public var before: String
    /// The same of the lines after.
    public var after: String
    /// SHA-256 of both: the name by which people agree to this change and to no other.
    public var plan: String
    /// The lines that are no longer there.
    public var removed: [String]
    /// The lines that are new.
    public var added: [String]

    /// A change.
    public init(before: String, after: String, plan: String, removed: [String], added: [String]) {
        self.before = before
        self.after = after
        self.plan = plan
        self.removed = removed
        self.added = added
    }
}

/// What is signed of a change that came into force.
public struct ConfigurationStatement: Sendable, Hashable, Codable {
    /// What is in force from then on.
    public var set: ConfigurationSet
    /// What it changed.
    public var change: ConfigurationChange
    /// Who proposed it; nil for the first, which was found.
    public var proposedBy: Principal?
    /// Who agreed, or whose files were found.
    public var by: Principal
    /// When.
    public var at: Instant

    /// A statement.
    public init(
        set: ConfigurationSet, change: ConfigurationChange, proposedBy: Principal?, by: Principal, at: Instant
    ) {
        self.set = set
        self.change = change
        self.proposedBy = proposedBy
        self.by = by
        self.at = at
    }
}

/// A signature by Ed25519 over the canonical form of a statement.
public struct ConfigurationSignature: Sendable, Hashable, Codable {
    /// The public key, 64 hexadecimal digits.
    public var key: String
    /// The signature, 128 hexadecimal digits.
    public var value: String

    /// A signature.
    public init(key: String, value: String) {
        self.key = key
        self.value = value
    }
}
