public import SerinModel
internal import SerinRecords

/// A database that a restore or a swap left beside the live one, as the catalogue's notes remember it.
///
/// It is known by its name and by the number that its server gave it, which a renaming does not change: a database that has another
/// number, or another name by now, is not the one that was noted, and is never dropped for it.
public struct SideDatabase: Sendable, Hashable, Codable {
    /// What it is there for.
    public enum Role: String, Sendable, Hashable, Codable, CaseIterable {
        /// A backup is being restored into it; once nobody does that any more, the next restore drops it.
        case making
        /// A whole backup was restored into it; it may go live.
        case restored
        /// Some tables of a backup were restored into it.
        case tables
        /// A backup of a part of the database was restored into it; it takes the place of an empty database only.
        case part
        /// A backup was restored into it and masked; it never goes live.
        case masked
        /// It was live until a swap; it may go back.
        case replaced
    }

    /// Its name.
    public var name: String
    /// Its number at the server (`pg_database.oid`).
    public var number: String
    /// The live database that it stands beside.
    public var live: String
    /// What it is there for.
    public var role: Role
    /// The backup that it was restored from; for a replaced one, the backup whose swap is taken back with it.
    public var backup: BackupID
    /// When it was restored, or replaced.
    public var at: Instant
    /// When it may be dropped without being asked for; nil for never.
    public var keepUntil: Instant?
    /// Whether rows were taken out after the restore, so that it no longer has those of the backup.
    public var isAltered: Bool
    /// How many of the target's notes of erasures, the oldest first, were applied to it; nil for none.
    public var erasures: Int?
    /// What was found when it was filled, speaks against it for good, and cannot be looked at again; nil for nothing.
    public var objection: String?
    /// The checks that failed when it was looked at last; nil where that was not noted.
    public var failed: [BackupCheck]?
    /// Whether it was dropped.
    public var isDropped = false

    /// A database.
    public init(
        name: String, number: String, live: String, role: Role, backup: BackupID, at: Instant, keepUntil: Instant? = nil,
        isAltered: Bool = false, erasures: Int? = nil
    ) {
        self.name = name
        self.number = number
        self.live = live
        self.role = role
        self.backup = backup
        self.at = at
        self.keepUntil = keepUntil
        self.isAltered = isAltered
        self.erasures = erasures
    }

    /// The checks that speak against it; empty where all passed, nil where it was not looked at, or nobody noted what came of it.
    public var failures: [BackupCheck]? {
        failed ?? objection.map { [BackupCheck(SideDatabase.onlyOnce, passed: false, detail: $0)] }
    }

    /// The check that an objection comes of.
    public static let onlyOnce = "written once"

    /// The topic of the notes.
    public static let topic = "database"

    /// The note that remembers it.
    public func note(of target: String, at now: Instant, by principal: Principal) throws(ManifestError) -> AuditNote {
        let text: [UInt8]
        do throws(RecordError) { text = try CanonicalEncoder.bytes(of: self) } catch {
            throw ManifestError("\(name) cannot be noted: \(error)")
        }
        return AuditNote(
            at: now, by: principal, topic: SideDatabase.topic, target: target, backup: backup,
            text: String(decoding: text, as: UTF8.self))
    }

    /// What a target's notes, the oldest first, leave: the last word about each, without those that were dropped, the newest last.
    public static func all(in notes: [AuditNote]) -> [SideDatabase] {
        var known: [SideDatabase] = []
        for note in notes where note.topic == topic {
            // A note that cannot be read says nothing: what it was about is then unknown, and is not dropped.
            guard let database = try? CanonicalDecoder.decode(SideDatabase.self, from: Array(note.text.utf8)) else { continue }
            known.removeAll { $0.number == database.number && $0.live == database.live }
            if !database.isDropped { known.append(database) }
        }
        return known
    }

    /// The checks that failed, as they are noted: a note has no room for all that may be found.
    public static func failures(among checks: [BackupCheck]) -> [BackupCheck] {
        checks.filter { !$0.passed }.prefix(20).map { check in
            BackupCheck(check.name, passed: false, detail: String(check.detail.prefix(500)))
        }
    }

    /// Those that may go now. Never the live one, whatever a note says.
    public static func due(in known: [SideDatabase], at now: Instant) -> [SideDatabase] {
        known.filter { $0.name != $0.live && ($0.keepUntil.map { $0 <= now } ?? false) }
    }
}
