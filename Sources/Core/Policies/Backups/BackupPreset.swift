/// Defaults of a whole practice under a name. A plan that names a preset begins with its values and may set its own.
public struct BackupPreset: Sendable, Hashable, Codable {
    /// The names.
    public enum Name: String, Sendable, Hashable, Codable, CaseIterable {
        /// Nightly dumps, six-hourly snapshots with point in time, encrypted buckets, quarterly drills.
        case quadrant
        /// Dumps at least every six hours, daily snapshots by number, staging before production, monthly drills.
        case codeblack
        /// A project's schema, thirty days, own restores beside the live database, TLS 1.3.
        case platform
        /// Windows, local and remote tiers up to five years, random monthly drills on the first Sunday.
        case saasChat = "saas-chat"
        /// The strictest value of every other preset.
        case strictest
    }

    /// The name.
    public var name: Name
}
