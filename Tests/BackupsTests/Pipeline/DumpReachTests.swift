import SerinBackups
import SerinCatalogue
import SerinModel
import SerinPolicies
import Testbed
import Testing

/// Dumps with functions of somebody who may little, which a restore runs while it fills tables.
@Suite(.serialized) struct DumpReachTests {
    /// What a function does that is refused some of it.
    private static func tries(_ statements: [String]) -> String {
        statements.map { "BEGIN \($0); EXCEPTION WHEN OTHERS THEN NULL; END;\n" }.joined()
    }

    private static let onTheServer = [
        "ALTER DATABASE shop ALLOW_CONNECTIONS false", "ALTER DATABASE shop RENAME TO gone",
        "PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'keeper'",
        "SET LOCAL ROLE clerk; ALTER ROLE clerk PASSWORD 'known'; RESET ROLE",
    ]

    /// A shop with accounts of its owner, and a schema of a guest whose table has a CHECK.
    private static func start(
        _ body: [String], schema: String = "visit", server: [String: String] = [:]
    ) async throws -> BackupScene {
        let scene = try await BackupScene.start(isEmpty: true, server: server)
        try await scene.server.sql(
            "CREATE ROLE guest; CREATE ROLE app_owner; CREATE ROLE clerk LOGIN; GRANT guest, app_owner TO restorer")
        try await scene.server.sql(
            """
            CREATE TABLE public.accounts (id int PRIMARY KEY, cents int NOT NULL);
            INSERT INTO public.accounts SELECT n, n FROM generate_series(1, 100) n;
            ALTER TABLE public.accounts OWNER TO app_owner;
            CREATE SCHEMA \(schema) AUTHORIZATION guest; SET ROLE guest;
            CREATE FUNCTION \(schema).raise() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN NEW.cents := 0; RETURN NEW; END $f$;
            """, database: "shop")
        try await write(body, scene, schema)
        try await scene.server.sql(
            "SET ROLE guest; CREATE TABLE \(schema).t (id int CHECK (\(schema).poison(id))); INSERT INTO \(schema).t VALUES (1)",
            database: "shop")
        return scene
    }

    private static func write(_ body: [String], _ scene: BackupScene, _ schema: String = "visit") async throws {
        try await scene.server.sql(
            """
            SET ROLE guest; CREATE OR REPLACE FUNCTION \(schema).poison(int) RETURNS boolean LANGUAGE plpgsql AS
            $f$ BEGIN \(tries(body)) RETURN true; END $f$
            """, database: "shop")
    }

    private func expectNothingMade(_ scene: BackupScene) async throws {
        #expect(try await scene.server.sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'shop_%'") == "0")
    }

    @Test func aFunctionOfWhoMayLessIsNotRunAsTheOwnerOfTheLiveDatabase() async throws {
        let scene = try await Self.start(Self.onTheServer)
        defer { scene.end() }
        // A superuser filled the table, and its session may become everybody.
        try await scene.server.sql("ALTER ROLE clerk PASSWORD NULL; GRANT clerk TO restorer")
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        let refused = await #expect(throws: Failure.self) { _ = try await scene.restore(record.id, source) }
        #expect(refused?.kind == .denied)
        for words in [
            "a function of app_owner, guest in the dump could act as restorer", "rename and shut the database shop",
            "act as clerk", "end the sessions of others",
        ] { #expect(refused?.message.contains(words) == true, "\(String(describing: refused))") }
        #expect(
            refused?.hint?.contains("restore.swap_url_env") == true
                && refused?.hint?.contains("restore.trust: [app_owner, guest]") == true)
        try await expectNothingMade(scene)
        // The same is said while nothing has happened.
        let found = await RestorePreflight(scene.restoreSettings(), last: record).look()
        #expect(found.first { $0.name == "restore reach" }?.failure?.message == refused?.message, "\(found)")
        let rehearsed = await RestorePreflight(scene.restoreSettings(), last: nil).check(rolesOf: record)
        #expect(!rehearsed.passed && rehearsed.detail.contains("guest"), "\(rehearsed)")
        // What belongs to nobody known may be of anybody.
        var old = TextSource(text: "-- PostgreSQL database dump complete\n", inner: try scene.source(.plain))
        old.server = SourceFacts(version: "15")
        let unknown = try await scene.backUp(old).record
        let unnamed = await #expect(throws: Failure.self) { _ = try await scene.restore(unknown.id, old) }
        #expect(unnamed?.message.contains("does not say who owns them") == true, "\(String(describing: unnamed))")

        // A role that swaps takes all of it away but the one that logs in, and --no-owners needs no member.
        try await scene.separate()
        let login = await #expect(throws: Failure.self) { _ = try await scene.restore(record.id, source, scene.apart()) }
        #expect(
            login?.message.hasSuffix("restorer may act as clerk, and change its password") == true,
            "\(String(describing: login))")
        #expect(
            login?.hint?.contains("--no-owners with a role") == true && login?.hint?.contains("take that from restorer") == true)
        try await scene.server.sql("REVOKE clerk FROM restorer; GRANT guest TO restorer WITH ADMIN OPTION")
        let admin = await #expect(throws: Failure.self) { _ = try await scene.restore(record.id, source, scene.apart()) }
        #expect(admin?.message.hasSuffix("restorer may make others members of guest") == true, "\(String(describing: admin))")
        try await expectNothingMade(scene)
        try await scene.server.sql("REVOKE ADMIN OPTION FOR guest FROM restorer")
        let restored = try await scene.restore(record.id, source, scene.apart())
        #expect(restored.passed, "\(restored.checks)")
        // What was restored is the role's own, and under another name nobody can tell it from what somebody works with.
        try await scene.server.sql("ALTER DATABASE \(restored.name) RENAME TO kept")
        let leftover = await #expect(throws: Failure.self) { _ = try await scene.restore(record.id, source, scene.apart()) }
        #expect(leftover?.message.contains("shut the database kept") == true, "\(String(describing: leftover))")
        #expect(
            leftover?.hint?.contains("ALTER DATABASE \"kept\" OWNER TO") == true,
            "\(String(describing: leftover?.hint))")
        try await scene.server.sql("ALTER DATABASE kept OWNER TO keeper")
        #expect(try await scene.restore(record.id, source, scene.apart()).passed)
        #expect(try await scene.server.sql("SELECT datallowconn FROM pg_database WHERE datname = 'shop'") == "t")
        #expect(try await scene.server.sql("SELECT rolpassword IS NULL FROM pg_authid WHERE rolname = 'clerk'") == "t")
    }

    @Test func aRoleWhoseSessionsAreAnotherOnesIsSaidToBe() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        try await scene.server.sql("CREATE TABLE t (id int PRIMARY KEY)", user: "restorer", database: "shop")
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        let restored = try await scene.restore(record.id, source)
        try await scene.server.sql("CREATE ROLE app_owner; GRANT app_owner TO restorer; ALTER ROLE restorer SET role = app_owner")
        let refused = await #expect(throws: Failure.self) { _ = try await scene.restore(record.id, source) }
        #expect(
            refused?.kind == .denied && refused?.message.contains("sessions of the role restorer act as app_owner") == true
                && refused?.hint == "as a superuser: ALTER ROLE restorer RESET role", "\(String(describing: refused))")
        let found = await RestorePreflight(scene.restoreSettings(), last: record).look()
        for name in ["restore rights", "swap rights"] {
            #expect(found.first { $0.name == name }?.failure?.message == refused?.message, "\(found)")
        }
        let swap = await #expect(throws: Failure.self) {
            _ = try await scene.swap(scene.restoreSettings()).swap(restored, permit: scene.permit(record.id))
        }
        #expect(swap == refused)
    }

    @Test func whoIsTrustedOrMayItAllAnywayIsRestored() async throws {
        let scene = try await Self.start([])
        defer { scene.end() }
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        var policy = RestorePolicy()
        policy.trust = ["guest", "app_owner"]
        let trusting = scene.restoreSettings(policy)
        let restored = try await scene.restore(record.id, source, trusting)
        #expect(restored.passed, "\(restored.checks)")
        #expect(restored.checks.first { $0.name == "trust" }?.detail.contains("app_owner, guest") == true, "\(restored.checks)")
        let remarks = await RestorePreflight(trusting, last: record).look().first { $0.name == "restore reach" }?.remarks
        #expect(remarks?.contains { $0.contains("guest") } == true)
        // What one may itself is nothing that it takes.
        try await scene.server.sql(
            "GRANT pg_signal_backend TO app_owner; ALTER DATABASE shop OWNER TO app_owner; GRANT app_owner TO guest")
        #expect(try await scene.restore(record.id, source).passed)
    }

    /// Each changes accounts that were filled before, and leaves as many.
    private static let ways: [(way: [String], words: String)] = [
        (["UPDATE public.accounts SET cents = 0 WHERE id = 7"], "public.accounts: 100 inserted, 1 changed"),
        (
            ["DELETE FROM public.accounts WHERE id = 7; INSERT INTO public.accounts VALUES (7, 0)"],
            "public.accounts: 101 inserted, 0 changed, 1 deleted"
        ),
        (
            ["TRUNCATE public.accounts; INSERT INTO public.accounts SELECT n, 0 FROM generate_series(1, 100) n"],
            "public.accounts: 200 inserted"
        ),
        (["ALTER TABLE public.accounts ALTER COLUMN cents TYPE int USING 0"], "public.accounts: written anew"),
        (
            [
                "ALTER TABLE public.accounts DROP COLUMN cents; ALTER TABLE public.accounts ADD COLUMN cents int NOT NULL DEFAULT 0"
            ],
            "a column that came later"
        ),
        (
            [
                """
                CREATE TABLE public.others AS SELECT id, 0 AS cents FROM public.accounts; DROP TABLE public.accounts;
                ALTER TABLE public.others RENAME TO accounts; ALTER TABLE public.accounts ALTER COLUMN cents SET NOT NULL;
                ALTER TABLE public.accounts ALTER COLUMN id SET NOT NULL; ALTER TABLE public.accounts OWNER TO app_owner
                """
            ], "public.accounts: younger than the first row"
        ),
        (["EXECUTE format('ALTER DATABASE %I SET search_path = visit', current_database())"], "settings of the database"),
    ]

    @Test(arguments: [PostgresDumpSource.Format.custom, .plain])
    func rowsThatAFunctionOfTheDumpChangesAreFoundAndGoNowhere(_ format: PostgresDumpSource.Format) async throws {
        let scene = try await Self.start([])
        defer { scene.end() }
        try await scene.separate()
        let source = try scene.source(format)
        for (way, words) in Self.ways {
            try await Self.write(way, scene)
            let record = try await scene.backUp(source).record
            #expect(try await scene.server.sql("SELECT sum(cents) FROM accounts", database: "shop") == "5050")
            let restored = try await scene.restore(record.id, source, scene.apart())
            let found = restored.checks.filter { !$0.passed }
            #expect(
                found.map(\.name) == ["written once"] && found.first?.detail.contains(words) == true,
                "\(words): \(restored.checks)")
            guard words.contains("1 changed") else { continue }
            let listed = try await SideDatabases(
                scene.apart(), target: "shop", catalogue: scene.catalogue, now: BackupScene.now
            ).list().last
            #expect(listed?.name == restored.name && listed?.known?.failures?.map(\.name) == ["written once"])
            // Not now, and not when it is looked at again.
            let permit = scene.permit(record.id)
            await #expect(throws: Failure.self) { _ = try await scene.swap(scene.apart()).swap(restored, permit: permit) }
            let again = try await BackupRestore(
                scene.settings, scene.apart(), identities: [.keyFile(scene.keyFile)], catalogue: scene.catalogue,
                holder: BackupScene.holder, now: BackupScene.now
            ).inspect(restored.name, permit: permit)
            #expect(again.checks.filter { !$0.passed }.map(\.name) == ["written once"], "\(again.checks)")
            let merge = await #expect(throws: Failure.self) {
                _ = try await TableMerge(
                    scene.apart(), target: "shop", catalogue: scene.catalogue, holder: BackupScene.holder, now: BackupScene.now
                ).merge("public.accounts", from: restored.name, permit: permit)
            }
            #expect(merge?.message.contains("nothing of it goes live") == true, "\(String(describing: merge))")
        }
    }

    @Test func aTriggerThatWaitsForRowsIsFound() async throws {
        let scene = try await Self.start(
            ["CREATE TRIGGER waits BEFORE INSERT ON public.accounts FOR EACH ROW EXECUTE FUNCTION early.raise()"], schema: "early"
        )
        defer { scene.end() }
        try await scene.separate()
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        let restored = try await scene.restore(record.id, source, scene.apart())
        #expect(try await scene.server.sql("SELECT sum(cents) FROM accounts", database: restored.name) == "0")
        let found = restored.checks.first { $0.name == "written once" }
        #expect(found?.passed == false && found?.detail.contains("waits on public.accounts") == true, "\(restored.checks)")
        // A rehearsal finds it as well.
        let drill = BackupDrill(
            scene.settings, BackupDrill.Settings(DrillPolicy(.cron(try CronExpression("0 2 * * *"))), folder: scene.scratch.path),
            identities: [.keyFile(scene.keyFile)], catalogue: scene.catalogue, now: BackupScene.now)
        let report = try await drill.run(source, backup: record.id, by: BackupScene.principal)
        #expect(report.result.checks.filter { !$0.passed }.map(\.name) == ["written once"], "\(report.result.checks)")
    }

    @Test func whatTheServerDoesNotCountIsNoPassWhereFunctionsAreOfOthers() async throws {
        let scene = try await Self.start([], server: ["track_counts": "off"])
        defer { scene.end() }
        try await scene.separate()
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        let restored = try await scene.restore(record.id, source, scene.apart())
        let found = restored.checks.first { $0.name == "written once" }
        #expect(found?.passed == false && found?.detail.contains("track_counts is off") == true, "\(restored.checks)")
        var policy = RestorePolicy()
        policy.trust = ["guest", "app_owner"]
        let trusted = try await scene.restore(record.id, source, scene.apart(policy))
        #expect(trusted.passed, "\(trusted.checks)")
        #expect(trusted.checks.contains { $0.name == "written once" && $0.detail.hasPrefix("could not be looked at") })
    }

    /// Who was let into the live database is let into the one that comes in, and only they.
    private func letIn(
        _ scene: BackupScene, _ restored: RestoredDatabase, _ settings: RestoreSettings, _ record: BackupRecord
    ) async throws {
        let permit = scene.permit(record.id)
        try await scene.server.sql("REVOKE CONNECT ON DATABASE shop FROM PUBLIC")
        let blind = await #expect(throws: Failure.self) { _ = try await scene.swap(settings).swap(restored, permit: permit) }
        #expect(
            blind?.hint?.contains("GRANT CONNECT ON DATABASE \"shop\" TO \"restorer\"") == true, "\(String(describing: blind))")
        let remarks = await RestorePreflight(settings, last: record).look().first { $0.name == "swap rights" }?.remarks
        #expect(remarks?.contains { $0.contains("GRANT CONNECT") } == true)
        let merge = await #expect(throws: Failure.self) {
            _ = try await TableMerge(
                settings, target: "shop", catalogue: scene.catalogue, holder: BackupScene.holder, now: BackupScene.now
            ).merge("public.accounts", from: restored.name, permit: permit)
        }
        #expect(merge?.hint?.contains("TO \"restorer\"") == true, "\(String(describing: merge))")
        try await scene.server.sql("GRANT CONNECT ON DATABASE shop TO restorer, keeper")
    }

    /// The two strings of a plan must name one database of one server.
    private func refuseOthers(
        _ scene: BackupScene, _ restored: RestoredDatabase, _ settings: RestoreSettings, _ permit: RestorePermit
    ) async throws {
        let other = try await BackupScene.start(isEmpty: true)
        defer { other.end() }
        for url in [
            scene.server.url(user: "swapper", database: "postgres"), other.server.url(user: "restorer", database: "shop"),
        ] {
            var wrong = settings
            wrong.swapURL = url
            let mixed = await #expect(throws: Failure.self) { _ = try await scene.swap(wrong).swap(restored, permit: permit) }
            #expect(
                mixed?.kind == .invalid && mixed?.message.contains("name two servers or databases") == true,
                "\(String(describing: mixed))")
        }
    }

    @Test func twoRolesSwapUndoMergeAndDrop() async throws {
        let scene = try await Self.start([])
        defer { scene.end() }
        try await scene.separate()
        let server = scene.server
        try await server.sql("ALTER TABLE accounts ADD ratio double precision DEFAULT 1234567.125", database: "shop")
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        var policy = RestorePolicy()
        policy.trust = ["app_owner", "guest"]
        let (settings, permit) = (scene.apart(policy), scene.permit(record.id))
        let restored = try await scene.restore(record.id, source, settings)
        #expect(restored.passed, "\(restored.checks)")
        func live() async throws -> String {
            try await server.sql(
                "SELECT pg_get_userbyid(datdba), (SELECT count(*) FROM accounts) FROM pg_database WHERE datname = 'shop'",
                database: "shop")
        }
        try await server.sql("DELETE FROM accounts WHERE id <= 10", database: "shop")

        // Without the other role a swap is refused before anything is touched, and it must be one of the same database.
        let alone = await #expect(throws: Failure.self) {
            _ = try await scene.swap(scene.restoreSettings(policy)).swap(restored, permit: permit)
        }
        #expect(alone?.kind == .denied && alone?.hint?.contains("swap_url_env") == true, "\(String(describing: alone))")
        // Also before anybody restores or approves for it.
        let early = await #expect(throws: Failure.self) {
            try await scene.swap(scene.restoreSettings()).expectRights(nil, of: record.id)
        }
        #expect(early == alone)
        let told = await RestorePreflight(scene.restoreSettings(), last: record).look().first { $0.name == "swap rights" }
        #expect(told?.failure?.hint?.contains("swap_url_env") == true, "\(String(describing: told))")
        try await refuseOthers(scene, restored, settings, permit)
        let found = await RestorePreflight(settings, last: record).look()
        #expect(found.allSatisfy { $0.failure == nil }, "\(found)")
        #expect(found.flatMap(\.remarks) == ["but those of app_owner, guest, by restore.trust"], "\(found)")

        try await letIn(scene, restored, settings, record)
        // How a role's sessions write times and numbers is its own affair.
        try await server.sql(
            "ALTER ROLE swapper SET timezone = 'Asia/Kathmandu'; ALTER ROLE swapper SET DateStyle = 'German'; "
                + "ALTER ROLE restorer SET extra_float_digits = -14")
        let merge = TableMerge(
            settings, target: "shop", catalogue: scene.catalogue, holder: BackupScene.holder, now: BackupScene.now)
        let merged = try await merge.merge("public.accounts", from: restored.name, agreed: 10, permit: permit)
        #expect(merged.merged?.added == 10)
        #expect(try await server.sql("SELECT DISTINCT ratio FROM accounts", database: "shop") == "1234567.125")
        #expect(try await live() == "swapper|100")
        try await server.sql("DELETE FROM accounts WHERE id <= 10", database: "shop")

        let outcome = try await scene.swap(settings).swap(restored, permit: permit)
        #expect(outcome.remarks.isEmpty, "\(outcome)")
        #expect(try await live() == "swapper|100")
        let undone = try await scene.swap(settings).undo(outcome.replaced, permit: permit)
        #expect(undone.remarks.isEmpty, "\(undone)")
        #expect(try await live() == "swapper|90")
        let sides = scene.sides(settings)
        #expect(try await sides.list().map(\.name) == [undone.replaced])
        try await sides.drop(undone.replaced, by: BackupScene.principal)
        let spare = try await scene.restore(record.id, source, settings)
        try await sides.drop(spare.name, by: BackupScene.principal)
        #expect(try await sides.list().isEmpty)
        #expect(try await server.sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'shop%'") == "1")
    }
}
