public import SerinModel

/// What sets a backup or drill going.
public enum BackupTrigger: Sendable, Hashable, Codable {
    /// At times of the calendar: `cron: "0 2 * * *"`.
    case cron(CronExpression)
    /// At a regular distance, counted from 1970 so that restarts do not move it: `every: 6h`.
    case every(Duration)
    /// By a rollout whose policy names the plan, before it deploys: `before: rollout`.
    case before(BackupOccasion)
}

/// Something of a rollout that a backup can precede.
public enum BackupOccasion: String, Sendable, Hashable, Codable, CaseIterable {
    /// Anything of it.
    case rollout
    /// Its migration of the database.
    case migrations
}

/// One line of `schedules:`.
public struct BackupSchedule: Sendable, Hashable, Codable {
    /// What sets it going.
    public var trigger: BackupTrigger
    /// What is made.
    public var kind: BackupKind
    /// What its backups are labelled.
    public var label: String?
    /// The time zone of `cron`: `UTC`, a distance like `+02:00`, or a name of the time zone database.
    public var zone: String
    /// At most so much later, by chance, so that not all begin at once.
    public var jitter: Duration
    /// The oldest that the newest good backup of this kind may be; nil is the plan's.
    public var maximumAge: Duration?

    /// Whether a text may be a label.
    public static func isLabel(_ text: String) -> Bool { ScalarForm.name.isText(text) }

    /// A schedule.
    public init(
        _ trigger: BackupTrigger, kind: BackupKind, label: String? = nil, zone: String = "UTC", jitter: Duration = .zero,
        maximumAge: Duration? = nil
    ) {
        self.trigger = trigger
        self.kind = kind
        self.label = label
        self.zone = zone
        self.jitter = jitter
        self.maximumAge = maximumAge
    }
}

/// Hours in which backups should begin, and days on which none may.
public struct BackupWindows: Sendable, Hashable, Codable {
    /// What happens to a backup outside them.
    public enum Mode: String, Sendable, Hashable, Codable, CaseIterable {
        /// It runs; the plan's check says so.
        case warn
        /// It waits for the next window.
        case enforce
    }

    /// The windows in UTC; none for any time.
    public var allowed: [DayWindow]
    /// What happens outside them.
    public var mode: Mode
    /// Times in which no scheduled backup begins.
    public var blackouts: [Blackout]

    /// Windows.
    public init(allowed: [DayWindow] = [], mode: Mode = .warn, blackouts: [Blackout] = []) {
        self.allowed = allowed
        self.mode = mode
        self.blackouts = blackouts
    }
}

/// Hours of some days, in UTC: `02:00-05:00`, `sat,sun 22:00-04:00`. One that ends before it begins runs past midnight.
public struct DayWindow: Sendable, Hashable, Codable {
    /// The days on which it begins, sorted; all when none is named.
    public var days: [Weekday]
    /// When it begins, in minutes after midnight, 0…1439.
    public var start: Int
    /// When it ends, excluded, in minutes after midnight, 0…1440.
    public var end: Int

    /// A window.
    public init(days: [Weekday] = Weekday.allCases, start: Int, end: Int) {
        self.days = days
        self.start = start
        self.end = end
    }
}

/// A time in which no scheduled backup begins.
public enum Blackout: Sendable, Hashable, Codable {
    /// Every week: `sat 00:00-24:00`.
    case weekly(DayWindow)
    /// Whole days in UTC, both included: `2026-12-24..2026-12-26`.
    case days(first: Int64, last: Int64)
}
