public import SerinModel

/// What somebody was allowed to do with one backup. Whoever makes it has checked the confirmation and the approvals; nothing that
/// changes a database is done without one that fits.
public struct RestorePermit: Sendable, Hashable {
    /// How far it goes. Each includes the ones before.
    public enum Scope: String, Sendable, Hashable, Codable, CaseIterable, Comparable {
        /// Restoring into a database of its own beside the live one.
        case beside
        /// Adding missing rows to a table of the live database.
        case merge
        /// Putting the restored database in the live one's place, and back.
        case swap

        /// Less first.
        public static func < (left: Scope, right: Scope) -> Bool {
            (allCases.firstIndex(of: left) ?? 0) < (allCases.firstIndex(of: right) ?? 0)
        }
    }

    /// The backup.
    public var backup: BackupID
    /// The live database, by name.
    public var database: String
    /// How far it goes.
    public var scope: Scope
    /// How many differences a swap may make, as it names them: what the live database has and the one that takes its place has not.
    public var differences = 0
    /// How many bytes a merge may copy into the live database's server, whose room nobody can ask for.
    public var room: Int64 = 1 << 30
    /// Who asked and confirmed.
    public var by: Principal
    /// Who else approved.
    public var approvedBy: [Principal]

    /// A permit.
    public init(backup: BackupID, database: String, scope: Scope, by: Principal, approvedBy: [Principal] = []) {
        self.backup = backup
        self.database = database
        self.scope = scope
        self.by = by
        self.approvedBy = approvedBy
    }

    func allows(_ wanted: Scope, _ backup: BackupID, _ database: String) throws(Failure) {
        guard scope >= wanted, self.backup == backup, self.database == database else {
            throw Failure(
                .denied, "nobody allowed to \(wanted.rawValue) backup \(backup) for the database \(database)",
                hint: "confirm the restore, and have it approved")
        }
    }
}
