import FoundationEssentials
import Glibc
import SerinAPI
import SerinModel
import SerinProcesses
import Testbed
import Testing

@testable import SerinCommandLine

/// Restores, swaps and their undoing by the verbs, with a real Postgres.
@Suite(.serialized) struct DatabaseRestoreTests {
    private func start(_ more: (RestoreStage) -> String) async throws -> (RestoreStage, PostgresCluster, String) {
        var stage = try RestoreStage()
        let cluster = try await PostgresCluster.start(in: stage.scratch, withReplica: false)
        try await cluster.primary.sql(
            "CREATE ROLE restorer LOGIN CREATEDB; GRANT pg_signal_backend TO restorer")
        try await cluster.primary.sql("CREATE DATABASE shop OWNER restorer")
        try await cluster.primary.sql(
            "CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders SELECT generate_series(1, 1000)", user: "restorer",
            database: "shop")
        stage.environment["SHOP_URL"] = cluster.primary.url(user: "restorer", database: "shop")
        return (stage, cluster, try stage.plan("{postgres: {url_env: SHOP_URL, globals: true}}", more: more(stage)))
    }

    private func orders(_ cluster: PostgresCluster, _ database: String = "shop") async throws -> String {
        try await cluster.primary.sql("SELECT count(*) FROM orders", database: database)
    }

    /// Through the daemon's socket, where the tests may act as two users.
    private func approveUnderAnotherLogin(_ stage: RestoreStage, _ id: String) async throws {
        guard geteuid() == 0 else { return try await stage.approve(id, by: .uid(4711)) }
        let state = stage.scratch.file("state")
        let environment = ["SERIN_STATE": state, "HOME": "/nonexistent", "PATH": "/usr/bin:/bin"]
        let copy = stage.scratch.file("serin")
        try FileManager.default.copyItem(atPath: try Scene.program(), toPath: copy)
        func approve() async throws -> Completion {
            try await Program(
                "setpriv",
                [
                    "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--", copy, "backup", "approve", id, "--reason",
                    "incident 7",
                ],
                environment: environment, deadline: .seconds(30)
            ).run()
        }
        let alone = try await approve()
        #expect(alone.termination == .exited(7) && alone.text.contains("--socket-group"), "\(alone.text)")
        let daemon = try ServerProcess(
            copy, ["daemon", "--socket-group", "nogroup"], environment: environment, log: stage.scratch.file("daemon.log"))
        defer { daemon.stop() }
        try await waitUntil("the daemon's socket (\(daemon.logTail(2000)))", within: .seconds(60)) {
            access(state + "/daemon.sock", F_OK) == 0
        }
        let approved = try await approve()
        #expect(approved.termination == .exited(0), "\(approved.text)\(daemon.logTail(2000))")
        for words in ["approved by uid:65534", "live database shop"] {
            #expect(approved.text.contains(words), "\(approved.text)")
        }
    }

    @Test func aSwapNeedsTwoPeopleAndIsTakenBackByAVerb() async throws {
        let (stage, cluster, plan) = try await start { stage in
            """
            restore:
              approvals: 1
              keep_replaced: 1s
              quiesce: {run: [/bin/sh, -c, "echo quiesce >> \(stage.scratch.file("hooks"))"]}
              resume: {run: [/bin/sh, -c, "echo resume >> \(stage.scratch.file("hooks"))"]}
            """
        }
        defer {
            cluster.stop()
            stage.scratch.remove()
        }
        let made = await stage.run("create", plan, "-o", "json")
        #expect(made.code == .ok, "\(made.messages)")
        let id = try #require(made.json?["backup"]?["order"]?["id"]?.text)
        // The plan wants the roles with each dump, which is the one that is meant by `latest`.
        let both = await stage.run("list").output.split(separator: "\n").dropFirst()
        #expect(both.count == 2 && both.count { $0.contains(" globals ") } == 1, "\(both)")
        // A later backup of another kind is not what `latest` means either.
        #expect(await stage.run("create", plan, "--kind", "globals").code == .ok)
        try await cluster.primary.sql("DELETE FROM orders WHERE id > 10", database: "shop")

        let beside = await stage.run("restore", plan, "latest")
        #expect(beside.code == .ok, "\(beside.messages)")
        #expect(beside.messages.contains("serin backup swap \(plan) shop_restore_"))
        let second = await stage.run("restore", plan, "latest", "-o", "json")
        let name = try #require(second.json?["database"]?.text)
        #expect(second.code == .ok && name.hasSuffix("_2"), "\(second.messages)")
        let list = await stage.run("restored", "list", plan)
        #expect(list.output.split(separator: "\n").count == 3, "\(list.output)\(list.messages)")

        // Not without the name, and not by one person alone.
        #expect(await stage.run("swap", plan, name).code == .refused)
        #expect(await stage.run("swap", plan, name, "--confirm", "shop").code == .refused)
        #expect(await stage.run("restore", plan, "latest", "--swap", "--confirm", "shop").code == .refused)
        let own = await stage.run("approve", id, "--reason", "myself")
        #expect(own.code == .refused && own.messages.contains("somebody else must approve"), "\(own.messages)")
        #expect(await stage.run("swap", plan, name, "--confirm", "shop").code == .refused)
        #expect(await stage.run("swap", plan, "shop", "--confirm", "shop").code == .usage)
        #expect(try await orders(cluster) == "10")
        try await approveUnderAnotherLogin(stage, id)
        let swapped = await stage.run("swap", plan, name, "--confirm", "shop", "-o", "json")
        #expect(swapped.code == .ok, "\(swapped.messages)")
        #expect(try await orders(cluster) == "1000")
        let replaced = try #require(swapped.json?["replaced"]?.text)
        #expect(try await orders(cluster, replaced) == "10")

        // What was replaced is not dropped by the way.
        #expect(await stage.run("restored", "drop", plan, replaced).code == .refused)
        #expect(await stage.run("restored", "drop", plan, "shop", "--confirm", "shop").code == .refused)
        try await cluster.primary.sql("INSERT INTO orders VALUES (5000)", database: "shop")
        #expect(await stage.run("swap", plan, "--undo").code == .refused)
        #expect(await stage.run("swap", plan, "--undo", "--confirm", "shop").code == .refused, "it was not approved")
        try await stage.approve(id, by: .uid(4711))
        let undone = await stage.run("swap", plan, "--undo", "--confirm", "shop", "-o", "json")
        #expect(undone.code == .ok, "\(undone.messages)")
        #expect(try await orders(cluster) == "10")
        let later = try #require(undone.json?["replaced"]?.text)
        #expect(try await orders(cluster, later) == "1001")
        let hooks = try String(decoding: Data(contentsOf: URL(filePath: stage.scratch.file("hooks"))), as: UTF8.self)
        #expect(hooks == "quiesce\nresume\nquiesce\nresume\n")
        try await theReplacedOnesGo(stage, cluster, plan, id, later)
    }

    /// In one go, and the replaced ones go when their time is over.
    private func theReplacedOnesGo(
        _ stage: RestoreStage, _ cluster: PostgresCluster, _ plan: String, _ id: String, _ later: String
    ) async throws {
        #expect(await stage.run("restore", plan, id, "--swap", "--confirm", "shop").code == .refused, "the approval is used up")
        try await stage.approve(id, by: .uid(4711))
        let whole = await stage.run("restore", plan, id, "--swap", "--confirm", "shop", "-o", "json")
        #expect(whole.code == .ok, "\(whole.messages)")
        #expect(whole.json?["swapped"] == .bool(true))
        #expect(try await orders(cluster) == "1000")
        try await waitUntil("the end of the time that replaced ones are kept") {
            let dry = await stage.run("prune", plan, "--dry-run", "-o", "json")
            return dry.json?["databases"]?.items?.count == 2
        }
        let pruned = await stage.run("prune", plan, "-o", "json")
        #expect(pruned.code == .ok, "\(pruned.messages)")
        #expect(pruned.json?["databases"]?.items?.count == 2)
        #expect(pruned.messages.contains("dropped \(later), which shop was until"))
        #expect(try await orders(cluster) == "1000")
        // Those that were only restored are for a person to drop.
        let left = await stage.run("restored", "list", plan, "-o", "json").json?["databases"]?.items ?? []
        #expect(left.map { $0["what"]?.text } == ["restored"])
        let dropped = await stage.run("restored", "drop", plan, left.first?["name"]?.text ?? "")
        #expect(dropped.code == .ok, "\(dropped.messages)")
        #expect(try await cluster.primary.sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'shop%'") == "1")
    }

    @Test func rolesAreBackedUpWithTheDump() async throws {
        let (stage, cluster, plan) = try await start { _ in "" }
        defer {
            cluster.stop()
            stage.scratch.remove()
        }
        #expect(await stage.run("create", plan).code == .ok)
        let line = await stage.run("list").output.split(separator: "\n").first { $0.contains(" globals ") }
        let globals = String(try #require(line?.split(separator: " ").first))
        let folder = stage.scratch.file("roles")
        let restored = await stage.run("restore", plan, globals, "--into", folder)
        #expect(restored.code == .ok, "\(restored.messages)")
        let text = try String(contentsOfFile: "\(folder)/globals.sql", encoding: .utf8)
        #expect(text.contains("CREATE ROLE restorer") && !text.contains("PASSWORD"), "\(text)")
    }

    @Test func whatIsNoWayToRestoreADumpIsRefusedWithTheReason() async throws {
        let (stage, cluster, plan) = try await start { _ in "" }
        defer {
            cluster.stop()
            stage.scratch.remove()
        }
        // What a merge that was killed has left is in no backup.
        try await cluster.primary.sql(
            "CREATE SCHEMA shop_restore_1; COMMENT ON SCHEMA shop_restore_1 IS 'of serin backup merge; it may be dropped'",
            user: "restorer", database: "shop")
        #expect(await stage.run("create", plan).code == .ok)
        #expect(
            try await cluster.primary.sql("SELECT count(*) FROM pg_namespace WHERE nspname = 'shop_restore_1'", database: "shop")
                == "0")
        let inPlace = await stage.run("restore", plan, "latest", "--in-place")
        #expect(inPlace.code == .usage && inPlace.messages.contains("never overwritten"))
        let folder = stage.scratch.file("out")
        #expect(await stage.run("restore", plan, "latest", "--into", folder).code == .usage)
        let time = await stage.run("restore", plan, "latest", "--into", folder, "--to", "2026-11-21T13:27:38Z")
        #expect(time.code == .refused && time.messages.contains("base backups"), "\(time.messages)")
        #expect(await stage.run("restore", plan, "latest", "--into", folder, "--to", "13:27").code == .usage)
        #expect(await stage.run("restore", plan, "latest", "--to", "latest").code == .usage)
        let masked = await stage.run("restore", plan, "latest", "--masked")
        #expect(masked.code == .refused && masked.messages.contains("restore.mask"), "\(masked.messages)")
        #expect(try await cluster.primary.sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'shop%'") == "1")
        // What a restore would be refused for fails checklist and check, but where another machine restores.
        let able = await stage.run("readiness", plan, "-o", "json")
        #expect(able.json?["checks"]?.items?.contains { $0["name"]?.text == "restore rights" } == true, "\(able.output)")
        #expect(!able.failed.contains { $0.hasPrefix("restore ") }, "\(able.output)")
        try await cluster.primary.sql("ALTER ROLE restorer NOCREATEDB")
        let unable = await stage.run("readiness", plan, "-o", "json")
        #expect(unable.code == .verificationFailed)
        #expect(unable.failed.filter { $0.hasPrefix("restore ") } == ["restore rights"], "\(unable.output)")
        #expect(unable.output.contains("ALTER ROLE \\\"restorer\\\" CREATEDB"), "\(unable.output)")
        let checked = await stage.run("check", plan)
        #expect(checked.code == .refused && checked.output.contains("restore rights"), "\(checked.output)\(checked.messages)")
        let refused = await stage.run("restore", plan, "latest")
        #expect(refused.code != .ok, "\(refused.output)")
        let elsewhere = await stage.run("check", plan, "--backups-only")
        #expect(elsewhere.code == .ok && !elsewhere.output.contains("restore"), "\(elsewhere.output)\(elsewhere.messages)")
        try await cluster.primary.sql("ALTER ROLE restorer CREATEDB")
        // Without the server nothing is half done.
        cluster.stop()
        let failed = await stage.run("restore", plan, "latest")
        #expect(failed.code == .unexpected && failed.messages.contains("shop was not touched"), "\(failed.messages)")
    }
}
