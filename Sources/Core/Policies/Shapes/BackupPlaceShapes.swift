internal import SerinModel

/// `source:` one of several.
let sourceShape: Section = {
    let fields = [
        Field("postgres", .section(postgresDumpShape), .optional, "a logical dump of Postgres"),
        Field(
            "postgres_physical", .section(postgresPhysicalShape), .optional,
            "base backups and write-ahead log of a Postgres cluster"),
        Field("redis", .section(redisShape), .optional, "Redis"),
        Field("files", .section(filesShape), .optional, "files and folders"),
        Field("logs", .section(logsShape), .optional, "rows of a log table of Postgres"),
        Field("mongo", .section(mongoShape), .optional, "MongoDB, by mongodump"),
        Field("clickhouse", .section(clickHouseShape), .optional, "ClickHouse"),
        Field("command", .section(commandSourceShape), .optional, "what a program writes"),
    ]
    return Section(fields: fields, exactlyOne: [fields.map(\.key)])
}()

private func connection(_ help: String, _ others: [Field]) -> Section {
    Section(fields: secretFields("url", help) + others, exactlyOne: [secretKeys("url")])
}

private func tables(_ key: String, _ help: String) -> Field {
    Field(key, .list(.scalar(.backup(.table)), least: 1), .optional, help)
}

private let postgresDumpShape = connection(
    "the connection string",
    [
        Field(
            "format", .word(PostgresDumpSource.Format.allCases.map(\.rawValue)), .fallback("custom"),
            "custom and directory can be restored in part; plain is SQL; tar is pg_dump's own"),
        Field(
            "schemas", .list(.scalar(.backup(.identifier)), least: 1), .optional,
            "only these, by exact name; default all. A dump of a part takes the place of no live database"),
        tables("tables", "only these"), tables("exclude", "not these"), tables("exclude_data", "these without their rows"),
        Field(
            "globals", .flag, .fallback("false"),
            "whether each dump is preceded by a backup of roles and tablespaces, of the kind globals; with the digests of passwords only where the role may read them"
        ),
        Field("jobs", .integer(1...32), .fallback("1"), "how many workers dump a directory"),
        Field("lock_timeout", .duration(.seconds(1)...(.hours(1))), .fallback("30s"), "how long it may wait for a lock"),
    ])

private let postgresPhysicalShape: Section = {
    var section = connection(
        "the connection string of a role that may replicate",
        [
            Field(
                "pgbackrest",
                .section(
                    Section(fields: [
                        Field("stanza", .name, .required, "the stanza"),
                        Field("config", .path, .optional, "its configuration file"),
                    ])), .optional, "pgBackRest makes the backups and keeps the log"),
            Field("basebackup", .flag, .optional, "pg_basebackup makes them"),
            Field(
                "receivewal",
                .section(
                    Section(fields: [
                        Field("slot", .backup(.identifier), .required, "the replication slot"),
                        Field("folder", .path, .required, "where the log is received"),
                        Field("synchronous", .flag, .fallback("false"), "whether the server may wait for it"),
                    ])), .optional,
                "pg_receivewal keeps the log; the daemon runs it, as long as it runs itself"),
            Field("archive", .path, .optional, "the folder that the server's archive_command writes to"),
            Field("archive_timeout", planTime, .fallback("5m"), "the longest archive_timeout of the server that is accepted"),
        ])
    section.exactlyOne.append(["pgbackrest", "basebackup"])
    section.atMostOne = [["receivewal", "archive", "pgbackrest"]]
    return section
}()

private let redisShape = connection(
    "the address, redis://…",
    [
        Field(
            "snapshot", .word(RedisSource.Snapshot.allCases.map(\.rawValue)), .fallback("rdb"),
            "rdb streams it over the network, bgsave copies the file that the server wrote"),
        Field(
            "aof", .word(RedisSource.AppendOnly.allCases.map(\.rawValue)), .derived("off, or the preset's"),
            "the append-only file: off, copy where there is one, require one"),
        Field("folder", .path, .optional, "the server's data folder on this machine, for bgsave and aof"),
    ])

private let filesShape = Section(fields: [
    Field("paths", .list(.scalar(.path), least: 1), .required, "files and folders"),
    Field("exclude", .list(.scalar(.text), least: 1), .optional, "names that are left out, with * and ?"),
])

private let logsShape = connection(
    "the connection string",
    [
        Field("table", .backup(.table), .required, "the table"),
        Field(
            "date_column", .backup(.identifier), .fallback("created_at"),
            "the column that holds each row's time; rows without one, or with an infinite one, come with every export, which says how many"
        ),
        Field(
            "project_column", .backup(.identifier), .optional,
            "the column that names the project; rows of others, and of none, stay out"),
        Field(
            "format", .word(LogsSource.Format.allCases.map(\.rawValue)), .fallback("json"),
            "one JSON object or one line of text a row"),
        Field(
            "span", planTime, .fallback("24h"),
            "how much of the past an export takes at least; it begins no later than an hour before the newest good one ended"),
    ])

private let mongoShape = connection(
    "the connection string", [Field("database", .backup(.identifier), .optional, "only this one; default all")])

private let clickHouseShape = connection(
    "the address of the HTTP interface",
    [
        Field("tool", .word(ClickHouseSource.Tool.allCases.map(\.rawValue)), .fallback("sql"), "who makes it"),
        Field("databases", .list(.scalar(.backup(.identifier)), least: 1), .optional, "only these; default all"),
        Field("folder", .path, .optional, "the folder that the server may write backups to"),
    ])

private func program(_ key: String, _ presence: Field.Presence, _ help: String) -> Field {
    Field(key, .list(.scalar(.anyText), least: 1), presence, help)
}

private let commandSourceShape = Section(fields: [
    program("run", .required, "writes the backup to its standard output"),
    program("verify", .optional, "reads it from its standard input; exit status 0 when it is whole"),
    program(
        "restore", .optional,
        "restores it from its standard input: into {{folder}}, which an argument must name for drills and --into, else into the server whose restore.url it finds in the variable SERIN_TARGET_URL"
    ),
    program("version", .optional, "prints the tool's version"),
])

/// One of `destinations:`. The kinds of places declare their own part.
func destinationShape(_ drivers: [DriverSchema]) -> Section {
    let places = drivers.map { driver in
        Field(
            driver.name,
            .section(
                Section(
                    fields: driver.fields.map { field in
                        var shaped = driverField(field)
                        if BackupPreset.demandedKeys.contains(field.key), let fallback = field.fallback {
                            shaped.presence = .derived("\(fallback), or the preset's")
                        }
                        return shaped
                    })), .optional, driver.help)
    }
    return Section(
        fields: places + [
            Field("required", .flag, .fallback("true"), "whether a backup without this copy is a failed one"),
            Field(
                "offsite", .flag, .derived("by the kind of place; an address of this machine is not"),
                "whether it is away from what is backed up"),
            Field("retention", .section(retentionShape), .derived("the plan's"), "what is kept here, in place of the plan's"),
            Field(
                "lock", .word(LockMode.allCases.map(\.rawValue)), .optional,
                "who may delete objects early: compliance is nobody"),
            Field("lock_days", .integer(1...3660), .optional, "for how many days objects are locked"),
            Field("warn_size", .bytes, .optional, "the size from which a warning is raised"),
        ], exactlyOne: [places.map(\.key)])
}
