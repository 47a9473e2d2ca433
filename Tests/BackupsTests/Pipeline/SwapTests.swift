import SerinBackups
import SerinCatalogue
import SerinModel
import SerinPolicies
import SerinPorts
import SerinProcesses
import Testbed
import Testing

/// Swaps that are hindered, on a real server.
@Suite(.serialized) struct SwapTests {
    /// A shop with 20,000 orders, of which a restored backup stands beside it.
    private func start(
        _ rows: Int = 100, server: [String: String] = [:]
    ) async throws -> (BackupScene, RestoredDatabase) {
        let scene = try await BackupScene.start(isEmpty: true, server: server)
        try await scene.server.sql(
            "CREATE TABLE t (id int PRIMARY KEY, note text); INSERT INTO t SELECT n, repeat('x', 200) FROM generate_series(1, \(rows)) n",
            user: "restorer", database: "shop")
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        return (scene, try await scene.restore(record.id, source))
    }

    private func isOpen(_ scene: BackupScene) async throws -> Bool {
        try await scene.server.sql("SELECT bool_and(datallowconn) FROM pg_database WHERE datname LIKE 'shop%'") == "t"
    }

    private func close(_ scene: BackupScene, _ names: [String]) async throws {
        for name in names { try await scene.server.sql("ALTER DATABASE \(name) ALLOW_CONNECTIONS false") }
    }

    /// A role that the server has, with an idle session in the shop.
    private func visit(_ scene: BackupScene, as user: String) async throws -> ServerProcess {
        let session = try scene.server.session("\\! sleep 60\n", user: user, database: "shop")
        try await waitUntil("a session of \(user)") {
            try await scene.server.sql(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop' AND usename = '\(user)'") == "1"
        }
        return session
    }

    private func leave(_ scene: BackupScene, _ session: ServerProcess) async throws {
        session.stop()
        try await waitUntil("the end of the session") {
            try await scene.server.sql(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop' AND backend_type = 'client backend'") == "0"
        }
    }

    @Test func whatAKilledSwapHasClosedIsOpenedByTheNext() async throws {
        let (scene, restored) = try await start()
        defer { scene.end() }
        let settings = scene.restoreSettings()
        let swap = scene.swap(settings)
        let permit = scene.permit(restored.backup)

        // Both are closed, as between the first and the second step of a swap.
        try await close(scene, ["shop", restored.name])
        try await swap.reopen(restored.name, by: BackupScene.principal)
        #expect(try await isOpen(scene))
        try await close(scene, ["shop", restored.name])
        let outcome = try await swap.swap(restored, permit: permit)
        #expect(try await isOpen(scene))
        try await close(scene, ["shop", outcome.replaced])
        let undone = try await swap.undo(outcome.replaced, permit: permit)
        #expect(try await isOpen(scene))

        // The session is lost while it waits for its turn: somebody holds the lock of the database.
        let holder = try scene.server.session("BEGIN; COMMENT ON DATABASE shop IS 'x';\n\\! sleep 60\n")
        let waiting = "FROM pg_stat_activity WHERE query LIKE 'ALTER DATABASE%RENAME%' AND wait_event_type = 'Lock'"
        async let ended: Void = {
            try await waitUntil("the renaming") { try await scene.server.sql("SELECT count(*) \(waiting)") == "1" }
            #expect(try await !isOpen(scene))
            try await scene.server.sql("SELECT pg_terminate_backend(pid) \(waiting)")
        }()
        let lost = await #expect(throws: Failure.self) { _ = try await swap.undo(undone.replaced, permit: permit) }
        try await ended
        holder.stop()
        #expect(lost?.message.contains("still closed") == false, "\(String(describing: lost))")
        #expect(try await isOpen(scene))

        // Nothing works on a target beside what else works on it.
        let other = LeaseHolder(place: "elsewhere", pid: 1, startTicks: 1, purpose: "serin migrate")
        let lease = try await scene.catalogue.takeLease(
            LeaseRequest(target: "shop", holder: other, by: BackupScene.principal, at: BackupScene.now()))
        for attempt in ["restore", "swap", "reopen"] {
            let busy = await #expect(throws: Failure.self) {
                switch attempt {
                case "restore": _ = try await scene.restore(restored.backup, try scene.source())
                case "swap": _ = try await swap.undo(undone.replaced, permit: permit)
                default: try await swap.reopen(undone.replaced, by: BackupScene.principal)
                }
            }
            #expect(
                busy?.kind == .conflict && busy?.message.contains("serin migrate") == true,
                "\(attempt): \(String(describing: busy))")
        }
        try await scene.catalogue.releaseLease(lease)
        // Taken back once more it is what it was after the first swap.
        let again = try await swap.undo(undone.replaced, permit: permit)
        #expect(again.replaced != undone.replaced)
        #expect(try await scene.catalogue.leases().isEmpty)
    }

    @Test func onlyClientsAreEndedAndWhoMayNotEndThemIsTold() async throws {
        let (scene, restored) = try await start(20_000)
        defer { scene.end() }
        let settings = scene.restoreSettings()
        let swap = scene.swap(settings)
        let permit = scene.permit(restored.backup)

        // A superuser's session cannot be ended, and that of a colleague needs a right of its own.
        let boss = try await visit(scene, as: "postgres")
        let denied = await #expect(throws: Failure.self) { _ = try await swap.swap(restored, permit: permit) }
        #expect(denied?.kind == .denied && denied?.message.contains("postgres (1)") == true, "\(String(describing: denied))")
        #expect(denied?.hint?.contains("superuser") == true)
        #expect(try await isOpen(scene))
        try await leave(scene, boss)
        try await scene.server.sql("REVOKE pg_signal_backend FROM restorer")
        let colleague = try await visit(scene, as: "keeper")
        let missing = await #expect(throws: Failure.self) { _ = try await swap.swap(restored, permit: permit) }
        #expect(missing?.hint?.contains("GRANT pg_signal_backend TO \"restorer\"") == true, "\(String(describing: missing))")
        #expect(colleague.isRunning)
        #expect(try await isOpen(scene))
        let remarks = await RestorePreflight(settings, last: nil).look().first { $0.name == "swap rights" }?.remarks
        #expect(remarks?.contains { $0.contains("pg_signal_backend") } == true)
        try await scene.server.sql("GRANT pg_signal_backend TO restorer")

        // A worker that cleans the table up, slowly.
        for setting in [
            "autovacuum_naptime = 1", "autovacuum_vacuum_cost_delay = 100", "autovacuum_vacuum_cost_limit = 1", "autovacuum = on",
        ] { try await scene.server.sql("ALTER SYSTEM SET \(setting)") }
        try await scene.server.sql("SELECT pg_reload_conf()")
        try await scene.server.sql("UPDATE t SET note = 'y' WHERE id % 2 = 0", user: "restorer", database: "shop")
        try await waitUntil("a worker", within: .seconds(60)) {
            try await scene.server.sql(
                "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = 'shop' AND backend_type = 'autovacuum worker'") == "t"
        }
        let outcome = try await swap.swap(restored, permit: permit)
        #expect(try await scene.server.sql("SELECT count(*) FROM t WHERE note = 'y'", database: "shop") == "0")
        #expect(try await scene.server.sql("SELECT count(*) FROM t WHERE note = 'y'", database: outcome.replaced) == "10000")
        colleague.stop()
    }

    @Test func subscribersAreEndedAndAnEnabledSubscriptionIsSaidBeforeAnythingIsClosed() async throws {
        let (scene, restored) = try await start()
        defer { scene.end() }
        let swap = scene.swap(scene.restoreSettings())
        var permit = scene.permit(restored.backup)
        try await scene.server.sql("CREATE ROLE feeder LOGIN REPLICATION")
        try await scene.server.sql(
            "CREATE SUBSCRIPTION inbound CONNECTION 'host=127.0.0.1 port=1 dbname=x' PUBLICATION a, \"B\" WITH (connect = false)",
            database: "shop")
        let refused = await #expect(throws: Failure.self) { _ = try await swap.swap(restored, permit: permit) }
        for words in [
            "ALTER SUBSCRIPTION inbound DISABLE", "DROP SUBSCRIPTION inbound",
            "CREATE SUBSCRIPTION inbound CONNECTION ... PUBLICATION a, \"B\"",
        ] { #expect(refused?.message.contains(words) == true, "\(String(describing: refused))") }
        permit.differences = 1
        try await scene.server.sql("ALTER SUBSCRIPTION inbound ENABLE", database: "shop")
        let enabled = await #expect(throws: Failure.self) { _ = try await swap.swap(restored, permit: permit) }
        #expect(enabled?.kind == .denied, "\(String(describing: enabled))")
        #expect(enabled?.hint?.contains("in shop: ALTER SUBSCRIPTION inbound DISABLE") == true, "\(String(describing: enabled))")
        #expect(try await isOpen(scene))
        try await scene.server.sql("ALTER SUBSCRIPTION inbound DISABLE", database: "shop")
        let subscriber = try scene.server.session("\\! sleep 60\n", user: "feeder", database: "dbname=shop replication=database")
        try await waitUntil("a subscriber") {
            try await scene.server.sql(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop' AND backend_type = 'walsender'") == "1"
        }
        let outcome = try await swap.swap(restored, permit: permit)
        #expect(
            try await scene.server.sql(
                "SELECT count(*) FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid WHERE d.datname = '\(outcome.replaced)'"
            ) == "1")
        subscriber.stop()
    }

    @Test func aLogicalSlotIsNamedBeforeASwapAndStaysWithWhatIsReplaced() async throws {
        let (scene, restored) = try await start(server: ["wal_level": "logical"])
        defer { scene.end() }
        let swap = scene.swap(scene.restoreSettings())
        var permit = scene.permit(restored.backup)
        try await scene.server.sql("CREATE ROLE feeder LOGIN REPLICATION")
        // One of another database is in nobody's way.
        for database in ["shop", "postgres"] {
            try await scene.server.sql(
                "SELECT pg_create_logical_replication_slot('feed_\(database)', 'pgoutput')", database: database)
        }
        let refused = await #expect(throws: Failure.self) { _ = try await swap.swap(restored, permit: permit) }
        #expect(
            refused?.kind == .denied && refused?.message.contains("(1 differences, and 0") == true,
            "\(String(describing: refused))")
        for words in [
            "the replication slot feed_shop, which stays with what is replaced", "pg_drop_replication_slot('feed_shop')",
        ] {
            #expect(refused?.message.contains(words) == true, "\(String(describing: refused))")
        }
        #expect(try await isOpen(scene))
        // Whoever reads it is ended like any client once it was agreed to.
        permit.differences = 1
        let reader = try ServerProcess(
            "pg_recvlogical",
            [
                "--dbname=host=127.0.0.1 port=\(scene.server.port) user=feeder dbname=shop", "--slot=feed_shop", "--start",
                "--file=-",
                "--option=proto_version=1", "--option=publication_names=none", "--no-loop",
            ], environment: ["PATH": "/usr/bin:/bin:/usr/lib/postgresql/15/bin"], log: scene.scratch.file("reader.log"))
        defer { reader.stop() }
        let slots = "SELECT slot_name, database, active FROM pg_replication_slots ORDER BY 1"
        try await waitUntil("a reader: \(reader.logTail())") {
            try await scene.server.sql(slots) == "feed_postgres|postgres|f\nfeed_shop|shop|t"
        }
        let outcome = try await swap.swap(restored, permit: permit)
        #expect(
            outcome.remarks.contains { $0.hasPrefix("agreed to be missing: the replication slot feed_shop") },
            "\(outcome.remarks)")
        #expect(try await scene.server.sql(slots) == "feed_postgres|postgres|f\nfeed_shop|\(outcome.replaced)|f")
        // What is said to be done afterwards can be.
        try await scene.server.sql("SELECT pg_drop_replication_slot('feed_shop')", database: outcome.replaced)
    }

    @Test func whatARestoreNeedsIsLookedAtBefore() async throws {
        let (scene, restored) = try await start()
        defer { scene.end() }
        let record = try #require(try await scene.record(restored.backup))
        func look(_ user: String) async -> [PreflightFinding] {
            await RestorePreflight(scene.restoreSettings(user: user), last: record).look()
        }
        let good = await look("restorer")
        #expect(
            good.map(\.name) == [
                "restore rights", "swap rights", "restore roles", "restore reach", "restore extensions", "restore tool",
                "restore room",
            ])
        #expect(good.allSatisfy { $0.failure == nil && $0.remarks.isEmpty }, "\(good)")
        // A restore beside the live database needs no right to it.
        #expect(good.filter { !$0.isRequired }.map(\.name) == ["swap rights"])
        #expect(good.last?.detail.contains("needed here") == true)
        let keeper = await look("keeper")
        #expect(keeper.first?.failure?.hint?.contains("ALTER ROLE \"keeper\" CREATEDB") == true, "\(keeper)")
        #expect(
            keeper.first { $0.name == "swap rights" }?.failure?.hint?.contains("restore: {swap_url_env: NAME}") == true)
        // The very words with which a restore is refused.
        let superuser = try #require(await look("postgres").first?.failure)
        #expect(superuser.message.contains("superuser") && superuser.hint?.contains("restore: {url_env: NAME}") == true)
        await #expect(throws: superuser) {
            _ = try await scene.restore(record.id, try scene.source(), scene.restoreSettings(user: "postgres"))
        }
        // A dump of a newer server than the programs here.
        var newer = record
        newer.facts?.tool.version = "99.1"
        let old = await RestorePreflight(scene.restoreSettings(), last: newer).look()
        #expect(old.first { $0.name == "restore tool" }?.failure?.message.contains("pg_dump 99.1") == true, "\(old)")
    }
}
