import Glibc
import SerinBackups
import SerinCatalogue
import SerinModel
import SerinProcesses
import Testbed
import Testing

/// Base backups, ranges of log and recovery with real clusters.
@Suite(.serialized) struct PhysicalBackupTests {
    private func recover(
        _ fixture: PhysicalFixture, _ base: (record: BackupRecord, product: SourceProduct), _ records: [BackupRecord],
        _ target: PointInTimeRestore.Target, _ action: PointInTimeRestore.Action = .promote, log: String? = nil,
        deadline: Duration = .seconds(40)
    ) async throws -> PointInTimeRestore.Outcome {
        let (data, place) = try await fixture.restoreBase("base", base.product)
        let restore = try PointInTimeRestore(
            data: data, place: place, record: base.record, window: RecoveryWindow(of: records), target: target, action: action,
            log: .folder(log ?? fixture.log), account: fixture.account, deadline: deadline)
        return try await onOwnThread { (stop) throws(Failure) in try restore.run(stop: stop) }
    }

    private func answer(_ server: RecoveryServer, _ sql: String) async throws -> String {
        let done = try await Program(
            "psql", ["-XqAt", "-d", server.url(), "-v", "ON_ERROR_STOP=1", "-c", sql], deadline: .seconds(20)
        ).run()
        return String(done.text.prefix { !$0.isNewline })
    }

    @Test func aBaseBackupIsJudgedAndRecoveredToTheMomentAskedFor() async throws {
        let fixture = try await PhysicalFixture()
        defer { fixture.end() }
        let source = BaseBackupSource(
            url: fixture.cluster.primary.url(), environment: fixture.environment, account: fixture.account)
        let base = try await fixture.backUp(source, "base")
        let facts = try #require(base.product.server)
        #expect(facts.version == "15.20" || facts.version.hasPrefix("1"))
        #expect(facts.timeline == 1)
        #expect(try #require(facts.lsnStart) < (try #require(facts.lsnStop)))
        #expect(facts.systemIdentifier == (try await fixture.sql("SELECT system_identifier FROM pg_control_system()")))
        #expect(base.product.evidence.map { $0.command[0].split(separator: "/").last } == ["pg_basebackup", "pg_verifybackup"])

        // Its archive is whole; a flipped byte and a cut are found without unpacking it.
        let tool = base.product.tool
        func examine(changing: Int? = nil, prefix: Int? = nil) async throws -> ConsumerFindings {
            try await fixture.feed("base", base.product, changing: changing, prefix: prefix) { (stop) throws(Failure) in
                try source.examination(of: tool, stop: stop)
            }
        }
        let whole = try await examine()
        #expect(whole.passed && whole.checks.map(\.name) == ["archive", "base backup manifest", "log positions"])
        #expect(try await !examine(changing: 9_000_000).passed)
        #expect(try await !examine(prefix: 9_000_000).passed)

        for _ in 0..<20 { try await fixture.sql("INSERT INTO beat DEFAULT VALUES") }
        let wanted = try await fixture.moment()
        try await fixture.sql("DELETE FROM beat")
        try await fixture.switchLog()
        let range = try await fixture.backUp(
            LogRangeSource(folder: fixture.log, major: 15, after: facts, environment: fixture.environment), "range")
        #expect(range.product.server?.systemIdentifier == facts.systemIdentifier)

        let outcome = try await recover(fixture, base, [base.record, range.record], .time(wanted))
        defer { outcome.server.stop() }
        #expect(try await answer(outcome.server, "SELECT count(*) FROM beat") == "20")
        #expect(outcome.timeline == 2)
        #expect(try #require(outcome.lastCommit) <= wanted)
        #expect(outcome.checks.allSatisfy { $0.passed })
        // It can be written, and neither listens on a network nor archives.
        #expect(try await answer(outcome.server, "INSERT INTO beat DEFAULT VALUES RETURNING 1") == "1")
        #expect(try await answer(outcome.server, "SELECT current_setting('listen_addresses') = ''") == "t")
        #expect(try await answer(outcome.server, "SHOW archive_mode") == "off")
        if fixture.account != nil {
            var status = stat()
            #expect(stat("/proc/\(outcome.server.pid)", &status) == 0 && status.st_uid != 0)
        }
    }
}
