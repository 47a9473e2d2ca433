public import SerinModel

/// Something that people are told, in a form that any medium can show.
public struct Notification: Sendable, Hashable {
    /// What it is about.
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// A rollout began, changed its state in a way that people should know of, or waits for somebody.
        case rolloutChanged = "rollout.changed"
        /// A rollout went on by itself, such as to its next step.
        case rolloutProgressed = "rollout.progressed"
        /// A rollout is over.
        case rolloutEnded = "rollout.ended"
        /// A backup begins.
        case backupBegun = "backup.begun"
        /// A backup was stored and read back.
        case backupMade = "backup.made"
        /// A backup was not made.
        case backupFailed = "backup.failed"
        /// A copy was found bad, or could not be read.
        case verificationFailed = "verification.failed"
        /// Backups will be deleted.
        case backupsExpire = "backup.expiring"
        /// What is no longer kept was not deleted, or a person has to agree.
        case pruningFailed = "prune.failed"
        /// A rehearsal of a restore passed.
        case drillPassed = "drill.passed"
        /// A rehearsal of a restore failed, or could not be held.
        case drillFailed = "drill.failed"
        /// What is critical was changed, waits for a second person, or was not taken because nobody agreed.
        case configurationChanged = "configuration.changed"
    }

    /// How urgent it is.
    public enum Severity: String, Sendable, Hashable, CaseIterable {
        /// Good to know. It also ends what an earlier one with the same key has raised; of a rollout, only its end does.
        case info
        /// Somebody should look at it in working hours.
        case warning
        /// A person has to act now.
        case critical
    }

    /// One fact with its name, for media that show tables.
    public struct Field: Sendable, Hashable {
        /// `rollout`, `version`, `backup`, `destination`; lower case, words joined by `_`.
        public var name: String
        /// Its value for people and programs; times as `2026-11-21T02:00:00Z`, sizes in bytes.
        public var value: String

        /// A fact.
        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// What it is about.
    public var kind: Kind
    /// How urgent it is.
    public var severity: Severity
    /// One line: `checkout 2.4.0: rolled back`.
    public var subject: String
    /// What happened and what happens next, or what to do; may have several lines. Parts of it may come from outside: whoever shows it
    /// escapes it for the medium.
    public var text: String
    /// The facts, the most important first; each name once.
    public var fields: [Field]
    /// What it is about, for media that keep one entry for a trouble: those of one rollout, or of one target's backups, bear the same.
    public var deduplicationKey: String
    /// When it happened.
    public var at: Instant

    /// Something to tell.
    public init(
        _ kind: Kind, _ severity: Severity, subject: String, text: String, fields: [Field] = [], deduplicationKey: String,
        at: Instant
    ) {
        self.kind = kind
        self.severity = severity
        self.subject = subject
        self.text = text
        self.fields = fields
        self.deduplicationKey = deduplicationKey
        self.at = at
    }

    /// The same for programs; `fields` is an object.
    public var document: JSONValue {
        .object([
            "schema": .string("serin.dev/notification/v1"), "kind": .string(kind.rawValue),
            "severity": .string(severity.rawValue), "subject": .string(subject), "text": .string(text),
            "fields": .sortedObject(fields.map { JSONValue.Member($0.name, .string($0.value)) }),
            "deduplication_key": .string(deduplicationKey), "at": .string("\(at)"),
        ])
    }
}
