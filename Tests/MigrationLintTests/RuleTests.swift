import SerinMigrations
import Testing

/// One text, what stood before it, and the rules that it breaks.
struct RuleCase: Sendable, CustomTestStringConvertible {
    var sql: String
    var rules: [String]
    var history: [String] = []
    var wrapping = MigrationText.Wrapping.separate
    var settings = LintSettings()

    init(
        _ sql: String, _ rules: [String], after history: String..., in wrapping: MigrationText.Wrapping = .separate,
        settings: LintSettings = LintSettings()
    ) {
        self.sql = sql
        self.rules = rules
        self.history = history
        self.wrapping = wrapping
        self.settings = settings
    }

    var testDescription: String { sql }
}

@Suite struct RuleTests {
    private static let table =
        "CREATE TABLE t (id bigint PRIMARY KEY, a int, b varchar(20), c text, n numeric(10,2), d timestamp, z timestamptz)"

    private static let spans = "CREATE TABLE w (i interval, h interval hour, j json, k jsonb)"

    @Test(arguments: [
        RuleCase("DROP TABLE t", ["D01", "C01"]),
        RuleCase("ALTER TABLE t DROP COLUMN c", ["D01", "C01"]),
        RuleCase("DROP SCHEMA s CASCADE", ["D01", "C01"]),
        RuleCase("DROP DATABASE d", ["D01"]),
        RuleCase("DROP TYPE mood", ["D01", "C01"]),
        RuleCase("DROP MATERIALIZED VIEW mv", ["D01", "C01"]),
        RuleCase("TRUNCATE t", ["D01"]),
        RuleCase("DELETE FROM t", ["D01", "L08"]),
        RuleCase("DELETE FROM t WHERE a = 1", ["D03", "L08"]),
        RuleCase("CREATE TABLE t2 (id int); DROP TABLE t2", []),
        RuleCase("WITH gone AS (DELETE FROM t RETURNING *) SELECT count(*) FROM gone", ["D01", "L08"]),
    ])
    func whatDestroysDataIsBlocked(_ test: RuleCase) async { await check(test) }

    @Test(arguments: [
        RuleCase("ALTER TABLE t ALTER COLUMN b TYPE varchar(10)", ["L02", "D02"], after: table),
        RuleCase("ALTER TABLE t ALTER COLUMN b TYPE varchar(40)", [], after: table),
        RuleCase("ALTER TABLE t ALTER COLUMN b TYPE text", [], after: table),
        RuleCase("ALTER TABLE t ALTER COLUMN c TYPE varchar(100)", ["L02", "D02"], after: table),
        RuleCase("ALTER TABLE t ALTER COLUMN c TYPE varchar", [], after: table),
        RuleCase("ALTER TABLE t ALTER COLUMN n TYPE numeric(12,2)", [], after: table),
        RuleCase("ALTER TABLE t ALTER COLUMN n TYPE numeric(12,4)", ["L02", "D02"], after: table),
        RuleCase("ALTER TABLE t ALTER COLUMN id TYPE int", ["L02", "D02"], after: table),
        RuleCase("ALTER TABLE t ALTER COLUMN a TYPE bigint", ["L02"], after: table),
        RuleCase("ALTER TABLE t ALTER COLUMN z TYPE timestamptz(3)", ["L02", "D02"], after: table),
        RuleCase("ALTER TABLE t ALTER COLUMN d TYPE timestamptz", ["L02", "D02"], after: table),
        RuleCase("ALTER TABLE t ALTER COLUMN z TYPE timestamp", ["L02", "D02"], after: table),
        RuleCase("ALTER TABLE t ALTER COLUMN z TYPE timestamp", [], after: table, settings: LintSettings(isUTC: true)),
        RuleCase("ALTER TABLE w ALTER COLUMN i TYPE interval hour", ["L02", "D02"], after: spans),
        RuleCase("ALTER TABLE w ALTER COLUMN i TYPE interval USING i::interval year", ["L02", "D02"], after: spans),
        RuleCase("ALTER TABLE w ALTER COLUMN i TYPE interval day to second(6)", ["L02", "D02"], after: spans),
        RuleCase("ALTER TABLE w ALTER COLUMN i TYPE interval(3)", ["L02", "D02"], after: spans),
        RuleCase("ALTER TABLE w ALTER COLUMN i TYPE interval(6)", [], after: spans),
        RuleCase("ALTER TABLE w ALTER COLUMN h TYPE interval", [], after: spans),
        RuleCase("ALTER TABLE w ALTER COLUMN j TYPE jsonb", ["L02", "D02"], after: spans),
        RuleCase("ALTER TABLE w ALTER COLUMN j TYPE text", ["L02"], after: spans),
        RuleCase("ALTER TABLE w ALTER COLUMN k TYPE json", ["L02"], after: spans),
        RuleCase("ALTER TABLE t ALTER COLUMN d TYPE timestamptz", [], after: table, settings: LintSettings(isUTC: true)),
        RuleCase(
            "ALTER TABLE t ALTER COLUMN d TYPE timestamptz", ["L01"], after: table, "CREATE INDEX ON t (d)",
            settings: LintSettings(isUTC: true)),
        RuleCase("ALTER TABLE t ALTER COLUMN c TYPE text COLLATE \"C\"", ["L01"], after: table, "CREATE INDEX ON t (c)"),
        RuleCase("ALTER TABLE t ALTER COLUMN c TYPE text COLLATE \"C\"", [], after: table),
        RuleCase("ALTER TABLE t ALTER COLUMN a TYPE bigint USING a * 100", ["L02", "D02"], after: table),
        RuleCase("ALTER TABLE t ALTER COLUMN a TYPE bigint USING a::bigint", ["L02"], after: table),
        RuleCase("ALTER TABLE u ALTER COLUMN a TYPE varchar(10)", ["L02", "D02"]),
        RuleCase("ALTER TABLE u ALTER COLUMN a TYPE text", ["L02"]),
        RuleCase("ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'", ["D02", "C01"]),
        RuleCase("ALTER TYPE mood ADD VALUE 'calm'", []),
    ])
    func changesOfTypeAreToldApart(_ test: RuleCase) async { await check(test) }

    @Test(arguments: [
        RuleCase("UPDATE t SET a = 0", ["D03", "L08"]),
        RuleCase("UPDATE t SET a = 0 WHERE a IS NULL", ["D03", "L08"]),
        RuleCase("UPDATE t SET a = 0 WHERE a IS NULL AND id BETWEEN 1 AND 5000", ["D03"]),
        RuleCase("UPDATE t SET a = 0 WHERE id BETWEEN 1 AND 9000000000000", ["D03", "L08"]),
        RuleCase("UPDATE t SET a = 0 WHERE a IS NULL AND id IN (SELECT id FROM t WHERE a IS NULL LIMIT 5000)", ["D03"]),
        RuleCase("ALTER TABLE t ADD COLUMN x int; UPDATE t SET x = a WHERE id < 100 AND id >= 0", []),
        RuleCase("CREATE TABLE before AS SELECT id, a FROM t; UPDATE t SET a = 0 WHERE id = 5", ["D03"], after: table),
        RuleCase(
            "LOCK TABLE t IN SHARE ROW EXCLUSIVE MODE; CREATE TABLE before AS SELECT id, a FROM t WHERE id = 5; UPDATE t SET a = 0 WHERE id = 5",
            [], after: table, in: .transaction),
        // Its way back would overwrite rows that were never changed.
        RuleCase(
            "LOCK TABLE t IN SHARE ROW EXCLUSIVE MODE; CREATE TABLE before AS SELECT id, a FROM t; UPDATE t SET a = 0 WHERE id = 5",
            ["D03"], after: table, in: .transaction),
        RuleCase("CREATE TABLE before AS SELECT id, a FROM t; UPDATE t SET a = 0 WHERE id = 5", ["D03"]),
        RuleCase("CREATE TABLE t2 (a int); UPDATE t2 SET a = 1; DELETE FROM t2", []),
        RuleCase("INSERT INTO t (a) VALUES (1) ON CONFLICT (id) DO UPDATE SET a = 1", ["D03"]),
        RuleCase("INSERT INTO t (a) VALUES (1)", []),
        RuleCase("MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN DELETE", ["D03", "L08"]),
        RuleCase("UPDATE alembic_version SET version_num = '0002' WHERE version_num = '0001'", ["D03", "L08"]),
        RuleCase("UPDATE t SET a = 0 WHERE a IS NULL", ["D03"], settings: LintSettings(rows: ["t": 500])),
    ])
    func overwrittenRowsAreFound(_ test: RuleCase) async { await check(test) }

    @Test(arguments: [
        RuleCase("DO $$ BEGIN EXECUTE 'DROP TABLE t'; END $$", ["D04"]),
        RuleCase("SELECT purge_everything()", ["D04"]),
        RuleCase("SELECT now(), count(*) FROM t", []),
        RuleCase("CALL p()", ["D04"]), RuleCase("INSERT INTO t SELECT purge_everything()", ["D04"]),
        RuleCase("INSERT INTO t (id, a) VALUES (gen_random_uuid(), 1)", []),
        RuleCase("CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'x'; END $$", ["D04"]),
        RuleCase("CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 'EXECUTE'::text; -- EXECUTE\nEND $$", []),
        RuleCase("ALTER TABLE t FROBNICATE", ["D04"]),
        RuleCase("CREATE OR REPLACE VIEW v AS SELECT a FROM t", ["D05"]),
        RuleCase("CREATE VIEW v AS SELECT a FROM t", []),
        RuleCase("DROP VIEW v", ["D05", "C01"]),
        RuleCase("DROP FUNCTION f(int)", ["D05", "C01"]),
        RuleCase("DROP TRIGGER tr ON t", ["D05"]),
        RuleCase("DROP POLICY p ON t", ["D05"]),
        RuleCase("DROP SEQUENCE s", ["D05", "C01"]),
        RuleCase("ALTER TABLE t DROP CONSTRAINT t_a_check", ["D05"]),
        RuleCase(
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2'",
            []),
    ])
    func whatCannotBeSeenOrIsReplacedIsFound(_ test: RuleCase) async { await check(test) }

    @Test(arguments: [
        RuleCase("CREATE INDEX i ON t (a)", ["L01"]),
        RuleCase("CREATE INDEX CONCURRENTLY i ON t (a)", []),
        RuleCase("CREATE INDEX CONCURRENTLY i ON t (a)", ["L01"], in: .transaction),
        RuleCase("CREATE INDEX CONCURRENTLY i ON t (a)", [], in: .oneQuery),
        RuleCase("CREATE INDEX CONCURRENTLY i ON t (a); CREATE INDEX CONCURRENTLY j ON t (b)", ["L01"], in: .oneQuery),
        RuleCase("BEGIN; CREATE INDEX CONCURRENTLY i ON t (a); COMMIT", ["L01"]),
        RuleCase("CREATE TABLE t (a int); CREATE INDEX i ON t (a)", []),
        RuleCase("DROP INDEX i", ["L01"]),
        RuleCase("DROP INDEX CONCURRENTLY i", []),
        RuleCase("REINDEX TABLE t", ["L01"]), RuleCase("REINDEX (CONCURRENTLY false) TABLE t", ["L01"]),
        RuleCase("REINDEX (CONCURRENTLY) TABLE t", []),
        RuleCase("REINDEX INDEX CONCURRENTLY i", []),
        RuleCase("CREATE INDEX i ON t (a)", ["L01"], settings: LintSettings(rows: ["t": 100])),
        RuleCase("CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)", ["R03"]),
        RuleCase("CREATE INDEX i ON ONLY p (d)", [], after: "CREATE TABLE p (d date) PARTITION BY LIST (d)"),
        RuleCase("CREATE INDEX i ON ONLY t (a)", ["L01"], after: table),
    ])
    func indexesAreBuiltConcurrently(_ test: RuleCase) async { await check(test) }

    @Test(arguments: [
        RuleCase("ALTER TABLE t ADD COLUMN x int", []),
        RuleCase("ALTER TABLE t ADD COLUMN x int NOT NULL DEFAULT 5", []),
        RuleCase("ALTER TABLE t ADD COLUMN x timestamptz DEFAULT now()", []),
        RuleCase("ALTER TABLE t ADD COLUMN x uuid DEFAULT gen_random_uuid()", ["L02"]),
        RuleCase("ALTER TABLE t ADD COLUMN x text DEFAULT my_function()", ["D04", "L02"]),
        RuleCase("CREATE DOMAIN pos AS int CHECK (VALUE > 0); ALTER TABLE t ADD COLUMN x pos", ["L02"]),
        RuleCase("CREATE DOMAIN whole AS int; ALTER TABLE t ADD COLUMN x whole", []),
        RuleCase("CREATE TYPE mood AS ENUM ('a'); ALTER TABLE t ADD COLUMN x mood", []),
        RuleCase("ALTER TABLE t ADD COLUMN x something", ["L02"]),
        RuleCase("ALTER TABLE t ADD COLUMN x bigserial", ["L02"]),
        RuleCase("ALTER TABLE t ADD COLUMN x int GENERATED ALWAYS AS IDENTITY", ["L02"]),
        RuleCase("ALTER TABLE t ADD COLUMN x int GENERATED ALWAYS AS (a + 1) STORED", ["L02", "C01"]),
        RuleCase("ALTER TABLE t ADD COLUMN x int NOT NULL", ["C01"]),
        RuleCase("ALTER TABLE t SET UNLOGGED", ["L02", "D01"]),
        RuleCase("ALTER TABLE t SET TABLESPACE fast", ["L02"]),
        RuleCase("CLUSTER t USING i", ["L02"]),
        RuleCase("VACUUM FULL t", ["L02"]),
        RuleCase("VACUUM (FULL off) t", []),
        RuleCase("ALTER TABLE t SET (fillfactor = 90)", []),
        RuleCase("ALTER TABLE t ALTER COLUMN a DROP DEFAULT", ["C01"]),
        RuleCase("ALTER TABLE t RENAME COLUMN a TO aa", ["C01"]),
        RuleCase("ALTER TABLE t RENAME TO tt", ["C01"]),
        RuleCase("ALTER TABLE t SET SCHEMA other", ["C01"]),
        RuleCase("ALTER TABLE t ADD COLUMN x json", ["C02"]),
        RuleCase("ALTER TABLE t ADD COLUMN x int", ["C02"], after: "CREATE VIEW v AS SELECT * FROM t"),
    ])
    func columnsAreAddedWithoutWritingRows(_ test: RuleCase) async { await check(test) }

    @Test(arguments: [
        RuleCase("ALTER TABLE t ALTER COLUMN a SET NOT NULL", ["L03"]),
        RuleCase(
            "ALTER TABLE t ALTER COLUMN a SET NOT NULL", [],
            after: "ALTER TABLE t ADD CONSTRAINT k CHECK (a IS NOT NULL) NOT VALID", "ALTER TABLE t VALIDATE CONSTRAINT k"),
        RuleCase(
            "ALTER TABLE t ALTER COLUMN a SET NOT NULL", ["L03"],
            after: "ALTER TABLE t ADD CONSTRAINT k CHECK (a IS NOT NULL) NOT VALID"),
        RuleCase("ALTER TABLE t ADD CONSTRAINT k NOT NULL a NOT VALID", [], settings: LintSettings(version: 18)),
        RuleCase("ALTER TABLE t ADD CONSTRAINT k NOT NULL a", ["L04"], settings: LintSettings(version: 18)),
        RuleCase("ALTER TABLE t ADD CONSTRAINT k NOT NULL a NOT VALID", ["D04"], settings: LintSettings(version: 17)),
        RuleCase("ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0)", ["L04"]),
        RuleCase("ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0) NOT VALID", []),
        RuleCase("ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0) NOT VALID; ALTER TABLE t VALIDATE CONSTRAINT k", []),
        RuleCase(
            "ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0) NOT VALID; ALTER TABLE t VALIDATE CONSTRAINT k", ["L04", "L07"],
            in: .transaction),
        RuleCase("ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES p (id)", ["L04", "L10"]),
        RuleCase(
            "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES p (id) NOT VALID", [], after: "CREATE INDEX ON t (a)"),
        RuleCase("ALTER TABLE t ADD COLUMN x int REFERENCES p (id)", ["L10"]),
        RuleCase("ALTER TABLE t ADD COLUMN x int DEFAULT 1 REFERENCES p (id)", ["L04", "L10"]),
        RuleCase("CREATE TABLE c (id int PRIMARY KEY, t int REFERENCES t (id)); CREATE INDEX ON c (t)", ["C01"]),
        RuleCase("CREATE TABLE c (t int REFERENCES t (id) ON DELETE CASCADE); CREATE INDEX ON c (t)", []),
        RuleCase("ALTER TABLE t ADD CONSTRAINT u UNIQUE (a)", ["L05"]),
        RuleCase("ALTER TABLE t ADD PRIMARY KEY (a)", ["L05"]),
        RuleCase("ALTER TABLE t ADD CONSTRAINT e EXCLUDE USING gist (a WITH =)", ["L05"]),
        RuleCase("ALTER TABLE t ADD CONSTRAINT u UNIQUE USING INDEX i", []),
        RuleCase("ALTER DOMAIN d ADD CHECK (value > 0)", ["L04"]),
    ])
    func constraintsAreAddedWithoutHoldingUpOthers(_ test: RuleCase) async { await check(test) }

    @Test(arguments: [
        RuleCase("SET lock_timeout = 0", ["L06"]),
        RuleCase("SET LOCAL statement_timeout = '0ms'", ["L06"]),
        RuleCase("SELECT set_config('lock_timeout', '0', false)", ["L06"]),
        RuleCase("RESET lock_timeout", ["L06"]),
        RuleCase("RESET ALL", ["L06"]),
        RuleCase("SET lock_timeout = '2s'", []),
        RuleCase("SET statement_timeout = 10", []), RuleCase("SET lock_timeout = '1h'", ["L06"]),
        RuleCase("SET lock_timeout = '2001ms'", ["L06"]), RuleCase("SET lock_timeout = 3000", ["L06"]),
        RuleCase("SET statement_timeout = '14min'", []), RuleCase("SET statement_timeout = '1 d'", ["L06"]),
        RuleCase("SET application_name = 'batch'", ["L06"]), RuleCase("RESET application_name", ["L06"]),
        RuleCase("ALTER TABLE t ADD COLUMN x int; ALTER TABLE u ADD COLUMN x int", ["L07"], in: .transaction),
        RuleCase("ALTER TABLE t ADD COLUMN x int; ALTER TABLE t ADD COLUMN y int", [], in: .transaction),
        RuleCase("ALTER TABLE t ADD COLUMN x int; UPDATE t SET x = 1 WHERE id = 1", ["L07"], in: .transaction),
        RuleCase(
            "CREATE TABLE c (t int REFERENCES t (id) ON DELETE CASCADE); INSERT INTO c SELECT id FROM t", ["L10", "L07"],
            in: .transaction),
        RuleCase("CREATE TABLE c (t int REFERENCES t (id) ON DELETE CASCADE); INSERT INTO c SELECT id FROM t", ["L10"]),
        RuleCase(
            "CREATE TABLE c (t int REFERENCES t (id) ON DELETE CASCADE); INSERT INTO c VALUES (1)", ["L10"], in: .transaction),
        RuleCase(
            "CREATE TABLE c (t int REFERENCES t (id) ON DELETE CASCADE); INSERT INTO c SELECT id FROM t", ["L10"],
            in: .transaction, settings: LintSettings(rows: ["t": 100])),
        RuleCase(
            "CREATE TRIGGER g AFTER INSERT ON t EXECUTE FUNCTION suppress_redundant_updates_trigger(); CREATE TABLE c AS SELECT id FROM t",
            ["L07"], in: .transaction),
        RuleCase(
            "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES p (id) NOT VALID; UPDATE u SET x = 1",
            ["L10", "D03", "L08", "L07"],
            in: .transaction),
        RuleCase("ALTER TABLE t ADD COLUMN x text; CREATE TABLE c AS SELECT * FROM t", ["L07"], in: .transaction),
        RuleCase(
            "ALTER TABLE t ADD COLUMN x text; CREATE TABLE c (id int); INSERT INTO c SELECT id FROM t", ["L07"], in: .transaction),
        RuleCase("CREATE TABLE c AS SELECT * FROM t; ALTER TABLE t ADD COLUMN x text", [], in: .transaction),
        RuleCase(
            "DROP INDEX i1; DROP INDEX i2", ["L01"], after: "CREATE INDEX i1 ON t (a); CREATE INDEX i2 ON t (b)", in: .transaction
        ),
        RuleCase("ALTER TABLE p DETACH PARTITION q", ["L09"]),
        RuleCase("ALTER TABLE p DETACH PARTITION q CONCURRENTLY", []),
        RuleCase("ALTER TABLE p DETACH PARTITION q CONCURRENTLY", ["D04"], settings: LintSettings(version: 13)),
        RuleCase("REFRESH MATERIALIZED VIEW mv", ["L09"]),
        RuleCase("REFRESH MATERIALIZED VIEW CONCURRENTLY mv", []),
        RuleCase("LOCK TABLE t", ["L09"]),
        RuleCase(
            "CREATE TABLE q (d date); ALTER TABLE p ATTACH PARTITION q FOR VALUES IN ('2026-01-01')", ["L09"],
            after: "CREATE TABLE p (d date) PARTITION BY LIST (d); CREATE TABLE other PARTITION OF p DEFAULT"),
        RuleCase("CREATE TABLE q PARTITION OF p FOR VALUES IN (1)", ["L09"]),
        RuleCase("BEGIN; ALTER TABLE t ADD COLUMN x int", ["R04"]),
        RuleCase("BEGIN; SELECT 1; COMMIT AND CHAIN; SELECT 1", ["R04"]),
        RuleCase("BEGIN; SAVEPOINT s; SELECT 1; ROLLBACK TO SAVEPOINT s; COMMIT", ["R04"]),
        RuleCase("BEGIN; SAVEPOINT s; SELECT 1; RELEASE s; COMMIT", []),
        RuleCase("BEGIN; SELECT 1; COMMIT AND CHAIN; SELECT 1; COMMIT", []),
        RuleCase("BEGIN; SELECT 1; COMMIT", ["R04"], in: .transaction),
        RuleCase("BEGIN; SELECT 1; COMMIT", [], in: .oneQuery),
        RuleCase("\\i other.sql", ["R04"]),
        RuleCase("COPY t FROM STDIN;\n1\t2\n\\.\nSELECT 1", ["R04"]),
        RuleCase("GRANT SELECT ON t TO PUBLIC", ["S01"]),
        RuleCase("ALTER ROLE x SUPERUSER", ["S01"]),
        RuleCase("COPY t TO PROGRAM 'cat'", ["S01", "D04"]),
        RuleCase("COPY t TO '/tmp/x'", ["D04", "S01"]),
        RuleCase("CREATE EXTENSION pgcrypto", ["S01"]),
        RuleCase("CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'", ["S01"]),
        RuleCase("CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS 'SELECT 1'", []),
        RuleCase("CREATE FUNCTION f() RETURNS int LANGUAGE plpython3u AS 'return 1'", ["S01"]),
    ])
    func limitsTransactionsAndRightsAreWatched(_ test: RuleCase) async { await check(test) }

    private func check(_ test: RuleCase) async {
        let report = await lint(test.sql, history: test.history, wrapping: test.wrapping, settings: test.settings)
        #expect(rules(report) == test.rules, "\(report.up.findings.map(\.message))")
    }
}
