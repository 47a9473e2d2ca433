import SerinModel
import SerinSQL
import Testing

@testable import SerinMigrations

/// Whatever cannot be shown to be harmless is not called so.
@Suite struct LossTests {
    private static let addN = "ALTER TABLE orders ADD COLUMN n int"
    private static let dropN = "ALTER TABLE orders DROP COLUMN n"

    @Test(arguments: [
        LossCase(.destructive, "CREATE TABLE IF NOT EXISTS c (id int)", "DROP TABLE c"),
        LossCase(.destructive, "ALTER TABLE orders ADD COLUMN IF NOT EXISTS amount int", "ALTER TABLE orders DROP COLUMN amount"),
        LossCase(.destructive, "CREATE TABLE IF NOT EXISTS orders (id int); DELETE FROM orders"),
        LossCase(.destructive, "CREATE TABLE IF NOT EXISTS orders (id int, amount int); ALTER TABLE orders DROP COLUMN amount"),
        LossCase(.destructive, "ALTER TABLE orders ADD COLUMN IF NOT EXISTS amount int; UPDATE orders SET amount = 0", dropN),
        LossCase(.destructive, "CREATE SCHEMA IF NOT EXISTS app", "DROP SCHEMA app CASCADE"),
        LossCase(.additive, "CREATE SCHEMA app; CREATE TABLE app.t (id int)", "DROP SCHEMA app CASCADE"),
        LossCase(.destructive, "CREATE TEMP TABLE orders (id int); TRUNCATE public.orders"),
        LossCase(.destructive, "CREATE TEMP TABLE orders (id int) ON COMMIT DROP; DELETE FROM orders"),
        LossCase(.destructive, "CREATE TEMP TABLE orders (id int); DISCARD TEMP; DELETE FROM orders"),
        LossCase(.destructive, "CREATE TEMP TABLE orders ON COMMIT DROP AS SELECT 1; DELETE FROM orders"),
        LossCase(.destructive, "BEGIN; CREATE TABLE t (id int); ROLLBACK; DELETE FROM t"),
        LossCase(.destructive, "BEGIN; SAVEPOINT s; CREATE TABLE t (id int); ROLLBACK TO s; DELETE FROM t; COMMIT"),
        LossCase(.destructive, "SET search_path = s; CREATE TABLE t (id int); RESET search_path; DELETE FROM t"),
        LossCase(.destructive, "CREATE VIEW v AS SELECT * FROM orders; DELETE FROM v", "DROP VIEW v"),
        LossCase(.destructive, "CREATE VIEW v AS SELECT * FROM orders; UPDATE v SET amount = 0", "DROP VIEW v"),
        LossCase(.destructive, "CREATE FOREIGN TABLE f (id int) SERVER s; DELETE FROM f", "DROP FOREIGN TABLE f"),
        LossCase(.destructive, "CREATE TABLE p (LIKE orders); ALTER TABLE orders INHERIT p; DELETE FROM p"),
        LossCase(
            .destructive, "CREATE TABLE p (id bigint) PARTITION BY RANGE (id); ALTER TABLE p ATTACH PARTITION orders DEFAULT",
            "DROP TABLE p"),
        LossCase(
            .destructive,
            "CREATE TABLE p (id int PRIMARY KEY); ALTER TABLE orders ADD FOREIGN KEY (amount) REFERENCES p ON DELETE CASCADE; DELETE FROM p"
        ),
        LossCase(
            .destructive, "CREATE VIEW v AS SELECT id FROM orders; CREATE TABLE b AS SELECT * FROM v; DELETE FROM v WHERE id > 0",
            "INSERT INTO v SELECT * FROM b"),
        LossCase(.destructive, "CREATE SCHEMA s; ALTER TABLE orders SET SCHEMA s; DROP SCHEMA s CASCADE"),
        LossCase(.additive, "CREATE TABLE t (id int); UPDATE t SET id = 1; DELETE FROM t; TRUNCATE t", "DROP TABLE t"),
        LossCase(.additive, "CREATE TEMP TABLE x AS SELECT id FROM orders; DELETE FROM x"),
    ])
    func onlyWhatIsProvablyNewIsTheRevisionsOwn(_ test: LossCase) async { await check(test) }

    @Test(arguments: [
        LossCase(.destructive, "ALTER TABLE orders RENAME TO o; DROP TABLE o"),
        LossCase(
            .destructive,
            "CREATE TABLE n (id int); ALTER TABLE orders RENAME TO o; ALTER TABLE n RENAME TO orders; DROP TABLE o"),
        LossCase(.destructive, "ALTER TABLE orders RENAME COLUMN amount TO a; ALTER TABLE orders DROP COLUMN a"),
        LossCase(
            .destructive,
            "\(addN); ALTER TABLE orders RENAME COLUMN n TO m; ALTER TABLE orders RENAME COLUMN amount TO n; \(dropN)"),
        LossCase(.destructive, "\(addN); \(dropN); ALTER TABLE orders RENAME COLUMN amount TO n; \(dropN)"),
        LossCase(
            .destructive, "CREATE SCHEMA s; ALTER SCHEMA s RENAME TO r; ALTER SCHEMA app RENAME TO s; DROP SCHEMA s CASCADE"),
        LossCase(
            .destructive, "CREATE TABLE n (id int)", "ALTER TABLE n RENAME TO m; ALTER TABLE orders RENAME TO n; DROP TABLE n"),
        LossCase(.additive, "CREATE TABLE n (id int); ALTER TABLE n RENAME TO m; DELETE FROM m", "DROP TABLE m"),
    ])
    func aRenameMakesNothingNew(_ test: LossCase) async { await check(test) }

    private static let short = "CREATE TABLE t (a varchar(50), b varchar(50))"
    private static let longer = "ALTER TABLE t ALTER COLUMN a TYPE varchar(200)"

    @Test(arguments: [
        LossCase(.destructive, addN, "UPDATE orders SET amount = 0; \(dropN)"),
        LossCase(.destructive, addN, "DELETE FROM orders WHERE id > 5; \(dropN)"),
        LossCase(.destructive, addN, "\(dropN); DROP TABLE customers"),
        LossCase(.destructive, addN, "\(dropN); ALTER TABLE orders ALTER COLUMN email TYPE varchar(3)"),
        LossCase(.destructive, addN, "\(dropN); DROP FUNCTION f(int)"),
        LossCase(.destructive, "CREATE OR REPLACE VIEW v AS SELECT id FROM orders", "DROP VIEW v"),
        LossCase(
            .destructive, "CREATE FUNCTION f(a int, b int) RETURNS int LANGUAGE sql AS 'SELECT 1'", "DROP FUNCTION f(int)"),
        LossCase(.unclassified, addN, "DO $$ BEGIN DELETE FROM orders; END $$; \(dropN)"),
        LossCase(.unclassified, "ALTER TABLE orders RENAME COLUMN amount TO total", "COMMENT ON TABLE orders IS 'x'"),
        LossCase(.unclassified, "ALTER TABLE orders RENAME COLUMN amount TO total", "SELECT 1 FROM orders"),
        LossCase(.unclassified, "ALTER TABLE orders RENAME COLUMN amount TO total", addN),
        LossCase(.unclassified, "DROP VIEW v", addN),
        LossCase(
            .reversible, "CREATE OR REPLACE VIEW v AS SELECT id FROM orders",
            "DROP VIEW v; CREATE VIEW v AS SELECT amount FROM orders"),
        LossCase(.reversible, "DROP VIEW v", "CREATE VIEW v AS SELECT id FROM orders"),
        LossCase(.reversible, "ALTER TABLE orders RENAME TO o", "ALTER TABLE o RENAME TO orders"),
        LossCase(.additive, "\(addN); UPDATE orders SET n = amount", "UPDATE orders SET n = 0; \(dropN)"),
        LossCase(
            .additive, "CREATE FUNCTION f(a int, OUT b int) LANGUAGE sql AS 'SELECT 1'", "DROP FUNCTION f(integer)"),
        LossCase(.additive, "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'", "DROP FUNCTION f"),
        LossCase(
            .reversible, "ALTER TABLE orders ALTER COLUMN amount TYPE bigint", "ALTER TABLE orders ALTER COLUMN amount TYPE int"),
        LossCase(
            .reversible, "INSERT INTO orders (id, status) VALUES (7, 'a'), (8, 'b')", "DELETE FROM orders WHERE id IN (7, 8)"),
        LossCase(.destructive, "INSERT INTO orders (id, status) VALUES (7, 'a')", "DELETE FROM orders WHERE id IN (7, 8)"),
        LossCase(.destructive, "INSERT INTO orders (id, status) VALUES (7, 'a')", "DELETE FROM orders WHERE status = 'a'"),
        LossCase(
            .destructive, "INSERT INTO orders (id, status) VALUES (7, 'a') ON CONFLICT DO NOTHING",
            "DELETE FROM orders WHERE id = 7"),
        LossCase(.additive, longer, "ALTER TABLE t ALTER COLUMN a TYPE varchar(50) USING left(a, 50)", after: short),
        LossCase(.destructive, longer, "ALTER TABLE t ALTER COLUMN a TYPE varchar(50) USING left(a, 40)", after: short),
    ])
    func theWayBackCountsToo(_ test: LossCase) async { await check(test) }

    @Test(
        arguments: [
            LossCase(
                .reversible, "CREATE TABLE b AS SELECT id, amount FROM orders; UPDATE orders SET amount = 0",
                "UPDATE orders SET amount = b.amount FROM b WHERE b.id = orders.id; DROP TABLE b"),
            LossCase(
                .reversible, "CREATE TABLE b AS SELECT * FROM orders WHERE id > 5; DELETE FROM orders WHERE id > 5",
                "INSERT INTO orders SELECT * FROM b; DROP TABLE b"),
            LossCase(
                .destructive, "CREATE TABLE b AS SELECT id, amount FROM orders; UPDATE orders SET amount = 0", "DROP TABLE b"),
            LossCase(
                .destructive, "CREATE TABLE b AS SELECT id, amount FROM orders; UPDATE orders SET amount = 0",
                "INSERT INTO log SELECT id FROM b; DROP TABLE b"),
            LossCase(
                .destructive,
                "CREATE TABLE b AS SELECT id, amount FROM orders WHERE amount > 5; UPDATE orders SET amount = 9 WHERE amount > 5; UPDATE orders SET amount = 0 WHERE amount > 5",
                "UPDATE orders SET amount = b.amount FROM b WHERE b.id = orders.id"),
            LossCase(
                .destructive, "CREATE TABLE b AS SELECT id, amount FROM orders; UPDATE orders SET amount = 0, status = 'x'",
                "UPDATE orders SET amount = b.amount FROM b WHERE b.id = orders.id"),
            LossCase(
                .destructive, "CREATE TABLE b AS SELECT amount FROM orders; UPDATE orders SET amount = 0",
                "UPDATE orders SET amount = b.amount FROM b"),
            LossCase(
                .destructive, "CREATE TABLE b AS SELECT * FROM orders; DROP TABLE b; UPDATE orders SET amount = 0",
                "INSERT INTO orders SELECT * FROM b"),
            LossCase(
                .destructive, "CREATE TABLE b AS SELECT * FROM orders; UPDATE orders SET amount = 0; UPDATE b SET amount = 0",
                "INSERT INTO orders SELECT * FROM b"),
        ]
            + [
                "CREATE TEMP TABLE b AS SELECT * FROM orders", "CREATE TABLE b AS SELECT * FROM orders WHERE false",
                "CREATE TABLE b AS SELECT count(*) FROM orders", "CREATE TABLE b AS SELECT * FROM orders LIMIT 1",
                "CREATE TABLE b AS SELECT DISTINCT ON (status) * FROM orders",
                "CREATE TABLE b AS SELECT * FROM orders WITH NO DATA",
                "CREATE TABLE b AS SELECT * FROM ONLY orders", "CREATE UNLOGGED TABLE b AS SELECT * FROM orders",
                "CREATE TABLE IF NOT EXISTS b AS SELECT * FROM orders",
                "CREATE TABLE b AS SELECT * FROM orders TABLESAMPLE system (1)",
                "CREATE TABLE b AS SELECT o.* FROM orders o JOIN customers c ON c.id = o.id",
                "CREATE TABLE b AS SELECT * FROM orders GROUP BY id", "CREATE MATERIALIZED VIEW b AS SELECT * FROM orders",
                "CREATE TABLE b AS SELECT amount AS id, id AS amount FROM orders", "CREATE TABLE b (x) AS SELECT * FROM orders",

                "CREATE TABLE b AS SELECT * FROM orders EXCEPT SELECT * FROM orders",
            ].map {
                LossCase(
                    .destructive, "\($0); UPDATE orders SET amount = 0",
                    "UPDATE orders SET amount = b.amount FROM b WHERE b.id = orders.id")
            })
    func savedIsWhatHoldsTheKeyAndTheColumnsOfAllRowsAndIsReadAgain(_ test: LossCase) async { await check(test.locked) }

    private static let savedAll = "CREATE TABLE b AS SELECT * FROM orders"

    @Test(arguments: [
        LossCase(
            .destructive, "\(savedAll); UPDATE orders SET amount = 0, status = 'x'",
            "UPDATE orders SET amount = b.amount FROM b WHERE b.id = orders.id; DROP TABLE b"),
        LossCase(
            .reversible, "\(savedAll); UPDATE orders SET amount = 0, status = 'x'",
            "UPDATE orders o SET amount = b.amount, status = b.status FROM b WHERE o.id = b.id; DROP TABLE b"),
        LossCase(
            .destructive, "\(savedAll); UPDATE orders SET amount = 0", "INSERT INTO orders SELECT * FROM b ON CONFLICT DO NOTHING"
        ),
        LossCase(
            .reversible, "\(savedAll); UPDATE orders SET amount = 0",
            "INSERT INTO orders SELECT * FROM b ON CONFLICT (id) DO UPDATE SET amount = EXCLUDED.amount"),
        LossCase(
            .destructive, "\(savedAll); UPDATE orders SET amount = 0",
            "INSERT INTO orders SELECT * FROM b ON CONFLICT (id) DO UPDATE SET amount = EXCLUDED.amount WHERE false"),
        LossCase(
            .destructive, "\(savedAll); UPDATE orders SET amount = 0",
            "INSERT INTO orders SELECT * FROM b ON CONFLICT (id) DO UPDATE SET amount = 0"),
        LossCase(
            .destructive, "\(savedAll); UPDATE orders SET amount = 0",
            "UPDATE orders SET amount = 0 FROM b WHERE b.id = orders.id"),
        LossCase(
            .destructive, "\(savedAll); UPDATE orders SET amount = 0",
            "UPDATE orders SET amount = b.amount FROM b WHERE b.id = orders.amount"),
        LossCase(
            .destructive, "\(savedAll); UPDATE orders SET amount = 0",
            "UPDATE orders SET amount = b.amount FROM b WHERE b.id = orders.id AND b.id > 5"),
        LossCase(
            .destructive, "\(savedAll); UPDATE orders SET amount = 0",
            "UPDATE b SET amount = 0; UPDATE orders SET amount = b.amount FROM b WHERE b.id = orders.id"),
        LossCase(
            .destructive, "\(savedAll); UPDATE orders SET amount = 0",
            "UPDATE orders SET amount = b.amount FROM b WHERE b.id = orders.id; UPDATE orders SET amount = 0 FROM b"),
        LossCase(
            .destructive, "\(savedAll); UPDATE orders SET amount = 0",
            "BEGIN; UPDATE orders SET amount = b.amount FROM b WHERE b.id = orders.id; ROLLBACK; SELECT 1 FROM b"),
        LossCase(
            .destructive, "\(savedAll); UPDATE orders SET amount = 0",
            "WITH x AS (SELECT 1) UPDATE orders SET amount = b.amount FROM b WHERE b.id = orders.id"),
        LossCase(
            .destructive, "\(savedAll); DELETE FROM orders WHERE amount < 5", "INSERT INTO orders (id) SELECT id FROM b"),
        LossCase(
            .destructive, "\(savedAll); DELETE FROM orders WHERE amount < 5",
            "INSERT INTO orders SELECT b.* FROM b JOIN orders o ON o.id = b.id"),
        LossCase(
            .destructive, "\(savedAll); DELETE FROM orders WHERE amount < 5", "INSERT INTO orders SELECT * FROM b WHERE id > 7"),
        LossCase(
            .reversible, "\(savedAll); DELETE FROM orders WHERE amount < 5",
            "INSERT INTO orders SELECT * FROM b ON CONFLICT (id) DO NOTHING; DROP TABLE b"),
    ])
    func onlyWhatSurelyWritesEveryColumnOfEveryRowBackIsAWayBack(_ test: LossCase) async { await check(test.locked) }

    private static let zeroed = "\(savedAll); UPDATE orders SET amount = 0"
    private static let byID = "UPDATE orders SET amount = b.amount FROM b WHERE b.id = orders.id"
    private static let uniqueID = "CREATE TABLE orders (id bigint CONSTRAINT own UNIQUE, amount int)"

    @Test(arguments: [
        LossCase(.destructive, zeroed, byID, after: "CREATE TABLE orders (id bigint, amount int)"),
        LossCase(.destructive, zeroed, byID, after: "ALTER TABLE orders ADD COLUMN amount int"),
        LossCase(.destructive, zeroed, byID, after: uniqueID),
        LossCase(.reversible, zeroed, byID, after: uniqueID, "ALTER TABLE orders ALTER COLUMN id SET NOT NULL"),
        LossCase(
            .destructive, zeroed, byID, after: uniqueID, "ALTER TABLE orders ALTER COLUMN id SET NOT NULL",
            "ALTER TABLE orders ALTER COLUMN id DROP NOT NULL"),
        LossCase(.destructive, "ALTER TABLE orders DROP CONSTRAINT orders_pkey; \(zeroed)", byID),
        LossCase(
            .reversible, zeroed, byID, after: "CREATE TABLE orders (id bigint, amount int)",
            "CREATE UNIQUE INDEX own ON orders (id)",
            "ALTER TABLE orders ADD PRIMARY KEY USING INDEX own"),
        LossCase(
            .destructive, zeroed, byID, after: "CREATE TABLE orders (id bigint, amount int)",
            "CREATE UNIQUE INDEX own ON orders (id)",
            "ALTER TABLE orders ADD PRIMARY KEY USING INDEX own", "ALTER TABLE orders DROP CONSTRAINT own"),
        LossCase(.destructive, "\(zeroed); ALTER TABLE orders DROP CONSTRAINT orders_pkey", byID),
        LossCase(
            .destructive, zeroed, byID, after: LossCase.orders, "ALTER INDEX orders_pkey RENAME TO pk",
            "ALTER TABLE orders DROP CONSTRAINT pk"),
        LossCase(
            .destructive, zeroed, byID, after: LossCase.orders, "ALTER TABLE orders RENAME CONSTRAINT orders_pkey TO pk",
            "ALTER TABLE orders DROP CONSTRAINT pk"),
        LossCase(
            .destructive, zeroed, byID, after: LossCase.orders, "ALTER TABLE orders DROP COLUMN id",
            "ALTER TABLE orders ADD COLUMN id bigint"),
        LossCase(
            .reversible, zeroed, "UPDATE orders SET amount = b.amount FROM b WHERE b.number = orders.number",
            after: LossCase.orders,
            "ALTER TABLE orders RENAME COLUMN id TO number"),
    ])
    func aKeyIsWhatTheRevisionsShowToBeOne(_ test: LossCase) async { await check(test.locked) }

    @Test(arguments: [
        LossCase(
            .reversible, "\(savedAll); DELETE FROM orders WHERE amount < 5",
            "INSERT INTO orders OVERRIDING SYSTEM VALUE SELECT * FROM b"),
        LossCase(
            .destructive, "\(savedAll); DELETE FROM orders WHERE amount < 5",
            "INSERT INTO orders OVERRIDING USER VALUE SELECT * FROM b"),
        LossCase(.destructive, "\(zeroed); ALTER TABLE b SET UNLOGGED", byID),
        LossCase(.destructive, zeroed, "CREATE RULE r AS ON UPDATE TO orders DO INSTEAD NOTHING; \(byID)"),
        LossCase(
            .destructive, zeroed,
            "CREATE TRIGGER t BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION fix(); \(byID)", after: LossCase.orders, fix),
        LossCase(.destructive, "\(savedAll); ALTER TABLE b SET UNLOGGED; UPDATE orders SET amount = 0", byID),
    ])
    func rowsComeBackWithTheirNumbersAndFromATableThatLasts(_ test: LossCase) async { await check(test.locked) }

    private static let fix =
        "CREATE FUNCTION fix() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.amount := 0; RETURN NULL; END $$"

    @Test(arguments: [
        LossCase(.destructive, "CREATE RULE r AS ON INSERT TO orders DO INSTEAD NOTHING", "DROP RULE r ON orders"),
        LossCase(.reversible, "CREATE RULE r AS ON INSERT TO orders DO ALSO NOTHING", "DROP RULE r ON orders"),
        LossCase(
            .additive, "CREATE TABLE n (id int); CREATE RULE r AS ON INSERT TO n DO INSTEAD NOTHING", "DROP TABLE n"),
        LossCase(
            .unclassified, "\(fix); CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION fix()",
            "DROP TRIGGER t ON orders; DROP FUNCTION fix()"),
        LossCase(
            .reversible, "\(fix); CREATE TRIGGER t AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION fix()",
            "DROP TRIGGER t ON orders; DROP FUNCTION fix()"),
        LossCase(
            .reversible, "\(fix); CREATE TRIGGER t BEFORE INSERT ON orders EXECUTE FUNCTION fix()",
            "DROP TRIGGER t ON orders; DROP FUNCTION fix()"),
        LossCase(
            .reversible, "DROP TRIGGER t ON orders",
            "CREATE TRIGGER t BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION fix()", after: LossCase.orders, fix),
        LossCase(
            .unclassified,
            "CREATE OR REPLACE FUNCTION fix() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
            "CREATE OR REPLACE FUNCTION fix() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$"),
    ])
    func whatStandsInForTheWritesOfThePreviousVersionLosesThem(_ test: LossCase) async { await check(test) }

    @Test func whatAWayBackWritesOverIsSaid() async {
        let report = await revision(
            "BEGIN; LOCK TABLE orders; \(Self.savedAll); UPDATE orders SET amount = 0; COMMIT",
            down: "UPDATE orders SET amount = b.amount FROM b WHERE b.id = orders.id", history: [LossCase.orders])
        #expect(report.planned?.overwritten == "amount of orders")
    }

    private static let parted = "CREATE TABLE orders (id bigint, amount int) PARTITION BY RANGE (id)"

    @Test(arguments: [
        LossCase(
            .destructive, "CREATE TABLE p PARTITION OF orders FOR VALUES FROM (1) TO (9)", "DROP TABLE p", after: parted),
        LossCase(
            .destructive,
            "CREATE TABLE p (id bigint, amount int); ALTER TABLE orders ATTACH PARTITION p FOR VALUES FROM (1) TO (9)",
            "ALTER TABLE orders DETACH PARTITION p; DROP TABLE p", after: parted),
        LossCase(
            .additive, "CREATE TABLE p PARTITION OF orders FOR VALUES FROM (1) TO (9)",
            "ALTER TABLE orders DETACH PARTITION p; INSERT INTO orders SELECT * FROM p; DROP TABLE p", after: parted),
        LossCase(.additive, "CREATE TABLE p PARTITION OF orders FOR VALUES FROM (1) TO (9)", "SELECT 1", after: parted),
        LossCase(.destructive, "CREATE TABLE p () INHERITS (orders)", "DROP TABLE p"),
        LossCase(
            .destructive,
            "CREATE TABLE n (id bigint); CREATE RULE r AS ON INSERT TO orders DO INSTEAD INSERT INTO n VALUES (NEW.id)",
            "DROP RULE r ON orders; DROP TABLE n"),
        LossCase(
            .destructive, "CREATE TABLE n (id bigint); CREATE OR REPLACE VIEW v AS SELECT id FROM n",
            "DROP VIEW v; CREATE VIEW v AS SELECT id FROM orders; DROP TABLE n"),
        LossCase(.additive, "CREATE TABLE n (id bigint); CREATE VIEW v AS SELECT id FROM n", "DROP VIEW v; DROP TABLE n"),
    ])
    func whatThePreviousVersionWroteIntoSomethingNewIsLostWithIt(_ test: LossCase) async { await check(test) }

    @Test(arguments: [
        "CREATE INDEX CONCURRENTLY i ON orders (email)",
        "ALTER TABLE orders ADD COLUMN pct int GENERATED ALWAYS AS (100 / amount) STORED",
        "CREATE FUNCTION total(o orders, currency text DEFAULT 'EUR') RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ])
    func whatMayRefuseAWriteOrACallOfThePreviousVersionIsSaid(_ up: String) async {
        let report = await lint(up, history: [LossCase.orders])
        #expect(report.up.findings.contains { $0.rule == .breaksPrevious && $0.severity == .warning }, "\(report.up.findings)")
    }

    @Test(arguments: [
        LossCase(.destructive, "-- adds nothing yet\rDROP TABLE orders"),
        LossCase(.destructive, "SELECT 1 --\r; DROP TABLE orders; --"),
        LossCase(
            .unclassified,
            "COPY (SELECT 1 AS stdin FROM orders stdin) TO '/tmp/x'; DROP TABLE orders; SELECT $a$\n\\. SELECT 1; --$a$;"),
        LossCase(.unclassified, "COPY (DELETE FROM orders RETURNING *) TO '/tmp/x'"),
        LossCase(.destructive, "CREATE RULE r AS ON INSERT TO customers DO ALSO DELETE FROM orders"),
        LossCase(.unclassified, "SET standard_conforming_strings = off; SELECT 'x\\'' ; DROP TABLE t; --'"),
    ])
    func noStatementHides(_ test: LossCase) async {
        await check(test)
        guard test.up.contains("orders") else { return }
        let report = await revision(test.up, down: test.down, history: test.history)
        #expect(report.up.findings.contains { $0.rule == .destroys }, "\(report.up.findings.map(\.message))")
    }

    @Test(arguments: [
        "SELECT purge()", "UPDATE orders SET amount = purge(id) WHERE id = 1", "DELETE FROM customers WHERE purge() > 0",
        "INSERT INTO orders (id) VALUES (1) RETURNING purge()", "SELECT purge() INTO TABLE x", "VALUES (purge())",
        "SELECT * FROM purge()", "COPY (SELECT purge()) TO STDOUT", "CREATE VIEW v AS SELECT purge()",
        "CREATE INDEX CONCURRENTLY i ON orders (purge(amount))", "ALTER TABLE orders ADD COLUMN z int CHECK (purge(z) > 0)",
        "MERGE INTO orders USING (SELECT purge() id) s ON false WHEN NOT MATCHED THEN INSERT DEFAULT VALUES",
        "SELECT app.replace('x')", "SELECT public.format(1)", "SELECT 1 OPERATOR(app.+) 2",
        "ALTER TABLE orders ALTER COLUMN status SET DEFAULT purge()", "CREATE TABLE x AS EXECUTE p",
        "CREATE FUNCTION lower(o orders) RETURNS int LANGUAGE sql AS 'SELECT 1'; SELECT lower(o) FROM orders o",
        "CREATE TRIGGER t AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION purge()",
        "CREATE FUNCTION wipe(o orders) RETURNS int LANGUAGE sql AS 'SELECT 1'; SELECT o.wipe FROM orders o",
        "CREATE FUNCTION w() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM orders; RETURN NEW; END $$; CREATE TRIGGER t AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION w()",
        "CREATE FUNCTION w() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.x := \"Purge\"(); RETURN NEW; END $$; CREATE TRIGGER t AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION w()",
        "SET search_path = evil, pg_catalog; SELECT lower('x')", "SET client_encoding = 'GBK'", "COPY orders TO PROGRAM 'cat'",
        "CREATE OR REPLACE FUNCTION w() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM orders; RETURN NEW; END $$",
        "CREATE CAST (text AS int) WITH FUNCTION purge(text)", "DROP CAST (text AS int)",
    ])
    func codeThatNobodyKnowsIsFoundWhereverItIsCalled(_ up: String) async {
        let report = await revision(up, down: "SELECT 1", history: [LossCase.orders])
        #expect(report.kind >= .destructive, "\(report.reason)")
        #expect(report.up.findings.contains { $0.rule == .unknown })
    }

    private static func altered(_ up: String, _ down: String) -> LossCase {
        LossCase(.reversible, "ALTER TABLE orders \(up)", "ALTER TABLE orders \(down)")
    }

    private static let noticed =
        [
            altered("ALTER COLUMN status SET DEFAULT NULL", "ALTER COLUMN status SET DEFAULT 'new'"),
            altered("ALTER COLUMN status SET DEFAULT 'paid'", "ALTER COLUMN status SET DEFAULT 'new'"),
            altered("ALTER COLUMN id DROP IDENTITY", "ALTER COLUMN id ADD GENERATED BY DEFAULT AS IDENTITY"),
            altered("ALTER COLUMN id SET GENERATED ALWAYS", "ALTER COLUMN id SET GENERATED BY DEFAULT"),
            altered("ALTER COLUMN amount ADD GENERATED ALWAYS AS IDENTITY", "ALTER COLUMN amount DROP IDENTITY"),
            altered("ALTER COLUMN amount SET NOT NULL", "ALTER COLUMN amount DROP NOT NULL"),
            altered("ADD CONSTRAINT k CHECK (amount > 0) NOT VALID", "DROP CONSTRAINT k"),
            altered("ADD CHECK (amount > 0) NOT VALID", "DROP CONSTRAINT orders_amount_check"),
            altered("DROP CONSTRAINT k", "ADD CONSTRAINT k CHECK (amount > 0) NOT VALID"),
            altered("OWNER TO other", "OWNER TO app"),
            altered("DISABLE ROW LEVEL SECURITY", "ENABLE ROW LEVEL SECURITY"),
            altered("NO FORCE ROW LEVEL SECURITY", "FORCE ROW LEVEL SECURITY"),
            altered("REPLICA IDENTITY NOTHING", "REPLICA IDENTITY DEFAULT"), altered("NO INHERIT parent", "INHERIT parent"),
            altered("DISABLE RULE r", "ENABLE RULE r"), altered("DISABLE TRIGGER ALL", "ENABLE TRIGGER ALL"),
            altered("RENAME CONSTRAINT orders_pkey TO pk", "RENAME CONSTRAINT pk TO orders_pkey"),
            altered("ALTER CONSTRAINT f DEFERRABLE", "ALTER CONSTRAINT f NOT DEFERRABLE"),
            altered("ADD CONSTRAINT u UNIQUE (email)", "DROP CONSTRAINT u"),
        ]
        + [
            ("ALTER SEQUENCE s AS smallint MAXVALUE 10", "ALTER SEQUENCE s AS bigint NO MAXVALUE"),
            ("ALTER SEQUENCE s OWNED BY t.id", "ALTER SEQUENCE s OWNED BY NONE"),
            ("REVOKE ALL ON orders FROM app", "GRANT ALL ON orders TO app"), ("DROP ROLE app", "CREATE ROLE app"),
            ("ALTER ROLE app NOLOGIN", "ALTER ROLE app LOGIN"),
            ("ALTER SCHEMA public OWNER TO other", "ALTER SCHEMA public OWNER TO app"),
            (
                "ALTER DATABASE shop SET default_transaction_read_only = on",
                "ALTER DATABASE shop RESET default_transaction_read_only"
            ),
            ("DROP INDEX CONCURRENTLY orders_email_uq", "CREATE UNIQUE INDEX CONCURRENTLY orders_email_uq ON orders (email)"),
            ("CREATE UNIQUE INDEX CONCURRENTLY uq ON orders (email)", "DROP INDEX CONCURRENTLY uq"),
            ("ALTER INDEX orders_pkey RENAME TO pk", "ALTER INDEX pk RENAME TO orders_pkey"),
            ("ALTER FUNCTION f() SECURITY DEFINER", "ALTER FUNCTION f() SECURITY INVOKER"),
            ("ALTER VIEW v SET (security_invoker = true)", "ALTER VIEW v RESET (security_invoker)"),
            ("ALTER DOMAIN d ADD CONSTRAINT c CHECK (VALUE > 0) NOT VALID", "ALTER DOMAIN d DROP CONSTRAINT c"),
            ("CREATE POLICY p ON orders USING (amount > 5)", "DROP POLICY p ON orders"),
            ("CREATE RULE r AS ON INSERT TO orders DO ALSO NOTHING", "DROP RULE r ON orders"),
            ("ALTER TABLE parent DETACH PARTITION orders", "ALTER TABLE parent ATTACH PARTITION orders DEFAULT"),
        ].map { LossCase(.reversible, $0, $1) }

    @Test(arguments: noticed) func whatThePreviousVersionMayNoticeIsNotAdditive(_ test: LossCase) async { await check(test) }

    /// A way back of another thing is none.
    @Test(arguments: noticed + [altered("ALTER COLUMN amount DROP EXPRESSION", "")])
    func whatThePreviousVersionMayNoticeIsTakenBackByItsOwnOpposite(_ test: LossCase) async {
        let report = await revision(test.up, down: Self.addN, history: test.history)
        #expect(report.kind == .unclassified, "\(report.reason)")
    }

    @Test(arguments: [
        LossCase(.destructive, "ALTER TABLE orders SET UNLOGGED", "ALTER TABLE orders SET LOGGED"),
        LossCase(.destructive, "DROP SEQUENCE s", "CREATE SEQUENCE s"),
        LossCase(.destructive, "DROP EXTENSION pg_cron", "CREATE EXTENSION pg_cron"),
        LossCase(.destructive, "DELETE FROM schema_migrations"),
        LossCase(.destructive, "UPDATE alembic_version SET version_num = 'x'"),
        LossCase(.destructive, "UPDATE orders SET finished_at = now() WHERE finished_at IS NULL"),
        LossCase(.additive, "UPDATE orders SET n = amount WHERE n IS NULL AND id < 500 AND id >= 0", "SELECT 1"),
    ])
    func oldValuesAreNotFills(_ test: LossCase) async {
        guard test.kind == .additive else { return await check(test) }
        // The column comes with an earlier revision that is pending too.
        func text(_ sql: String) -> MigrationSide {
            .text(MigrationText(file: "db/2.sql", sql: Array(sql.utf8), wrapping: .separate))
        }
        let scripts = [LossCase.orders, Self.addN, test.up].enumerated().map {
            MigrationScript(revision: "\($0.offset)", name: "", up: text($0.element), down: text("SELECT 1"))
        }
        for (applied, kind) in [(1, MigrationClass.additive), (2, .destructive)] {
            let read = await StatementReader().read(scripts, applied: applied, version: 15)
            #expect(Lint().report(read).revisions.last?.kind == kind)
        }
    }

    @Test(arguments: [
        LossCase(.additive, addN, dropN), LossCase(.additive, "ALTER TABLE orders ADD COLUMN n int CHECK (n > 0)", dropN),
        LossCase(
            .additive, "CREATE TABLE p (id int PRIMARY KEY); ALTER TABLE orders ADD COLUMN n int REFERENCES p ON DELETE CASCADE",
            "\(dropN); DROP TABLE p"), LossCase(.additive, "ALTER TABLE orders ADD COLUMN n text DEFAULT 'x'", dropN),
        LossCase(
            .additive, "CREATE TABLE t (id bigint PRIMARY KEY, at timestamptz DEFAULT now()); REVOKE ALL ON t FROM PUBLIC",
            "DROP TABLE t"),
        LossCase(
            .additive, "CREATE SEQUENCE s; CREATE TABLE t (id int DEFAULT nextval('s')); ALTER SEQUENCE s OWNED BY t.id",
            "DROP TABLE t"),
        LossCase(.additive, "CREATE TYPE mood AS ENUM ('a'); \(addN)", "\(dropN); DROP TYPE mood"),
        LossCase(.additive, "CREATE VIEW v AS SELECT id, lower(status) AS s FROM orders", "DROP VIEW v"),
        LossCase(.additive, "\(addN); ALTER TABLE orders ALTER COLUMN n SET DEFAULT 1", dropN),
        LossCase(.additive, "\(addN); UPDATE orders SET n = coalesce(amount, 0)", dropN),
        LossCase(
            .additive,
            "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.at = now(); RETURN NEW; END $$; CREATE TABLE t (at timestamptz); CREATE TRIGGER touch BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch()",
            "DROP TABLE t; DROP FUNCTION touch()"),
        LossCase(.additive, "CREATE INDEX CONCURRENTLY i ON orders (amount)", "DROP INDEX CONCURRENTLY i"),
        LossCase(.additive, "COMMENT ON TABLE orders IS 'x'"),
        LossCase(.additive, "ALTER TABLE orders SET (fillfactor = 90)", "ALTER TABLE orders RESET (fillfactor)"),
        LossCase(
            .additive, "DROP INDEX CONCURRENTLY i", "CREATE INDEX CONCURRENTLY i ON orders (amount)", after: LossCase.orders,
            "CREATE INDEX i ON orders (amount)"),
    ])
    func whatOnlyAddsIsCalledSo(_ test: LossCase) async { await check(test) }

    @Test func whatACopyLosesAndTheTextDoesNotSpeakOfIsDestructive() async {
        var run = RevisionMeasurement.Run()
        run.activity = [TableActivity(table: "public.orders", inserted: 0, updated: 0, deleted: 100)]
        func taken(_ up: String) async -> RevisionReport {
            let report = await revision(up, down: Self.dropN, history: [LossCase.orders])
            var list = LintReport(revisions: [report], findings: [])
            list.take([RevisionMeasurement(revisions: ["0001"], up: run)])
            return list.revisions[0]
        }
        let hidden = await taken(Self.addN)
        #expect(hidden.kind == .destructive && hidden.phase == .migrate)
        #expect(hidden.findings.contains { $0.rule == .overwrites && $0.failsGate })
        run.activity = [TableActivity(table: "public.orders", inserted: 0, updated: 100, deleted: 0)]
        #expect(await taken("\(Self.addN); UPDATE orders SET n = amount").kind == .additive)
        run.activity = []
        run.losses = ["table public.orders"]
        let gone = await taken(Self.addN)
        #expect(gone.kind == .destructive && gone.phase == .contract)
        #expect(gone.findings.contains { $0.rule == .destroys && $0.failsGate })
    }
}
