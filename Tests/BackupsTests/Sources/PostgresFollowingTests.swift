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

        // Received log, archive settings: a received log needs no archive; without one the plain settings are found wanting.
        let received = try ArchiveSettings(url: url, isReceived: true, archiveTimeout: .minutes(5))
        #expect(!received.checks.contains { !$0.passed })
        let archived = try ArchiveSettings(url: url, isReceived: false, archiveTimeout: .minutes(5))
        #expect(Set(archived.checks.filter { !$0.passed }.map(\.name)) == ["archive_mode", "archive_command", "archive_timeout"])
    }

    @Test func pgBackRestMakesFindsDamageAndRestores() async throws {
        let fixture = try SourceFixture()
        defer { fixture.scratch.remove() }
        let account = geteuid() == 0 ? "postgres" : nil
        for name in ["repository", "locks", "run"] {
            try PhysicalFixture.makeFolder(fixture.scratch.file(name), account, mode: 0o700)
        }
        let configuration = fixture.scratch.file("pgbackrest.conf")
        let cluster = try await PostgresCluster.start(
            in: fixture.scratch, withReplica: false,
            settings: [
                "archive_mode": "on", "full_page_writes": "on",
                "archive_command": "pgbackrest --config=\(configuration) --stanza=main archive-push %p",
            ])
        defer { cluster.stop() }
        try fixture.scratch.write(
            "pgbackrest.conf",
            """
            [global]
            repo1-path=\(fixture.scratch.file("repository"))
            repo1-retention-full=2
            lock-path=\(fixture.scratch.file("locks"))
            start-fast=y
            archive-timeout=20
            [main]
            pg1-path=\(cluster.primary.data)
            pg1-port=\(cluster.primary.port)
            pg1-socket-path=\(fixture.scratch.file("postgres"))
            pg1-user=postgres

            """)
        let driver = try PgBackRest(stanza: "main", configuration: configuration, account: account, deadline: .minutes(2))
        _ = try await onOwnThread { (stop) throws(Failure) in try driver.createStanza(stop: stop) }
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
