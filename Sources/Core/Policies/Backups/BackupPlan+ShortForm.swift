internal import SerinModel

extension BackupPlan {
    /// The plan that the short form of a policy's `backup:` stands for: a logical dump of the policy's own Postgres with a plan's
    /// defaults, under the service's name. It has no schedules, and nothing of it is ever deleted.
    ///
    /// - Returns: Nil where the policy names a plan, or has no Postgres.
    public init?(shortFormOf policy: Policy) {
        guard case .short(let folders, let key)? = policy.backup?.plan, let postgres = policy.postgres else { return nil }
        var destinations: [DestinationPolicy] = []
        for folder in folders {
            let path = String(folder.dropFirst(Self.scheme.count))
            destinations.append(
                DestinationPolicy(
                    name: Self.name(of: path, besides: destinations.map(\.name)),
                    settings: DriverSettings(driver: "folder", settings: ["path": path]), isOffsite: false))
        }
        self.init(
            target: policy.service, project: policy.service.description,
            source: .postgres(PostgresDumpSource(url: postgres.primary)), destinations: destinations,
            encryption: EncryptionPolicy(key: .passphrase(key)))
    }

    /// What a folder of the short form begins with; an absolute path follows.
    static let scheme = "file://"

    /// A name that stays when others are added or reordered, since the catalogue remembers copies by it: `var-backups-checkout`.
    private static func name(of path: String, besides taken: [String]) -> String {
        let words = path.lowercased().split { !($0.isASCII && ($0.isLetter || $0.isNumber)) }
        let name = String(words.joined(separator: "-").suffix(50).drop { $0 == "-" })
        let first = name.isEmpty ? "folder" : name
        guard taken.contains(first) else { return first }
        return (2...).lazy.map { "\(first)-\($0)" }.first { !taken.contains($0) } ?? first
    }
}
