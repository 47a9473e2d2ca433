/// What a revision does to data and to the previous version of the application, from the harmless to the worst.
public enum MigrationClass: String, Sendable, Hashable, Codable, CaseIterable, Comparable {
    /// It only adds, and the previous version works on the new schema: nothing has to be taken back.
    case additive
    /// The previous version may not survive it, and its way back loses nothing.
    case reversible
    /// Data is gone or overwritten once it was applied; no way back brings it again.
    case destructive
    /// Nobody could tell; treated as destructive.
    case unclassified

    /// Whether only a verified backup can bring back what it may take.
    public var mayDestroy: Bool {
        switch self {
        case .additive, .reversible: false
        case .destructive, .unclassified: true
        }
    }

    private var severity: Int {
        switch self {
        case .additive: 0
        case .reversible: 1
        case .destructive: 2
        case .unclassified: 3
        }
    }

    /// The milder first; of several revisions together the largest counts.
    public static func < (left: MigrationClass, right: MigrationClass) -> Bool { left.severity < right.severity }
}

/// When a revision may run (expand and contract).
public enum MigrationPhase: String, Sendable, Hashable, Codable, CaseIterable {
    /// Before the canary: old and new version both work afterwards.
    case expand
    /// Before the canary: data is moved or changed.
    case migrate
    /// Only after the promotion, once the previous version is gone.
    case contract
}
