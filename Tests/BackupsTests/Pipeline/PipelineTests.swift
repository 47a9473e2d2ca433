import FoundationEssentials
import Glibc
import SerinBackups
import SerinCatalogue
import SerinModel
import SerinPolicies
import SerinPorts
import SerinProcesses
import Testbed
import Testing

@Suite(.serialized) struct PipelineTests {
    @Test func everyFormatComesBackRowForRow() async throws {
        let scene = try await BackupScene.start()
        defer { scene.end() }
        let before = try await scene.content("shop")
        for format in PostgresDumpSource.Format.allCases {
            let source = try scene.source(format)
            let result = try await scene.backUp(source)
            #expect(result.record.state == .available, "\(format)")
            #expect(result.record.facts?.schemaRevision == "c0ffee")
            #expect(result.record.facts?.server?.prerequisites == ["extension pgcrypto"])
            #expect(result.record.facts?.rows?["app", "orders"] == 20_000)
            let verified = try await scene.verifier.verify(result.record.id, source: source, by: BackupScene.principal)
            #expect(verified.result.passed, "\(format): \(verified.result.checks)")
            let restored = try await scene.restore(result.record.id, source)
            #expect(restored.passed, "\(format): \(restored.checks)")
            #expect(try await scene.content(restored.name) == before, "\(format)")
            try await scene.server.sql("DROP DATABASE \(restored.name)")
        }
        #expect(scene.leftovers.isEmpty)
        #expect(scene.files(scene.store).contains("shop/latest-logical.json"))
        let chain = try await scene.catalogue.state().live(target: "shop")
        #expect(chain.map(\.state) == [.verified, .verified, .verified, .verified])
    }

    @Test func rowsWithoutADateAreSaidByTheRunAndItsBackup() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        try await scene.server.sql(
            "CREATE TABLE log (at timestamptz, line text); INSERT INTO log VALUES (now() - interval '1 hour', 'a'), (NULL, 'b')",
            user: "restorer", database: "shop")
        let now = BackupScene.now()
        let source = try LogRowsSource(
            url: scene.server.url(user: "keeper", database: "shop"),
            LogsSource(url: .environment("X"), table: "log", dateColumn: "at"), project: nil, range: (now - .hours(24))..<now,
            environment: SourceEnvironment(scratch: scene.scratch.file("work")))
        for dated in [false, true] {
            if dated { try await scene.server.sql("DELETE FROM log WHERE at IS NULL", database: "shop") }
            let result = try await scene.backUp(source)
            let words = "1 rows have no date, or an infinite one: they are in no range of dates and come with every export"
            #expect(result.remarks == (dated ? [] : [words]))
            let record = try #require(try await scene.record(result.record.id))
            #expect(record.facts?.server?.undated == (dated ? 0 : 1))
            #expect(record.facts?.rows?.total == (dated ? 1 : 2))
        }
    }

    @Test func theCountsUnderLoadAreThoseOfTheDump() async throws {
        let scene = try await BackupScene.start()
        defer { scene.end() }
        let load = try ServerProcess(
            "/usr/lib/postgresql/15/bin/pgbench",
            ["-n", "-c", "2", "-T", "60", "-h", "127.0.0.1", "-p", "\(scene.server.port)", "-U", "restorer", "shop"],
            environment: [:],
            log: scene.scratch.file("load.log"))
        defer { load.stop() }
        func history() async throws -> Int {
            Int(try await scene.server.sql("SELECT count(*) FROM pgbench_history", database: "shop")) ?? 0
        }
        try await waitUntil("load") { try await history() > 500 }
        let source = try scene.source()
        for _ in 0..<3 {
            let before = try await history()
            let result = try await scene.backUp(source)
            let counted = Int(try #require(result.record.facts?.rows?["public", "pgbench_history"]))
            try await waitUntil("more load") { try await history() > counted }
            #expect(counted >= before)
            let restored = try await scene.restore(result.record.id, source)
            #expect(restored.passed, "\(restored.checks)")
            #expect(try await scene.server.sql("SELECT count(*) FROM pgbench_history", database: restored.name) == "\(counted)")
            let sums =
                "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT coalesce(sum(delta), 0) FROM pgbench_history)"
            #expect(try await scene.server.sql(sums, database: restored.name) == "t")
            try await scene.server.sql("DROP DATABASE \(restored.name)")
        }
    }

    @Test func aConnectionThatIsCutIsAFailedBackup() async throws {
        let scene = try await BackupScene.start()
        defer { scene.end() }
        let good = try await scene.backUp(try scene.source())
        let port = scene.server.port
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY %'"
        for format in [PostgresDumpSource.Format.custom, .plain, .tar] {
            let source = MeddledSource(inner: try scene.source(format), after: 1 << 20) {
                runNow("psql", ["-h", "127.0.0.1", "-p", "\(port)", "-U", "postgres", "-c", cut])
            }
            let failure = await scene.failure(source)
            #expect(failure?.stage == .dump, "\(format)")
            try await expectNothingNew(scene, after: good, failure)
        }
    }

    @Test func aKilledDumpIsAFailedBackup() async throws {
        let scene = try await BackupScene.start()
        defer { scene.end() }
        let good = try await scene.backUp(try scene.source())
        let source = MeddledSource(inner: try scene.source(), after: 1 << 20) {
            for pid in children(named: "pg_dump") { kill(pid, SIGKILL) }
        }
        let failure = await scene.failure(source)
        #expect(failure?.stage == .dump)
        #expect(failure?.failure.message.contains("signal 9") == true, "\(String(describing: failure))")
        try await expectNothingNew(scene, after: good, failure)
    }

    @Test func aToolThatEndsWellWithHalfADumpIsAFailedBackup() async throws {
        let scene = try await BackupScene.start()
        defer { scene.end() }
        let good = try await scene.backUp(try scene.source())
        for format in [PostgresDumpSource.Format.custom, .plain, .tar] {
            let folder = scene.scratch.file("liar-\(format.rawValue)")
            mkdir(folder, 0o755)
            try scene.scratch.write(
                "liar-\(format.rawValue)/pg_dump",
                "#!/bin/sh\ncase \"$*\" in *--version*) exec /usr/bin/pg_dump --version;; esac\n/usr/bin/pg_dump \"$@\" | head -c 3000000\nexit 0\n",
                mode: 0o755)
            let failure = await scene.failure(try scene.source(format, toolFolders: [folder]))
            #expect(failure?.stage == .check, "\(format): \(String(describing: failure))")
            try await expectNothingNew(scene, after: good, failure)
        }
    }

    @Test func twoAtOnceOnOneTargetIsRefused() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        let pipeline = scene.pipeline()
        let inner = try scene.source()
        let entered = StopSignalBox()
        let source = MeddledSource(inner: inner, after: 0) { entered.waitForRelease() }
        async let first = pipeline.run(source, BackupRequest(by: BackupScene.principal))
        try await waitUntil("the first run") { entered.isEntered }
        let failure = await scene.failure(inner)
        #expect(failure?.isBusy == true)
        #expect(failure?.exitCode == 10)
        let notes = try await scene.catalogue.entries(after: 0, limit: 100).compactMap { entry in
            if case .note(let note) = entry.line, note.topic == BackupPipeline.busyTopic { note.text } else { nil }
        }
        #expect(notes.count == 1 && notes[0].contains("is held by"), "\(notes)")
        entered.release()
        #expect(try await first.record.state == .available)
        #expect(try await scene.catalogue.state().records.count == 1)
    }

    @Test func aBackupOfARolloutUsesTheLeaseThatTheRolloutHolds() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        let rollout = try #require(RolloutID("shop-1"))
        let holder = LeaseHolder(place: "here", pid: getpid(), startTicks: 0, purpose: "rollout")
        let lease = try await scene.catalogue.takeLease(
            LeaseRequest(target: "shop", holder: holder, by: BackupScene.principal, rollout: rollout, at: BackupScene.now()))
        #expect(await scene.failure(try scene.source())?.isBusy == true)
        let request = BackupRequest(by: BackupScene.principal, rollout: rollout, releaseVersion: "1.4.2")
        let result = try await scene.pipeline().run(try scene.source(), request)
        #expect(result.record.order.rollout == rollout)
        #expect(try await scene.catalogue.leases().map(\.token) == [lease.token])
    }

    @Test func aDestinationWithoutRoomIsFoundBeforeTheDump() async throws {
        let scene = try await BackupScene.start()
        defer { scene.end() }
        let good = try await scene.backUp(try scene.source())
        var settings = scene.settings
        settings.places = [BackupPlace("small", try scene.folder(scene.scratch.file("small"), quota: "1KiB"))]
        let failure = await scene.failure(try scene.source(), settings)
        #expect(failure?.stage == .preflight)
        #expect(failure?.failure.message.contains("needs") == true)
        try await expectNothingNew(scene, after: good, failure)
    }

    private func expectNothingNew(
        _ scene: BackupScene, after good: BackupRunResult, _ failure: BackupRunFailure?
    ) async throws {
        let state = try await scene.catalogue.state()
        #expect(state.records.filter { $0.state.isRestorable }.map(\.id) == [good.record.id])
        let failed = try #require(failure?.backup.flatMap { state[$0] })
        #expect(failed.state == .failed)
        #expect(failed.failure?.message.hasPrefix("\(failure?.stage.rawValue ?? ""): ") == true)
        #expect(scene.leftovers.isEmpty)
        #expect(scene.files(scene.store).count == 3, "\(scene.files(scene.store))")
        // The server needs a moment to end the sessions of programs that are gone.
        let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'serin-backup'"
        try await waitUntil("no session of a backup", within: .seconds(10)) { try await scene.server.sql(sessions) == "0" }
    }
}

/// The processes of a name that this one started.
func children(named name: String) -> [pid_t] {
    let processes = (try? FileManager.default.contentsOfDirectory(atPath: "/proc"))?.compactMap { pid_t($0) } ?? []
    return processes.filter { pid in
        let bytes = FileManager.default.contents(atPath: "/proc/\(pid)/stat") ?? Data()
        let text = String(decoding: bytes, as: UTF8.self)
        return text.hasPrefix("\(pid) (\(name)) ") && text.split(separator: " ").dropFirst(3).first == "\(getpid())"
    }
}

/// Runs a program to its end on this thread, whatever it says.
func runNow(_ tool: String, _ arguments: [String]) {
    guard let stop = try? StopSignal(),
        let stream = try? ProgramStream(
            Program(tool, arguments, environment: ["PATH": "/usr/bin:/bin"], deadline: .seconds(20)), .reading, stall: nil,
            stop: stop)
    else { return }
    try? stream.readAll { _ in }
}

/// Holds a thread until a test lets it go.
final class StopSignalBox: Sendable {
    private let entered = try? StopSignal()
    private let released = try? StopSignal()
    var isEntered: Bool { entered?.isRaised == true }
    func release() { released?.raise() }
    func waitForRelease() {
        entered?.raise()
        // sleeps: a plain thread has nothing else to wait with.
        while released?.isRaised == false { usleep(5000) }
    }
}
