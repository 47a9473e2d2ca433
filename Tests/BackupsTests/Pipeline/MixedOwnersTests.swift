import SerinBackups
import SerinCatalogue
import SerinModel
import SerinPolicies
import Testbed
import Testing

/// Databases of several owners who do not trust each other.
@Suite(.serialized) struct MixedOwnersTests {
    /// What a function of `reporting` does to what is of `app_owner`, once it runs as the role that restores. All of it goes through.
    private static let attacks = [
        """
        GRANT ALL ON public.orders, public.users TO reporting; ALTER TABLE public.users OWNER TO reporting;
        CREATE OR REPLACE FUNCTION public.t() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
            AS 'BEGIN NEW.amount := 0; RETURN NEW; END';
        ALTER FUNCTION public.t() OWNER TO app_owner;
        CREATE TRIGGER t BEFORE INSERT OR UPDATE ON public.orders FOR EACH ROW EXECUTE FUNCTION public.t();
        """,
        """
        ALTER TABLE public.users DROP CONSTRAINT users_pkey; ALTER TABLE public.users SET SCHEMA reporting;
        ALTER TABLE reporting.fake SET SCHEMA public; ALTER TABLE reporting.users RENAME TO tmp;
        ALTER TABLE public.fake RENAME TO users; ALTER TABLE reporting.tmp RENAME TO fake;
        ALTER TABLE public.users ADD CONSTRAINT users_pkey PRIMARY KEY (id);
        ALTER TABLE public.users OWNER TO app_owner; ALTER TABLE reporting.fake OWNER TO reporting;
        """,
    ]

    private static func start(isSingle: Bool = false) async throws -> BackupScene {
        let scene = try await BackupScene.start(isEmpty: true)
        try await scene.server.sql(
            "CREATE ROLE app_owner; CREATE ROLE reporting; GRANT app_owner TO restorer"
                + (isSingle ? "" : "; GRANT reporting TO restorer"))
        try await scene.server.sql(
            """
            GRANT CREATE ON SCHEMA public TO app_owner; SET ROLE app_owner;
            CREATE TABLE public.orders (id int PRIMARY KEY, amount int NOT NULL); INSERT INTO orders SELECT n, n FROM generate_series(1, 100) n;
            CREATE TABLE public.users (id int PRIMARY KEY, pw text); INSERT INTO users SELECT n, 'own' FROM generate_series(1, 50) n
            """, database: "shop")
        try await scene.separate()
        guard !isSingle else { return scene }
        try await scene.server.sql(
            """
            CREATE SCHEMA reporting AUTHORIZATION reporting; SET ROLE reporting; CREATE TABLE reporting.zz (id int);
            INSERT INTO reporting.zz VALUES (1); CREATE TABLE reporting.fake (id int NOT NULL, pw text);
            INSERT INTO reporting.fake SELECT n, 'known' FROM generate_series(1, 50) n
            """, database: "shop")
        return scene
    }

    private static func poison(_ scene: BackupScene, _ attack: String) async throws {
        try await scene.server.sql(
            """
            SET ROLE reporting;
            CREATE OR REPLACE FUNCTION reporting.chk(r reporting.zz) RETURNS boolean LANGUAGE plpgsql AS $f$
            BEGIN IF session_user = 'restorer' THEN BEGIN \(attack) EXCEPTION WHEN duplicate_object OR undefined_object THEN NULL; END; END IF;
            RETURN true; END $f$;
            ALTER TABLE reporting.zz ADD CONSTRAINT c CHECK (reporting.chk(zz))
            """, database: "shop")
    }

    private func merge(_ scene: BackupScene, _ settings: RestoreSettings) -> TableMerge {
        TableMerge(settings, target: "shop", catalogue: scene.catalogue, holder: BackupScene.holder, now: BackupScene.now)
    }

    private func databases(_ scene: BackupScene) async throws -> String {
        try await scene.server.sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'shop%'")
    }

    private func trusting() -> RestorePolicy {
        var policy = RestorePolicy()
        policy.trust = ["reporting", "app_owner"]
        return policy
    }

    @Test(arguments: 0..<2)
    func whatOneOwnerDidToAnotherBehindTheLastRowGoesNowhere(_ attack: Int) async throws {
        let scene = try await Self.start()
        defer { scene.end() }
        try await Self.poison(scene, Self.attacks[attack])
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        let (settings, permit) = (scene.apart(), scene.permit(record.id))
        // Nobody restores or approves for a swap in vain.
        let early = await #expect(throws: Failure.self) { try await scene.swap(settings).expectRights(nil, of: record.id) }
        #expect(
            early?.kind == .denied && early?.message.contains("a function of app_owner, reporting in the dump") == true
                && early?.hint?.contains("restore.trust: [app_owner, reporting]") == true, "\(String(describing: early))")
        #expect(try await databases(scene) == "1")
        let found = await RestorePreflight(settings, last: record).look().first { $0.name == "restore reach" }
        #expect(found?.failure == nil && found?.remarks.first?.contains("a swap and a merge are refused") == true)
        let rehearsed = await RestorePreflight(settings, last: nil).check(rolesOf: record)
        #expect(rehearsed.passed && rehearsed.detail.contains("nothing of it goes live"), "\(rehearsed)")

        // To look at it is restored, and nothing that is looked at tells.
        let restored = try await scene.restore(record.id, source, settings, scope: .beside)
        #expect(restored.passed, "\(restored.checks)")
        #expect(restored.checks.filter { $0.name == "for looking at" }.map(\.detail.isEmpty) == [false])
        let done =
            attack == 0
            ? "SELECT tableowner FROM pg_tables WHERE tablename = 'users'" : "SELECT DISTINCT pw FROM public.users"
        #expect(try await scene.server.sql(done, database: restored.name) == (attack == 0 ? "reporting" : "known"))
        for refused in [
            await #expect(throws: Failure.self) { _ = try await scene.swap(settings).swap(restored, permit: permit) },
            await #expect(throws: Failure.self) {
                _ = try await merge(scene, settings).merge("public.users", from: restored.name, permit: permit)
            },
            await #expect(throws: Failure.self) {
                _ = try await merge(scene, settings).merge("public.users", from: restored.name, agreed: 1, permit: permit)
            },
        ] { #expect(refused == early) }
        #expect(try await scene.server.sql("SELECT DISTINCT pw FROM users", database: "shop") == "own")
    }

    @Test func whoIsTrustedOrMayActForAllGoesLiveAndUnknownOwnersDoNot() async throws {
        let scene = try await Self.start()
        defer { scene.end() }
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        let (settings, trusting, permit) = (scene.apart(), scene.apart(trusting()), scene.permit(record.id))
        // Trust is asked for when it goes live, not when it was restored.
        let restored = try await scene.restore(record.id, source, trusting)
        #expect(restored.passed && !restored.checks.contains { $0.name == "for looking at" }, "\(restored.checks)")
        await #expect(throws: Failure.self) { _ = try await scene.swap(settings).swap(restored, permit: permit) }
        // One trusts the other, which is not enough the other way round.
        var half = RestorePolicy()
        half.trust = ["app_owner"]
        let one = await #expect(throws: Failure.self) {
            _ = try await scene.swap(scene.apart(half)).swap(restored, permit: permit)
        }
        #expect(one?.hint?.contains("restore.trust: [reporting]") == true, "\(String(describing: one))")
        try await scene.server.sql("GRANT app_owner TO reporting")
        let swapped = try await scene.swap(scene.apart(half)).swap(restored, permit: permit)
        // What was live before may come back, whoever is trusted.
        _ = try await scene.swap(settings).undo(swapped.replaced, permit: permit)
        try await scene.server.sql("GRANT reporting TO restorer; REVOKE app_owner FROM reporting")

        var old = TextSource(text: "-- PostgreSQL database dump complete\n", inner: try scene.source(.plain))
        old.server = SourceFacts(version: "15")
        let unnamed = try await scene.backUp(old).record
        let unknown = try await scene.restore(unnamed.id, old, trusting)
        #expect(unknown.checks.contains { $0.name == "for looking at" }, "\(unknown.checks)")
        let refused = await #expect(throws: Failure.self) {
            _ = try await scene.swap(trusting).swap(unknown, permit: scene.permit(unnamed.id))
        }
        #expect(refused?.message.contains("does not say who") == true, "\(String(describing: refused))")
    }

    @Test func oneOwnerBesideASuperuserSwapsAndMergesAsEver() async throws {
        let scene = try await Self.start(isSingle: true)
        defer { scene.end() }
        let settings = scene.apart()
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        let restored = try await scene.restore(record.id, source, settings)
        #expect(restored.passed && !restored.checks.contains { $0.name == "for looking at" }, "\(restored.checks)")
        // Nobody gets into it but its owner, until it has the grants of the live one.
        func mayConnect(_ name: String) async throws -> String {
            try await scene.server.sql("SELECT has_database_privilege('keeper', '\(name)', 'CONNECT')")
        }
        #expect(try await mayConnect(restored.name) == "f")
        try await scene.server.sql("CREATE TABLE public.mine (id int)", database: "shop")
        var permit = scene.permit(record.id)
        // Nor after a swap that was refused.
        let refused = await #expect(throws: Failure.self) { _ = try await scene.swap(settings).swap(restored, permit: permit) }
        #expect(refused?.message.contains("the table public.mine") == true, "\(String(describing: refused))")
        #expect(try await mayConnect(restored.name) == "f")
        let again = try await BackupRestore(
            scene.settings, settings, identities: [.keyFile(scene.keyFile)], catalogue: scene.catalogue,
            holder: BackupScene.holder, now: BackupScene.now
        ).inspect(restored.name, permit: permit)
        #expect(again.passed, "\(again.checks)")
        permit.differences = 1
        let outcome = try await scene.swap(settings).swap(restored, permit: permit)
        #expect(outcome.remarks == ["agreed to be missing: the table public.mine"], "\(outcome)")
        #expect(try await mayConnect("shop") == "t")
        #expect(try await merge(scene, settings).merge("public.users", from: outcome.replaced, permit: permit).plan.added == 0)
    }

    @Test func aMergeRunsWhatStandsBehindTheTableAsTheRoleThatRestores() async throws {
        let scene = try await Self.start(isSingle: true)
        defer { scene.end() }
        let settings = scene.apart()
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        let restored = try await scene.restore(record.id, source, settings)
        let permit = scene.permit(record.id)
        try await scene.server.sql(
            """
            SET ROLE app_owner; CREATE TABLE public.log (who text, what text);
            CREATE FUNCTION public.seen() RETURNS boolean LANGUAGE plpgsql AS
                $f$ BEGIN INSERT INTO public.log VALUES (session_user, 'policy'); RETURN true; END $f$;
            CREATE FUNCTION public.added() RETURNS trigger LANGUAGE plpgsql AS
                $f$ BEGIN INSERT INTO public.log VALUES (session_user, 'trigger'); RETURN NEW; END $f$;
            DELETE FROM users WHERE id <= 3; CREATE TRIGGER added BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION added();
            CREATE POLICY all_of_it ON users USING (public.seen()); ALTER TABLE users ENABLE ROW LEVEL SECURITY;
            ALTER TABLE users FORCE ROW LEVEL SECURITY
            """, database: "shop")
        let log = "SELECT string_agg(DISTINCT who || ' ' || what, ', ' ORDER BY who || ' ' || what) FROM public.log"
        // What is only counted leaves nothing behind.
        #expect(try await merge(scene, settings).merge("public.users", from: restored.name, permit: permit).plan.added == 3)
        #expect(try await scene.server.sql(log, database: "shop") == "")
        let merged = try await merge(scene, settings).merge("public.users", from: restored.name, agreed: 3, permit: permit).merged
        #expect(merged?.added == 3)
        #expect(try await scene.server.sql(log, database: "shop") == "restorer policy, restorer trigger")
        try await scene.server.sql("ALTER TABLE users OWNER TO postgres", database: "shop")
        let denied = await #expect(throws: Failure.self) {
            _ = try await merge(scene, settings).merge("public.users", from: restored.name, permit: permit)
        }
        #expect(denied?.hint?.contains("GRANT the owner of the table TO it") == true, "\(String(describing: denied))")
        try await scene.server.sql("ALTER TABLE users OWNER TO app_owner", database: "shop")
        #expect(
            try await scene.server.sql("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'shop%'", database: "shop") == "0")

        // Somebody else has come meanwhile whose functions could run then.
        try await scene.server.sql("CREATE SCHEMA reporting AUTHORIZATION reporting", database: "shop")
        let refused = await #expect(throws: Failure.self) {
            _ = try await merge(scene, settings).merge("public.users", from: restored.name, permit: permit)
        }
        #expect(
            refused?.message
                == "a function of app_owner, reporting in shop could change what belongs to app_owner, reporting while rows are merged",
            "\(String(describing: refused))")
        _ = try await merge(scene, scene.apart(trusting())).merge("public.users", from: restored.name, permit: permit)
        // Nor may it be of one who could do more as that role.
        try await scene.server.sql("DROP SCHEMA reporting", database: "shop")
        try await scene.server.sql("GRANT pg_signal_backend TO restorer")
        let reach = await #expect(throws: Failure.self) {
            _ = try await merge(scene, settings).merge("public.users", from: restored.name, permit: permit)
        }
        #expect(
            reach?.message
                == "a function of app_owner in shop could act as restorer while the rows are merged, and restorer may end the sessions of others",
            "\(String(describing: reach))")
    }
}
