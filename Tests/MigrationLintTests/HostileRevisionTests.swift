import SerinModel
import SerinSQL
import Testing

@testable import SerinMigrations

/// Revisions as tools and people write them, each of which loses something on a way that looks like none.
@Suite struct HostileRevisionTests {
    private static let lock = "LOCK TABLE orders IN SHARE ROW EXCLUSIVE MODE"
    private static let copy = "CREATE TABLE b AS SELECT id, amount FROM orders"
    private static let zero = "UPDATE orders SET amount = 0"
    private static let byID = "UPDATE orders SET amount = b.amount FROM b WHERE b.id = orders.id; DROP TABLE b"
    private static let addN = "ALTER TABLE orders ADD COLUMN n int"
    private static let dropN = "ALTER TABLE orders DROP COLUMN n"
    private static let unrelated = "ALTER TABLE orders ADD COLUMN unrelated int"

    @Test(arguments: [
        LossCase(.reversible, "BEGIN; \(lock); \(copy); \(zero); COMMIT", byID),
        LossCase(.reversible, "BEGIN; LOCK TABLE public.orders; \(copy); \(zero); COMMIT", byID),
        LossCase(.reversible, "BEGIN; \(addN); \(copy); \(zero); COMMIT", "\(byID); \(dropN)"),
        LossCase(.destructive, "\(copy); \(zero)", byID),
        LossCase(.destructive, "\(lock); \(copy); \(zero)", byID),
        LossCase(.destructive, "\(addN); \(copy); \(zero)", "\(byID); \(dropN)"),
        LossCase(.destructive, "BEGIN; \(copy); \(zero); COMMIT", byID),
        LossCase(.destructive, "BEGIN; \(copy); \(lock); \(zero); COMMIT", byID),
        LossCase(.destructive, "BEGIN; \(lock); \(copy); COMMIT; \(zero)", byID),
        LossCase(.destructive, "BEGIN; \(lock); \(copy); COMMIT; BEGIN; \(lock); \(zero); COMMIT", byID),
        LossCase(.destructive, "BEGIN; \(lock); COMMIT; BEGIN; \(copy); \(zero); COMMIT", byID),
        LossCase(.destructive, "BEGIN; LOCK TABLE ONLY orders; \(copy); \(zero); COMMIT", byID, after: heirs),
        LossCase(.reversible, "BEGIN; LOCK TABLE orders; \(copy); \(zero); COMMIT", byID, after: heirs),
        LossCase(.destructive, "BEGIN; \(addN); \(copy); \(zero); COMMIT", "\(byID); \(dropN)", after: heirs),
        LossCase(.destructive, "BEGIN; LOCK TABLE orders IN ROW EXCLUSIVE MODE; \(copy); \(zero); COMMIT", byID),
        LossCase(.destructive, "BEGIN; LOCK TABLE customers; \(copy); \(zero); COMMIT", byID),
        LossCase(.destructive, "BEGIN; SAVEPOINT s; \(lock); ROLLBACK TO s; \(copy); \(zero); COMMIT", byID),
        LossCase(.destructive, "BEGIN; \(lock); SET search_path = app; \(copy); \(zero); COMMIT", byID),
        LossCase(
            .destructive, "CREATE TABLE b AS SELECT * FROM orders WHERE amount < 5; DELETE FROM orders WHERE amount < 5",
            "INSERT INTO orders SELECT * FROM b; DROP TABLE b"),
        LossCase(
            .destructive,
            "BEGIN; \(lock); CREATE TABLE b AS SELECT * FROM orders WHERE amount < 5; DELETE FROM orders WHERE amount < 5; COMMIT",
            "INSERT INTO orders SELECT * FROM b ON CONFLICT DO NOTHING; DROP TABLE b"),
    ])
    func aCopyCountsOnlyWhereNobodyElseWritesUntilTheChange(_ test: LossCase) async { await check(test) }

    /// What a program runs outside transactions looks the same in the SQL that it prints, but no session takes LOCK TABLE there.
    @Test func ofAProgramOnlyTheLockItselfIsBelieved() async {
        for (first, kind) in [(Self.lock, MigrationClass.reversible), (Self.addN, .destructive)] {
            let report = await revision(
                "BEGIN; \(first); \(Self.copy); \(Self.zero); COMMIT", down: Self.byID, history: [LossCase.orders],
                wrapping: .transaction, source: "")
            #expect(report.kind == kind, "\(report.reason)")
        }
    }

    private static let heirs = "\(LossCase.orders); CREATE TABLE late () INHERITS (orders)"

    @Test func theSafeFormLocksAndTheLockIsNoFinding() async {
        let open = await lint("\(Self.copy); \(Self.zero)", history: [LossCase.orders])
        let finding = open.findings.first { $0.rule == .overwrites }
        #expect(finding?.message.contains("between b and this") == true, "\(open.findings)")
        #expect(finding?.safeForm.contains(Self.lock) == true)
        let safe = await lint("BEGIN; \(Self.lock); \(Self.copy); \(Self.zero); COMMIT", history: [LossCase.orders])
        #expect(!safe.findings.contains { $0.rule == .partitionOrLock || $0.rule == .overwrites }, "\(safe.findings)")
        let idle = await lint("BEGIN; \(Self.lock); COMMIT; \(Self.copy)", history: [LossCase.orders])
        #expect(idle.findings.contains { $0.rule == .partitionOrLock })
    }

    @Test(arguments: [
        LossCase(
            .destructive,
            "ALTER TABLE orders RENAME TO old; CREATE TABLE orders (LIKE old INCLUDING ALL); INSERT INTO orders SELECT * FROM old",
            "DROP TABLE orders; ALTER TABLE old RENAME TO orders"),
        LossCase(
            .destructive, "CREATE TABLE n (id bigint); ALTER TABLE orders RENAME TO old; ALTER TABLE n RENAME TO orders",
            "ALTER TABLE orders RENAME TO n; ALTER TABLE old RENAME TO orders; DROP TABLE n"),
        LossCase(
            .reversible, "CREATE TABLE n (id bigint); ALTER TABLE orders RENAME TO old; ALTER TABLE n RENAME TO orders",
            "ALTER TABLE orders RENAME TO n; ALTER TABLE old RENAME TO orders; INSERT INTO orders SELECT * FROM n; DROP TABLE n"),
        LossCase(
            .destructive, "CREATE TABLE n (id bigint); ALTER TABLE orders RENAME TO old; ALTER TABLE n RENAME TO orders",
            "INSERT INTO old SELECT * FROM orders; DROP TABLE orders; ALTER TABLE old RENAME TO orders"),
        LossCase(
            .destructive, "ALTER TABLE orders RENAME TO old; CREATE TABLE orders AS SELECT * FROM old",
            "DROP TABLE orders; ALTER TABLE old RENAME TO orders"),
        LossCase(
            .destructive, "ALTER TABLE orders RENAME COLUMN amount TO old; ALTER TABLE orders ADD COLUMN amount bigint",
            "ALTER TABLE orders DROP COLUMN amount; ALTER TABLE orders RENAME COLUMN old TO amount"),
        LossCase(
            .destructive,
            "\(addN); ALTER TABLE orders RENAME COLUMN amount TO old; ALTER TABLE orders RENAME COLUMN n TO amount",
            "ALTER TABLE orders RENAME COLUMN amount TO n; ALTER TABLE orders RENAME COLUMN old TO amount; \(dropN)"),
        LossCase(
            .destructive,
            "ALTER TABLE orders RENAME COLUMN email TO x; ALTER TABLE orders RENAME COLUMN status TO email; ALTER TABLE orders RENAME COLUMN x TO status",
            "ALTER TABLE orders RENAME COLUMN email TO x; ALTER TABLE orders RENAME COLUMN status TO email; ALTER TABLE orders RENAME COLUMN x TO status"
        ),
        LossCase(
            .destructive, "CREATE TABLE n (id bigint); ALTER TABLE orders RENAME TO old; CREATE VIEW orders AS SELECT * FROM n",
            "DROP VIEW orders; ALTER TABLE old RENAME TO orders; DROP TABLE n"),
        LossCase(
            .reversible, "ALTER TABLE orders RENAME TO new_name; CREATE VIEW orders AS SELECT * FROM new_name",
            "DROP VIEW orders; ALTER TABLE new_name RENAME TO orders"),
        LossCase(
            .destructive,
            "CREATE TABLE n (id bigint); CREATE VIEW w AS SELECT * FROM n; CREATE OR REPLACE VIEW v AS SELECT * FROM w",
            "CREATE OR REPLACE VIEW v AS SELECT id FROM orders; DROP VIEW w; DROP TABLE n"),
        LossCase(
            .destructive,
            "CREATE TABLE n (t text); CREATE OR REPLACE FUNCTION note(t text) RETURNS void LANGUAGE sql AS 'INSERT INTO n VALUES (t)'",
            "CREATE OR REPLACE FUNCTION note(t text) RETURNS void LANGUAGE sql AS 'SELECT 1'; DROP TABLE n"),
        LossCase(
            .destructive,
            "DROP FUNCTION note(text); CREATE FUNCTION note(t text) RETURNS void LANGUAGE sql AS 'INSERT INTO n VALUES (t)'; CREATE TABLE n (t text)",
            "DROP FUNCTION note(text); CREATE FUNCTION note(t text) RETURNS void LANGUAGE sql AS 'SELECT 1'; DROP TABLE n"),
        LossCase(
            .destructive, "CREATE TABLE p PARTITION OF parted FOR VALUES FROM (1) TO (9)",
            "CREATE TABLE bin (id bigint); INSERT INTO bin SELECT * FROM p; DROP TABLE p; DROP TABLE bin", after: parted),
        LossCase(
            .destructive, "CREATE TABLE p PARTITION OF parted FOR VALUES FROM (1) TO (9)",
            "INSERT INTO parted SELECT * FROM p; DROP TABLE p", after: parted),
    ])
    func whatTookThePlaceOfAnotherHoldsWhatWasMeantForIt(_ test: LossCase) async { await check(test) }

    private static let parted = "CREATE TABLE parted (id bigint) PARTITION BY RANGE (id)"

    @Test(arguments: [
        "SELECT id <==> 1 FROM orders", "SELECT id FROM orders WHERE amount === ANY (SELECT 1)",
        "SELECT id FROM orders ORDER BY amount USING <<<", "CREATE TABLE x (c text, EXCLUDE USING gist (c WITH ===))",
        "CREATE INDEX CONCURRENTLY i ON orders (amount my_ops)", "SELECT 'x'::evil",
        "SELECT CAST(amount AS app.evil) FROM orders",
        "SELECT evil 'x'", "SELECT o.wipe FROM orders o", "SELECT orders.wipe FROM orders", "SELECT (o).wipe FROM orders o",
        "INSERT INTO orders (email) SELECT (SELECT o FROM orders o LIMIT 1).wipe",
        "INSERT INTO orders AS t (id) VALUES (1) ON CONFLICT (id) DO NOTHING RETURNING t.wipe",
        "CREATE VIEW w AS SELECT public.orders.wipe FROM public.orders",
        "CREATE OPERATOR + (LEFTARG = orders, RIGHTARG = int, FUNCTION = purge)",
    ])
    func codeBehindOperatorsCastsAndRowsIsAsUnknownAsACall(_ up: String) async { await check(LossCase(.unclassified, up)) }

    @Test(arguments: [
        LossCase(.unclassified, "SELECT 1 + 2", after: "CREATE OPERATOR + (LEFTARG = orders, RIGHTARG = int, FUNCTION = purge)"),
        LossCase(.unclassified, "SELECT '1'::int", after: "CREATE CAST (text AS int) WITH FUNCTION purge(text)"),
        LossCase(.additive, "SELECT 1 FROM orders", after: "CREATE CAST (text AS int) WITH FUNCTION purge(text)"),
        LossCase(
            .unclassified, "INSERT INTO orders (email) VALUES ('x')",
            after: "CREATE CAST (text AS int) WITH FUNCTION purge(text) AS ASSIGNMENT"),
        LossCase(.unclassified, "SELECT 'x'::pos", after: "CREATE DOMAIN pos AS text CHECK (purge(VALUE))"),
        LossCase(.additive, "SELECT 1::pos", after: "CREATE DOMAIN pos AS int CHECK (VALUE > 0)"),
        LossCase(.additive, "SELECT 'a'::mood, '{a}'::mood[]", after: "CREATE TYPE mood AS ENUM ('a')"),
        LossCase(.additive, "SELECT 'a'::feeling", after: "CREATE TYPE mood AS ENUM ('a')", "ALTER TYPE mood RENAME TO feeling"),
        LossCase(
            .additive,
            "CREATE VIEW w AS WITH x AS (SELECT o.id AS k FROM orders o) SELECT x.k, y.z, l.email, e.a FROM x, (SELECT 1 AS z) y, LATERAL (SELECT o.email FROM orders o WHERE o.id = x.k AND o.email ~* 'x' AND o.id BETWEEN 1 AND 5) l, json_each('{}') e(a, b)",
            "DROP VIEW w"),
        LossCase(.additive, "CREATE VIEW w AS SELECT unknown.id, unknown.wipe FROM unknown", "DROP VIEW w"),
        LossCase(.additive, "CREATE INDEX CONCURRENTLY i ON orders (email text_pattern_ops)", "DROP INDEX CONCURRENTLY i"),
    ])
    func whatTheRevisionsShowOfOperatorsAndTypesIsKnown(_ test: LossCase) async { await check(test) }

    @Test(arguments: [
        ("SELECT u.wipe FROM u", MigrationClass.unclassified), ("SELECT u.other FROM u", .additive),
        ("SELECT (o).wipe FROM orders o", .unclassified), ("SELECT (o).other FROM orders o", .additive),
        ("SELECT orders.email FROM orders", .additive), ("SELECT 1 + 1", .unclassified), ("SELECT 1 - 1", .additive),
        ("SELECT 'x'::mood", .additive), ("SELECT 'x'::pos", .unclassified), ("SELECT '1'::int", .unclassified),
        ("SELECT lower('x')", .additive), ("SELECT lower(o) FROM orders o", .additive),
    ])
    func whatTheServerHasOfItsOwnIsKnownWhereItWasLookedAt(_ sql: String, _ kind: MigrationClass) async {
        var settings = LintSettings()
        settings.server = ServerCode(calls: ["wipe", "+", "::int4"], types: ["mood"])
        let report = await revision(sql, down: "SELECT 1", history: [LossCase.orders], settings: settings)
        #expect(report.kind == kind, "\(report.reason)")
    }

    private static let touch =
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.finished_at = now(); RETURN NEW; END $$"
    private static func touched(_ events: String) -> String {
        "CREATE TRIGGER touch BEFORE \(events) ON orders FOR EACH ROW EXECUTE FUNCTION touch()"
    }
    private static let fill = "\(addN); UPDATE orders SET n = amount"
    private static func searched(_ column: String) -> String {
        "CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION tsvector_update_trigger(\(column), 'pg_catalog.english', email)"
    }

    @Test(arguments: [
        LossCase(.destructive, fill, dropN, after: LossCase.orders, touch, touched("UPDATE")),
        LossCase(.additive, fill, dropN, after: LossCase.orders, touch, touched("UPDATE OF status")),
        LossCase(.additive, fill, dropN, after: LossCase.orders, touch, touched("INSERT")),
        LossCase(.additive, fill, dropN, after: LossCase.orders, touch, touched("UPDATE"), "DROP TRIGGER touch ON orders"),
        LossCase(
            .destructive, fill, dropN, after: LossCase.orders, touch, touched("UPDATE"),
            "ALTER TRIGGER touch ON orders RENAME TO t"),
        LossCase(
            .additive, fill, dropN, after: LossCase.orders, touch, touched("UPDATE"), "ALTER TRIGGER touch ON orders RENAME TO t",
            "DROP TRIGGER t ON orders"),
        LossCase(
            .reversible, "INSERT INTO orders (id, status) VALUES (7, 'a')", "DELETE FROM orders WHERE id = 7",
            after: LossCase.orders, touch, touched("INSERT OR UPDATE")),
        LossCase(
            .destructive, "INSERT INTO orders (id, status) VALUES (7, 'a')", "DELETE FROM orders WHERE id = 7",
            after: LossCase.orders, touch, touched("DELETE")),
        LossCase(.destructive, searched("status"), "DROP TRIGGER t ON orders"),
        LossCase(
            .reversible, "ALTER TABLE orders ADD COLUMN found tsvector; \(searched("found"))",
            "DROP TRIGGER t ON orders; ALTER TABLE orders DROP COLUMN found"),
    ])
    func whatTriggersChangeBesideAChangeIsSavedNowhere(_ test: LossCase) async { await check(test) }

    @Test(arguments: [
        LossCase(.destructive, "SET TIME ZONE 'Europe/Berlin'; ALTER TABLE t ALTER COLUMN at TYPE timestamptz", after: times),
        LossCase(.reversible, "SET TIME ZONE 'UTC'; ALTER TABLE t ALTER COLUMN at TYPE timestamptz", utcBack, after: times),
        LossCase(
            .destructive, "BEGIN; SET LOCAL TIME ZONE 'UTC'; COMMIT; ALTER TABLE t ALTER COLUMN at TYPE timestamptz",
            after: times),
        LossCase(
            .destructive, "SET TIME ZONE 'UTC'; RESET ALL; ALTER TABLE t ALTER COLUMN at TYPE timestamptz", after: times),
        LossCase(
            .destructive, "SELECT set_config('TimeZone', 'Asia/Tokyo', false); ALTER TABLE t ALTER COLUMN at TYPE timestamptz",
            after: times),
    ])
    func theZoneThatTheTextSetsCounts(_ test: LossCase) async {
        await check(test)
        // Whatever is said of the sessions.
        let report = await revision(
            "SET TIME ZONE 'Europe/Berlin'; ALTER TABLE t ALTER COLUMN at TYPE timestamptz", down: Self.utcBack,
            history: [Self.times], settings: LintSettings(isUTC: true))
        #expect(report.kind == .destructive, "\(report.reason)")
    }

    private static let times = "CREATE TABLE t (at timestamp)"
    private static let utcBack = "SET TIME ZONE 'UTC'; ALTER TABLE t ALTER COLUMN at TYPE timestamp"

    @Test(arguments: [
        LossCase(.destructive, "SELECT setval('orders_id_seq', 1)", "SELECT setval('orders_id_seq', 1)"),
        LossCase(.destructive, "ALTER SEQUENCE s RESTART", "ALTER SEQUENCE s RESTART"),
        LossCase(
            .destructive, "ALTER TABLE orders ALTER COLUMN id RESTART WITH 1",
            "ALTER TABLE orders ALTER COLUMN id RESTART WITH 1"),
        LossCase(
            .destructive, "ALTER TABLE orders DROP CONSTRAINT orders_pkey CASCADE", "ALTER TABLE orders ADD PRIMARY KEY (id)"),
        LossCase(.unclassified, "ALTER TABLE orders RENAME COLUMN amount TO total", "ALTER TABLE orders ADD COLUMN amount int"),
        LossCase(.unclassified, "ALTER TABLE orders RENAME TO o", "CREATE TABLE orders (id int)"),
        LossCase(.unclassified, "ALTER TYPE mood ADD VALUE 'z'; \(addN)", dropN),
        LossCase(
            .reversible, "ALTER TABLE orders ADD COLUMN z int NOT NULL DEFAULT 0; ALTER TABLE orders ALTER COLUMN z DROP DEFAULT",
            "ALTER TABLE orders DROP COLUMN z"),
        LossCase(
            .reversible, "ALTER TABLE orders ALTER COLUMN email TYPE text COLLATE \"C\"",
            "ALTER TABLE orders ALTER COLUMN email TYPE text"),
        LossCase(
            .reversible, "\(addN); ALTER TABLE orders ADD CONSTRAINT k CHECK (n IS NULL OR n > 0) NOT VALID", dropN),
        LossCase(
            .reversible,
            "CREATE UNIQUE INDEX CONCURRENTLY u ON orders (email); ALTER TABLE orders ADD CONSTRAINT k UNIQUE USING INDEX u",
            "ALTER TABLE orders DROP CONSTRAINT k"),
        LossCase(.reversible, "ALTER TYPE mood RENAME TO feeling", "ALTER TYPE feeling RENAME TO mood"),
        LossCase(.unclassified, "ALTER TYPE mood RENAME TO feeling", unrelated),
        LossCase(.destructive, "UPDATE orders SET (amount, status) = (1, 'x')"),
        LossCase(
            .destructive,
            "INSERT INTO orders (id, status) SELECT 1, 'x' ON CONFLICT ON CONSTRAINT orders_pkey DO UPDATE SET status = 'x'"),
        LossCase(.destructive, "MERGE INTO orders o USING customers c ON o.id = c.id WHEN MATCHED THEN UPDATE SET amount = 1"),
        LossCase(
            .destructive,
            "CREATE TABLE gone (LIKE orders); WITH x AS (DELETE FROM orders WHERE amount = 1 RETURNING *) INSERT INTO gone SELECT * FROM x",
            "INSERT INTO orders SELECT * FROM gone; DROP TABLE gone"),
        LossCase(.destructive, "TRUNCATE orders RESTART IDENTITY CASCADE"),
        LossCase(.destructive, "DROP EXTENSION IF EXISTS postgis CASCADE", "CREATE EXTENSION postgis"),
        LossCase(.unclassified, "ALTER TEXT SEARCH CONFIGURATION english ALTER MAPPING FOR word WITH simple"),
        LossCase(.unclassified, "EXPLAIN ANALYZE DELETE FROM orders"),
        LossCase(.unclassified, "SELECT query_to_xml('DELETE FROM orders', true, true, '')"),
        LossCase(.unclassified, "SELECT * FROM crosstab('DELETE FROM orders RETURNING 1, 2, 3') AS x (a int)"),
        LossCase(.destructive, "ALTER TABLE orders ALTER COLUMN amount TYPE text USING 'x' || amount", unrelated),
        LossCase(.destructive, "ALTER TABLE orders ALTER COLUMN finished_at TYPE timestamptz(0)", unrelated),
        LossCase(.destructive, "ALTER TABLE orders ALTER COLUMN status TYPE citext", unrelated),
    ])
    func whatLooksHarmlessIsJudgedByWhatIsLeftOnTheWayBack(_ test: LossCase) async { await check(test) }

    private static let saved = "\(copy); \(zero)"

    @Test(arguments: [
        LossCase(.reversible, saved, byID),
        LossCase(.destructive, "\(copy); INSERT INTO b VALUES (1, 2); \(zero)", byID),
        LossCase(.destructive, "\(saved); COPY b FROM '/tmp/x'", byID),
        LossCase(.destructive, "\(saved); ALTER TABLE b ENABLE ROW LEVEL SECURITY; ALTER TABLE b FORCE ROW LEVEL SECURITY", byID),
        LossCase(
            .destructive, "\(saved); CREATE POLICY p ON orders USING (id > 5)", "\(byID); DROP POLICY p ON orders"),
        LossCase(.destructive, saved, "CREATE POLICY p ON orders USING (false); \(byID); DROP POLICY p ON orders"),
        LossCase(.destructive, saved, byID.replacing("UPDATE orders", with: "UPDATE ONLY orders")),
        LossCase(
            .destructive, saved,
            "ALTER TABLE orders RENAME TO o; CREATE TABLE orders (id bigint, amount int); \(byID); DROP TABLE orders; ALTER TABLE o RENAME TO orders"
        ),
        LossCase(.destructive, saved, "CREATE TEMP TABLE orders (id bigint, amount int); \(byID)"),
        LossCase(.destructive, saved, "CREATE TEMP TABLE b (id bigint, amount int); \(byID)"),
        LossCase(.destructive, saved, "SET search_path = other; \(byID)"),
        LossCase(.destructive, saved, "ALTER TABLE b ALTER COLUMN amount TYPE smallint USING 0; \(byID)"),
        LossCase(.destructive, "\(saved); UPDATE orders SET id = id + 1000000", byID),
        LossCase(
            .destructive, "\(saved); CREATE RULE r AS ON UPDATE TO orders DO INSTEAD NOTHING", "\(byID); DROP RULE r ON orders"),
        LossCase(
            .destructive, "CREATE TABLE b AS SELECT * FROM orders; DELETE FROM orders WHERE amount < 5",
            "INSERT INTO orders SELECT * FROM b; DROP TABLE b", after: heirs),
    ])
    func aCopyCountsOnlyAsLongAsAllOfItComesBackToWhereItWas(_ test: LossCase) async { await check(test.locked) }

    @Test(arguments: [
        LossCase(
            .destructive, "ALTER SCHEMA public RENAME TO old; CREATE SCHEMA public; CREATE TABLE orders (id int)",
            "DROP SCHEMA public CASCADE; ALTER SCHEMA old RENAME TO public"),
        LossCase(
            .destructive, "CREATE SCHEMA s; CREATE TABLE s.orders (id int); ALTER ROLE app SET search_path = s, public",
            "ALTER ROLE app RESET search_path; DROP SCHEMA s CASCADE"),
        LossCase(
            .destructive,
            "CREATE TABLE n (id int); CREATE VIEW w AS SELECT * FROM n; ALTER TABLE orders RENAME TO o; ALTER VIEW w RENAME TO orders",
            "ALTER VIEW orders RENAME TO w; ALTER TABLE o RENAME TO orders; DROP VIEW w; DROP TABLE n"),
        LossCase(.reversible, "REFRESH MATERIALIZED VIEW m WITH NO DATA", "REFRESH MATERIALIZED VIEW m"),
        LossCase(.unclassified, "REFRESH MATERIALIZED VIEW m WITH NO DATA", unrelated),
        LossCase(.additive, "REFRESH MATERIALIZED VIEW m", "REFRESH MATERIALIZED VIEW m"),
    ])
    func namesThatMeanAnotherThingLeadWritesElsewhere(_ test: LossCase) async { await check(test) }

    @Test func aRowThatANewTablePointsToMayBeOneThatThePreviousVersionDeletes() async {
        func isSaid(_ action: String) async -> Bool {
            let up = "CREATE TABLE lines (id int PRIMARY KEY REFERENCES orders \(action))"
            let report = await revision(up, down: "DROP TABLE lines", history: [LossCase.orders])
            #expect(report.kind == .additive)
            return report.findings.contains { $0.rule == .breaksPrevious && $0.severity == .warning }
        }
        #expect(await isSaid(""))
        #expect(await !isSaid("ON DELETE CASCADE"))
    }

    @Test func namesAreReadAsSQLWritesThem() {
        for name in ["orders", "public.orders", "app.\"Big Orders\"", "\"a.b\".\"c\"\"d\"", "order"] {
            #expect("\(RelationName(parsing: name))" == name)
        }
        #expect(RelationName(parsing: "public.\"order\"").mayBe(RelationName("order")))
        #expect(!RelationName(parsing: "app.orders").mayBe(RelationName(schema: "public", "orders")))
    }
}
