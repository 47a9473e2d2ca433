public import SerinModel

/// What was asked for: everything about a backup that is known before it begins, and never changes.
public struct BackupOrder: Sendable, Hashable, Codable {
    /// The backup.
    public var id: BackupID
    /// The project that owns it.
    public var project: String
    /// The target of the plan: what is backed up.
    public var target: String
    /// What it is made of.
    public var kind: BackupKind
    /// When it was begun. Retention and the mirror count from here.
    public var createdAt: Instant
    /// Who asked for it.
    public var createdBy: Principal
    /// What it is for, in the words of whoever asked; never empty text.
    public var purpose: String?
    /// A short name: `pre-deployment-1.4.2`.
    public var label: String?
    /// Further marks, sorted and unique.
    public var tags: [String]
    /// The rollout whose restore point it is.
    public var rollout: RolloutID?
    /// The release before which it was made.
    public var releaseVersion: String?
    /// Which retention class keeps it: `standard`, or one of the plan's compliance classes.
    public var retentionClass: String
    /// Whether it holds personal data.
    public var hasPersonalData: Bool
    /// The backups without which this one cannot be restored, sorted.
    public var dependsOn: [BackupID]
    /// The digest of the plan's file, and its revision in version control, when known.
    public var planRevision: String?

    /// An order.
    public init(
        id: BackupID, project: String, target: String, kind: BackupKind, createdAt: Instant, createdBy: Principal,
        purpose: String? = nil, label: String? = nil, tags: [String] = [], rollout: RolloutID? = nil,
        releaseVersion: String? = nil, retentionClass: String = "standard", hasPersonalData: Bool = true,
        dependsOn: [BackupID] = [], planRevision: String? = nil
    ) {
        self.id = id
        self.project = project
        self.target = target
        self.kind = kind
        self.createdAt = createdAt
        self.createdBy = createdBy
        self.purpose = purpose
        self.label = label
        self.tags = Set(tags).sorted()
        self.rollout = rollout
        self.releaseVersion = releaseVersion
        self.retentionClass = retentionClass
        self.hasPersonalData = hasPersonalData
        self.dependsOn = Set(dependsOn).sorted()
        self.planRevision = planRevision
    }
}
