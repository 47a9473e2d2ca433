import FoundationEssentials
import Glibc
import SerinAPI
import SerinModel
import SerinProcesses
import Testbed
import Testing

/// A daemon that keeps the write-ahead log of a real Postgres followed.
@Suite struct LogFollowingTests {
    @Test(.timeLimit(.minutes(4)))
    func theDaemonFollowsTheLogAgainAfterABreakTellsItAndItsRangesAreStored() async throws {
        var stage = try RestoreStage()
        let cluster = try await PostgresCluster.start(in: stage.scratch, withReplica: false)
        defer {
            cluster.stop()
            stage.scratch.remove()
        }
        stage.environment = [
            "PG_URL": cluster.primary.url(), "LC_ALL": "C.UTF-8", "NO_COLOR": "1", "SWIFT_BACKTRACE": "enable=no",
        ]
        let (log, told) = (stage.scratch.file("log"), stage.scratch.file("told"))
        let plan = try stage.plan(
            "{postgres_physical: {url_env: PG_URL, basebackup: true, receivewal: {slot: serin_log, folder: \"\(log)\"}}}",
            more: """
                schedules: [{every: 24h, kind: base_full}, {every: 24h, kind: wal_range}]
                notify: {on: [failure], run: [/bin/sh, -c, "cat >> \(told)"]}
                """)
        let environment = stage.environment.merging(
            ["SERIN_STATE": stage.scratch.file("state"), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"]) { $1 }
        let daemon = try ServerProcess(
            try Scene.program(), ["daemon", "--backup", plan], environment: environment, log: stage.scratch.file("daemon.log"))
        defer { daemon.stop() }
        func said() -> String { daemon.logTail(8000) }
        func metrics() async -> String { await stage.run("metrics", plan).output }
        let labels = "{project=\"shop\",database=\"shop\"}"
        try await waitUntil("the follower; the daemon said: \(said())", within: .seconds(40)) {
            await metrics().contains("backup_log_following\(labels) 1\n")
        }
        try await waitUntil("a base backup; the daemon said: \(said())", within: .seconds(60)) {
            await stage.run("list").output.contains(/base_full.*available/)
        }
        try await cluster.primary.sql("CREATE TABLE t AS SELECT generate_series(1, 1000) i")
        let name = try await cluster.primary.sql("SELECT pg_walfile_name(pg_switch_wal())")
        try await waitUntil("\(name) in the folder", within: .seconds(20)) { access("\(log)/\(name)", F_OK) == 0 }
        // The daemon makes ranges too: whoever comes second finds nothing new.
        var made = await stage.run("create", plan, "--kind", "wal_range")
        try await waitUntil("the lease", within: .seconds(60)) {
            if made.messages.contains("is held by") { made = await stage.run("create", plan, "--kind", "wal_range") }
            return !made.messages.contains("is held by")
        }
        #expect(made.code == .ok || made.messages.contains("no complete file since"), "\(made.messages)")
        #expect(await stage.run("list").output.contains(/wal_range.*available/))
        // Nothing new is no failure.
        let again = await stage.run("create", plan, "--kind", "wal_range")
        #expect(again.code == .ok && again.messages.contains("nothing to back up"), "\(again.messages)")
        #expect(!(await stage.run("list", "--all").output.contains("failed")))
        let check = await stage.run("check", plan)
        #expect(check.output.contains("wal_level"), "\(check.output)\(check.messages)")

        try await cluster.primary.sql("SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots")
        try await waitUntil("what was told; the daemon said: \(said())", within: .seconds(20)) {
            let text = FileManager.default.contents(atPath: told).map { String(decoding: $0, as: UTF8.self) } ?? ""
            return text.contains("is not followed")
        }
        try await waitUntil("the follower again; the daemon said: \(said())", within: .seconds(40)) {
            await metrics().contains("backup_log_following\(labels) 1\n")
        }
        #expect(try await cluster.primary.sql("SELECT active FROM pg_replication_slots") == "t")
        #expect(!(await metrics().contains("backup_log_received_timestamp_seconds\(labels) 0\n")))
        #expect(await metrics().contains("backup_log_lag_bytes\(labels) "))
        daemon.signal(SIGTERM)
        try await waitUntil("the end of the daemon", within: .seconds(30)) { !daemon.isRunning }
        #expect(try await cluster.primary.sql("SELECT active FROM pg_replication_slots") == "f", "nothing is left running")
    }

    @Test(.timeLimit(.minutes(6)))
    func whatIsStillBeingWrittenIsReachedAndARecoveryThatWentLiveIsFollowedOn() async throws {
        var stage = try RestoreStage()
        let cluster = try await PostgresCluster.start(
            in: stage.scratch, withReplica: false, settings: ["full_page_writes": "on", "wal_keep_size": "128MB"])
        defer {
            cluster.stop()
            stage.scratch.remove()
        }
        stage.environment = [
            "PG_URL": cluster.primary.url(), "LC_ALL": "C.UTF-8", "NO_COLOR": "1", "SWIFT_BACKTRACE": "enable=no",
        ]
        let log = stage.scratch.file("log")
        let plan = try stage.plan(
            "{postgres_physical: {url_env: PG_URL, basebackup: true, receivewal: {slot: serin_log, folder: \"\(log)\"}}}",
            more: "schedules: [{every: 24h, kind: base_full}]")
        let environment = stage.environment.merging(
            ["SERIN_STATE": stage.scratch.file("state"), "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"]) { $1 }
        let daemon = try ServerProcess(
            try Scene.program(), ["daemon", "--backup", plan], environment: environment, log: stage.scratch.file("daemon.log"))
        defer { daemon.stop() }
        let said = { daemon.logTail(8000) }
        try await waitUntil("a base backup; the daemon said: \(said())", within: .seconds(90)) {
            await stage.run("list").output.contains(/base_full.*available/)
        }
        func insert() async throws -> String {
            try await cluster.primary.sql("INSERT INTO t VALUES (1)")
            let moment = try await cluster.primary.sql(
                "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')")
            // sleeps: commits are told apart by their milliseconds.
            try await Task.sleep(for: .milliseconds(10))
            return moment
        }
        try await cluster.primary.sql("CREATE TABLE t (i int)")
        let early = try await insert()
        for _ in 0..<3 {
            _ = try await insert()
            let name = try await cluster.primary.sql("SELECT pg_walfile_name(pg_switch_wal())")
            try await waitUntil("\(name); the daemon said: \(said())", within: .seconds(40)) {
                access("\(log)/\(name)", F_OK) == 0
            }
        }
        let late = try await insert()
        try await cluster.primary.sql("INSERT INTO t VALUES (1)")
        try await waitUntil("the last piece of log", within: .seconds(30)) {
            try await cluster.primary.sql("SELECT bool_and(write_lsn >= pg_current_wal_lsn()) FROM pg_stat_replication") == "t"
        }

        // The server is gone: what is in the file that was being written counts.
        cluster.primary.stop()
        let (one, two) = (stage.scratch.file("one"), stage.scratch.file("two"))
        let reached = await stage.run("restore", plan, "latest", "--into", one, "--to", late, "-o", "json")
        #expect(reached.code == .ok && reached.json?["reached"]?["timeline"]?.integer == 2, "\(reached.messages)")

        // An earlier state goes live: its log is followed, and what it never had is beside.
        let back = await stage.run("restore", plan, "latest", "--into", two, "--to", early, "-o", "json")
        #expect(back.code == .ok, "\(back.messages)")
        let script = "mv \(cluster.primary.data) \(two).before && cp -a \(two)/data \(cluster.primary.data)"
        let moved = try await Program(
            "/bin/sh", ["-c", script], environment: ["PATH": "/usr/bin:/bin"], deadline: .seconds(30)
        ).run()
        #expect(moved.termination == .exited(0), "\(moved.text)")
        try await cluster.primary.start()
        try await waitUntil("the follower; the daemon said: \(said())", within: .seconds(90)) {
            try await cluster.primary.sql("SELECT count(*) FROM pg_replication_slots WHERE active") == "1"
                && access("\(log)/00000002.history", F_OK) == 0
        }
        #expect(access("\(log)/aside-1", F_OK) == 0 && said().contains("nothing was deleted"), "\(said())")
        let name = try await cluster.primary.sql("SELECT pg_walfile_name(pg_switch_wal())")
        try await waitUntil("\(name); the daemon said: \(said())", within: .seconds(40)) { access("\(log)/\(name)", F_OK) == 0 }
    }
}
