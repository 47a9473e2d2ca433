import Glibc
import SerinBackups
import SerinCatalogue
import SerinModel
import SerinPolicies
import SerinProcesses
import Testbed
import Testing

/// Log rows, the follower of the log, the archive's settings and pgBackRest, with real servers.
@Suite(.serialized) struct PostgresFollowingTests {
    @Test func logRowsComeAsTheyAreAndCounted() async throws {
        let fixture = try SourceFixture()
        defer { fixture.scratch.remove() }
        let cluster = try await PostgresCluster.start(in: fixture.scratch, withReplica: false)
        defer { cluster.stop() }
        try await cluster.primary.sql(
            #"""
            CREATE TABLE "Log" (at timestamptz, project text, line text);
            INSERT INTO "Log" VALUES ('2026-03-01 10:00+00', 'it''s \mine', E'tab\t, "quote", \\ and\nbreak'),
            ('2026-03-01 23:59:59.9+00', 'it''s \mine', 'late'), ('2026-03-02 00:00+00', 'it''s \mine', 'next day'),
            ('2026-03-01 12:00+00', 'other', 'not mine')
            """#)
        let day = Instant(dayNumber: 20_513)
        #expect("\(day.date)" == "2026-03-01")
        func source(_ format: LogsSource.Format) throws -> LogRowsSource {
            try LogRowsSource(
                url: cluster.primary.url(),
                LogsSource(url: .environment("X"), table: "Log", dateColumn: "at", projectColumn: "project", format: format),
                project: #"it's \mine"#, range: day..<(day + .hours(24)), environment: fixture.environment)
        }
        let json = try source(.json)
        _ = try await fixture.probe(json)
        let (bytes, product) = try await fixture.produce(json)
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n")
        #expect(lines.count == 2 && product.rows?.total == 2)
        let first = try JSONValue(parsing: Array(lines[0].utf8))
        #expect(first["line"]?.text == "tab\t, \"quote\", \\ and\nbreak")
        let good = try await fixture.examine(json, bytes, product)
        #expect(good.passed, "\(good.checks)")
        let short = try await fixture.examine(json, Array(bytes.dropLast(5)), product)
        #expect(!short.passed)
        let text = try await fixture.produce(try source(.text))
        #expect(String(decoding: text.bytes, as: UTF8.self).hasSuffix("\tlate\n"))
        #expect(product.server?.undated == 0 && product.server?.undatedWords == nil)
        // Rows that no range of dates holds are in each export, and said.
        try await cluster.primary.sql(
            #"""
            INSERT INTO "Log" VALUES (NULL, 'it''s \mine', 'no date'), ('infinity', 'it''s \mine', 'never'),
            ('-infinity', 'it''s \mine', 'ever'), (NULL, 'other', 'not mine')
            """#)
        let undated = try await fixture.produce(json)
        let examined = try await fixture.examine(json, undated.bytes, undated.product)
        #expect(examined.passed && undated.product.rows?.total == 5, "\(examined.checks)")
        #expect(undated.product.server?.undated == 3)
        #expect(undated.product.server?.undatedWords?.hasPrefix("3 rows have no date") == true)
        let dates = try String(decoding: undated.bytes, as: UTF8.self).split(separator: "\n").map { line in
            try JSONValue(parsing: Array(line.utf8))["at"]
        }
        #expect(dates.first == .string("-infinity") && dates.suffix(2) == [.string("infinity"), .null], "\(dates)")
        try await cluster.primary.sql(#"ALTER TABLE "Log" ALTER at TYPE date USING at::date"#)
        #expect(try await fixture.produce(try source(.text)).product.server?.undated == 3)
        #expect(try await fixture.leftovers.isEmpty)
    }

    @Test func theFollowerKeepsTheLogAndSaysWhenItIsGone() async throws {
        let fixture = try SourceFixture()
        defer { fixture.scratch.remove() }
        let cluster = try await PostgresCluster.start(in: fixture.scratch, withReplica: false)
        defer { cluster.stop() }
        let log = fixture.folder("log")
        let url = cluster.primary.url()
        let follower = try LogFollower(url: url, slot: "serin_log", folder: log, isSynchronous: true)
        #expect(follower.status == .stopped)
        try follower.start()
        try await waitUntil("the follower (\(follower.status))") {
            try await cluster.primary.sql("SELECT active FROM pg_replication_slots") == "t"
        }
        #expect(follower.status == .following)
        #expect(!(try ArchiveSettings(url: url, slot: "serin_log", archiveTimeout: .minutes(5))).checks.contains { !$0.passed })
        try await cluster.primary.sql("CREATE TABLE t (i int)")
        let name = try await cluster.primary.sql("SELECT pg_walfile_name(pg_switch_wal())")
        try await waitUntil("a complete file") { access("\(log)/\(name)", F_OK) == 0 }
        try await cluster.primary.sql("INSERT INTO t VALUES (1)")
        try await waitUntil("the file under way") { try LogFolder(log).content().partial.count == 1 }
        try follower.stop()
        #expect(follower.status == .stopped)
        let staged = fixture.folder("staged")
        try LogFolder(log).stage(into: staged)
        let whole = try LogFolder(staged).content()
        let before = try LogFolder(log).content()
        #expect(whole.partial.isEmpty && whole.segments.count >= 2, "\(whole) \(before)")

        // A received log needs no archive, but somebody who receives it; without one the plain settings are found wanting.
        let received = try ArchiveSettings(url: url, slot: "serin_log", archiveTimeout: .minutes(5), folder: log)
        let faults = received.checks.filter { !$0.passed }
        #expect(faults.map(\.name) == ["log is received"] && faults[0].detail.contains("nobody receives by the slot serin_log"))
        let unknown = try ArchiveSettings(url: url, slot: "other", archiveTimeout: .minutes(5))
        #expect(unknown.checks.last?.detail.contains("has no slot other") == true)
        let archived = try ArchiveSettings(url: url, archiveTimeout: .minutes(5))
        #expect(Set(archived.checks.filter { !$0.passed }.map(\.name)) == ["archive_mode", "archive_command", "archive_timeout"])
    }

    @Test func whatOneReasonIsAndTheNextIsNot() {
        func failing(_ words: String) -> LogFollower.Status { .failing(Failure(.transient, words)) }
        #expect(failing("no answer after 3 s").isLike(failing("no answer after 12 s")))
        #expect(!failing("no answer").isLike(failing("another cluster")))
        #expect(!failing("no answer").isLike(.gap(Failure(.transient, "no answer"))))
    }

    @Test func aFollowerWhoseLogIsGoneSaysSoAndGoesOnSaying() async throws {
        let fixture = try SourceFixture()
        defer { fixture.scratch.remove() }
        let cluster = try await PostgresCluster.start(
            in: fixture.scratch, withReplica: false,
            settings: ["max_slot_wal_keep_size": "16MB", "max_wal_size": "32MB", "wal_keep_size": "0"])
        defer { cluster.stop() }
        let log = fixture.folder("log")
        let follower = try LogFollower(url: cluster.primary.url(), slot: "serin_log", folder: log, isSynchronous: false)
        try follower.start()
        try await cluster.primary.sql("CREATE TABLE t (i int)")
        let name = try await cluster.primary.sql("SELECT pg_walfile_name(pg_switch_wal())")
        try await waitUntil("a complete file (\(follower.status))") { access("\(log)/\(name)", F_OK) == 0 }
        try follower.stop()
        // More log than the slot may keep, while nobody follows.
        for _ in 0..<5 { try await cluster.primary.sql("INSERT INTO t VALUES (1); SELECT pg_switch_wal(); CHECKPOINT") }
        #expect(try await cluster.primary.sql("SELECT wal_status FROM pg_replication_slots") == "lost")
        try follower.start()
        func isGap() -> Bool { if case .gap = follower.status { true } else { false } }
        try await waitUntil("the gap (\(follower.status))") { isGap() }
        // It tries again and again, and never looks mended in between.
        let since = ContinuousClock.now
        try await waitUntil("some tries") {
            #expect(isGap(), "\(follower.status)")
            return since.duration(to: .now) > .seconds(3)
        }
        // A new base begins a new log: what was there is set aside, and with a new slot it follows again.
        let aside = try #require(try follower.renew())
        #expect(access("\(aside)/\(name)", F_OK) == 0 && access("\(log)/\(name)", F_OK) != 0)
        let next = follower
        try await waitUntil("following (\(next.status))") {
            try await cluster.primary.sql("SELECT active FROM pg_replication_slots") == "t"
        }
        #expect(next.status == .following)
        // A server that goes away is a failure and no gap, and is followed again when it is back.
        cluster.primary.stop()
        try await waitUntil("the failure (\(next.status))") { if case .failing = next.status { true } else { false } }
        try await cluster.primary.start()
        try await waitUntil("following again (\(next.status))", within: .seconds(40)) { next.status == .following }
        try next.stop()
    }

    @Test func anIncrementalBackupOfPgBackRestIsRestoredToAMoment() async throws {
        let stand = try await PgBackRestStand()
        defer { stand.end() }
        let (fixture, cluster, driver, account) = (stand.fixture, stand.cluster, stand.driver, stand.account)
        let full = try await fixture.produce(PgBackRestSource(driver, kind: .baseFull, account: account))
        try await cluster.primary.sql("CREATE TABLE beat AS SELECT generate_series(1, 500) AS i")
        let early = try await stand.moment()
        let source = PgBackRestSource(driver, kind: .baseIncremental, account: account)
        let (bytes, product) = try await fixture.produce(source)
        let receipt = String(decoding: bytes, as: UTF8.self)
        #expect(receipt.contains("\"type\":\"base_incremental\"") && !receipt.contains("\"references\":[]"), "\(receipt)")
        #expect(try await fixture.examine(source, bytes, product).passed)
        // pgBackRest tells in whole seconds when its backup ended.
        let consistent = try #require(product.server?.consistentAt)
        try await waitUntil("the moment at which the backup is consistent") { try await stand.moment() > consistent }
        try await cluster.primary.sql("INSERT INTO beat SELECT generate_series(501, 700)")
        let wanted = try await stand.moment()
        try await cluster.primary.sql("DELETE FROM beat")
        let after = try await stand.moment()
        try await stand.archive()

        let record = try PhysicalFixture.record("incremental", .baseIncremental, product)
        var logged = try PhysicalFixture.record("log", .walRange, full.product)
        logged.facts?.server = product.server
        logged.facts?.server?.lsnStart = product.server?.lsnStart
        logged.facts?.server?.lsnStop = product.server?.lsnStop.map { LogPosition(bytes: $0.bytes + 1 << 30) }
        logged.facts?.server?.consistentAt = after
        func recover(to target: PointInTimeRestore.Target, _ name: String) async throws -> PointInTimeRestore.Outcome {
            let data = fixture.scratch.file(name)
            mkdir(data, 0o700)
            let restored = try await fixture.restore(source, bytes, product, .folder(data))
            #expect(restored.passed, "\(restored.checks)")
            let place = fixture.scratch.file("run-\(name)")
            try PhysicalFixture.makeFolder(place, account, mode: 0o700)
            let recovery = try PointInTimeRestore(
                data: data, place: place, record: record, window: RecoveryWindow(of: [record, logged]), target: target,
                log: .command(driver.restoreCommand(for: data)), account: account, deadline: .seconds(40))
            return try await onOwnThread { (stop) throws(Failure) in try recovery.run(stop: stop) }
        }
        for (target, name, rows) in [(PointInTimeRestore.Target.time(wanted), "moment", "700"), (.latest, "latest", "0")] {
            let outcome = try await recover(to: target, name)
            defer { outcome.server.stop() }
            let found = try await fixture.run("psql -XqAt -d \"\(outcome.server.url())\" -c 'SELECT count(*) FROM beat'")
            #expect(found == rows, "\(name)")
            #expect(!outcome.checks.contains { !$0.passed }, "\(outcome.checks)")
        }
        // Before the end of the increment, and after the end of the log: refused before anything is touched.
        for moment in [early - .seconds(1), after + .minutes(5)] {
            await #expect(throws: Failure.self) {
                _ = try await recover(to: .time(moment), "refused-\(moment.millisecondsSince1970)")
            }
        }
    }

    @Test func aKilledPgBackRestLeavesTheOlderBackupsAndTheNextOneWorks() async throws {
        let stand = try await PgBackRestStand()
        defer { stand.end() }
        let (fixture, driver, account) = (stand.fixture, stand.driver, stand.account)
        let full = PgBackRestSource(driver, kind: .baseFull, account: account)
        let first = try await fixture.produce(full)
        // It is killed while the server holds its checkpoint back.
        try await stand.cluster.primary.sql("CREATE TABLE more AS SELECT repeat('x', 100) FROM generate_series(1, 200000)")
        let running = Task { await fixture.failure { _ = try await fixture.produce(full) } }
        try await waitUntil("pgbackrest at work") {
            try await stand.cluster.primary.sql(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgBackRest [backup]%'") != "0"
        }
        for pid in children(named: "pgbackrest") { kill(pid, SIGKILL) }
        let failure = await running.value
        #expect(failure?.contains("signal 9") == true, "\(failure ?? "it ended well")")
        let isGood = try await fixture.examine(full, first.bytes, first.product)
        #expect(isGood.passed, "\(isGood.checks)")
        try await waitUntil("the end of its sessions") {
            try await stand.cluster.primary.sql(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'pgBackRest%'") == "0"
        }
        let second = try await fixture.produce(full)
        #expect(second.bytes != first.bytes)
        try await expectExpired(stand, full, first.product, second.product)
    }

    /// Its repository keeps two full ones: the third makes the first go, of which only the receipt is left.
    private func expectExpired(
        _ stand: PgBackRestStand, _ source: PgBackRestSource, _ first: SourceProduct, _ second: SourceProduct
    ) async throws {
        var records = [
            try PhysicalFixture.record("first", .baseFull, first), try PhysicalFixture.record("second", .baseFull, second),
        ]
        func expired() async throws -> [BackupID] {
            let records = records
            return try await onOwnThread { (stop) throws(Failure) in try source.expired(records, stop: stop) }.map(\.id)
        }
        #expect(try await expired() == [])
        _ = try await stand.fixture.produce(source)
        #expect(try await expired() == [records[0].id])
        // What is of another cluster, and what the repository does not say, is not known.
        records[0].facts?.server?.systemIdentifier = "1"
        #expect(try await expired() == [])
        let repository = stand.fixture.scratch.file("repository")
        rename(repository, repository + ".away")
        defer { rename(repository + ".away", repository) }
        await #expect(throws: Failure.self) { _ = try await expired() }
    }

    @Test func pgBackRestMakesFindsDamageAndRestores() async throws {
        let stand = try await PgBackRestStand()
        defer { stand.end() }
        let (fixture, cluster, driver, account) = (stand.fixture, stand.cluster, stand.driver, stand.account)
        try await cluster.primary.sql("CREATE TABLE t AS SELECT generate_series(1, 1000) AS i")
        let full = PgBackRestSource(driver, kind: .baseFull, account: account)
        let probe = try await fixture.probe(full)
        #expect(probe.remarks.first?.contains("no backup yet") == true)
        let first = try await fixture.produce(full)
        let identifier = try await cluster.primary.sql("SELECT system_identifier FROM pg_control_system()")
        #expect(first.product.server?.systemIdentifier == identifier)
        #expect(first.product.server?.timeline == 1 && first.product.server?.lsnStop != nil)
        let second = try await fixture.produce(PgBackRestSource(driver, kind: .baseDifferential, account: account))
        #expect(String(decoding: second.bytes, as: UTF8.self).contains("\"type\":\"base_differential\""))
        let good = try await fixture.examine(full, first.bytes, first.product)
        #expect(good.passed, "\(good.checks)")

        // Restored beside the server and recovered to the end of its log.
        let data = fixture.scratch.file("data")
        mkdir(data, 0o700)
        let restored = try await fixture.restore(full, first.bytes, first.product, .folder(data))
        #expect(restored.passed)
        let record = try PhysicalFixture.record("full", .baseFull, first.product)
        let recovery = try PointInTimeRestore(
            data: data, place: fixture.scratch.file("run"), record: record, window: RecoveryWindow(of: [record]), target: .latest,
            log: .command(driver.restoreCommand(for: data)), account: account, deadline: .seconds(40))
        let outcome = try await onOwnThread { (stop) throws(Failure) in try recovery.run(stop: stop) }
        defer { outcome.server.stop() }
        let rows = try await fixture.run("psql -XqAt -d \"\(outcome.server.url())\" -c 'SELECT count(*) FROM t'")
        #expect(rows == "1000")

        // Four bytes of a stored file: pgbackrest itself still ends with status 0.
        _ = try await fixture.run(
            "f=$(ls -S repository/backup/main/*F/pg_data/base/1/*.gz | head -1) && printf xxxx | dd of=$f bs=1 seek=100 conv=notrunc"
        )
        let bad = try await fixture.examine(full, first.bytes, first.product)
        #expect(!bad.passed && bad.evidence.first?.end == "exit 0", "\(bad.checks)")
    }
}
