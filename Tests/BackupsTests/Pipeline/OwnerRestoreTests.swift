import SerinBackups
import SerinCatalogue
import SerinModel
import SerinPolicies
import SerinProcesses
import Testbed
import Testing

/// Dumps whose objects belong to several roles, restored by one that is no superuser.
@Suite(.serialized) struct OwnerRestoreTests {
    private static func start() async throws -> BackupScene {
        let scene = try await BackupScene.start(isEmpty: true)
        try await scene.server.sql(
            """
            CREATE ROLE owner2; CREATE ROLE app; CREATE SCHEMA app3 AUTHORIZATION restorer;
            CREATE TABLE public.own2 (id serial PRIMARY KEY, x int); INSERT INTO public.own2 (x) VALUES (1), (2);
            CREATE TABLE app3.t (id int PRIMARY KEY); GRANT SELECT ON app3.t TO app; GRANT USAGE ON SCHEMA app3 TO app;
            ALTER TABLE public.own2 OWNER TO owner2; ALTER TABLE app3.t OWNER TO owner2
            """, database: "shop")
        try await scene.separate()
        return scene
    }

    private static func drill(_ scene: BackupScene) throws -> BackupDrill {
        var settings = BackupDrill.Settings(
            DrillPolicy(.cron(try CronExpression("0 2 * * *"))), folder: scene.scratch.path)
        let preflight = RestorePreflight(scene.restoreSettings(), last: nil)
        settings.roles = { record in await preflight.check(rolesOf: record) }
        return BackupDrill(
            scene.settings, settings, identities: [.keyFile(scene.keyFile)], catalogue: scene.catalogue, now: BackupScene.now)
    }

    @Test func objectsKeepTheirOwnersOrItIsSaidBeforeWhatIsMissing() async throws {
        let scene = try await Self.start()
        defer { scene.end() }
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        #expect(record.facts?.server?.owners?.map(\.role) == ["owner2", "restorer"])
        #expect(record.facts?.server?.grantees == ["app"])

        // Not a member of the owner: refused before anything is made, found by check, and no drill passes.
        let refused = await #expect(throws: Failure.self) { _ = try await scene.restore(record.id, source) }
        #expect(refused?.kind == .denied && refused?.message.contains("to their owners: owner2") == true)
        #expect(refused?.hint?.contains("GRANT \"owner2\" TO \"restorer\"") == true, "\(String(describing: refused))")
        let found = await RestorePreflight(scene.restoreSettings(), last: record).look()
        #expect(found.first { $0.name == "restore roles" }?.failure?.kind == .denied)
        let drill = try Self.drill(scene)
        let failed = try await drill.run(source, backup: record.id, by: BackupScene.principal)
        #expect(failed.result.restored && !failed.result.passed)
        #expect(failed.result.checks.filter { !$0.passed }.map(\.name) == ["restore roles"], "\(failed.result.checks)")

        try await scene.server.sql("GRANT owner2 TO restorer")
        let restored = try await scene.restore(record.id, source)
        #expect(restored.passed, "\(restored.checks)")
        // Nobody may do more than in the database that was dumped.
        #expect(
            try await scene.server.sql(
                """
                SELECT pg_get_userbyid(relowner), has_schema_privilege('owner2', 'app3', 'CREATE'),
                    has_schema_privilege('owner2', 'public', 'CREATE'), has_table_privilege('app', 'app3.t', 'SELECT'),
                    (SELECT count(*) FROM pg_default_acl) FROM pg_class WHERE relname = 'own2'
                """, database: restored.name) == "owner2|f|f|t|0")
        // What the first rehearsal left to be done is the only thing against this one.
        let rehearsed = try await drill.run(source, backup: record.id, by: BackupScene.principal).result
        #expect(rehearsed.restored && rehearsed.checks.filter { !$0.passed }.count == 1, "\(rehearsed.checks)")
        #expect(rehearsed.checks.first { $0.name == "restore roles" }?.passed != false)

        // What was in order when it was dumped must be in order.
        try await scene.server.sql("SELECT setval('own2_id_seq', 1)", database: restored.name)
        let again = try await BackupRestore(
            scene.settings, scene.restoreSettings(), identities: [.keyFile(scene.keyFile)], catalogue: scene.catalogue,
            holder: BackupScene.holder, now: BackupScene.now
        ).inspect(restored.name, permit: scene.permit(record.id))
        #expect(again.checks.filter { !$0.passed }.map(\.name) == ["sequences"], "\(again.checks)")

        // A new server lacks roles.
        try await scene.server.sql("DROP OWNED BY app", database: "shop")
        try await scene.server.sql("DROP OWNED BY app", database: restored.name)
        try await scene.server.sql("DROP ROLE app")
        let lacking = await #expect(throws: Failure.self) { _ = try await scene.restore(record.id, source) }
        #expect(lacking?.message.contains("lacks roles that the backup names: app") == true)
        #expect(lacking?.hint?.contains("CREATE ROLE \"app\"") == true)
        var plain = scene.restoreSettings()
        plain.keepsOwners = false
        let bare = try await scene.restore(record.id, source, plain)
        #expect(bare.passed && bare.checks.contains { $0.name == "owners" }, "\(bare.checks)")
        #expect(
            try await scene.server.sql("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'app3'", database: bare.name)
                == "restorer")
    }

    @Test func whatTheServerMakesByItselfNeedsNoOwnerAndEverythingElseDoes() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        // Constructors of ranges belong to the first superuser; arrays, rows, sequences of identities, toast come with something else.
        try await scene.server.sql(
            """
            CREATE TYPE span AS RANGE (subtype = int4); CREATE TYPE mood AS ENUM ('calm'); CREATE DOMAIN short AS varchar(9);
            CREATE TABLE stays (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, at span, moods mood[], note text, word short);
            INSERT INTO stays (at, moods) VALUES ('[1,5)', '{calm}')
            """, user: "restorer", database: "shop")
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        #expect(record.facts?.server?.owners?.map(\.role) == ["restorer"])
        let restored = try await scene.restore(record.id, source)
        #expect(restored.passed, "\(restored.checks)")
        #expect(try await scene.server.sql("SELECT upper(at) FROM stays", database: restored.name) == "5")
        // What a dump does give to its owner is found before, of whatever sort it is.
        for (number, made) in [
            "CREATE TYPE pair AS (a int, b int); ALTER TYPE pair OWNER TO",
            "CREATE STATISTICS s ON id, note FROM stays; ALTER STATISTICS s OWNER TO",
            "CREATE COLLATION c FROM \"C\"; ALTER COLLATION c OWNER TO",
            "CREATE TEXT SEARCH DICTIONARY d (TEMPLATE = simple); ALTER TEXT SEARCH DICTIONARY d OWNER TO",
            "CREATE LANGUAGE lang HANDLER plpgsql_call_handler; ALTER LANGUAGE lang OWNER TO",
            "SELECT lo_create(4711); GRANT SELECT ON LARGE OBJECT 4711 TO keeper; ALTER LARGE OBJECT 4711 OWNER TO",
        ].enumerated() {
            try await scene.server.sql("CREATE ROLE own\(number)")
            try await scene.server.sql("\(made) own\(number)", database: "shop")
        }
        let later = try await scene.backUp(source).record
        #expect(later.facts?.server?.owners?.map(\.role) == ["own0", "own1", "own2", "own3", "own4", "own5", "restorer"])
        let refused = await #expect(throws: Failure.self) { _ = try await scene.restore(later.id, source) }
        // Who may not read one is told before a backup.
        try await scene.server.sql("REVOKE SELECT ON LARGE OBJECT 4711 FROM keeper", database: "shop")
        let unread = #expect(throws: Failure.self) { _ = try source.probe(stop: try StopSignal()) }
        #expect(
            unread?.kind == .denied && unread?.message.contains("large objects") == true
                && unread?.message.hasSuffix(": 4711") == true, "\(String(describing: unread))")
        #expect(
            refused?.message.contains("to their owners: own0, own1, own2, own3, own4, own5") == true,
            "\(String(describing: refused))")
    }

    @Test func aDumpInTextFormIsRehearsedWithItsRoles() async throws {
        let scene = try await Self.start()
        defer { scene.end() }
        try await scene.server.sql("GRANT owner2 TO restorer")
        let source = try scene.source(.plain)
        let record = try await scene.backUp(source).record
        let report = try await Self.drill(scene).run(source, backup: record.id, by: BackupScene.principal)
        #expect(report.result.passed, "\(report.result.checks)")
        let restored = try await scene.restore(record.id, source)
        #expect(restored.passed, "\(restored.checks)")
    }

    @Test func whatAMergeThatWasKilledLeftGoesWithTheNextRestoreOrItsDatabase() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        try await scene.server.sql("CREATE TABLE t (id int PRIMARY KEY)", user: "restorer", database: "shop")
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        let first = try await scene.restore(record.id, source)
        func leave(_ name: String) async throws {
            try await scene.server.sql(
                "CREATE SCHEMA \(name); COMMENT ON SCHEMA \(name) IS 'of serin backup merge; it may be dropped'; CREATE TABLE \(name).t ()",
                user: "restorer", database: "shop")
        }
        func left() async throws -> String {
            try await scene.server.sql("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'shop%'", database: "shop")
        }
        try await leave(first.name)
        // A schema of such a name that no merge has made is somebody else's.
        try await scene.server.sql("CREATE SCHEMA shop_restore_mine", user: "restorer", database: "shop")
        let remarks = try source.probe(stop: try StopSignal()).remarks
        #expect(remarks.contains { $0.contains("DROP SCHEMA \"\(first.name)\" CASCADE") }, "\(remarks)")
        #expect(!remarks.contains { $0.contains("shop_restore_mine") })
        // While a merge works, wherever it does, nothing is taken from it.
        let merge = try scene.server.session(
            "SELECT pg_advisory_lock(7310590473041);\n\\! sleep 60\n", user: "keeper", database: "shop")
        try await waitUntil("the merge") {
            try await scene.server.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted") == "1"
        }
        try await scene.sides().sweepMerges()
        let busy = await #expect(throws: Failure.self) {
            _ = try await TableMerge(
                scene.restoreSettings(), target: "shop", catalogue: scene.catalogue, holder: BackupScene.holder,
                now: BackupScene.now
            ).merge("public.t", from: first.name, permit: scene.permit(record.id, .beside))
        }
        #expect(busy?.kind == .conflict && busy?.message.contains("another merge") == true, "\(String(describing: busy))")
        #expect(try await left() == "2")
        merge.stop()
        try await waitUntil("its end") {
            try await scene.server.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted") == "0"
        }
        try await scene.sides().drop(first.name, by: BackupScene.principal)
        #expect(try await left() == "1")
        try await leave("shop_restore_gone")
        try await scene.sides().sweepMerges()
        #expect(try await left() == "1")
        try await leave("shop_restore_gone")
        _ = try await scene.restore(record.id, source)
        #expect(try await left() == "1")
    }
}
