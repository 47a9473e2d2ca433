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
        Field("schemas", .list(.scalar(.backup(.identifier)), least: 1), .optional, "only these, by exact name; default all"),
        tables("tables", "only these"), tables("exclude", "not these"), tables("exclude_data", "these without their rows"),
        Field("globals", .flag, .fallback("false"), "whether roles and tablespaces are dumped as well"),
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
                    ])), .optional, "pg_receivewal keeps the log"),
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
        Field("date_column", .backup(.identifier), .fallback("created_at"), "the column that holds each row's time"),
        Field("project_column", .backup(.identifier), .optional, "the column that names the project"),
        Field(
            "format", .word(LogsSource.Format.allCases.map(\.rawValue)), .fallback("json"),
            "one JSON object or one line of text a row"),
        Field("span", planTime, .fallback("24h"), "how much of the past a scheduled export takes"),
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
    program("restore", .optional, "restores it from its standard input"),
    program("version", .optional, "prints the tool's version"),
])

/// One of `destinations:`.
let destinationShape: Section = {
    let places = [
        Field("file", .section(fileShape), .optional, "a folder"),
        Field("s3", .section(s3Shape), .optional, "Amazon S3 or what speaks its language"),
        Field("gcs", .section(gcsShape), .optional, "Google Cloud Storage"),
        Field("azure", .section(azureShape), .optional, "Azure Blob Storage"),
        Field("telegram", .section(telegramShape), .optional, "a Telegram chat; only encrypted"),
        Field("command", .section(commandPlaceShape), .optional, "programs; {{key}} is replaced"),
    ]
    return Section(
        fields: places + [
            Field("required", .flag, .fallback("true"), "whether a backup without this copy is a failed one"),
            Field("offsite", .flag, .derived("false for file, else true"), "whether it is away from what is backed up"),
            Field("retention", .section(retentionShape), .derived("the plan's"), "what is kept here, in place of the plan's"),
            Field("tls_min", .backup(.tls), .derived("1.2, or the preset's"), "the least version of TLS"),
            Field("max_object", .bytes, .optional, "the largest backup that is stored here"),
            Field("warn_size", .bytes, .optional, "the size from which a warning is raised"),
        ], exactlyOne: [places.map(\.key)])
}()

private let fileShape = Section(fields: [
    Field("path", .path, .required, "the folder"),
    Field("quota", .bytes, .optional, "the most that backups may take there"),
])

private let endpointField = Field("endpoint", .url, .optional, "a compatible server; http only on this machine")
private let prefixField = Field("prefix", .backup(.prefix), .optional, "what every key begins with")
private let storageClassField = Field("storage_class", .name, .optional, "the storage class, such as STANDARD_IA")

private let s3Shape = Section(
    fields: [
        Field("bucket", .backup(.bucket), .required, "the bucket"),
        Field("region", .name, .fallback("us-east-1"), "the region"),
        endpointField, prefixField,
        Field("path_style", .flag, .fallback("false"), "whether the bucket stands in the path instead of the host's name"),
        Field(
            "sse", .word(["none", "aes256", "kms"]), .derived("none, or the preset's"), "what the server encrypts with, on top"),
        Field("kms_key", .text, .optional, "the key of the key service; default the bucket's own"),
        Field(
            "lock", .word(LockPolicy.Mode.allCases.map(\.rawValue)), .optional,
            "who may lift the lock early: compliance is nobody"),
        Field("lock_days", .integer(1...3660), .optional, "for how many days objects are locked"),
        storageClassField,
    ] + secretFields("access_key", "the access key's id") + secretFields("secret_key", "the access key's secret")
        + secretFields("session_token", "the token of a passing identity"),
    exactlyOne: [secretKeys("access_key"), secretKeys("secret_key")], atMostOne: [secretKeys("session_token")])

private let gcsShape = Section(
    fields: [Field("bucket", .backup(.bucket), .required, "the bucket"), prefixField, endpointField, storageClassField]
        + secretFields("credentials", "the service account's key, or a token"),
    exactlyOne: [secretKeys("credentials")])

private let azureShape = Section(
    fields: [
        Field("account", .name, .required, "the storage account"),
        Field("container", .backup(.bucket), .required, "the container"),
        prefixField, endpointField,
    ] + secretFields("key", "the account's key"), exactlyOne: [secretKeys("key")])

private let telegramShape = Section(
    fields: [
        Field("chat", .backup(.chat), .required, "the chat"), endpointField,
        Field("part_size", .bytes, .derived("19MiB, or 1900MiB with an endpoint of your own"), "the size of a part"),
    ] + secretFields("token", "the bot's token"), exactlyOne: [secretKeys("token")])

private let commandPlaceShape = Section(fields: [
    program("put", .required, "stores its standard input"), program("get", .required, "writes the object to its standard output"),
    program("size", .required, "prints the object's size in bytes; exit status 4 when there is none"),
    program("list", .required, "prints 'key size' a line"), program("delete", .optional, "deletes it"),
])
