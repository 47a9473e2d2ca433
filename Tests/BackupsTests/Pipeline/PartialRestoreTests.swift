import SerinBackups
import SerinCatalogue
import SerinModel
import SerinPolicies
import Testbed
import Testing

/// Dumps of a part of a database, and what a live database has that one which is to take its place lacks.
@Suite(.serialized) struct PartialRestoreTests {
    private static let tables = """
        CREATE SCHEMA app2; CREATE TABLE app2.t (id int PRIMARY KEY); INSERT INTO app2.t VALUES (1);
        CREATE TABLE public.orders (id int PRIMARY KEY); INSERT INTO public.orders VALUES (1), (2);
        CREATE TABLE public.items (id int PRIMARY KEY, order_id int REFERENCES public.orders);
        INSERT INTO public.items VALUES (1, 1), (2, 2);
        """

    private static let parts: [(words: String, change: @Sendable (inout PostgresDumpSource) -> Void)] = [
        ("only the schemas app2", { $0.schemas = ["app2"] }), ("only the schemas public", { $0.schemas = ["public"] }),
        ("only the tables app2.t", { $0.tables = ["app2.t"] }),
        ("only the tables public.items", { $0.tables = ["public.items"] }),
        ("without the tables public.orders", { $0.exclude = ["public.orders"] }),
        ("without the rows of public.orders", { $0.excludeData = ["public.orders"] }),
    ]

    @Test func aPartOfADatabaseIsRestoredAndNeverTakesTheLiveOnesPlace() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        try await scene.server.sql(Self.tables, user: "restorer", database: "shop")
        for (words, change) in Self.parts {
            let source = try scene.source(.custom, change)
            let record = try await scene.backUp(source).record
            #expect(record.facts?.server?.part?.words == words)
            let restored = try await scene.restore(record.id, source)
            #expect(restored.passed, "\(words): \(restored.checks)")
            #expect(restored.part == words)
            #expect(try await scene.sides().entry(restored.name)?.known?.role == .part)
            let refused = await #expect(throws: Failure.self) {
                _ = try await scene.swap(scene.restoreSettings()).swap(restored, permit: scene.permit(record.id))
            }
            #expect(refused?.kind == .denied && refused?.message.contains("a part of a database only") == true)
        }
        #expect(try await scene.server.sql("SELECT count(*) FROM items JOIN app2.t USING (id)", database: "shop") == "1")
        // The keys without parents are said, and only they are left out.
        func part(_ format: PostgresDumpSource.Format) async throws -> (BackupRecord, RestoredDatabase) {
            let source = try scene.source(format) { $0.tables = ["public.items"] }
            let record = try await scene.backUp(source).record
            return (record, try await scene.restore(record.id, source))
        }
        let (record, restored) = try await part(.directory)
        for one in [restored, try await part(.plain).1] {
            let check = one.checks.first { $0.name == "foreign keys left out" }
            #expect(one.passed && check?.detail.contains("public.items.items_order_id_fkey") == true, "\(one.checks)")
            #expect(try await scene.server.sql("SELECT count(*) FROM items", database: one.name) == "2")
        }
        // A view of a table that is not there fails as well, and that is no key.
        try await scene.server.sql("CREATE VIEW of_orders AS SELECT * FROM orders", user: "restorer", database: "shop")
        let viewed = try scene.source(.plain) { $0.exclude = ["public.orders"] }
        let broken = try await scene.backUp(viewed).record
        let failure = await #expect(throws: Failure.self) { _ = try await scene.restore(broken.id, viewed) }
        #expect(failure?.message.contains("failed 3 times, and 1 foreign keys") == true, "\(String(describing: failure))")

        // On a new server the live database is empty, and nothing is lost.
        try await scene.server.sql("ALTER DATABASE shop RENAME TO was")
        try await scene.server.sql("CREATE DATABASE shop OWNER restorer")
        let outcome = try await scene.swap(scene.restoreSettings()).swap(restored, permit: scene.permit(record.id))
        #expect(outcome.remarks.isEmpty)
        #expect(try await scene.server.sql("SELECT count(*) FROM items", database: "shop") == "2")
    }

    @Test func whatOnlyTheLiveDatabaseHasIsNamedAndAgreedToBeforeASwap() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        try await scene.server.sql(Self.tables, user: "restorer", database: "shop")
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        let restored = try await scene.restore(record.id, source)
        #expect(restored.passed && restored.part == nil, "\(restored.checks)")
        // The role that restores makes its own publications again.
        try await scene.server.sql(
            """
            CREATE PUBLICATION own FOR TABLE items (id, order_id) WHERE (id > 0), orders WITH (publish = 'insert, update');
            CREATE PUBLICATION nothing
            """, user: "restorer", database: "shop")
        try await scene.server.sql(
            """
            CREATE ROLE app LOGIN; CREATE TABLE public.later (id int); CREATE PUBLICATION feed FOR TABLE public.items;
            GRANT SELECT ON public.items TO app; REVOKE CONNECT, TEMPORARY ON DATABASE shop FROM PUBLIC;
            GRANT CONNECT ON DATABASE shop TO app; ALTER DATABASE shop CONNECTION LIMIT 33;
            ALTER DATABASE shop SET work_mem = '9MB'; ALTER DATABASE shop SET search_path = "$user", public, "Odd; name";
            ALTER DATABASE shop SET my.tenant = 'a''b'; ALTER ROLE app IN DATABASE shop SET statement_timeout = '7s'
            """, database: "shop")
        var permit = scene.permit(record.id)
        let swap = scene.swap(scene.restoreSettings())
        let refused = await #expect(throws: Failure.self) { _ = try await swap.swap(restored, permit: permit) }
        #expect(refused?.kind == .denied)
        for words in [
            "the table public.later", "the publication feed", "granted to the role app",
            "ALTER ROLE app IN DATABASE \(restored.name) SET statement_timeout = '7s'", "--differences 5", "(5 differences",
        ] { #expect(refused.map { "\($0.message) \($0.hint ?? "")" }?.contains(words) == true, "\(String(describing: refused))") }
        #expect(try await scene.server.sql("SELECT count(*) FROM later", database: "shop") == "0")

        // What only a superuser may settle is settled by the statement that was named.
        try await scene.server.sql(
            """
            ALTER ROLE app IN DATABASE \(restored.name) SET statement_timeout = '7s';
            """)
        let text = try #require(refused?.message)
        // By itself, as psql runs it: what is set for a moment is still there.
        let tenant = try #require(text.firstRange(of: "BEGIN; SELECT pg_catalog.set_config('my.tenant'"))
        let commit = try #require(text[tenant.upperBound...].firstRange(of: "COMMIT"))
        let script = try scene.scratch.write("tenant.sql", text[tenant.lowerBound..<commit.upperBound] + ";\n")
        try await scene.run("psql", ["--no-psqlrc", "--username=postgres", "--dbname=postgres", "--file=\(script)"])
        let begin = try #require(text.firstRange(of: "CREATE PUBLICATION feed"))
        let end = try #require(text[begin.upperBound...].firstRange(of: "OWNER TO postgres"))
        try await scene.server.sql(String(text[begin.lowerBound..<end.upperBound]), database: restored.name)
        permit.differences = 2
        let outcome = try await swap.swap(restored, permit: permit)
        #expect(outcome.remarks.count == 2 && outcome.remarks.allSatisfy { $0.hasPrefix("agreed to be missing") }, "\(outcome)")
        let publications = """
            SELECT string_agg(concat_ws(' ', p.pubname, p.pubowner::regrole, pubinsert, pubdelete, t.tablename, t.attnames, t.rowfilter), '; '
                ORDER BY p.pubname, t.tablename) FROM pg_publication p LEFT JOIN pg_publication_tables t USING (pubname)
            """
        #expect(
            try await scene.server.sql(publications, database: "shop")
                == (try await scene.server.sql(publications, database: outcome.replaced)))
        let settings = try await scene.server.sql(
            """
            SELECT (SELECT string_agg(c, ' ' ORDER BY c) FROM pg_db_role_setting s, unnest(s.setconfig) c WHERE s.setdatabase = d.oid)
                || ' ' || datconnlimit || ' ' || has_database_privilege('app', d.oid, 'CONNECT')
                || has_database_privilege('keeper', d.oid, 'CONNECT') FROM pg_database d WHERE datname = 'shop'
            """)
        #expect(
            settings
                == "my.tenant=a'b search_path=\"$user\", public, \"Odd; name\" statement_timeout=7s work_mem=9MB 33 truefalse")
        // Back again nothing has to be agreed to: it is the one that was.
        let undone = try await swap.undo(outcome.replaced, permit: scene.permit(record.id))
        #expect(undone.live == "shop")
        #expect(try await scene.server.sql("SELECT count(*) FROM later", database: "shop") == "0")
    }

    @Test func whatASchemaHasSinceTheBackupIsNamedBeforeASwap() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        try await scene.server.sql(
            """
            CREATE TYPE mood AS ENUM ('calm'); CREATE DOMAIN short AS varchar(9) CHECK (VALUE IN ('a', 'b'));
            CREATE TYPE pair AS (a int, b int);
            CREATE TABLE goods (id serial PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY, word varchar(9) DEFAULT 'a' CHECK (word IN ('a', 'b')),
                isit boolean GENERATED ALWAYS AS (word IN ('a', 'b')) STORED, till date DEFAULT CURRENT_DATE + (-1), part int REFERENCES goods, UNIQUE (word, part));
            CREATE TABLE days (day date) PARTITION BY RANGE (day); CREATE INDEX ON days (day);
            CREATE TABLE day1 PARTITION OF days FOR VALUES FROM ('2026-01-01') TO ('2026-01-02');
            CREATE FUNCTION price(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
            CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
            CREATE TRIGGER touched BEFORE UPDATE ON days FOR EACH ROW EXECUTE FUNCTION touch();
            CREATE VIEW seen AS SELECT id, word FROM goods WHERE word IN ('a', 'b'); CREATE MATERIALIZED VIEW kept AS SELECT 1 AS one;
            CREATE POLICY all_of_it ON goods USING (true);
            CREATE STATISTICS both_of ON id, part FROM goods; GRANT SELECT, UPDATE ON goods TO keeper WITH GRANT OPTION;
            GRANT UPDATE (id) ON goods TO keeper; REVOKE EXECUTE ON FUNCTION price(int) FROM PUBLIC; COMMENT ON DATABASE shop IS 'a shop'
            """, user: "restorer", database: "shop")
        let source = try scene.source()
        let record = try await scene.backUp(source).record
        let restored = try await scene.restore(record.id, source)
        #expect(restored.passed, "\(restored.checks)")
        var permit = scene.permit(record.id)
        let swap = scene.swap(scene.restoreSettings())
        let first = try await swap.swap(restored, permit: permit)
        #expect(first.remarks.isEmpty, "a database that nobody changed lacks nothing: \(first.remarks)")
        let comment = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'shop'"
        #expect(try await scene.server.sql(comment) == "a shop")
        _ = try await swap.undo(first.replaced, permit: permit)

        let next = try await scene.restore(record.id, source)
        try await scene.server.sql(
            """
            ALTER TABLE goods ADD COLUMN later text; ALTER TABLE goods ALTER COLUMN part TYPE bigint;
            ALTER TABLE goods ADD CONSTRAINT small CHECK (id < 1000000); CREATE INDEX by_part ON goods (part);
            CREATE VIEW newest AS SELECT 1 AS one; CREATE SEQUENCE numbers; CREATE TYPE later_pair AS (a int);
            CREATE TRIGGER touched_too BEFORE UPDATE ON goods FOR EACH ROW EXECUTE FUNCTION touch();
            CREATE POLICY less ON goods USING (false); CREATE FUNCTION price(text) RETURNS int LANGUAGE sql AS 'SELECT 2';
            CREATE OR REPLACE FUNCTION price(int) RETURNS int LANGUAGE sql AS 'SELECT 3'; ALTER TYPE mood ADD VALUE 'wild';
            CREATE TABLE whole (id serial PRIMARY KEY, note text); ALTER TABLE goods ALTER COLUMN word SET DEFAULT 'b';
            ALTER TABLE goods ALTER COLUMN till DROP DEFAULT; GRANT INSERT ON goods TO keeper; GRANT USAGE ON TYPE pair TO keeper;
            REVOKE UPDATE ON goods FROM keeper; GRANT UPDATE (id) ON goods TO keeper; REVOKE GRANT OPTION FOR SELECT ON goods FROM keeper
            """, user: "restorer", database: "shop")
        let refused = await #expect(throws: Failure.self) { _ = try await swap.swap(next, permit: permit) }
        #expect(refused?.kind == .denied)
        let expected = [
            "the table public.whole", "the column public.goods.later text", "the column public.goods.part bigint",
            "the table constraint small on public.goods", "the index public.by_part", "the view public.newest",
            "the sequence public.numbers", "the type public.later_pair", "the trigger touched_too on public.goods",
            "the policy less on public.goods", "the function public.price(pg_catalog.text)",
            "the function public.price(integer) as it is defined now", "the value 'wild' of the type public.mood",
            "the default of the column public.goods.word as it is now: 'b'::",
            "the default of the column public.goods.till as it is now, which is none",
            "GRANT INSERT ON TABLE public.goods TO keeper", "GRANT USAGE ON TYPE public.pair TO keeper",
            "REVOKE UPDATE ON TABLE public.goods FROM keeper",
            "REVOKE GRANT OPTION FOR SELECT ON TABLE public.goods FROM keeper",
            "REVOKE GRANT OPTION FOR UPDATE ON TABLE public.goods FROM keeper",
        ]
        for words in expected {
            #expect(refused?.message.contains("\n  \(words)") == true, "\(words): \(String(describing: refused))")
        }
        #expect(refused?.hint?.contains("--differences \(expected.count)") == true, "\(String(describing: refused))")
        permit.differences = expected.count
        #expect(try await swap.swap(next, permit: permit).remarks.count == expected.count)
    }

    @Test func rowsThatAreHiddenFromTheRoleAreFoundBeforeABackup() async throws {
        let scene = try await BackupScene.start(isEmpty: true)
        defer { scene.end() }
        try await scene.server.sql(
            Self.tables + "ALTER TABLE public.items ENABLE ROW LEVEL SECURITY;", user: "restorer", database: "shop")
        let failure = await scene.failure(try scene.source())
        #expect(failure?.stage == .preflight, "\(String(describing: failure))")
        #expect(failure?.failure.hint?.contains("ALTER ROLE \"keeper\" BYPASSRLS") == true, "\(String(describing: failure))")
        try await scene.server.sql("ALTER ROLE keeper BYPASSRLS")
        #expect(try await scene.backUp(try scene.source()).record.state == .available)
    }
}
