/// Which database something is about, whatever address leads to it. A standby has the identity of its primary.
public struct DatabaseIdentity: Sendable, Hashable, Codable, CustomStringConvertible {
    /// The number that a Postgres cluster was given when it was made (`system_identifier`).
    public var system: String
    /// The database in it; nil for all of them, as a physical backup has.
    public var name: String?

    /// An identity.
    public init(system: String, name: String?) {
        self.system = system
        self.name = name
    }

    /// `checkout in cluster 7401…`.
    public var description: String { "\(name ?? "every database") in cluster \(system)" }

    /// Whether a backup of this holds that database.
    public func holds(_ other: DatabaseIdentity) -> Bool { system == other.system && (name == nil || name == other.name) }
}
