import Glibc
import SerinBackups
import SerinCatalogue
import SerinModel
import SerinPolicies
import SerinPorts
import SerinProcesses
import Testbed
import Testing

/// Every program that a backup runs is killed, at its start and in the middle.
@Suite(.serialized) struct ChildFaultTests {
    /// A tool that is the real one until it is killed: at once, or after it has worked for a moment.
    private func wrap(_ tool: String, at path: String, in folder: String, _ scratch: Scratch, atOnce: Bool) throws {
        let real = "case \"$*\" in *version*) exec \(path) \"$@\";; esac"
        let death = atOnce ? "kill -9 $$" : "\(path) \"$@\" & child=$!; sleep 0.03; kill -9 $child; kill -9 $$"
        // A job in the background reads nothing unless it is told to.
        let text = "#!/bin/sh\nexec 3<&0\n\(real)\n\(death.replacing(" & child", with: " <&3 & child"))\n"
        try scratch.write("\(folder)/\(tool)", text, mode: 0o755)
    }

    @Test(arguments: [true, false]) func aLogicalBackupWhoseProgramIsKilledFails(atOnce: Bool) async throws {
        let scene = try await BackupScene.start()
        defer { scene.end() }
        let good = try await scene.backUp(try scene.source()).record
        let cases: [(String, String, [PostgresDumpSource.Format])] = [
            ("pg_dump", "/usr/bin/pg_dump", PostgresDumpSource.Format.allCases),
            ("pg_restore", "/usr/bin/pg_restore", [.custom, .tar, .directory]),
        ]
        for (tool, path, formats) in cases {
            let folder = "\(tool)-\(atOnce)"
            mkdir(scene.scratch.file(folder), 0o755)
            try wrap(tool, at: path, in: folder, scene.scratch, atOnce: atOnce)
            for format in formats {
                let source = try scene.source(format, toolFolders: [scene.scratch.file(folder)])
                let failure = await scene.failure(source)
                #expect(
                    failure?.stage == .dump || failure?.stage == .check, "\(tool) \(format): \(String(describing: failure))")
                let state = try await scene.catalogue.state()
                #expect(state.records.filter { $0.state.isRestorable }.map(\.id) == [good.id], "\(tool) \(format)")
                #expect(scene.leftovers.isEmpty, "\(tool) \(format): \(scene.leftovers)")
                #expect(scene.files(scene.store).count == 3)
                let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'serin-backup'"
                try await waitUntil("the end of the sessions") { try await scene.server.sql(sessions) == "0" }
                // A verification whose program is killed condemns nothing that was good.
                if tool == "pg_restore" {
                    await #expect(throws: Failure.self) {
                        _ = try await scene.verifier.verify(good.id, source: source, by: BackupScene.principal)
                    }
                    #expect(try await scene.record(good.id)?.state == .available)
                }
            }
        }
        #expect(try await scene.backUp(try scene.source()).record.state == .available)
    }

    @Test(arguments: [true, false]) func aBaseBackupWhoseProgramIsKilledGivesNothing(atOnce: Bool) async throws {
        let fixture = try await PhysicalFixture()
        defer { fixture.end() }
        let place = "/usr/lib/postgresql/\(fixture.major)/bin"
        for tool in ["pg_basebackup", "pg_verifybackup", "pg_controldata"] {
            let folder = "tools-\(tool)-\(atOnce)"
            mkdir(fixture.scratch.file(folder), 0o755)
            try wrap(tool, at: "\(place)/\(tool)", in: folder, fixture.scratch, atOnce: atOnce)
            let source = BaseBackupSource(
                url: fixture.cluster.primary.url(),
                environment: SourceEnvironment(
                    toolFolders: [fixture.scratch.file(folder)], scratch: fixture.scratch.file("work"), deadline: .minutes(1),
                    stall: .minutes(1)), account: fixture.account)
            await #expect(throws: Failure.self, "\(tool)") { _ = try await fixture.backUp(source, "killed-\(tool)") }
            let left = try await Program(
                "find", [fixture.scratch.file("work"), "-mindepth", "1"], environment: ["PATH": "/usr/bin:/bin"],
                deadline: .seconds(10)
            ).run()
            #expect(left.text.isEmpty, "\(tool): \(left.text)")
            try await waitUntil("the end of the sender of \(tool)") {
                try await fixture.sql("SELECT count(*) FROM pg_stat_replication") == "0"
            }
        }
    }

    @Test func aSnapshotOfRedisThatIsCutGivesNothing() async throws {
        let fixture = try SourceFixture()
        defer { fixture.scratch.remove() }
        let port = try freePort()
        let server = try ServerProcess(
            "redis-server",
            [
                "--port", "\(port)", "--bind", "127.0.0.1", "--dir", fixture.folder("redis"), "--save", "",
                "--repl-diskless-sync", "yes", "--repl-diskless-sync-delay", "30",
            ], log: fixture.scratch.file("redis.log"))
        defer { server.stop() }
        try await waitUntil("start of redis (\(server.logTail()))") { canConnect(port: port) }
        _ = try await fixture.run("redis-cli -p \(port) eval \"for i=1,50000 do redis.call('set', 'k'..i, i) end\" 0")

        // The program is killed while the server has it wait.
        let source = try RedisSnapshotSource(
            url: "redis://127.0.0.1:\(port)", snapshot: .rdb, environment: fixture.environment)
        let killed = Task { await fixture.failure { _ = try await fixture.produce(source) } }
        try await waitUntil("a waiting copy") {
            try await fixture.run("redis-cli -p \(port) client list type replica").contains("flags=S")
        }
        for pid in children(named: "redis-cli") { kill(pid, SIGKILL) }
        #expect(await killed.value?.contains("signal 9") == true)
        #expect(try await fixture.leftovers.isEmpty)

        // The line is cut in the middle of the copy.
        _ = try await fixture.run("redis-cli -p \(port) config set repl-diskless-sync-delay 0")
        for cut in [CutLine.Cut.ends, .resets] {
            let line = try CutLine(to: port, cut, after: 200_000)
            defer { line.stop() }
            let cutSource = try RedisSnapshotSource(
                url: "redis://127.0.0.1:\(line.port)", snapshot: .rdb, environment: fixture.environment)
            #expect(await fixture.failure { _ = try await fixture.produce(cutSource) } != nil, "\(cut)")
            #expect(line.cuts == 1)
            #expect(try await fixture.leftovers.isEmpty)
        }
        let whole = try await fixture.produce(source)
        #expect(whole.bytes.count > 200_000)
    }
}
