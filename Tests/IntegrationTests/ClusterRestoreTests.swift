import Glibc
import SerinAPI
import SerinModel
import SerinProcesses
import Testbed
import Testing

@testable import SerinCommandLine

/// Base backups and points in time by the verbs, with real clusters.
@Suite(.serialized) struct ClusterRestoreTests {
    private struct Scene {
        let stage: RestoreStage
        let cluster: PostgresCluster
        let plan: String
        let log: String

        func end() {
            cluster.stop()
            stage.scratch.remove()
        }

        @discardableResult func sql(_ text: String) async throws -> String {
            try await cluster.primary.sql(text, database: "shop")
        }

        /// The server's time, apart from the commits around it.
        func moment() async throws -> String {
            // sleeps: commits are told apart by their milliseconds.
            try await Task.sleep(for: .milliseconds(5))
            let text = try await sql("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')")
            // sleeps: as above.
            try await Task.sleep(for: .milliseconds(5))
            return text
        }

        /// Closes the current file of the log and waits until it is archived.
        func switchLog() async throws {
            try await sql("INSERT INTO beat DEFAULT VALUES")
            let name = try await sql("SELECT pg_walfile_name(pg_switch_wal())")
            try await waitUntil("archiving of \(name)") { access("\(log)/\(name)", F_OK) == 0 }
        }

        /// Puts a recovered cluster in the live one's place, as the runbook does.
        func goLive(with folder: String) async throws {
            cluster.primary.stop()
            let script = "mv \(cluster.primary.data) \(folder).before && cp -a \(folder)/data \(cluster.primary.data)"
            let moved = try await Program(
                "/bin/sh", ["-c", script], environment: ["PATH": "/usr/bin:/bin"], deadline: .seconds(30)
            ).run()
            #expect(moved.termination == .exited(0), "\(moved.text)")
            try await cluster.primary.start()
        }

        /// Recovers into a folder and leaves it stopped.
        func recover(_ folder: String, _ arguments: String...) async -> RestoreStage.Answer {
            let all = ["restore", plan] + (arguments.first == "--to" ? ["latest"] : []) + arguments
            return await stage.run(all + ["--into", stage.scratch.file(folder), "-o", "json"])
        }

        /// Restores into a new folder and asks the server that runs on in it.
        func count(_ arguments: String...) async throws -> (answer: RestoreStage.Answer, rows: String) {
            let folder = stage.scratch.file("r\(UInt32.random(in: 0..<100_000))")
            var all = ["restore", plan, "latest", "--into", folder, "--keep-running", "-o", "json"]
            all += arguments
            let answer = await stage.run(all)
            guard answer.code == .ok else { return (answer, "none") }
            let done = try await Program(
                "psql", ["-XqAt", "-h", folder + "/server", "-U", "postgres", "-d", "shop", "-c", "SELECT count(*) FROM beat"],
                environment: ["PATH": "/usr/bin:/bin"], deadline: .seconds(20)
            ).run()
            let pid = answer.messages.split(separator: "kill -INT ").last.flatMap { Int32($0.prefix { $0.isNumber }) } ?? 0
            if pid > 1 { kill(pid, SIGINT) }
            try await waitUntil("the end of the server") { kill(pid, 0) != 0 }
            return (answer, done.text.split(separator: "\n").first.map(String.init) ?? "")
        }
    }

    private func start(_ more: String = "") async throws -> Scene {
        var stage = try RestoreStage()
        let log = stage.scratch.file("log")
        try #require(mkdir(log, 0o755) == 0)
        if geteuid() == 0, let entry = getpwnam("postgres") { chown(log, entry.pointee.pw_uid, entry.pointee.pw_gid) }
        let cluster = try await PostgresCluster.start(
            in: stage.scratch, withReplica: false,
            settings: [
                "archive_mode": "on", "archive_command": "test ! -e \(log)/%f && cp %p \(log)/.%f && mv \(log)/.%f \(log)/%f",
                "archive_timeout": "300", "full_page_writes": "on",
            ])
        try await cluster.primary.sql("CREATE DATABASE shop")
        try await cluster.primary.sql(
            "CREATE TABLE beat (id serial PRIMARY KEY, at timestamptz DEFAULT clock_timestamp())", database: "shop")
        stage.environment["CLUSTER_URL"] = cluster.primary.url(database: "shop")
        let plan = try stage.plan(
            "{postgres_physical: {url_env: CLUSTER_URL, basebackup: true, archive: \"\(log)\"}}", more: more)
        return Scene(stage: stage, cluster: cluster, plan: plan, log: log)
    }

    @Test func everyKindOfTargetIsReachedAndSaid() async throws {
        let scene = try await start()
        defer { scene.end() }
        let before = try await scene.moment()
        let base = await scene.stage.run("create", scene.plan)
        #expect(base.code == .ok, "\(base.messages)")
        for _ in 0..<3 { try await scene.sql("INSERT INTO beat DEFAULT VALUES") }
        let time = try await scene.moment()
        try await scene.sql("INSERT INTO beat DEFAULT VALUES")
        try await scene.sql("SELECT pg_create_restore_point('before the migration')")
        try await scene.switchLog()
        // What follows is stored; what comes after that is only in the archive's folder.
        let stored = await scene.stage.run("create", scene.plan, "--kind", "wal_range")
        #expect(stored.code == .ok, "\(stored.messages)")
        let position = try await scene.sql("SELECT pg_current_wal_lsn()")
        let number =
            try await scene.sql("BEGIN; INSERT INTO beat DEFAULT VALUES; SELECT txid_current(); COMMIT")
            .split(separator: "\n").first { Int($0) != nil }.map(String.init) ?? ""
        try await scene.sql("DELETE FROM beat")
        try await scene.switchLog()

        let atTime = try await scene.count("--to", time)
        #expect(atTime.rows == "3", "\(atTime.answer.messages)")
        let reached = try #require(atTime.answer.json?["reached"])
        #expect(reached["timeline"]?.integer == 2 && reached["last_commit"]?.text?.isEmpty == false)
        #expect(try await scene.count("--to", "name:before the migration").rows == "4")
        #expect(try await scene.count("--to", "lsn:\(position)").rows == "5")
        let transaction = try await scene.count("--to", "xid:\(number)")
        #expect(transaction.rows == "6", "\(transaction.answer.messages)")
        #expect(try await scene.count("--to", "latest").rows == "1")
        #expect(try await scene.count().rows == "0")

        // What cannot be reached is refused before there is a folder.
        let folder = scene.stage.scratch.file("refused")
        for target in [before, "2099-01-01T00:00:00Z", "lsn:0/1000", "lsn:FF/0", "name:nothing", "xid:4000000"] {
            let answer = await scene.stage.run("restore", scene.plan, "latest", "--into", folder, "--to", target)
            #expect(answer.code == .refused, "\(target): \(answer.messages)")
            #expect(answer.messages.contains("cannot recover to"), "\(answer.messages)")
            #expect(access(folder, F_OK) != 0)
        }
        mkdir(folder, 0o700)
        try scene.stage.scratch.write("refused/mine", "precious")
        let full = await scene.stage.run("restore", scene.plan, "latest", "--into", folder)
        #expect(full.code == .refused && full.messages.contains("not empty"))
        #expect(access(folder + "/mine", F_OK) == 0)
        // No server of a restore is left.
        let left = try await Program("pgrep", ["-f", scene.stage.scratch.path + "/r[0-9]"], deadline: .seconds(5)).run()
        #expect(left.termination == .exited(1), "\(left.text)")
    }

    @Test func logThatIsMissingInTheMiddleIsSaidByTheCheckAndTheRestore() async throws {
        let scene = try await start()
        defer { scene.end() }
        func make(_ kind: String...) async throws -> String {
            let made = await scene.stage.run(["create", scene.plan, "-o", "json"] + kind)
            #expect(made.code == .ok, "\(made.messages)")
            return try #require(made.json?["backup"]?["order"]?["id"]?.text, "\(made.output)")
        }
        _ = try await make()
        var ranges: [String] = []
        for _ in 0..<3 {
            try await scene.switchLog()
            ranges.append(try await make("--kind", "wal_range"))
        }
        func check() async -> RestoreStage.Answer { await scene.stage.run("check", scene.plan, "-o", "json") }
        let whole = await check()
        #expect(!whole.output.contains("is missing"), "\(whole.output)")
        // The object of the second is gone, and so are the files of the archive.
        let objects = try await Program(
            "find", [scene.stage.scratch.file("store"), "-name", "*\(ranges[1])*.backup"], deadline: .seconds(5)
        ).run().text
        for path in objects.split(separator: "\n") { unlink(String(path)) }
        let files = try await Program("/bin/ls", [scene.log], deadline: .seconds(5)).run().text.split(separator: "\n")
        for file in files { unlink("\(scene.log)/\(file)") }
        _ = await scene.stage.run("verify", scene.plan, ranges[1])
        let holed = await check()
        #expect(holed.code == .ok && holed.output.contains("is missing"), "\(holed.output)\(holed.messages)")
        #expect(holed.output.contains("new base backup"), "\(holed.output)")
        #expect(await scene.stage.run("readiness", scene.plan, "-o", "json").failed.contains("write-ahead log"))
        let folder = scene.stage.scratch.file("restored")
        let restored = await scene.stage.run("restore", scene.plan, "latest", "--into", folder, "--to", "latest", "-o", "json")
        #expect(restored.code == .ok, "\(restored.messages)")
        #expect(
            (restored.output + restored.messages).contains("what was stored behind it was not recovered"), "\(restored.messages)")
        // Where a server's socket would have too long a name nothing is begun.
        let long = folder + String(repeating: "x", count: 80)
        let refused = await scene.stage.run("restore", scene.plan, "latest", "--into", long)
        #expect(refused.code != .ok && refused.messages.contains("too long for the socket"), "\(refused.messages)")
        #expect(access(long, F_OK) != 0)
    }

    @Test(.timeLimit(.minutes(6)))
    func aRecoveredClusterThatGoesLiveKeepsEveryMomentAndEachRecoveryItsOwnTimeline() async throws {
        let scene = try await start()
        defer { scene.end() }
        func make(_ kind: String...) async throws -> String {
            let made = await scene.stage.run(["create", scene.plan, "-o", "json"] + kind)
            #expect(made.code == .ok, "\(made.messages)")
            return made.json?["backup"]?["order"]?["id"]?.text ?? ""
        }
        let first = try await make()
        var moments: [String] = []
        for _ in 0..<3 {
            try await scene.sql("INSERT INTO beat DEFAULT VALUES")
            moments.append(try await scene.moment())
        }
        try await scene.switchLog()
        _ = try await make("--kind", "wal_range")

        let recovered = await scene.recover("one", "--to", moments[0])
        #expect(recovered.code == .ok, "\(recovered.messages)")
        try await scene.goLive(with: scene.stage.scratch.file("one"))
        try await waitUntil("the history of timeline 2") { access("\(scene.log)/00000002.history", F_OK) == 0 }
        for _ in 0..<4 { try await scene.sql("INSERT INTO beat DEFAULT VALUES") }
        _ = try await make()
        let later = try await scene.moment()
        try await scene.sql("INSERT INTO beat DEFAULT VALUES")
        try await scene.switchLog()
        _ = try await make("--kind", "wal_range")

        // What was live at a moment is what comes back: before the recovery and behind it, and from the base before it too.
        let before = try await scene.count("--to", moments[1])
        #expect(before.rows == "2", "\(before.answer.messages)")
        #expect(before.answer.json?["reached"]?["timeline"]?.integer == 3)
        #expect(try await scene.count("--to", later).rows == "5")
        let across = await scene.recover("across", first, "--to", later)
        #expect(across.code == .ok && across.json?["reached"]?["timeline"]?.integer == 3, "\(across.messages)")
        let other = await scene.recover("other", "--to", moments[2], "--timeline", "2")
        #expect(other.code == .ok, "\(other.messages)")

        // A second recovery of the first timeline goes live: its timeline is above all others, and its log is archived.
        let second = await scene.recover("two", "--to", moments[1], "--timeline", "1")
        #expect(second.code == .ok && second.json?["reached"]?["timeline"]?.integer == 3, "\(second.messages)")
        try await scene.goLive(with: scene.stage.scratch.file("two"))
        try await scene.switchLog()
        #expect(access("\(scene.log)/00000003.history", F_OK) == 0)
        let sound = await scene.stage.run("check", scene.plan)
        #expect(sound.code == .ok, "\(sound.output)\(sound.messages)")

        // A name that another server took stops the archive for good, which is no mere warning.
        try await scene.sql("INSERT INTO beat DEFAULT VALUES")
        let next = try await scene.sql("SELECT pg_walfile_name(pg_current_wal_lsn())")
        try scene.stage.scratch.write("log/\(next)", "of another server")
        try await scene.sql("SELECT pg_switch_wal()")
        try await waitUntil("a failure of the archiver", within: .seconds(30)) {
            try await scene.sql("SELECT last_failed_wal FROM pg_stat_archiver") == next
        }
        let stopped = await scene.stage.run("check", scene.plan)
        #expect(stopped.code != .ok && stopped.output.contains("has a file of that name already"), "\(stopped.output)")
    }

    @Test func aDrillRecoversToTheEndOfTheLogAndLeavesNothing() async throws {
        let scene = try await start(
            """
            restore: {checks: {tables: [public.beat]}}
            targets: {rpo: 6h, rto: 2h}
            """)
        defer { scene.end() }
        #expect(await scene.stage.run("create", scene.plan).code == .ok)
        try await scene.switchLog()
        try await scene.switchLog()
        let drill = await scene.stage.run("drill", scene.plan, "-o", "json")
        #expect(drill.code == .ok, "\(drill.messages)\(drill.output)")
        #expect(drill.json?["environment"]?.text?.contains("recovered to") == true)
        #expect(drill.output.contains("environment removed"))
        #expect(drill.output.contains("no damage in tables and indexes"), "\(drill.output)")
        #expect(await scene.stage.run("list").output.contains("drilled"))

        // Log that is missing ends it before the end of what is there: a finding.
        let file = try #require(
            try await Program("/bin/ls", [scene.log], deadline: .seconds(5)).run().text.split(separator: "\n")
                .filter { $0.utf8.count == 24 }.last)
        try await scene.switchLog()
        unlink("\(scene.log)/\(file)")
        let answer = await scene.stage.run(
            "restore", scene.plan, "latest", "--into", scene.stage.scratch.file("gap"), "--to", try await scene.moment())
        #expect(answer.code == .refused, "\(answer.messages)")
    }
}
