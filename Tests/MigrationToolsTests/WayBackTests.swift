import Glibc
import SerinDatabase
import SerinLocks
import SerinMigrations
import SerinModel
import SerinPorts
import SerinProcesses
import SerinRollouts
import Testbed
import Testing

@testable import SerinMigrationTools

/// What a run believes of a script, of a schema and of the others in the database, against a real server.
@Suite(.serialized, .server) struct WayBackTests {
    private func scene(_ kind: ToolKind = .pairs, count: Int = 1) async throws -> MigrationScene {
        try await #require(MigrationServer.current).scene(kind, count: count)
    }

    private func revision(_ id: String, _ up: String, _ down: String, parent: String? = nil) -> ToolKind.Revision {
        ToolKind.Revision(id: id, name: "next", up: up, down: down, parent: parent)
    }

    @Test func aWayBackThatDropsWhatStoodBeforeItsRevisionIsNotRun() async throws {
        let scene = try await scene()
        try await scene.up()
        try await scene.sql("CREATE VIEW paid AS SELECT id FROM orders")
        try scene.kind.add(
            revision(
                "0002", "CREATE OR REPLACE VIEW public.paid AS SELECT id FROM public.orders WHERE amount > 0", "DROP VIEW paid"),
            to: scene.folder)
        var accepting = scene
        accepting.options.acceptsSchema = true
        try await accepting.up()
        let failed = try await scene.failure { try await scene.down(to: "0001") }
        #expect(failed.stage == .preflight && failed.failure.kind == .conflict)
        #expect(failed.failure.message.contains("drops table paid, which was there before"), "\(failed)")
        #expect(try await scene.sql("SELECT to_regclass('paid')") == "paid")
        #expect(try await scene.place() == "0002")
        // A person may take it as it is.
        #expect(try await accepting.down(to: "0001").after.place == "0001")
    }

    @Test func aWayBackThatLeavesAnotherSchemaIsTakenBackOrUnknown() async throws {
        let scene = try await scene()
        try await scene.up()
        let rename = "ALTER TABLE public.orders RENAME COLUMN amount TO price"
        try scene.kind.add(revision("0002", rename, "COMMENT ON TABLE public.orders IS 'back'"), to: scene.folder)
        try await scene.up()
        let whole = try await scene.failure { try await scene.down(to: "0001") }
        #expect(whole.stage == .revision)
        #expect(whole.failure.message.contains("another schema than there was"), "\(whole)")
        #expect(whole.failure.message.contains("- column public.orders.amount numeric(12,2)"), "\(whole)")
        #expect(try await scene.place() == "0002")
        #expect(try await scene.sql("SELECT obj_description('orders'::regclass)") == "")
        // One that commits by itself is done, and nobody may call it so.
        try scene.kind.add(revision("0002", rename, "BEGIN; COMMENT ON TABLE public.orders IS 'back'; COMMIT"), to: scene.folder)
        var edited = scene
        edited.options.acceptsEdited = true
        for round in 1...2 {
            let failed = try await scene.failure { round == 1 ? try await edited.down(to: "0001") : try await scene.up() }
            #expect(failed.stage == (round == 1 ? .check : .preflight))
            #expect(failed.failure.kind == .unknown)
            #expect(failed.failure.message.contains("another schema than there was"), "\(failed)")
        }
        #expect(try await scene.place() == "0001")
        #expect(try await scene.migrations().inspect(withScripts: false, deadline: .seconds(30)).unfinished != nil)
        try await scene.sql("ALTER TABLE public.orders RENAME COLUMN price TO amount")
        #expect(try await scene.up().after.place == "0002")
    }

    @Test func aScriptThatCallsItselfOtherwiseIsWatchedAndEnded() async throws {
        var tuned = try await scene()
        tuned.options.orphanPatience = .milliseconds(300)
        let phases = Locked<[String]>([])
        tuned.options.progress = { progress in phases.withLock { $0.append(progress.phase) } }
        let scene = tuned
        try await scene.up()
        try scene.kind.add(
            revision(
                "0002", "SET application_name = 'batch'; SET lock_timeout = '1h'; ALTER TABLE public.orders ADD COLUMN x int",
                "ALTER TABLE public.orders DROP COLUMN x"), to: scene.folder)
        let holder = try scene.server.session("BEGIN; SELECT count(*) FROM orders; \\! sleep 600\n", database: scene.database)
        defer { holder.stop(signal: SIGKILL) }
        try await waitUntil("the reader holds the table", within: .seconds(90)) {
            try await scene.sql("SELECT count(*) FROM pg_locks WHERE relation = 'orders'::regclass AND granted") != "0"
        }
        async let migrated = scene.up()
        try await waitUntil("the script waits", within: .seconds(90)) {
            try await scene.sql("SELECT count(*) FROM pg_locks WHERE relation = 'orders'::regclass AND NOT granted") != "0"
        }
        let reader = try scene.server.session("SELECT count(*) FROM orders;\n", database: scene.database)
        try await waitUntil("it is cancelled for the reader", within: .seconds(90)) {
            phases.withLock { $0.contains { $0.hasPrefix("waiting") } }
        }
        holder.stop(signal: SIGKILL)
        let report = try await migrated
        #expect(report.after.place == "0002" && report.blocking.mostQueued > 0, "\(report.words)")
        try await waitUntil("the reader is through", within: .seconds(90)) { !reader.isRunning }
    }

    @Test func whatAKilledRunLeftIsEndedWhateverItCallsItself() async throws {
        var scene = try await scene()
        scene.options.orphanPatience = .milliseconds(300)
        try await scene.up()
        let orphans = [
            "SET application_name = 'batch'; SELECT pg_advisory_lock(\(DatabaseLock.working)); SELECT pg_sleep(600);\n",
            "SET application_name = 'other'; SELECT pg_sleep(601);\n",
        ]
        let sessions = try orphans.map { try scene.server.session($0, database: scene.database) }
        try await waitUntil("they sleep", within: .seconds(90)) {
            try await scene.sql(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = '\(scene.database)'") == "2"
        }
        // The second one is known by its number alone.
        try await scene.sql(
            "UPDATE serin.migration_steps SET sessions = (SELECT \(ToolSessions.number) FROM pg_stat_activity "
                + "WHERE query LIKE '%sleep(601)%' AND pid <> pg_backend_pid())")
        try scene.kind.add(ToolKind.revisions[1], to: scene.folder)
        let report = try await scene.up()
        #expect(report.notes.filter { $0.contains("ended session") }.count == 2, "\(report.notes)")
        try await waitUntil("they are gone", within: .seconds(90)) { sessions.allSatisfy { !$0.isRunning } }
        // Those of a step that is under way are noted.
        #expect(try await scene.sql("SELECT sessions LIKE '%@%' FROM serin.migration_steps ORDER BY id DESC LIMIT 1") != "f")
    }

    @Test func aVersionThatWasAddedBehindAnAppliedOneIsRefusedByTheNotes() async throws {
        let scene = try await scene()
        try await scene.up()
        try scene.kind.add(revision("0005", "CREATE TABLE five (id int)", "DROP TABLE five"), to: scene.folder)
        try await scene.up()
        try scene.kind.add(revision("0003", "CREATE TABLE late (id int)", "DROP TABLE orders"), to: scene.folder)
        let found = try await scene.migrations().inspect(deadline: .seconds(30))
        #expect(found.problems.contains { $0.message.contains("version 0003 was never applied") }, "\(found.problems)")
        for failed in [
            try await scene.failure { try await scene.up() }, try await scene.failure { try await scene.down(to: nil) },
        ] { #expect(failed.stage == .preflight && failed.failure.message.contains("0003"), "\(failed)") }
        #expect(try await scene.sql("SELECT to_regclass('orders')") == "orders")
        try scene.kind.remove("0003", from: scene.folder)
        #expect(try await scene.down(to: "0001").after.place == "0001")
    }

    @Test func aChangeOfAnyKindIsDrift() async throws {
        let scene = try await scene()
        try scene.kind.add(
            revision(
                "0002",
                """
                CREATE DOMAIN public.price AS numeric; CREATE SEQUENCE public.number; CREATE VIEW public.seen AS SELECT 1 AS n;
                CREATE POLICY mine ON public.orders USING (true); CREATE TABLE public.child (LIKE public.orders)
                """, "SELECT 1"), to: scene.folder)
        try await scene.up()
        func drift() async throws -> [String] {
            try #require(try await scene.migrations().inspect(withScripts: false, deadline: .seconds(30)).drift)
        }
        #expect(try await drift() == [])
        var seen: [String] = []
        for change in [
            "CREATE RULE gone AS ON DELETE TO orders DO INSTEAD NOTHING",
            "ALTER DOMAIN price ADD CONSTRAINT positive CHECK (VALUE > 0)", "ALTER DOMAIN price SET NOT NULL",
            "ALTER TABLE orders FORCE ROW LEVEL SECURITY", "ALTER TABLE orders REPLICA IDENTITY NOTHING",
            "ALTER SEQUENCE number MAXVALUE 10", "ALTER SEQUENCE number OWNED BY orders.id",
            "CREATE STATISTICS pair (dependencies) ON id, amount FROM orders", "ALTER VIEW seen SET (security_barrier)",
            "CREATE PUBLICATION flow FOR TABLE orders", "ALTER POLICY mine ON orders TO pg_monitor",
            "ALTER TABLE child INHERIT orders",
        ] {
            try await scene.sql(change)
            let now = try await drift()
            #expect(now != seen, "\(change)")
            seen = now
        }
    }

    @Test func aDatabaseThatTakesNoWritesIsRefusedBeforeAnything() async throws {
        let scene = try await scene()
        try await scene.sql("ALTER DATABASE \(scene.database) SET default_transaction_read_only = on")
        let found = try await scene.migrations().inspect(deadline: .seconds(30))
        #expect(found.problems.contains { $0.kind == .conflict && $0.message.contains("takes no writes") }, "\(found.problems)")
        let failed = try await scene.failure { try await scene.up() }
        #expect(failed.stage == .preflight && failed.failure.kind == .conflict, "\(failed)")
    }

    @Test(arguments: [ToolKind.pairs, .marked]) func aTransactionThatIsNotCommittedIsFoundBeforeAnythingIsRun(_ kind: ToolKind)
        async throws
    {
        let scene = try await scene(kind, count: 2)
        try await scene.up(to: "0001")
        let open = "BEGIN; ALTER TABLE public.orders ADD COLUMN more int"
        try scene.kind.add(revision("0003", open, "SELECT 1"), to: scene.folder)
        let found = try await scene.migrations().inspect(deadline: .seconds(30))
        #expect(found.problems.contains { $0.message.contains("has a BEGIN without a COMMIT") }, "\(found.problems)")
        let failed = try await scene.failure { try await scene.up() }
        #expect(failed.stage == .preflight && failed.failure.message.contains("without a COMMIT"), "\(failed)")
        // The one before it, which nothing speaks against, was not run either.
        #expect(try await scene.place() == "0001")
    }

    @Test func aWayBackThatBringsNoRowBackIsNotTaken() async throws {
        let scene = try await scene()
        try await scene.up()
        try await scene.sql("INSERT INTO orders SELECT n, 'a', n FROM generate_series(1, 10) n")
        let up =
            "CREATE TABLE public.saved AS SELECT id, amount FROM public.orders; UPDATE public.orders SET amount = 0; "
            + "DELETE FROM public.orders WHERE id = 10"
        func back(_ condition: String) -> String {
            "UPDATE ONLY public.orders o SET amount = s.amount FROM public.saved s WHERE \(condition); DROP TABLE public.saved"
        }
        try scene.kind.add(revision("0002", up, back("false")), to: scene.folder)
        try await scene.up()
        let failed = try await scene.failure { try await scene.down(to: "0001") }
        #expect(failed.failure.kind == .conflict, "\(failed)")
        #expect(
            failed.failure.message.contains("found no row there: the way forward had changed 10 and deleted 1"), "\(failed)")
        #expect(try await scene.place() == "0002")
        #expect(try await scene.sql("SELECT count(*) FROM saved") == "10")
        // One that brings some of them back is taken, and says so.
        var accepting = scene
        accepting.options.acceptsEdited = true
        try scene.kind.add(revision("0002", up, back("s.id = o.id AND o.id < 4")), to: scene.folder)
        let report = try await accepting.down(to: "0001")
        #expect(
            report.notes.contains { $0.contains("wrote 3 rows of public.orders, of which the way forward had changed 10") },
            "\(report.notes)")
        #expect(
            try await scene.sql("SELECT string_agg(amount::text, ' ' ORDER BY id) FROM orders WHERE amount > 0")
                == "1.00 2.00 3.00")
    }

    @Test func anIndexThatSomebodyElseBuiltStays() async throws {
        let scene = try await scene()
        try await scene.up()
        try scene.kind.add(
            revision("0002", "CREATE INDEX orders_ref ON public.orders (amount); SELECT 1/0", "SELECT 1"), to: scene.folder)
        #expect(try await scene.failure { try await scene.up() }.failure.message.contains("division by zero"))
        try await scene.sql("CREATE UNIQUE INDEX ref ON orders (id, amount)")
        let failed = try await scene.failure { try await scene.up() }
        #expect(failed.failure.message.contains("index public.ref"), "\(failed)")
        #expect(try await scene.sql("SELECT to_regclass('ref')") == "ref")
    }

    @Test func aLossIsConfinedOnlyWhereNothingPassesItOn() async throws {
        let scene = try await scene()
        try await scene.up()
        func tables(_ up: String, _ kind: MigrationClass = .destructive) async throws -> [String] {
            try scene.kind.add(revision("0002", up, "SELECT 1"), to: scene.folder)
            let release = ReleaseMigrations(try scene.migrations(), by: .serin) { found in
                found.pending.map {
                    ClassifiedRevision(planned: PlannedRevision(id: $0.id, kind: kind, tables: ["orders"]))
                }
            }
            return try #require(try await release.plan(deadline: .seconds(30)).pending.first).tables
        }
        #expect(try await tables("DELETE FROM orders") == ["orders"])
        #expect(try await tables("DELETE FROM orders", .unclassified) == [])
        #expect(try await tables("TRUNCATE orders CASCADE") == [])
        #expect(try await tables("CREATE TRIGGER t AFTER DELETE ON orders EXECUTE FUNCTION f(); DELETE FROM orders") == [])
        try await scene.sql("CREATE TABLE lines (orders bigint REFERENCES orders ON DELETE CASCADE)")
        #expect(try await tables("DELETE FROM orders") == [])
        try await scene.sql("DROP TABLE lines")
        #expect(try await tables("DELETE FROM orders") == ["orders"])
        // What an heir passes on is passed on where its parent is changed, and quotes are no part of a name.
        try await scene.sql(
            "CREATE TABLE heir () INHERITS (orders); CREATE RULE r AS ON DELETE TO heir DO ALSO NOTIFY x")
        #expect(try await tables("DELETE FROM orders") == [])
        try await scene.sql(
            "DROP TABLE heir; CREATE TABLE \"order\" (id int); CREATE RULE r AS ON DELETE TO \"order\" DO ALSO NOTIFY x")
        for (name, isConfined) in [("order", false), ("public.\"order\"", false), ("app.order", true), ("orders", true)] {
            let release = ReleaseMigrations(try scene.migrations(), by: .serin) { found in
                found.pending.map { ClassifiedRevision(planned: PlannedRevision(id: $0.id, kind: .destructive, tables: [name])) }
            }
            let plan = try await release.plan(deadline: .seconds(30))
            #expect(plan.pending.first?.tables == (isConfined ? [name] : []), "\(name)")
        }
        try await scene.sql("CREATE RULE gone AS ON DELETE TO orders DO INSTEAD NOTHING")
        #expect(try await tables("DELETE FROM orders") == [])
    }

    @Test func rowsThatComeBackCountOnlyWhereNothingPassesTheirChangeOn() async throws {
        let scene = try await scene()
        try await scene.up()
        try scene.kind.add(revision("0002", "DELETE FROM orders", "SELECT 1"), to: scene.folder)
        func kind(_ restored: RestoredTables) async throws -> MigrationClass {
            let release = ReleaseMigrations(try scene.migrations(), by: .serin) { found in
                found.pending.map {
                    ClassifiedRevision(planned: PlannedRevision(id: $0.id, kind: .reversible), restored: restored)
                }
            }
            return try #require(try await release.plan(deadline: .seconds(30)).pending.first).kind
        }
        #expect(try await kind(RestoredTables(deleted: ["orders"], updated: ["orders": ["amount"]])) == .reversible)
        try await scene.sql("CREATE TABLE lines (orders bigint REFERENCES orders ON DELETE CASCADE)")
        #expect(try await kind(RestoredTables(deleted: ["orders"])) == .destructive)
        #expect(try await kind(RestoredTables(updated: ["orders": ["amount"]])) == .reversible)
        #expect(try await kind(RestoredTables(deleted: ["lines"])) == .reversible)
        let trigger = "ON orders EXECUTE FUNCTION suppress_redundant_updates_trigger()"
        try await scene.sql("CREATE TRIGGER t AFTER DELETE OR TRUNCATE \(trigger)")
        try await scene.sql("CREATE TRIGGER u AFTER UPDATE OF id \(trigger)")
        try await scene.sql("CREATE TABLE keys (orders bigint REFERENCES orders ON UPDATE CASCADE)")
        #expect(try await kind(RestoredTables(updated: ["orders": ["amount"]])) == .reversible)
        #expect(try await kind(RestoredTables(updated: ["orders": ["id"]])) == .destructive)
        #expect(try await kind(RestoredTables(updated: ["orders": []])) == .destructive)
        try await scene.sql("CREATE TRIGGER v AFTER UPDATE \(trigger)")
        #expect(try await kind(RestoredTables(updated: ["orders": ["amount"]])) == .destructive)
    }

    @Test func aPlanSaysWhatPassesAChangeOnAndWhatToDo() async throws {
        let scene = try await scene()
        try await scene.up()
        try await scene.sql(
            "CREATE TRIGGER audit AFTER UPDATE ON orders EXECUTE FUNCTION suppress_redundant_updates_trigger()")
        try scene.kind.add(revision("0002", "UPDATE orders SET amount = 0", "SELECT 1"), to: scene.folder)
        let release = ReleaseMigrations(try scene.migrations(), by: .serin) { found in
            found.pending.map {
                ClassifiedRevision(
                    planned: PlannedRevision(id: $0.id, kind: .reversible),
                    restored: RestoredTables(updated: ["orders": ["amount"]]))
            }
        }
        let reason = try #require(try await release.plan(deadline: .seconds(30)).pending.first).reason
        #expect(
            reason.contains("the trigger audit of public.orders") && reason.contains("drop it in a release before"), "\(reason)")
    }

    @Test(arguments: [ToolKind.pairs, .alembic]) func theZoneOfSessionsThatSerinOpensItselfIsKnown(_ kind: ToolKind) async throws
    {
        let scene = try await scene(kind)
        func zone() async throws -> Bool? { try await scene.migrations().inspect(deadline: .seconds(60)).isUTC }
        for (name, isUTC) in [("UTC", true), ("Europe/Berlin", false)] {
            try await scene.sql(
                "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET TimeZone = ''\(name)''', current_database()); END $$")
            let expected = kind == .alembic ? nil : isUTC
            #expect(try await zone() == expected, "\(name)")
        }
    }

    @Test func codeOfTheServersOwnThatNoStatementCallsByNameIsFound() async throws {
        let scene = try await scene()
        try await scene.up()
        try await scene.sql(
            """
            CREATE FUNCTION wipe(o orders) RETURNS int LANGUAGE sql AS 'SELECT 1';
            CREATE FUNCTION plain(i int) RETURNS int LANGUAGE sql AS 'SELECT 1';
            CREATE FUNCTION same(a int, b int) RETURNS boolean LANGUAGE sql AS 'SELECT true';
            CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = same);
            CREATE TYPE mood AS ENUM ('a');
            CREATE DOMAIN pos AS int CHECK (VALUE > 0); CREATE DOMAIN whole AS int;
            CREATE FUNCTION asMood(i int) RETURNS mood LANGUAGE sql AS 'SELECT ''a''::mood';
            CREATE CAST (int AS mood) WITH FUNCTION asMood(int) AS ASSIGNMENT
            """)
        let code = try #require(try await scene.migrations().inspect(deadline: .seconds(30)).code)
        #expect(code.calls == ["wipe", "===", "::mood", ":="])
        #expect(code.types.isSuperset(of: ["mood", "whole", "orders"]) && !code.types.contains("pos"), "\(code.types)")
    }

    @Test func whatIsAppliedAndTheServersVersionAreThereForTheJudgement() async throws {
        let scene = try await scene(count: 2)
        try await scene.up(to: "0001")
        let found = try await scene.migrations().inspect(deadline: .seconds(30))
        #expect(found.applied.map(\.revision) == ["0001"] && found.pending.map(\.id.description) == ["0002"])
        let version = try await scene.sql("SHOW server_version_num")
        #expect(Int(version).map { $0 / 10_000 } == found.serverVersion)
    }

    @Test func branchesThatAreJoinedAreAppliedAndRepeated() async throws {
        let scene = try await scene(.alembic)
        try await scene.place(1)
        let note = "ALTER TABLE public.orders ADD COLUMN "
        for name in ["0002a", "0002b"] {
            try scene.kind.add(revision(name, note + "c\(name) int", "SELECT 1", parent: "0001"), to: scene.folder)
        }
        let joined = #"0002a", "0002b"#
        try scene.kind.add(revision("0003", "SELECT 1/0", "SELECT 1", parent: joined), to: scene.folder)
        // There is no way back through what joins them, which is said before anything is run.
        let release = ReleaseMigrations(try scene.migrations(), by: .serin) { found in
            found.pending.map { ClassifiedRevision(planned: PlannedRevision(id: $0.id, kind: .reversible)) }
        }
        let plan = try await release.plan(deadline: .minutes(1))
        #expect(plan.pending.map(\.hasDown) == [true, false, false], "\(plan.pending)")
        let failed = try await scene.failure { try await scene.up() }
        #expect(failed.failure.message.contains("division by zero"), "\(failed)")
        #expect(try await scene.place() == "0002a, 0002b")
        let request = MigrationRequest(key: "x", service: try #require(ServiceName("shop")), version: "2")
        let preflight = await release.preflight(request, deadline: .minutes(1))
        #expect(preflight.problems.contains { $0.message.contains("at 2 revisions") }, "\(preflight.problems)")
        try scene.kind.add(revision("0003", "SELECT 1", "SELECT 1", parent: joined), to: scene.folder)
        #expect(try await scene.up().after.place == "0003")
    }
}
