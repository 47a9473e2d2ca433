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
            "psql", ["-XqAt", "-d", server.url(), "-v", "ON_ERROR_STOP=1", "-c", sql],
            environment: ["PATH": "/usr/bin:/bin"], deadline: .seconds(20)
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
        #expect(facts.timeline == 1)
        let (begin, end) = (try #require(facts.lsnStart), try #require(facts.lsnStop))
        #expect(begin < end)
        let identifier = try await fixture.sql("SELECT system_identifier FROM pg_control_system()")
        #expect(facts.systemIdentifier == identifier)
        let tools = base.product.evidence.compactMap { $0.command.first?.split(separator: "/").last.map(String.init) }
        #expect(tools == ["pg_basebackup", "pg_verifybackup"])

        // Its archive is whole; a flipped byte and a cut are found without unpacking it.
        let tool = base.product.tool
        func examine(changing: Int? = nil, prefix: Int? = nil) async throws -> ConsumerFindings {
            try await fixture.feed("base", base.product, changing: changing, prefix: prefix) { (stop) throws(Failure) in
                try source.examination(of: tool, stop: stop)
            }
        }
        let whole = try await examine()
        #expect(whole.passed && whole.checks.map(\.name) == ["archive", "base backup manifest", "log positions"])
        let flipped = try await examine(changing: 9_000_000)
        #expect(!flipped.passed)
        let cut = try await examine(prefix: 9_000_000)
        #expect(!cut.passed)

        for _ in 0..<20 { try await fixture.sql("INSERT INTO beat DEFAULT VALUES") }
        let wanted = try await fixture.moment()
        try await fixture.sql("DELETE FROM beat")
        try await fixture.switchLog()
        let range = try await fixture.backUp(
            LogRangeSource(
                folder: fixture.log, major: fixture.major, after: LogContinuation(facts), environment: fixture.environment),
            "range")
        #expect(range.product.server?.systemIdentifier == facts.systemIdentifier)

        let outcome = try await recover(fixture, base, [base.record, range.record], .time(wanted))
        defer { outcome.server.stop() }
        #expect(try await answer(outcome.server, "SELECT count(*) FROM beat") == "20")
        #expect(outcome.timeline == 2)
        let last = try #require(outcome.lastCommit)
        #expect(last <= wanted)
        #expect(!outcome.checks.contains { !$0.passed })
        // It can be written, and neither listens on a network nor archives; the history of its timeline waits for the live server.
        #expect(try await answer(outcome.server, "INSERT INTO beat DEFAULT VALUES RETURNING 1") == "1")
        #expect(try await answer(outcome.server, "SELECT current_setting('listen_addresses') = ''") == "t")
        #expect(try await answer(outcome.server, "SHOW archive_command") == "")
        #expect(access("\(outcome.server.data)/pg_wal/archive_status/00000002.history.ready", F_OK) == 0)
        if fixture.account != nil {
            var status = stat()
            let code = stat("/proc/\(outcome.server.pid)", &status)
            #expect(code == 0 && status.st_uid != 0)
        }
        try await theNewTimelineIsFollowed(fixture, base, range, outcome)
    }

    /// Goes on from a restored server: its log continues that of the old timeline.
    private func theNewTimelineIsFollowed(
        _ fixture: PhysicalFixture, _ base: (record: BackupRecord, product: SourceProduct),
        _ range: (record: BackupRecord, product: SourceProduct), _ first: PointInTimeRestore.Outcome
    ) async throws {
        let wanted = try await fixture.moment()
        // sleeps: what is deleted next must be dated behind the moment.
        try await Task.sleep(for: .milliseconds(20))
        // It goes beyond the end of the old timeline.
        for _ in 0..<3 {
            for sql in ["DELETE FROM beat WHERE id > 5", "INSERT INTO beat DEFAULT VALUES", "SELECT pg_switch_wal()"] {
                _ = try await answer(first.server, sql)
            }
        }
        let current = try await answer(first.server, "SELECT pg_walfile_name(pg_current_wal_lsn())")
        let script = """
            cd \(first.server.data)/pg_wal && cp -p 00000002.history \(fixture.log)/
            for file in 00000002*; do
                case $file in *.history) ;; *) [ "$file" \\< \(current) ] && cp -p $file \(fixture.log)/ ;; esac
            done; true
            """
        // What that server would have archived: the files and the history of its timeline.
        let copied = try await Program(
            "/bin/sh", ["-c", script], environment: ["PATH": "/usr/bin:/bin"],
            deadline: .seconds(20)
        ).run()
        #expect(copied.termination == .exited(0))
        first.server.stop()
        let next = try await fixture.backUp(
            LogRangeSource(
                folder: fixture.log, major: fixture.major, after: LogContinuation(range.product.server),
                environment: fixture.environment), "next")
        #expect(next.product.server?.timeline == 2)
        let records = [base.record, range.record, next.record]
        let outcome = try await recover(fixture, base, records, .time(wanted), .pause)
        defer { outcome.server.stop() }
        #expect(try await answer(outcome.server, "SELECT count(*) FROM beat") == "21")
    }

    @Test func whatCannotBeReachedIsRefusedOrFails() async throws {
        let fixture = try await PhysicalFixture()
        defer { fixture.end() }
        let source = BaseBackupSource(
            url: fixture.cluster.primary.url(), environment: fixture.environment, account: fixture.account)
        let early = try await fixture.moment()
        let base = try await fixture.backUp(source, "base")
        try await fixture.switchLog()
        try await fixture.switchLog()
        let wanted = try await fixture.moment()
        try await fixture.switchLog()
        let range = try await fixture.backUp(
            LogRangeSource(
                folder: fixture.log, major: fixture.major, after: LogContinuation(base.product.server),
                environment: fixture.environment), "range")
        let records = [base.record, range.record]

        // Before the end of the base backup, and after the end of the log: refused before anything is touched.
        let window = RecoveryWindow(of: records)
        let late = try await fixture.moment() + .minutes(1)
        for (moment, words) in [(early, "is before"), (late, "is after")] {
            do throws(Failure) {
                _ = try PointInTimeRestore(
                    data: "/nonexistent", place: "/nonexistent", record: base.record, window: window, target: .time(moment),
                    log: .folder(fixture.log), account: fixture.account, deadline: .seconds(5))
                Issue.record("\(moment) was not refused")
            } catch { #expect(error.message.contains(words)) }
        }

        // A logical dump is no base.
        var logical = base.record
        logical.order.kind = .logical
        #expect(throws: Failure.self) {
            _ = try PointInTimeRestore(
                data: "/nonexistent", place: "/nonexistent", record: logical, window: window, target: .time(wanted),
                log: .folder(fixture.log), account: fixture.account, deadline: .seconds(5))
        }

        // A catalogue that promises more than the log holds: the server starts well and then fails.
        var promising = range.record
        promising.facts?.server?.consistentAt = late
        await refuses("recovery ended before configured recovery target was reached") {
            try await recover(fixture, base, [base.record, promising], .time(late - .seconds(1)))
        }

        // A catalogue that says the base was consistent earlier than it was: a later state than asked is a failure.
        var lying = base
        lying.record.facts?.server?.consistentAt = early - .seconds(60)
        await refuses("later state than asked") {
            try await recover(fixture, lying, [lying.record, range.record], .time(early - .seconds(30)))
        }

        // A file of the log that is gone.
        let first = base.product.server?.lastSegment ?? ""
        let segments = try LogFolder(fixture.log).content().segments
        let gone = try #require(segments.first { $0.description > first })
        unlink("\(fixture.log)/\(gone)")
        await refuses("recovery ended before configured recovery target was reached") {
            try await recover(fixture, base, records, .time(wanted))
        }
    }

    private func refuses(_ words: String, _ body: () async throws -> PointInTimeRestore.Outcome) async {
        do {
            let outcome = try await body()
            outcome.server.stop()
            Issue.record("recovery passed: \(outcome.checks)")
        } catch {
            #expect("\(error)".contains(words), "\(error)")
        }
    }

    @Test func theShippedScriptNeverReplacesWhatIsThere() async throws {
        let scratch = try Scratch("serin-archive")
        defer { scratch.remove() }
        let one = try scratch.write("one", "first")
        let other = try scratch.write("other", "second")
        func archive(_ file: String) async throws -> Int32? {
            let done = try await Program(
                PhysicalFixture.script, [file, scratch.file("000000010000000000000001")], environment: ["PATH": "/usr/bin:/bin"],
                deadline: .seconds(20)
            ).run()
            guard case .exited(let status) = done.termination else { return nil }
            return status
        }
        #expect(try await archive(one) == 0)
        // Asked again for the same after a crash.
        #expect(try await archive(one) == 0)
        #expect(try await archive(other) == 1)
        let content = try PhysicalFixture.text(scratch.file("000000010000000000000001"))
        #expect(content == "first")
        #expect(try await archive(scratch.file("missing")) != 0)
        let left = try await Program("/bin/ls", ["-A", scratch.path], deadline: .seconds(5)).run()
        #expect(!left.text.contains(".archive."))
    }
}
