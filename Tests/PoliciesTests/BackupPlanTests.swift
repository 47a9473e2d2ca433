import FoundationEssentials
import SerinBackups
import SerinModel
import SerinPolicies
import SerinYAML
import Testing

private func readPlan(_ text: String) -> BackupPlanReading {
    let yaml = readYAML(Array(text.utf8), file: "b.yaml")
    return BackupPlanReading(of: yaml.node, file: "b.yaml", earlier: yaml.diagnostics, destinations: BackupDestinations.schemas) {
        zone, _ in
        zone == "Europe/Berlin" ? .hours(1) : nil
    }
}

/// A plan of these parts.
private func plan(
    head: String = "", source: String = "postgres: {url_env: URL}",
    destinations: String = "{disk: {folder: {path: /b}, offsite: true}}",
    encryption: String = "{key_file: /k}", rest: String = ""
) -> String {
    """
    version: 1
    target: shop-db
    \(head)
    source:
      \(source)
    destinations: \(destinations)
    encryption: \(encryption)
    \(rest)
    """
}

@Suite struct BackupPlanTests {
    @Test(arguments: ["backups/minimal.yaml", "backups/annotated.yaml"])
    func theExamplesAreValid(path: String) throws {
        let reading = readPlan(try packageFile(path))
        #expect(reading.diagnostics.map(\.description) == [])
        #expect(reading.plan?.target.description == "checkout-db")
    }

    @Test func theAnnotatedExampleMeansWhatItSays() throws {
        let plan = try #require(readPlan(try packageFile("backups/annotated.yaml")).plan)
        guard case .postgres(let source) = plan.source else { throw Failure(.invalid, "\(plan.source)") }
        #expect(source.url == .environment("DATABASE_URL"))
        #expect(source.globals)
        #expect(plan.destinations.map(\.name) == ["local", "bucket", "elsewhere"])
        #expect(plan.destinations.map(\.settings.driver) == ["folder", "s3", "gcs"])
        #expect(plan.destinations[1].lock == LockPolicy(mode: .compliance, days: 30))
        #expect(plan.destinations[1].settings["sse"] == "kms")
        #expect(plan.destinations.map(\.minimumTLS) == [nil, .v1_3, .v1_2])
        #expect(plan.destinations.map(\.isOffsite) == [false, true, true])
        #expect(plan.retention(at: "local").standard == RetentionPolicy(keepAll: .hours(24 * 7)))
        #expect(plan.retention.standard[.yearly] == KeepRule(count: 5, age: .hours(24 * 1830)))
        #expect(plan.schedules.map(\.trigger) == [.cron(try CronExpression("0 2 * * *")), .before(.rollout)])
        #expect(plan.restore.approvals == 2)
        #expect(plan.restore.checks.recent.map(\.table) == ["public.orders"])
        #expect(plan.drills.map(\.selection) == [.sampled])
        #expect(plan.targets == BackupPlan.Targets(recoveryPoint: .hours(6), recoveryTime: .hours(2)))
    }

    @Test(arguments: [
        (
            plan(
                destinations: "{chat: {telegram: {chat: \"@shop\", token_env: T}}}", encryption: "{profile: none, reason: test}"),
            "telegram takes encrypted backups only"
        ),
        (plan(encryption: "{profile: none}"), "none needs a reason"),
        (plan(encryption: "{profile: gcm1}"), "encryption: has no key"),
        (plan(encryption: "{recipients: [/a.pem]}"), "only /a.pem could open the backups"),
        (plan(encryption: "{recipients: [/a.pem, /a.pem]}"), "names one twice"),
        (plan(encryption: "{password: hunter2}"), "a secret is never written into a plan"),
        (plan(source: "postgres: {url_env: URL, schemas: [tenant_*]}"), "without patterns"),
        (plan(source: "postgres: {url_env: URL, jobs: 4}"), "only the format directory has several workers"),
        (plan(source: "postgres: {url_env: URL, schemas: [a], tables: [a.b]}"), "exclude each other"),
        (plan(source: "redis: {url_env: URL, aof: require}"), "need the server's folder"),
        (plan(source: "postgres: {formt: tar}"), "unknown key 'source.postgres.formt'"),
        (
            plan(
                destinations: "{b: {s3: {bucket: bbb, access_key_env: A, secret_key_env: S, endpoint: \"http://10.0.0.1:9000\"}}}"
            ),
            "would be reached without encryption"
        ),
        (
            plan(destinations: "{b: {s3: {bucket: bbb, access_key_env: A, secret_key_env: S}, lock: compliance}}"),
            "lock and lock_days belong together"
        ),
        (
            plan(destinations: "{b: {telegram: {chat: \"1\", token_env: T, part_size: 50MB}}}"),
            "at most 20000000 can be read back"
        ),
        (plan(destinations: "{b: {folder: {path: /b}, offsite: true, lock: compliance, lock_days: 3}}"), "cannot lock"),
        (plan(destinations: "{b: {s3: {bucket: bbb, access_key_env: A}}}"), "needs one of secret_key_env"),
        (plan(destinations: "{b: {s3: {bucket: bbb, access_key_env: A, secret_key_env: S, kms_key: k}}}"), "needs sse: kms"),
        (plan(destinations: "{b: {folder: {path: /b/../etc}}}"), "leads upwards"),
        (plan(destinations: "{b: {folder: {path: /b}, required: false}}"), "none is required"),
        (plan(rest: "schedules: [{cron: \"0 25 * * *\"}]"), "hour: expected numbers from 0 to 23"),
        (plan(rest: "schedules: [{every: 6h, kind: redis_rdb}]"), "postgres makes no redis_rdb"),
        (plan(rest: "schedules: [{every: 6h, before: rollout}]"), "only one of cron, every, before"),
        (plan(rest: "schedules: [{cron: \"0 2 * * *\", zone: Mars/Base}]"), "no time zone 'Mars/Base' is known"),
        (
            plan(
                source: "postgres_physical: {url_env: U, basebackup: true}",
                rest: "schedules: [{every: 6h, kind: base_incremental}]"),
            "incremental backups need a full one"
        ),
        (plan(rest: "retention: {daily: 14}\nclass: audit"), "no retention has a class 'audit'"),
        (plan(rest: "retention: {daily: 14w}"), "expected a number of backups"),
        (plan(rest: "retention: {daily: 0}"), "expected a number of backups"),
        (plan(head: "preset: strictest", encryption: "{profile: none, reason: test}"), "asks for encryption"),
        (plan(rest: "compression: {method: none, level: 3}"), "none has no level 3"),
        (plan(rest: "compression: {method: zstd, level: 12}"), "compression.level"),
        (plan(rest: "restore: {quiesce: {run: [stop]}}"), "quiesce and resume belong together"),
        (plan(rest: "restore: {swap_url_env: A, swap_url_file: /b}"), "only one of"),
        (plan(rest: "restore: {trust: []}"), "restore.trust"),
        (plan(source: "files: {paths: [/etc]}", rest: "restore: {swap_url_env: A}"), "no live database that a role could swap"),
        (plan(rest: "restore: {self_service: false}"), "a plan does not decide who may restore"),
    ])
    func whatCannotWorkIsRefusedWithItsPlace(text: String, message: String) {
        let reading = readPlan(text)
        #expect(reading.plan == nil)
        #expect(reading.diagnostics.contains { $0.message.contains(message) }, "\(reading.diagnostics.map(\.description))")
        #expect(!reading.diagnostics.contains { $0.description.contains("hunter2") })
    }

    @Test func everyComplaintComesAtOnce() {
        let reading = readPlan(
            plan(
                encryption: "{profile: none}", rest: "schedules: [{every: 6}, {cron: nonsense}]\nmax_age: 6\nretenton: {daily: 7}"
            ))
        #expect(reading.diagnostics.count == 5, "\(reading.diagnostics.map(\.description))")
    }

    @Test func timesOutsideTheWindowsAreListed() throws {
        let text = plan(
            rest: """
                windows: ["02:00-05:00", "14:00-15:00"]
                schedules:
                  - {cron: "0 2,8,14,20 * * *"}
                  - {cron: "0 6,18 * * *"}
                """)
        let reading = readPlan(text)
        #expect(reading.plan != nil)
        #expect(
            reading.warnings.map(\.message) == [
                "schedules[0]: logical begins outside the windows at 08:00, 20:00 UTC",
                "schedules[1]: logical begins outside the windows at 06:00, 18:00 UTC",
            ])
        #expect(readPlan(text + "\nwindows_mode: enforce").warnings.isEmpty)
    }

    @Test func aWeakerValueThanThePresetsIsNeverTakenSilently() throws {
        let reading = readPlan(
            plan(
                head: "preset: strictest",
                destinations: """
                    {b: {s3: {bucket: bbb, access_key_env: A, secret_key_env: S, sse: aes256, tls_min: "1.2"}}}
                    """,
                rest: """
                    retention: {keep_all: 7d}
                    schedules: [{cron: "0 2 * * *"}]
                    max_age: 48h
                    drills: [{cron: "0 10 1 1 *"}]
                    restore: {approvals: 0}
                    verify: {every: 90d}
                    """))
        #expect(reading.plan != nil, "\(reading.diagnostics.map(\.description))")
        let warned = reading.warnings.map { String($0.message.prefix { $0 != ":" }) }
        for key in [
            "retention", "schedules", "max_age", "drills", "restore.approvals", "verify.every",
            "destinations.b.s3.tls_min", "destinations.b.s3.sse",
        ] { #expect(warned.contains(key), "\(key): \(warned)") }
        // The preset's own values warn of nothing but times outside its windows.
        let plain = readPlan(plan(head: "preset: strictest"))
        #expect(plain.warnings.allSatisfy { $0.message.contains("outside the windows") }, "\(plain.warnings.map(\.description))")
    }

    @Test func aPlanNamesTheRoleThatSwapsAndOwnersWhoAreTrusted() throws {
        let plan = try #require(readPlan(plan(rest: "restore: {url_env: A, swap_url_env: B, trust: [reporting]}")).plan)
        #expect(plan.restore.url == .environment("A") && plan.restore.swapURL == .environment("B"))
        #expect(plan.restore.trust == ["reporting"])
    }

    @Test func thePresetsDemandsReachTheSettingsOfDestinationsThatHaveThem() throws {
        let bucket = "s3: {bucket: bbb, access_key_env: A, secret_key_env: S}"
        let text = plan(
            head: "preset: strictest", source: "files: {paths: [/etc/shop]}",
            destinations: "{disk: {folder: {path: /b}}, b: {\(bucket)}, c: {\(bucket), lock: compliance, lock_days: 30}}")
        let reading = readPlan(text)
        let plan = try #require(reading.plan, "\(reading.diagnostics.map(\.description))")
        #expect(plan.destinations.map { $0.settings["sse"] } == [nil, "kms", "kms"])
        #expect(plan.destinations.map { $0.settings["tls_min"] } == [nil, "1.3", "1.3"])
        let locks = reading.warnings.map(\.message).filter { $0.contains("lock_days") }
        #expect(locks == ["destinations.b.lock_days: the preset strictest asks for a lock of 30 days on files and logs"])
    }

    @Test func anAddressOfThisMachineIsNotElsewhere() throws {
        let bucket = "bucket: bbb, access_key_env: A, secret_key_env: S, plain_http: yes"
        let plan = try #require(
            readPlan(plan(destinations: "{b: {s3: {\(bucket), endpoint: \"http://127.0.0.1:9000\"}}}")).plan)
        #expect(plan.destinations.map(\.isOffsite) == [false])
    }

    @Test func aFolderWithoutACopyElsewhereIsReported() {
        let reading = readPlan(plan(destinations: "{disk: {folder: {path: /b}}}"))
        #expect(reading.plan != nil)
        #expect(reading.warnings.map(\.message) == ["destinations: every copy is on the machine that is backed up"])
    }

    @Test func aPresetGivesThePlanItsPractice() throws {
        let plan = try #require(readPlan(plan(head: "preset: saas-chat", destinations: "{disk: {folder: {path: /b}}}")).plan)
        #expect(plan.schedules.map(\.kind) == [.logical, .globals, .logical])
        #expect(plan.retention.standard[.yearly] == KeepRule(age: .hours(24 * 366 * 5)))
        #expect(plan.retention(at: "disk").standard.keepAll == .hours(24 * 7))
        #expect(plan.windows.allowed.count == 2)
        #expect(plan.drills.map(\.trigger) == [.cron(try CronExpression("first sun 10:00"))])
    }

    @Test func whatAToolCannotMakeIncrementallyItMakesWhole() throws {
        func kinds(_ source: String) throws -> [String] {
            let reading = readPlan(plan(head: "preset: saas-chat", source: source))
            let plan = try #require(reading.plan, "\(reading.diagnostics.map(\.description))")
            return plan.schedules.map { schedule in
                if case .cron(let cron) = schedule.trigger { "\(schedule.kind.rawValue) \(cron)" } else { "event" }
            }
        }
        let (nightly, others) = ("\(try CronExpression("0 2 * * *"))", "\(try CronExpression("0 8,14,20 * * *"))")
        #expect(
            try kinds("postgres_physical: {url_env: U, pgbackrest: {stanza: main}}") == [
                "base_full \(nightly)", "base_incremental \(others)",
            ])
        #expect(
            try kinds("postgres_physical: {url_env: U, basebackup: true}") == ["base_full \(nightly)", "base_full \(others)"])
    }

    @Test func aPresetsAppendOnlyFileIsLeftOutWhereThePlanSaysSo() throws {
        func kinds(_ more: String) throws -> [BackupKind] {
            let source = "redis: {url_env: U, folder: /var/lib/redis\(more)}"
            return try #require(readPlan(plan(head: "preset: quadrant", source: source)).plan).schedules.map(\.kind)
        }
        #expect(try kinds("") == [.redisRDB, .redisAOF])
        #expect(try kinds(", aof: off") == [.redisRDB])
    }

    @Test func thePresetsSizeWarnsWherePlansDoNotSayTheirOwn() throws {
        let folders = "{a: {folder: {path: /a}, offsite: true}, b: {folder: {path: /b}, warn_size: 2GB}}"
        let own = try #require(readPlan(plan(head: "preset: saas-chat", destinations: folders)).plan)
        #expect(own.destinations.map(\.warnSize) == [10 << 30, 2_000_000_000])
    }

    @Test func theReferenceInTheDocumentsIsThatOfTheParser() throws {
        let start = "<!-- reference: written from the declarations, do not edit by hand -->\n\n"
        let document = try packageFile("docs/backup-plan.md")
        let parts = document.components(separatedBy: start)
        try #require(parts.count == 2)
        let reference = backupPlanReference(destinations: BackupDestinations.schemas.map(\.driver))
        if ProcessInfo.processInfo.environment["SERIN_WRITE_DOCS"] != nil {
            let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
            try (parts[0] + start + reference).write(
                toFile: "/\(root)/docs/backup-plan.md", atomically: true, encoding: .utf8)
            return
        }
        #expect(parts[1] == reference)
    }

    @Test func aDrillOfACommandNeedsTheFolderInIt() {
        func warnings(_ restore: String) -> [String] {
            let text = plan(
                source: "command: {run: [/bin/dump], restore: \(restore)}", rest: "drills: [{every: 24h}]")
            return readPlan(text).warnings.map(\.description).filter { $0.contains("{{folder}}") }
        }
        #expect(warnings("[/usr/bin/tee, /live]").count == 1)
        #expect(warnings("[/usr/bin/tee, \"{{folder}}/it\"]").isEmpty)
    }

    @Test func aDrillThatNobodyCouldHoldIsNotPlanned() throws {
        for head in ["preset: saas-chat", ""] {
            let reading = readPlan(
                plan(head: head, source: "mongo: {url_env: U}", rest: head.isEmpty ? "drills: [{every: 24h}]" : ""))
            #expect(try #require(reading.plan).drills.isEmpty)
            #expect(reading.warnings.contains { $0.message.contains("drills: none can be held: a backup of MongoDB") })
        }
        #expect(!readPlan(plan(source: "mongo: {url_env: U}")).warnings.contains { $0.message.contains("drills") })
    }

    @Test func noPresetIsBlamedForItsOwnWindows() {
        for preset in BackupPreset.Name.allCases {
            let warnings = readPlan(plan(head: "preset: \(preset.rawValue)")).warnings
            #expect(!warnings.contains { $0.message.contains("outside the windows") }, "\(warnings.map(\.message))")
        }
    }

    @Test func aPlanThatLeavesNoHourForItsBackupsIsWarnedOf() {
        func warnings(_ blackouts: String) -> [String] {
            let text = plan(rest: "schedules: [{every: 1h}]\nblackout: \(blackouts)")
            return readPlan(text).warnings.map(\.message).filter { $0.hasPrefix("blackout") }
        }
        #expect(warnings("[\"mon-sun 00:00-24:00\"]").count == 1)
        #expect(warnings("[\"mon-sun 00:00-23:00\"]").isEmpty)
        #expect(warnings("[2026-12-24..2027-12-26]").isEmpty)
    }
}
