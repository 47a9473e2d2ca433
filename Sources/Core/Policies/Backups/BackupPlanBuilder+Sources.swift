internal import SerinModel

extension BackupPlanBuilder {
    mutating func source(from section: ReadSection) -> SourcePolicy? {
        if let own = section.section("postgres") { return postgres(from: own) }
        if let own = section.section("postgres_physical") { return physical(from: own) }
        if let own = section.section("redis"), let url = secret("url", in: own) {
            let source = RedisSource(
                url: url, snapshot: word(own, "snapshot") ?? .rdb, appendOnly: word(own, "aof") ?? preset?.appendOnly ?? .off,
                folder: own.text("folder"))
            if source.folder == nil, source.snapshot == .bgsave || source.appendOnly != .off {
                complain(
                    own.mark, "source.redis: bgsave and aof copy files and need the server's folder",
                    hint: "add folder: /var/lib/redis, or snapshot: rdb and aof: off")
            }
            return .redis(source)
        }
        if let own = section.section("files") {
            checkPaths(texts(own, "paths"), at: own.mark(of: "paths"), path: "source.files.paths")
            return .files(FilesSource(paths: texts(own, "paths"), exclude: texts(own, "exclude")))
        }
        if let own = section.section("logs"), let url = secret("url", in: own), let table = own.text("table") {
            return .logs(
                LogsSource(
                    url: url, table: table, dateColumn: own.text("date_column") ?? "created_at",
                    projectColumn: own.text("project_column"), format: word(own, "format") ?? .json,
                    span: own.duration("span") ?? .hours(24)))
        }
        if let own = section.section("mongo"), let url = secret("url", in: own) {
            return .mongo(MongoSource(url: url, database: own.text("database")))
        }
        if let own = section.section("clickhouse"), let url = secret("url", in: own) {
            return .clickhouse(
                ClickHouseSource(
                    url: url, tool: word(own, "tool") ?? .sql, databases: texts(own, "databases"), folder: own.text("folder")))
        }
        if let own = section.section("command"), own["run"] != nil {
            func program(_ key: String) -> [String]? { own[key] == nil ? nil : texts(own, key) }
            return .command(
                CommandSource(
                    run: texts(own, "run"), verify: program("verify"), restore: program("restore"), version: program("version")))
        }
        return nil
    }

    private mutating func postgres(from section: ReadSection) -> SourcePolicy? {
        guard let url = secret("url", in: section) else { return nil }
        let source = PostgresDumpSource(
            url: url, format: word(section, "format") ?? .custom, schemas: texts(section, "schemas"),
            tables: texts(section, "tables"), exclude: texts(section, "exclude"), excludeData: texts(section, "exclude_data"),
            globals: section.flag("globals"), jobs: section.number("jobs").map { Int($0) } ?? 1,
            lockTimeout: section.duration("lock_timeout") ?? .seconds(30))
        if source.jobs > 1, source.format != .directory {
            complain(
                section.mark(of: "jobs"), "source.postgres.jobs: only the format directory has several workers",
                hint: "write format: directory, or remove jobs")
        }
        if !source.tables.isEmpty, !source.schemas.isEmpty {
            complain(
                section.mark(of: "tables"), "source.postgres: tables and schemas exclude each other",
                hint: "pg_dump ignores the schemas when tables are named; write the tables as schema.table")
        }
        return .postgres(source)
    }

    private mutating func physical(from section: ReadSection) -> SourcePolicy? {
        guard let url = secret("url", in: section) else { return nil }
        var log = PostgresPhysicalSource.LogArchive.none
        if let receiver = section.section("receivewal"), let slot = receiver.text("slot"), let folder = receiver.text("folder") {
            log = .receive(slot: slot, folder: folder, synchronous: receiver.flag("synchronous"))
        } else if let folder = section.text("archive") {
            log = .folder(folder)
        }
        var tool = PostgresPhysicalSource.Tool.baseBackup
        if let pgBackRest = section.section("pgbackrest"), let stanza = pgBackRest.text("stanza") {
            tool = .pgBackRest(stanza: stanza, configuration: pgBackRest.text("config"))
        } else if section["basebackup"] != nil, !section.flag("basebackup") {
            complain(section.mark(of: "basebackup"), "source.postgres_physical: nothing makes the backups", hint: "write true")
        } else if log == .none {
            warn(
                section.mark, "source.postgres_physical: without write-ahead log only the moments of the backups can be reached",
                hint: "add receivewal: {slot: …, folder: …} or archive: a folder")
        }
        return .postgresPhysical(
            PostgresPhysicalSource(
                url: url, tool: tool, log: log, archiveTimeout: section.duration("archive_timeout") ?? .minutes(5)))
    }

    mutating func checkPaths(_ paths: [String], at mark: Mark, path: String) {
        for text in paths where text.parts(at: "/").contains("..") {
            complain(mark, "\(path): '\(shown(text))' leads upwards", hint: "write the folder that is meant")
        }
    }
}
