public import SerinCatalogue
public import SerinCrypto
public import SerinModel
internal import SerinPolicies

/// One destination of a plan, ready for use.
public struct BackupPlace: Sendable {
    /// Its name in the plan.
    public var name: String
    /// Where it is.
    public var destination: any BackupDestination
    /// Whether a backup without this copy is a failed one.
    public var isRequired: Bool
    /// Whether it is away from the machine that is backed up.
    public var isOffsite: Bool
    /// For how long objects are locked, and how; nil for no lock.
    public var lock: Lock?

    /// A lock to ask for.
    public struct Lock: Sendable, Hashable {
        /// Who may lift it.
        public var mode: LockMode
        /// For how long.
        public var length: Duration

        /// A lock.
        public init(_ mode: LockMode, for length: Duration) {
            self.mode = mode
            self.length = length
        }
    }

    /// A destination.
    public init(
        _ name: String, _ destination: any BackupDestination, isRequired: Bool = true, isOffsite: Bool? = nil, lock: Lock? = nil
    ) {
        self.name = name
        self.destination = destination
        self.isRequired = isRequired
        self.isOffsite = isOffsite ?? destination.traits.isOffsite
        self.lock = lock
    }
}

/// What a pipeline needs to know of a plan.
public struct PipelineSettings: Sendable {
    /// The project that owns the target.
    public var project: String
    /// The target's name.
    public var target: ServiceName
    /// Which retention class keeps its backups.
    public var retentionClass: String
    /// Whether they hold personal data.
    public var hasPersonalData: Bool
    /// The digest of the plan's file.
    public var planRevision: String?
    /// Where to, in the order of the plan.
    public var places: [BackupPlace]
    /// Whether a backup without a copy away from this machine is a failed one.
    public var needsOffsite: Bool
    /// How objects are written.
    public var envelope: EnvelopeSettings
    /// With what they are encrypted.
    public var key: EnvelopeKey
    /// The key of the manifests' authentication codes.
    public var manifestKey: Secret
    /// The keys that were used before; manifests that they sealed are believed as well.
    public var formerManifestKeys: [Secret]
    /// A folder for unfinished work, of this user alone. A folder below it belongs to each target's runs, and what is in it when a
    /// run begins is removed.
    public var workFolder: String
    /// What keys look like: `{{target}}`, `{{tier}}`, `{{kind}}`, `{{year}}`, `{{month}}`, `{{day}}`, `{{time}}` and `{{id}}`.
    public var layout: ObjectLayout
    /// How long a lease lasts unless it is renewed, which happens three times as often.
    public var leaseTime: Duration

    /// Settings with the usual layout.
    public init(
        project: String, target: ServiceName, places: [BackupPlace], envelope: EnvelopeSettings = EnvelopeSettings(),
        key: EnvelopeKey, manifestKey: Secret, workFolder: String
    ) {
        self.project = project
        self.target = target
        self.places = places
        self.envelope = envelope
        self.key = key
        self.manifestKey = manifestKey
        formerManifestKeys = []
        self.workFolder = workFolder
        retentionClass = "standard"
        hasPersonalData = true
        needsOffsite = false
        layout = .usual
        leaseTime = .seconds(60)
    }

    /// What seals manifests, and is believed.
    public var seal: ManifestSeal { ManifestSeal(manifestKey, former: formerManifestKeys) }

    /// Where this target's unfinished work is.
    var targetFolder: String { "\(workFolder)/\(target)" }
}

/// What the keys of objects look like.
public struct ObjectLayout: Sendable, Hashable {
    /// `{{target}}/{{tier}}/{{year}}/{{month}}/{{day}}/{{time}}-{{id}}`
    public static let usual = ObjectLayout(trusted: "{{target}}/{{tier}}/{{year}}/{{month}}/{{day}}/{{time}}-{{id}}")

    private let template: String

    private init(trusted template: String) { self.template = template }

    /// A layout. Fails as `invalid` when it could give two backups one key.
    public init(_ template: String) throws(Failure) {
        guard template.hasPrefix("{{target}}/"), ObjectLayout.holds(template, "{{id}}") else {
            throw Failure(
                .invalid, "keys cannot look like '\(template)'", hint: "begin with {{target}}/ and name {{id}}")
        }
        self.template = template
    }

    /// The key of a backup.
    public func key(of order: BackupOrder) throws(Failure) -> ObjectKey {
        let moment = order.createdAt.description
        let day = moment.prefix(10).split(separator: "-").map(String.init)
        let time = order.createdAt.timeOfDay.filter { $0 != ":" }
        let values = [
            "target": order.target, "tier": order.tier, "kind": order.kind.rawValue, "time": time, "id": "\(order.id)",
            "year": day.first ?? "", "month": day.count > 1 ? day[1] : "", "day": day.last ?? "",
        ]
        var text = ""
        var rest = template[...]
        while let start = rest.firstIndex(of: "{") {
            text += rest[..<start]
            let word = rest[start...].dropFirst(2).prefix { $0 != "}" }
            guard let value = values[String(word)] else {
                throw Failure(.invalid, "keys cannot look like '\(template)': there is no {{\(word)}}")
            }
            text += value
            rest = rest[start...].dropFirst(word.count + 4)
        }
        text += rest
        guard let key = ObjectKey(text + ".backup") else {
            throw Failure(.invalid, "'\(text)' cannot be a key: it \(ObjectKey.defect(in: text) ?? "is too long")")
        }
        return key
    }

    /// The pointer to a target's newest backup of a kind.
    static func latest(_ target: String, _ kind: BackupKind) throws(Failure) -> ObjectKey {
        guard let key = ObjectKey("\(target)/latest-\(kind.rawValue).json") else {
            throw Failure(.invalid, "'\(target)' cannot be part of a key")
        }
        return key
    }

    /// The register of a target: what is held, and who was erased.
    static func register(_ target: String) throws(Failure) -> ObjectKey {
        guard let key = ObjectKey("\(target)/register.json") else {
            throw Failure(.invalid, "'\(target)' cannot be part of a key")
        }
        return key
    }

    private static func holds(_ text: String, _ part: String) -> Bool {
        let (text, part) = (Array(text.utf8), Array(part.utf8))
        guard text.count >= part.count else { return false }
        return (0...(text.count - part.count)).contains { text[$0...].starts(with: part) }
    }
}

extension BackupOrder {
    private static let tierTag = "tier:"

    /// The word for it in keys.
    var tier: String { tags.first { $0.hasPrefix(Self.tierTag) }.map { String($0.dropFirst(Self.tierTag.count)) } ?? "manual" }

    static func tag(ofTier tier: String) -> String { tierTag + tier }
}

/// The authentication codes of manifests.
public struct ManifestSeal: Sendable {
    private let key: Secret
    /// Those of the keys that were used before.
    public let former: [CatalogueSurvey.Authentication]

    /// With a key, and those that were used before.
    public init(_ key: Secret, former: [Secret] = []) {
        self.key = key
        self.former = former.map { ManifestSeal($0).code }
    }

    /// A manifest that one of the keys sealed.
    func read(_ bytes: [UInt8]) throws(ManifestError) -> Manifest {
        try Manifest(reading: bytes, authenticate: code, former: former.map { code in { code($0) } })
    }

    /// The code over bytes, in hexadecimal; empty when it cannot be computed, which no manifest accepts.
    @Sendable public func code(_ bytes: [UInt8]) -> String {
        let key = key.withUnsafeBytes { Array($0) }
        do throws(CryptoError) { return Hexadecimal.text(of: try HMACSHA256.code(for: bytes, key: key)) } catch { return "" }
    }
}
