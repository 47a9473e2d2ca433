import SerinBackups
import SerinCatalogue
import SerinModel
import SerinPolicies
import Testbed
import Testing

/// Dumps that make what only a superuser may make.
@Suite(.serialized) struct ExtensionRestoreTests {
    private static func drill(_ scene: BackupScene) throws -> BackupDrill {
        let settings = BackupDrill.Settings(
            DrillPolicy(.cron(try CronExpression("0 2 * * *"))), folder: scene.scratch.path)
        return BackupDrill(
            scene.settings, settings, identities: [.keyFile(scene.keyFile)], catalogue: scene.catalogue, now: BackupScene.now)
    }

    private static func denial(_ scene: BackupScene, _ settings: RestoreSettings, _ last: BackupRecord) async -> Failure? {
        await RestorePreflight(settings, last: last).look().first { $0.name == "restore extensions" }?.failure
    }

    @Test func anExtensionOfASuperuserIsSaidBeforeAndComesFromATemplate() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        let server = scene.server
        try await server.sql("CREATE EXTENSION pgcrypto", database: "shop")
        try await server.sql(
            "CREATE SCHEMA ext AUTHORIZATION restorer; CREATE EXTENSION pg_stat_statements SCHEMA ext", database: "shop")
        // What uses an extension finds it only in its schema, in which there are other objects too.
        try await server.sql(
            """
            CREATE TABLE kept (id int PRIMARY KEY); INSERT INTO kept VALUES (1), (2); CREATE TABLE ext.own (id int);
            COMMENT ON SCHEMA ext IS 'of all'; GRANT USAGE ON SCHEMA ext TO keeper;
            CREATE VIEW seen AS SELECT dealloc FROM ext.pg_stat_statements_info
            """, user: "restorer", database: "shop")
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        let settings = scene.restoreSettings()
        // Nothing is made, and what would be refused is said, with a hint that helps.
        let failure = await #expect(throws: Failure.self) { _ = try await scene.restore(record.id, source) }
        #expect(
            failure?.kind == .denied && failure?.message.contains("pg_stat_statements") == true, "\(String(describing: failure))")
        #expect(failure?.message.contains("pgcrypto") == false && failure?.hint?.contains("restore.template") == true)
        #expect(record.facts?.server?.extensions?.map(\.schema) == ["public", "ext"])
        let right =
            "CREATE SCHEMA IF NOT EXISTS \"ext\" AUTHORIZATION \"restorer\"; CREATE EXTENSION IF NOT EXISTS \"pg_stat_statements\" SCHEMA \"ext\""
        #expect(failure?.hint?.contains(right) == true, "\(String(describing: failure))")
        #expect(await Self.denial(scene, settings, record)?.kind == .denied)
        let told = await RestorePreflight(settings, last: nil).check(rolesOf: record)
        #expect(!told.passed && told.detail.contains("pg_stat_statements"), "\(told)")
        #expect(try await server.sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'shop_%'") == "0")
        // A rehearsal proves the rest as a plain role.
        let report = try await Self.drill(scene).run(source, backup: record.id, by: BackupScene.principal)
        #expect(report.result.passed, "\(report.result.checks)")

        try await server.sql("CREATE DATABASE serin_template TEMPLATE template0 IS_TEMPLATE true")
        var policy = RestorePolicy()
        policy.template = "serin_template"
        let withTemplate = scene.restoreSettings(policy)
        #expect(await Self.denial(scene, withTemplate, record)?.hint?.contains("in the database \"serin_template\"") == true)
        try await server.sql("CREATE EXTENSION pg_stat_statements", database: "serin_template")
        let elsewhere = await Self.denial(scene, withTemplate, record)
        #expect(
            elsewhere?.message.contains("does not have it there") == true
                && elsewhere?.hint?.contains("DROP EXTENSION \"pg_stat_statements\"; \(right)") == true,
            "\(String(describing: elsewhere))")
        try await server.sql("DROP EXTENSION pg_stat_statements; \(right)", database: "serin_template")
        #expect(await Self.denial(scene, withTemplate, record) == nil)
        for format in [PostgresDumpSource.Format.custom, .tar, .directory] {
            let source = try scene.source(format)
            let made = format == .custom ? record : try await scene.backUp(source).record
            let restored = try await scene.restore(made.id, source, withTemplate)
            #expect(restored.passed, "\(format): \(restored.checks)")
            #expect(try await server.sql("SELECT count(*) FROM kept", database: restored.name) == "2")
            #expect(
                try await server.sql(
                    "SELECT string_agg(extname, ' ' ORDER BY 1) FROM pg_extension WHERE extname LIKE 'pg%'",
                    database: restored.name)
                    == "pg_stat_statements pgcrypto")
            #expect(
                try await server.sql(
                    "SELECT has_schema_privilege('keeper', 'ext', 'USAGE'), obj_description('ext'::regnamespace, 'pg_namespace')",
                    database: restored.name) == "t|of all")
        }
        #expect(scene.files(scene.scratch.file("work")) == [])
    }

    @Test func whatAnExtensionRequiresIsMadeBeforeItInItsOwnSchema() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        // The one is trusted and the other, which requires it, is not.
        try await scene.server.sql(
            "CREATE SCHEMA ext AUTHORIZATION restorer; CREATE EXTENSION cube; CREATE EXTENSION earthdistance SCHEMA ext",
            database: "shop")
        try await scene.server.sql(
            "CREATE TABLE places (at public.cube, other ext.earth); INSERT INTO places VALUES ('(1,2)')",
            user: "restorer", database: "shop")
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        let report = try await Self.drill(scene).run(source, backup: record.id, by: BackupScene.principal)
        #expect(report.result.passed, "\(report.result.checks)")
        try await scene.server.sql("CREATE DATABASE serin_template TEMPLATE template0 IS_TEMPLATE true")
        var policy = RestorePolicy()
        policy.template = "serin_template"
        let hint = try #require(await Self.denial(scene, scene.restoreSettings(policy), record)?.hint)
        // What it says to do is enough.
        let begin = try #require(hint.firstRange(of: "CREATE EXTENSION IF NOT EXISTS \"cube\""))
        try await scene.server.sql(String(hint[begin.lowerBound...]), database: "serin_template")
        let restored = try await scene.restore(record.id, source, scene.restoreSettings(policy))
        #expect(restored.passed, "\(restored.checks)")
    }

    @Test func anEventTriggerIsSaidBeforeAnythingIsMade() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        let source = try scene.source()
        let before = try await scene.backUp(source).record
        #expect(await Self.denial(scene, scene.restoreSettings(), before) == nil)
        try await scene.server.sql(
            """
            CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
            CREATE EVENT TRIGGER watcher ON ddl_command_end EXECUTE FUNCTION watch()
            """, database: "shop")
        // The next dump will make it.
        #expect(await Self.denial(scene, scene.restoreSettings(), before)?.message.contains("watcher") == true)
        try await scene.server.sql("ALTER FUNCTION watch() OWNER TO restorer", database: "shop")
        let record = try await scene.backUp(source).record
        #expect(record.facts?.server?.prerequisites == ["event trigger watcher"])
        let failure = await #expect(throws: Failure.self) { _ = try await scene.restore(record.id, source) }
        #expect(failure?.kind == .denied && failure?.message.contains("watcher") == true, "\(String(describing: failure))")
        let report = try await Self.drill(scene).run(source, backup: record.id, by: BackupScene.principal)
        #expect(!report.result.passed)
    }
}
