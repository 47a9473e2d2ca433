import FoundationEssentials
import Glibc
import SerinAPI
import SerinModel
import SerinProcesses
import Testbed
import Testing

@testable import SerinCommandLine

/// The program is killed (signal 9) at every step of a swap: before anything is closed, when both databases are closed and the
/// renaming waits, and when they have changed places and nobody knows yet. The same command, run again, does what was asked for once.
@Suite(.serialized) struct SwapCrashTests {
    private struct Site {
        var stage: RestoreStage
        let cluster: PostgresCluster
        let plan: String

        init() async throws {
            stage = try RestoreStage()
            cluster = try await PostgresCluster.start(in: stage.scratch, withReplica: false)
            try await cluster.primary.sql("CREATE ROLE restorer LOGIN CREATEDB; GRANT pg_signal_backend TO restorer")
            try await cluster.primary.sql("CREATE DATABASE shop OWNER restorer")
            try await cluster.primary.sql(
                "CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders SELECT generate_series(1, 1000)",
                user: "restorer", database: "shop")
            stage.environment["SHOP_URL"] = cluster.primary.url(user: "restorer", database: "shop")
            let scratch = stage.scratch
            func hook(_ word: String) -> String {
                "{run: [/bin/sh, -c, \"[ -e \(scratch.file("kill-" + word)) ] && kill -9 $PPID; echo \(word) >> \(scratch.file("hooks"))\"]}"
            }
            plan = try stage.plan(
                "{postgres: {url_env: SHOP_URL}}",
                more: "restore: {approvals: 0, quiesce: \(hook("quiesce")), resume: \(hook("resume"))}")
        }

        func end() {
            cluster.stop()
            stage.scratch.remove()
        }

        func orders() async throws -> String {
            try await cluster.primary.sql("SELECT count(*) FROM orders", database: "shop")
        }

        /// A restored database.
        func restore() async throws -> String {
            let made = await stage.run("restore", plan, "latest", "-o", "json")
            #expect(made.code == .ok, "\(made.messages)")
            return try #require(made.json?["database"]?.text)
        }

        /// Runs a swap in a process of its own, and sees to it that it is killed.
        func kill(at step: String, _ arguments: [String]) async throws {
            let scratch = stage.scratch
            let mark = try scratch.write("kill-" + step, "")
            var holder: ServerProcess?
            if step == "rename" {
                holder = try cluster.primary.session("BEGIN; COMMENT ON DATABASE shop IS 'x';\n\\! sleep 60\n")
                try await waitUntil("the lock") {
                    try await cluster.primary.sql(
                        "SELECT count(*) FROM pg_locks WHERE locktype = 'object' AND granted AND classid = 1262 AND mode = 'ShareUpdateExclusiveLock'"
                    ) == "1"
                }
            }
            var environment = stage.environment
            environment["SERIN_STATE"] = scratch.file("state")
            environment["PATH"] = "/usr/bin:/bin:/usr/sbin:/sbin"
            environment["SWIFT_BACKTRACE"] = "enable=no"
            let log = scratch.file("killed.log")
            let run = try ServerProcess(
                try Scene.program(), ["backup", "swap", plan] + arguments + ["--confirm", "shop"], environment: environment,
                log: log)
            if step == "rename" {
                try await waitUntil("the renaming (\(run.logTail()))", within: .seconds(60)) {
                    try await cluster.primary.sql(
                        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'ALTER DATABASE%RENAME%' AND wait_event_type = 'Lock'"
                    ) == "1"
                }
                Glibc.kill(run.pid, SIGKILL)
            }
            try await waitUntil("the end of the program (\(run.logTail()))", within: .seconds(60)) { !run.isRunning }
            #expect(run.exitStatus == 128 + SIGKILL, "\(step): \(run.logTail())")
            holder?.stop()
            unlink(mark)
        }
    }

    @Test(.timeLimit(.minutes(5))) func theSameCommandAgainDoesWhatWasAskedForOnce() async throws {
        let site = try await Site()
        defer { site.end() }
        #expect(await site.stage.run("create", site.plan).code == .ok)
        try await site.cluster.primary.sql("DELETE FROM orders WHERE id > 10", database: "shop")
        // What was killed, how, and how many orders are live after the second try.
        for (step, isUndo, orders) in [
            ("rename", false, "1000"), ("quiesce", true, "10"), ("rename", true, "1000"), ("resume", true, "10"),
            ("resume", false, "1000"), ("quiesce", true, "10"),
        ] {
            let arguments = isUndo ? ["--undo"] : [try await site.restore()]
            try await site.kill(at: step, arguments)
            let checked = await site.stage.run("check", site.plan)
            let command = "serin backup swap \(site.plan) \(arguments[0]) --confirm shop"
            // Before anything is closed nothing is to be settled.
            #expect(checked.output.contains(command) == (step != "quiesce"), "\(step): \(checked.output)")
            #expect(checked.code == (step == "rename" ? .refused : .ok), "\(step): \(checked.output)")
            let again = await site.stage.run(["swap", site.plan] + arguments + ["--confirm", "shop"])
            #expect(again.code == .ok, "\(step): \(again.messages)")
            #expect(again.messages.contains("ended before it could say so") == (step == "resume"), "\(again.messages)")
            #expect(try await site.orders() == orders, "\(step) \(isUndo)")
            #expect(
                try await site.cluster.primary.sql("SELECT bool_and(datallowconn) FROM pg_database WHERE datname LIKE 'shop%'")
                    == "t")
            let hooks = try String(decoding: Data(contentsOf: URL(filePath: site.stage.scratch.file("hooks"))), as: UTF8.self)
            #expect(hooks.hasSuffix("resume\n"), "what was stopped runs again")
        }
    }

    @Test(.timeLimit(.minutes(5))) func aLiveDatabaseThatWasLeftClosedOrAwayIsNamedWithWhatOpensIt() async throws {
        let site = try await Site()
        defer { site.end() }
        #expect(await site.stage.run("create", site.plan).code == .ok)
        func check(_ words: String) async throws {
            let found = await site.stage.run("check", site.plan)
            #expect(found.code == .refused && found.output.contains(words), "\(found.output)")
        }
        try await site.cluster.primary.sql("ALTER DATABASE shop ALLOW_CONNECTIONS false")
        try await check(#"ALTER DATABASE "shop" ALLOW_CONNECTIONS true opens it"#)
        try await site.cluster.primary.sql("ALTER DATABASE shop ALLOW_CONNECTIONS true CONNECTION LIMIT 0")
        try await check(#"ALTER DATABASE "shop" CONNECTION LIMIT -1"#)
        try await site.cluster.primary.sql("ALTER DATABASE shop CONNECTION LIMIT -1")
        let restored = try await site.restore()
        try await site.kill(at: "quiesce", [restored])
        try await site.cluster.primary.sql("ALTER DATABASE shop RENAME TO shop_away")
        try await check(#"ALTER DATABASE "shop_away" RENAME TO "shop""#)
        try await site.cluster.primary.sql("ALTER DATABASE shop_away RENAME TO shop")
        #expect(await site.stage.run("check", site.plan).code == .ok)
    }

    /// The tools of the server stand still.
    @Test(.timeLimit(.minutes(5))) func whatIsGivenUpSaysWhereThingsStand() async throws {
        let site = try await Site()
        defer { site.end() }
        let scratch = site.stage.scratch
        #expect(await site.stage.run("create", site.plan).code == .ok)
        mkdir(scratch.file("tools"), 0o755)
        for tool in ["pg_restore", "pg_dump"] {
            let text = "#!/bin/sh\n[ \"$1\" = --version ] && exec /usr/bin/\(tool) --version\nexec sleep 300\n"
            try scratch.write("tools/\(tool)", text, mode: 0o755)
        }
        var environment = site.stage.environment
        environment["SERIN_STATE"] = scratch.file("state")
        environment["PATH"] = "\(scratch.file("tools")):/usr/bin:/bin:/usr/sbin:/sbin"
        for (arguments, words) in [
            (["restore", site.plan, "latest"], "which was being made, is gone again"),
            (["create", site.plan], "older backups are untouched"),
        ] {
            let given = try await Program(
                try Scene.program(), ["backup"] + arguments + ["--timeout", "6s"], environment: environment, deadline: .minutes(1)
            ).run()
            #expect(given.termination == .exited(124), "\(given.text)")
            #expect(given.text.contains("given up after 6s") && given.text.contains(words), "\(given.text)")
        }
        let left = await site.stage.run("restored", "list", site.plan, "-o", "json").json?["databases"]?.items ?? []
        #expect(left.isEmpty, "\(left)")
        #expect(await site.stage.run("list", "--all").output.contains("interrupted"))
    }

    @Test(.timeLimit(.minutes(5))) func aRestoreThatWasKilledBeforeItsDatabaseWasFilledIsSweptByTheNext() async throws {
        let site = try await Site()
        defer { site.end() }
        let (stage, scratch) = (site.stage, site.stage.scratch)
        #expect(await stage.run("create", site.plan).code == .ok)
        // Once its tool is started the database is there, and only its first note says so.
        mkdir(scratch.file("tools"), 0o755)
        try scratch.write("tools/pg_restore", "#!/bin/sh\nkill -9 $PPID\n", mode: 0o755)
        var environment = stage.environment
        environment["SERIN_STATE"] = scratch.file("state")
        environment["PATH"] = "\(scratch.file("tools")):/usr/bin:/bin:/usr/sbin:/sbin"
        environment["SWIFT_BACKTRACE"] = "enable=no"
        let run = try ServerProcess(
            try Scene.program(), ["backup", "restore", site.plan, "latest"], environment: environment,
            log: scratch.file("killed.log"))
        try await waitUntil("the end of the program (\(run.logTail()))", within: .seconds(60)) { !run.isRunning }
        #expect(run.exitStatus == 128 + SIGKILL, "\(run.logTail())")
        func databases() async throws -> String {
            try await site.cluster.primary.sql(
                "SELECT string_agg(datname, ' ' ORDER BY oid) FROM pg_database WHERE datname LIKE 'shop_%'")
        }
        let half = try await databases()
        let left = await stage.run("restored", "list", site.plan, "-o", "json").json?["databases"]?.items ?? []
        #expect(left.map { $0["name"]?.text } == [half] && left.map { $0["what"]?.text } == ["making"], "\(half) \(left)")
        let refused = await stage.run("swap", site.plan, half, "--confirm", "shop")
        #expect(refused.code == .refused && refused.messages.contains("half made"), "\(refused.messages)")
        let number = try await site.cluster.primary.sql("SELECT oid FROM pg_database WHERE datname = '\(half)'")
        let next = await stage.run("restore", site.plan, "latest")
        #expect(next.code == .ok && next.output.contains("which a restore that was killed had begun to fill, is gone"), "\(next)")
        #expect(try await databases().split(separator: " ").count == 1)
        #expect(try await site.cluster.primary.sql("SELECT count(*) FROM pg_database WHERE oid = \(number)") == "0")
    }
}
