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

@Suite(.serialized) struct RestoreTests {
    @Test func aPoisonedDumpRunsNothing() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        let proof = scene.scratch.file("proof")
        let texts = ["SELECT 1;\n\\! touch \(proof)\n", "\\restrict abc\nSELECT 1;\n\\unrestrict abc\n\\! touch \(proof)\n"]
        for text in texts {
            var source = TextSource(text: text + "-- PostgreSQL database dump complete\n", inner: try scene.source(.plain))
            source.server = SourceFacts(version: "15")
            source.server?.owners = [DumpOwner(role: "restorer")]
            let record = try await scene.backUp(source).record
            let failure = await #expect(throws: Failure.self) { _ = try await scene.restore(record.id, source) }
            #expect(failure?.message.contains("command to psql") == true, "\(String(describing: failure))")
            #expect(try await scene.server.sql("SELECT count(*) FROM pg_database WHERE datname LIKE '%restore%'") == "0")
        }
        #expect(access(proof, F_OK) != 0)
        var examined = TextSource(text: texts[0], inner: try scene.source(.plain))
        examined.examines = true
        #expect(await scene.failure(examined)?.stage == .check)
    }

    /// Takes rights over the server in every way that SQL has, and notes what became of each.
    private func attack(_ proof: String) -> String {
        let ways = [
            "GRANT pg_execute_server_program TO CURRENT_USER", "ALTER ROLE CURRENT_USER SUPERUSER",
            "CREATE ROLE intruder LOGIN IN ROLE pg_execute_server_program", "SET LOCAL ROLE postgres",
            "COPY (SELECT 1) TO PROGRAM 'touch \(proof)'", "COPY (SELECT 1) TO '\(proof)'", "SELECT pg_read_file('PG_VERSION')",
            "SELECT public.make_role('intruder', true)",
        ]
        let tries = ways.map { way in
            """
            BEGIN EXECUTE $way$\(way)$way$; INSERT INTO tried VALUES ($way$\(way)$way$, 'done');
            EXCEPTION WHEN OTHERS THEN INSERT INTO tried VALUES ($way$\(way)$way$, SQLSTATE); END;

            """
        }
        return "CREATE TABLE tried (way text, came text);\nDO $try$ BEGIN\n\(tries.joined())END $try$;\n"
            + "-- PostgreSQL database dump complete\n"
    }

    @Test func aDumpTakesNoRightsOverTheServer() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        // The server's own account must be able to write there.
        let proof = "/tmp/s\(getpid())p"
        defer { unlink(proof) }
        var source = TextSource(text: attack(proof), inner: try scene.source(.plain))
        source.server = SourceFacts(version: "15")
        source.server?.owners = [DumpOwner(role: "owner2")]
        let record = try await scene.backUp(source).record
        try await scene.server.sql("CREATE ROLE owner2; GRANT owner2 TO restorer")
        var policy = RestorePolicy()
        policy.trust = ["owner2"]
        let restored = try await scene.restore(record.id, source, scene.restoreSettings(policy))
        let came = try await scene.server.sql(
            "SELECT count(*), count(*) FILTER (WHERE came = 'done') FROM tried", database: restored.name)
        #expect(came == "8|0", "\(came)")
        var drill = BackupDrill.Settings(DrillPolicy(.cron(try CronExpression("0 2 * * *"))), folder: scene.scratch.path)
        drill.integrity = "SELECT * FROM public.tried WHERE came = 'done'"
        let report = try await BackupDrill(
            scene.settings, drill, identities: [.keyFile(scene.keyFile)], catalogue: scene.catalogue, now: BackupScene.now
        ).run(source, backup: record.id, by: BackupScene.principal)
        #expect(report.result.restored, "\(report.result.checks)")
        #expect(report.result.checks.first { $0.name == "integrity 1" }?.passed == true, "\(report.result.checks)")
        #expect(access(proof, F_OK) != 0)
        // Who may make roles could: as this one the same text runs a program, where the server is older than 16.
        try await scene.server.sql("CREATE ROLE maker LOGIN CREATEROLE CREATEDB")
        try await scene.server.sql("CREATE DATABASE made OWNER maker")
        try await scene.server.sql(attack(proof), user: "maker", database: "made")
        let version = Int(try await scene.server.sql("SHOW server_version_num")) ?? 0
        #expect((access(proof, F_OK) == 0) == (version < 160_000))
    }

    @Test func whoHasPowerOverTheServerIsNotRestoredAs() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        try await scene.server.sql(
            """
            CREATE ROLE maker LOGIN CREATEDB CREATEROLE; CREATE ROLE member LOGIN CREATEDB IN ROLE maker; CREATE ROLE between;
            GRANT postgres TO between; CREATE ROLE heir LOGIN CREATEDB IN ROLE between;
            CREATE ROLE runner LOGIN CREATEDB; GRANT pg_execute_server_program TO runner
            """)
        for (user, words) in [
            ("postgres", "is a superuser"), ("maker", "is one that may make roles"),
            ("member", "a member of maker, one that may make"),
            ("heir", "a member of postgres, a superuser"), ("runner", "a member of pg_execute_server_program"),
        ] {
            let failure = await #expect(throws: Failure.self) {
                _ = try await scene.restore(record.id, source, scene.restoreSettings(user: user))
            }
            #expect(failure?.kind == .denied && failure?.message.contains(words) == true, "\(String(describing: failure))")
            let found = await RestorePreflight(scene.restoreSettings(user: user), last: record).look().first?.failure
            #expect(found?.message.contains(words) == true, "\(String(describing: found))")
            let rehearsed = await RestorePreflight(scene.restoreSettings(user: user), last: nil).check(rolesOf: record)
            #expect(!rehearsed.passed && rehearsed.detail.contains(words), "\(rehearsed)")
        }
        #expect(try await scene.server.sql("SELECT count(*) FROM pg_database WHERE datname LIKE '%restore%'") == "0")
        let bare = await #expect(throws: Failure.self) {
            _ = try await BackupRestore(
                scene.settings, scene.restoreSettings(), identities: [], catalogue: scene.catalogue,
                holder: BackupScene.holder, now: BackupScene.now
            ).restore(
                record.id, source: source,
                permit: RestorePermit(backup: record.id, database: "other", scope: .swap, by: BackupScene.principal))
        }
        #expect(bare?.message.contains("nobody allowed") == true)
    }

    @Test func aSwapTakesThePlaceAndCanBeTakenBack() async throws {
        let scene = try await BackupScene.start()
        defer { scene.end() }
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        let before = try await scene.content("shop")
        try await scene.server.sql("DELETE FROM app.lines; DELETE FROM app.orders", database: "shop")
        let damaged = try await scene.content("shop")
        let log = scene.scratch.file("hooks")
        var policy = RestorePolicy()
        policy.quiesce = BackupHook(run: ["/bin/sh", "-c", "echo quiesce >> \(log)"])
        policy.resume = BackupHook(run: ["/bin/sh", "-c", "echo resume >> \(log)"])
        let settings = scene.restoreSettings(policy)
        let restored = try await scene.restore(record.id, source, settings)
        #expect(restored.passed, "\(restored.checks)")
        let swap = scene.swap(settings)
        let weak = await #expect(throws: Failure.self) {
            _ = try await swap.swap(restored, permit: scene.permit(record.id, .merge))
        }
        #expect(weak?.kind == .denied)
        // A session that will not leave by itself.
        let session = try scene.server.session("\\! sleep 60\n", user: "restorer", database: "shop")
        defer { session.stop() }
        try await waitUntil("a session") {
            try await scene.server.sql("SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = 'shop'") == "t"
        }
        let outcome = try await swap.swap(restored, permit: scene.permit(record.id))
        #expect(try await scene.content("shop") == before)
        #expect(try await scene.content(outcome.replaced) == damaged)
        let undone = try await swap.undo(outcome.replaced, permit: scene.permit(record.id))
        #expect(try await scene.content("shop") == damaged)
        #expect(try await scene.content(undone.replaced) == before)
        #expect(String(decoding: try Data(contentsOf: URL(filePath: log)), as: UTF8.self) == "quiesce\nresume\nquiesce\nresume\n")
    }

    @Test func checksThatDoNotHoldAreFoundAndForbidTheSwap() async throws {
        let scene = try await BackupScene.start()
        defer { scene.end() }
        try await scene.server.sql(
            "SET session_replication_role = replica; DELETE FROM app.orders WHERE id = 77; SELECT setval('app.orders_id_seq', 5)",
            database: "shop")
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        var policy = RestorePolicy()
        policy.checks = RestoreChecks(
            tables: ["app.orders", "app.nothing"], recent: [.init(table: "app.orders", column: "made", within: .hours(1))],
            smoke: [
                BackupHook(run: ["psql", "-X", "-c", "SELECT 1 / 0"]),
                BackupHook(run: ["psql", "-X", "-d", "{{url}}", "-c", "SELECT 1"]),
            ])
        var settings = scene.restoreSettings(policy)
        settings.integrity =
            "-- orders; must\nSELECT * FROM app.orders WHERE total < 0;\nSELECT 'found; it' FROM app.lines LIMIT 1;"
        let failure = await #expect(throws: Failure.self) { _ = try await scene.restore(record.id, source, settings) }
        // The server itself refuses a foreign key with orphans.
        #expect(failure?.message.contains("foreign key") == true)
        try await scene.server.sql("ALTER TABLE app.lines DROP CONSTRAINT lines_order_id_fkey", database: "shop")
        try await scene.server.sql(
            "ALTER TABLE app.lines ADD FOREIGN KEY (order_id) REFERENCES app.orders NOT VALID", database: "shop")
        let again = try await scene.backUp(source).record
        let restored = try await scene.restore(again.id, source, settings)
        let bad = restored.checks.filter { !$0.passed }.map(\.name)
        #expect(
            bad == ["table app.nothing", "integrity 2", "smoke psql -X -c SELECT 1 / 0"], "\(restored.checks)")
        // What was out of order before is restored faithfully, and said.
        for (name, words) in [("foreign keys", "1 orphans"), ("sequences", "behind their columns: app.orders_id_seq, as in")] {
            let check = restored.checks.first { $0.name == name }
            #expect(check?.passed == true && check?.detail.contains(words) == true, "\(restored.checks)")
        }
        await #expect(throws: Failure.self) {
            _ = try await scene.swap(settings).swap(restored, permit: scene.permit(again.id))
        }
    }

    @Test func aTableThatTheBackupDoesNotHaveIsRefusedByName() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        let failure = await #expect(throws: Failure.self) { _ = try await scene.restore(record.id, source, tables: ["app.nope"]) }
        #expect(failure?.message == "the backup has no table app.nope")
        #expect(failure?.kind == .denied)
        #expect(try await scene.server.sql("SELECT count(*) FROM pg_database WHERE datname LIKE '%restore%'") == "0")
    }

    @Test func missingRowsOfOneTableComeBackAndNewerOnesStay() async throws {
        let scene = try await BackupScene.start()
        defer { scene.end() }
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        try await scene.server.sql(
            """
            DELETE FROM app.lines WHERE order_id <= 500; DELETE FROM app.orders WHERE id <= 500;
            UPDATE app.orders SET note = 'newer' WHERE id BETWEEN 501 AND 600;
            INSERT INTO app.orders (note) VALUES ('new')
            """, database: "shop")
        // A column that is unique, one that the backup does not have, and a sequence that stands too early.
        try await scene.server.sql(
            """
            ALTER TABLE app.orders ADD COLUMN fresh int; CREATE UNIQUE INDEX ON app.orders (raw);
            SELECT setval('app.orders_id_seq', 400)
            """, user: "restorer", database: "shop")
        let restored = try await scene.restore(record.id, source, tables: ["app.orders"], scope: .beside)
        // What a live order has by now that another had before.
        let taken = try await scene.server.sql("SELECT raw FROM app.orders WHERE id = 7", database: restored.name)
        try await scene.server.sql("UPDATE app.orders SET raw = '\(taken)' WHERE id = 20001", database: "shop")
        let merge = TableMerge(
            scene.restoreSettings(), target: "shop", catalogue: scene.catalogue, holder: BackupScene.holder, now: BackupScene.now)
        func merged(_ agreed: Int64?, _ scope: RestorePermit.Scope) async throws -> (TableMerge.Plan, TableMerge.Merged?) {
            try await merge.merge("app.orders", from: restored.name, agreed: agreed, permit: scene.permit(record.id, scope))
        }
        // Left by one that was killed.
        try await scene.server.sql(
            """
            CREATE SCHEMA \(restored.name); COMMENT ON SCHEMA \(restored.name) IS 'of serin backup merge; it may be dropped';
            CREATE TABLE \(restored.name).orders ()
            """, user: "restorer", database: "shop")
        var cramped = scene.permit(record.id, .beside)
        cramped.room = 100_000
        let tight = await #expect(throws: Failure.self) {
            _ = try await merge.merge("app.orders", from: restored.name, permit: cramped)
        }
        #expect(tight?.kind == .denied && tight?.hint?.contains("--room 1GiB") == true, "\(String(describing: tight))")
        let (plan, nothing) = try await merged(nil, .beside)
        #expect(nothing == nil)
        #expect(plan.missing == 500 && plan.conflicting == 1 && plan.added == 499)
        #expect(plan.differing == 100)
        #expect(plan.restored == 20_000)
        #expect(plan.live == 19_501)
        #expect(plan.leftOut == ["fresh"])
        #expect(plan.statement.hasPrefix("INSERT INTO \"app\".\"orders\""))
        for (agreed, scope, kind) in [(499, .beside, FailureClass.denied), (498, .merge, .conflict)]
            as [(Int64, RestorePermit.Scope, FailureClass)]
        {
            let refused = await #expect(throws: Failure.self) { _ = try await merged(agreed, scope) }
            #expect(refused?.kind == kind)
        }
        func count(_ condition: String) async throws -> String {
            try await scene.server.sql("SELECT count(*) FROM app.orders WHERE \(condition)", database: "shop")
        }
        #expect(try await count("true") == "19501")
        let done = try #require(try await merged(499, .merge).1)
        #expect(done.added == 499 && done.sequences == ["app.orders_id_seq"])
        #expect(try await count("true") == "20000")
        #expect(try await count("note = 'newer'") == "100")
        #expect(try await count("note = 'new'") == "1")
        #expect(try await count("id <= 500") == "499")
        #expect(try await scene.server.sql("SELECT last_value FROM app.orders_id_seq", database: "shop") == "20001")
        // Nothing is left, and nothing is missing any more but what cannot come back.
        #expect(
            try await scene.server.sql("SELECT count(*) FROM pg_namespace WHERE nspname LIKE '%restore%'", database: "shop")
                == "0")
        #expect(try await merged(0, .merge).1?.added == 0)
        try await aSchemaThatNoMergeHasMadeStays(scene, restored.name) { _ = try await merged(nil, .beside) }
    }

    private func aSchemaThatNoMergeHasMadeStays(
        _ scene: BackupScene, _ name: String, _ merge: () async throws -> Void
    ) async throws {
        try await scene.server.sql("CREATE SCHEMA \(name)", user: "restorer", database: "shop")
        await #expect(throws: Failure.self) { try await merge() }
        #expect(
            try await scene.server.sql("SELECT count(*) FROM pg_namespace WHERE nspname = '\(name)'", database: "shop") == "1")
    }

    @Test func aDrillRestoresChecksMeasuresAndLeavesNothing() async throws {
        let scene = try await BackupScene.start()
        defer { scene.end() }
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        let trigger = try #require(CronTrigger.nightly)
        var policy = DrillPolicy(trigger, selection: .sampled)
        policy.deadline = .minutes(5)
        let settings = BackupDrill.Settings(
            policy,
            checks: RestoreChecks(
                tables: ["app.orders"], smoke: [BackupHook(run: ["psql", "-X", "-c", "SELECT count(*) FROM app.orders"])]),
            targets: BackupPlan.Targets(recoveryPoint: .hours(6), recoveryTime: .hours(2)), folder: scene.scratch.path)
        let drill = BackupDrill(
            scene.settings, settings, identities: [.keyFile(scene.keyFile)], catalogue: scene.catalogue, now: BackupScene.now)
        let report = try await drill.run(source, seed: 42, by: BackupScene.principal)
        #expect(report.result.passed, "\(report.result.checks)")
        #expect(report.selection == "random, seed 42")
        let clock = report.result.clock
        #expect(clock.recoveryTime != nil)
        let restoring = try #require(clock.time(of: .restore))
        #expect(try restoring > #require(clock.time(of: .download)), "the tool's time counts as restoring: \(clock)")
        #expect(try restoring > #require(clock.time(of: .locate)), "making the rehearsal's server is not measured: \(clock)")
        #expect(report.result.recoveryPoint.map { $0 < .minutes(5) } == true)
        #expect(report.markdown.contains("| rows | passed | "))
        #expect(try report.json().count > 500)
        #expect(try await scene.record(record.id)?.state == .drilled)
        #expect(scene.leftovers.isEmpty)
        let entries = try FileManager.default.contentsOfDirectory(atPath: scene.scratch.path)
        #expect(!entries.contains { $0.hasPrefix(".serin-drill") })
        #expect(children(named: "postgres").filter { $0 != scene.server.pid }.isEmpty)

        // One that is called off says nothing.
        let entriesBefore = try await scene.catalogue.entries().count
        let interrupted = await Task {
            withUnsafeCurrentTask { $0?.cancel() }
            do throws(Failure) {
                _ = try await drill.run(source, backup: record.id, by: BackupScene.principal)
                return "it ended"
            } catch { return error.message }
        }.value
        #expect(interrupted.contains("was interrupted"), "\(interrupted)")
        #expect(try await scene.catalogue.entries().count == entriesBefore)

        // One whose restore fails is no success, and is cleaned as well.
        let path = "\(scene.store)/\(try #require(record.copies.first).key)"
        truncate(path, 1000)
        let failed = try await drill.run(source, backup: record.id, by: BackupScene.principal)
        #expect(!failed.result.passed)
        #expect(!failed.result.restored)
        #expect(failed.markdown.contains("failed"))
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: scene.scratch.path).filter { $0.hasPrefix(".serin-drill") }
                .isEmpty)
    }

    @Test func onlyTheSchemaThatIsNamedIsDumpedWithWhatItNeeds() async throws {
        let scene = try await BackupScene.start()
        defer { scene.end() }
        try await scene.server.sql(
            """
            CREATE SCHEMA tenant_a; CREATE SCHEMA tenant_ab; CREATE TABLE tenant_a.t (id int PRIMARY KEY, x int);
            """
                + "CREATE TABLE tenant_ab.t (id int); CREATE TABLE tenant_a.u (id bigint REFERENCES app.orders);"
                + "INSERT INTO tenant_a.u SELECT 1", database: "shop")
        let source = try scene.source { $0.schemas = ["tenant_a"] }
        let record = try await scene.backUp(source).record
        #expect(record.facts?.rows?.tables.map(\.schema) == ["tenant_a", "tenant_a"])
        #expect(record.facts?.server?.prerequisites == ["extension pgcrypto", "schema app"])
        let wrong = await scene.failure(try scene.source { $0.schemas = ["tenant_*"] })
        #expect(wrong?.stage == .dump)
    }

    @Test func rolesAreABackupOfTheirOwn() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        let source = try PostgresGlobals(
            url: scene.server.url(user: "restorer", database: "shop"), environment: SourceEnvironment(scratch: scene.scratch.path)
        )
        let result = try await scene.backUp(source)
        #expect(result.record.kind == .globals)
        #expect(result.remarks.contains { $0.contains("passwords") })
        let verified = try await scene.verifier.verify(result.record.id, source: source, by: BackupScene.principal)
        #expect(verified.result.passed, "\(verified.result.checks)")
    }
}

private enum CronTrigger {
    static var nightly: BackupTrigger? { (try? CronExpression("0 2 * * *")).map(BackupTrigger.cron) }
}
