internal import SerinModel

/// The declaration of a whole backup plan.
func backupPlanShape(destinations: [DriverSchema]) -> Section {
    Section(fields: [
        Field("version", .integer(1...1), .required, "the version of this format"),
        Field("target", .name, .required, "what is backed up; there is one run at a time for it"),
        Field("project", .name, .derived("the target"), "the project that owns it"),
        Field(
            "preset", .word(BackupPreset.Name.allCases.map(\.rawValue)), .optional,
            "defaults of a whole practice; what the plan says itself holds, and is reported where it is weaker"),
        Field("purpose", .text, .optional, "what the backups are for"),
        Field("class", .name, .fallback("standard"), "the retention class that they bear"),
        Field("personal_data", .flag, .fallback("true"), "whether they hold personal data"),
        Field("source", .section(sourceShape), .required, "what is backed up, and how"),
        Field(
            "destinations", .map(keys: .name, .section(destinationShape(destinations)), least: 1), .required,
            "where to, each under a name"),
        Field("compression", .section(compressionShape), .optional, "how bytes are made smaller"),
        Field("encryption", .section(encryptionShape), .required, "how bytes are made unreadable and unchangeable"),
        Field("retention", .section(retentionShape), .derived("the preset's; without one everything is kept"), "what is kept"),
        Field(
            "schedules", .list(.section(scheduleShape), least: 1), .derived("the preset's; without one none"),
            "when; each on its own"),
        Field(
            "windows", .list(.scalar(.backup(.window)), least: 1), .derived("the preset's; without one any time"),
            "hours in UTC in which backups should begin"),
        Field(
            "windows_mode", .word(BackupWindows.Mode.allCases.map(\.rawValue)), .fallback("warn"),
            "outside the windows: warn runs and says so when the plan is checked, enforce waits"),
        Field("blackout", .list(.scalar(.backup(.blackout)), least: 1), .optional, "times in which no scheduled backup begins"),
        Field("max_age", planTime, .derived("the preset's"), "the oldest that the newest good backup may be"),
        Field("verify", .section(verifyShape), .optional, "how stored backups are checked"),
        Field("restore", .section(restoreShape), .optional, "how they are restored"),
        Field("drills", .list(.section(drillShape), least: 1), .derived("the preset's"), "when restores are rehearsed"),
        Field(
            "targets",
            .section(
                Section(fields: [
                    Field("rpo", planTime, .derived("the preset's"), "how much time of changes may be lost"),
                    Field("rto", planTime, .derived("the preset's"), "how long a recovery may take"),
                ])), .optional, "what a recovery is measured against"),
        Field("notify", .section(notifyShape), .optional, "who is told"),
        Field(
            "mirror",
            .section(
                Section(
                    fields: secretFields("url", "the connection string of a role that owns the schema control_plane"),
                    exactlyOne: [secretKeys("url")])), .optional,
            "the Postgres server that the catalogue is mirrored to, as control_plane.backups and control_plane.jobs; one database for each catalogue"
        ),
        Field(
            "heartbeat",
            .section(
                Section(
                    fields: secretFields("url", "the connection string of a role that may write it to the database") + [
                        Field("every", .duration(.seconds(1)...(.minutes(10))), .fallback("10s"), "how often")
                    ], exactlyOne: [secretKeys("url")])), .optional,
            "a row in serin.heartbeat that the daemon writes all the time, so that drills measure what would be lost"),
        Field(
            "prune", .word(["daemon", "elsewhere"]), .fallback("daemon"),
            "who deletes what is no longer kept: the daemon, once a day, or something else with rights of its own"),
    ])
}

/// A time of a plan: from a second to thirty years.
let planTime = ScalarForm.duration(.seconds(1)...(.hours(24 * 366 * 30)))

private let compressionShape = Section(fields: [
    Field("method", .word(EnvelopeCompression.allCases.map(\.rawValue)), .fallback("zstd"), "with what"),
    Field("level", .integer(1...9), .derived("3 for zstd, 6 for gzip"), "how hard it tries"),
])

private let encryptionShape = Section(
    fields: [
        Field(
            "profile", .word(EnvelopeProfile.allCases.map(\.rawValue)), .fallback("enc1"),
            "enc1 is readable by openssl enc, gcm1 is AES-256-GCM in chunks, none needs a reason"),
        Field(
            "recipients", .list(.scalar(.path), least: 1), .optional,
            "certificates whose owners can open it, so that this machine need not be able to; at least two, or a reason"),
    ] + secretFields("key", "the passphrase")
        + [
            Field(
                "former_key_files", .list(.scalar(.path), least: 1), .optional,
                "files of passphrases that were used before: what was made with them can still be opened and believed"),
            Field("reason", .text, .optional, "why it is not encrypted, or for a single recipient"),
        ],
    atMostOne: [["recipients"] + secretKeys("key")])

let retentionShape = Section(
    fields: tierFields + [
        Field(
            "kinds", .map(keys: .word(BackupKind.allCases.map(\.rawValue)), .section(Section(fields: tierFields)), least: 1),
            .optional,
            "other rules for backups of a kind, in place of these"),
        Field("classes", .map(keys: .name, .scalar(planTime), least: 1), .optional, "for how long each compliance class is kept"),
        Field("point_in_time", planTime, .optional, "for how long any point in time must be reachable"),
        Field(
            "warn_before", .duration(.zero...(.hours(24 * 90))), .fallback("7d"), "how long before a deletion its owners are told"
        ),
        Field(
            "after_rollout", .duration(.zero...(.hours(24 * 366))), .fallback("7d"),
            "how long a rollout's restore point is kept after its end"),
        Field(
            "propose_only", .flag, .derived("false, or the preset's"),
            "whether deletions are only proposed, because a person must delete"),
    ])

private let tierFields: [Field] =
    [Field("keep_all", planTime, .optional, "everything not older is kept")]
    + RetentionTier.allCases.map { tier in
        Field(
            tier.rawValue, .either([.init("a number or a time", .scalar(.backup(.keep))), .init("both", .section(bothShape))]),
            .optional, "the first of each \(tier.noun): so many of them, or all that are not older")
    } + [
        Field("week_start", .word(Weekday.allCases.map(\.word)), .fallback("sun"), "the first day of a week"),
        Field("floor", .integer(1...1000), .fallback("3"), "so many verified ones are kept in any case"),
    ]

private let bothShape = Section(
    fields: [
        Field("count", .integer(1...10_000), .optional, "so many"),
        Field("for", planTime, .optional, "all that are not older"),
    ], atLeastOne: [["count", "for"]])

extension RetentionTier {
    fileprivate var noun: String {
        switch self {
        case .hourly: "hour"
        case .daily: "day"
        case .weekly: "week"
        case .monthly: "month"
        case .yearly: "year"
        }
    }
}

private let triggerFields = [
    Field("cron", .backup(.cron), .optional, "at times of the calendar"),
    Field("every", .duration(.minutes(1)...(.hours(24 * 366))), .optional, "at a regular distance, whatever restarts"),
    Field("zone", .backup(.zone), .fallback("UTC"), "the time zone of cron"),
]

private let scheduleShape = Section(
    fields: triggerFields + [
        Field(
            "before", .word(BackupOccasion.allCases.map(\.rawValue)), .optional,
            "begun by a rollout whose policy names this plan under backup: its kind and label are those of the rollout's backup"),
        Field("kind", .word(BackupKind.allCases.map(\.rawValue)), .derived("the source's first"), "what is made"),
        Field("label", .name, .optional, "what its backups are labelled"),
        Field("jitter", .duration(.zero...(.hours(6))), .fallback("0s"), "at most so much later, by chance"),
        Field("max_age", planTime, .derived("the plan's"), "the oldest that the newest good one of this kind may be"),
    ], exactlyOne: [["cron", "every", "before"]])

private let drillShape = Section(
    fields: triggerFields + [
        Field("select", .word(DrillPolicy.Selection.allCases.map(\.rawValue)), .fallback("latest"), "which backup is restored"),
        Field("within", planTime, .fallback("31d"), "how far back random looks"),
        Field("deadline", planTime, .fallback("4h"), "how long it may take"),
    ], exactlyOne: [["cron", "every"]])

private let verifyShape = Section(fields: [
    Field(
        "proof", .word(VerifyPolicy.Proof.allCases.map(\.rawValue)), .fallback("contents"),
        "what a reading must have shown: contents, opened with a key and examined, or stored_bytes alone, which are compared with "
            + "what was examined while it was made; for machines that have no key"),
    Field("every", planTime, .derived("30d, or the preset's"), "how often each stored backup is read again completely"),
    Field("min_size", .share(most: 1, canBeZero: true), .fallback("50%"), "of the median of the last ones: smaller is a warning"),
    Field("max_size", .share(most: 100, canBeZero: false), .fallback("200%"), "of the median: larger is a warning"),
    Field(
        "max_row_drop", .share(most: 1, canBeZero: true), .fallback("20%"),
        "of a table's rows since the backup before: more is a warning"),
])

private let hookShape = Section(fields: [
    Field("run", .list(.scalar(.anyText), least: 1), .required, "a program and its arguments, without a shell"),
    Field("deadline", planTime, .fallback("5m"), "how long it may take"),
])

private let restoreShape = Section(
    fields: secretFields(
        "url",
        "the connection string of the role that restores; functions of a dump run as it, so it has CREATEDB and little else")
        + secretFields(
            "swap_url",
            "the connection string of the role that swaps, takes swaps back and drops: it owns the live database and is a "
                + "member of the one that restores; without it that one does") + [
            Field(
                "trust", .list(.scalar(.anyText), least: 1), .optional,
                "owners of objects in the database whose functions may do whatever the role may that restores; a restore is refused for "
                    + "others that could so reach more than they have, and a swap or merge for others that could so reach what "
                    + "belongs to another owner"),
            Field(
                "approvals", .integer(0...10), .derived("1, or the preset's"),
                "how many people must approve that it takes a live database's place"),
            Field("in_place", .flag, .fallback("false"), "refused: a live database is never overwritten, --swap takes its place"),
            Field(
                "keep_replaced", planTime, .fallback("7d"), "how long the database that was replaced is kept; prune drops it then"
            ),
            Field(
                "self_service", .flag, .optional,
                "refused: who may restore beside the live database is decided by tokens and keys, not by a plan"),
            Field("quiesce", .section(hookShape), .optional, "stops what writes"),
            Field("resume", .section(hookShape), .optional, "starts it again, in any case"),
            Field(
                "mask", .section(hookShape), .optional,
                "masks a restored database for people who may not see the data (--masked); its connection is in the environment"),
            Field(
                "template", .text, .optional,
                "the database that restores copy to begin with, in which a superuser made the extensions that only a superuser makes; "
                    + "archives only, and template0 without it"),
            Field(
                "erase_file", .path, .optional,
                "a file of SQL that erases one subject, current_setting('serin.subject'): run for everybody who was ever erased, after "
                    + "each restore, and before a swap, an undoing and a merge for whoever was not yet; so it must be able to run twice. "
                    + "It is one transaction"),
            Field(
                "max_erased", .share(most: 1, canBeZero: true), .fallback("50%"),
                "of a table's rows that erasing may take or overwrite, where these are more than one for each subject; more is undone, "
                    + "and the restore does not pass"),
            Field("deadline", planTime, .fallback("4h"), "how long a restore may take"),
            Field(
                "checks",
                .section(
                    Section(fields: [
                        Field("tables", .list(.scalar(.backup(.table)), least: 1), .optional, "tables that must have rows"),
                        Field(
                            "recent",
                            .list(
                                .section(
                                    Section(fields: [
                                        Field("table", .backup(.table), .required, "the table"),
                                        Field("column", .backup(.identifier), .required, "the column that holds the time"),
                                        Field(
                                            "within", planTime, .fallback("24h"),
                                            "how old the newest row may be at the backup's moment"),
                                    ])), least: 1), .optional, "tables that must have a recent row"),
                        Field("foreign_keys", .flag, .fallback("true"), "whether every foreign key is searched for orphans"),
                        Field("sql_file", .path, .optional, "a file of SQL, each statement of which must return no row"),
                        Field(
                            "timed",
                            .list(
                                .section(
                                    Section(fields: [
                                        Field("name", .name, .required, "what its usual time is kept under"),
                                        Field("sql", .text, .required, "the query; names with their schema"),
                                    ])), least: 1), .optional, "queries that may take twice as long as usual, no longer"),
                        Field(
                            "smoke", .list(.section(hookShape), least: 1), .optional,
                            "programs that must exit with 0; {{url}} is the restored database, {{folder}} the restored folder"),
                        Field(
                            "probes", .list(.scalar(.url), least: 1), .optional,
                            "addresses of the application that must answer 2xx"),
                    ])), .optional, "what must hold before the swap, and in drills"),
        ], atMostOne: [secretKeys("url"), secretKeys("swap_url")])

private let notifyShape = Section(fields: [
    Field(
        "on", .list(.scalar(.word(NotifyPolicy.Occasion.allCases.map(\.rawValue))), least: 1),
        .derived("failure, expiring, drill"),
        "what is told"),
    Field("email", .list(.scalar(.backup(.mail)), least: 1), .optional, "mail addresses"),
    Field("run", .list(.scalar(.anyText), least: 1), .optional, "a program that gets the message as JSON on its standard input"),
])
