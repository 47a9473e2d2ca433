import SerinMigrations
import SerinModel
import Testing

/// What people write every day is told from what only looks like it.
@Suite struct OrdinaryRevisionTests {
    private static let orders =
        "CREATE TABLE orders (id serial PRIMARY KEY, amount int, email text UNIQUE, code char(2) NOT NULL UNIQUE, a int, b int, UNIQUE (a, b))"
    private static let check = "ALTER TABLE orders ADD CONSTRAINT given CHECK (amount IS NOT NULL)"
    private static let dropCheck = "ALTER TABLE orders DROP CONSTRAINT given"
    private static let notNull = "ALTER TABLE orders ALTER COLUMN amount SET NOT NULL"

    @Test(arguments: ["", "-- nothing to take back: it only marks the constraint"])
    func aConstraintThatIsValidatedLeavesNothingToTakeBack(_ down: String) async {
        let report = await revision(
            "ALTER TABLE orders VALIDATE CONSTRAINT given", down: down, history: [Self.orders, Self.check + " NOT VALID"])
        #expect(report.findings == [], "\(report.findings)")
        #expect(report.kind == .additive && report.hasDown, "\(report.reason)")
        let missing = await revision(
            "ALTER TABLE orders VALIDATE CONSTRAINT given", down: nil, history: [Self.orders, Self.check + " NOT VALID"])
        #expect(missing.findings.map(\.rule) == [.noWayBack])
        let more = await revision(
            "ALTER TABLE orders VALIDATE CONSTRAINT given; ALTER TABLE orders ADD COLUMN n int", down: down,
            history: [Self.orders, Self.check + " NOT VALID"])
        #expect(more.findings.contains { $0.rule == .noWayBack })
    }

    @Test func aCheckThatNotNullSaysTooIsDroppedWithoutLoss() async {
        for history in [[Self.orders, Self.check, Self.notNull], [Self.check, Self.notNull]] {
            let report = await revision(Self.dropCheck, down: Self.check + " NOT VALID", history: history)
            #expect(report.findings == [] && report.kind == .additive, "\(report.reason) \(report.findings)")
        }
        let both = await revision(
            "\(Self.notNull); \(Self.dropCheck)",
            down: "\(Self.check) NOT VALID; ALTER TABLE orders ALTER COLUMN amount DROP NOT NULL",
            history: [Self.orders, Self.check])
        #expect(both.findings == [] && both.kind == .reversible, "\(both.reason) \(both.findings)")
    }

    @Test(arguments: [
        [orders, check],
        [orders, "ALTER TABLE orders ADD CONSTRAINT given CHECK (amount > 0)", notNull],
        [orders, "ALTER TABLE orders ADD CONSTRAINT given CHECK (a IS NOT NULL)", notNull],
        [orders, check, notNull, "ALTER TABLE orders ALTER COLUMN amount DROP NOT NULL"],
        [orders, check, notNull, "ALTER TABLE orders DROP COLUMN amount", "ALTER TABLE orders ADD COLUMN amount int", check],
    ])
    func aCheckThatNothingElseSaysIsReplaced(_ history: [String]) async {
        let report = await lint(Self.dropCheck, history: history)
        #expect(rules(report) == ["D05"])
    }

    @Test func whatIsUndoneAndWhatIsElsewhereSaysNothing() async {
        for up in [
            "BEGIN; \(Self.notNull); ROLLBACK; \(Self.dropCheck)", "SET search_path = other; \(Self.dropCheck)",
        ] {
            let report = await lint(
                up, history: up.hasPrefix("SET") ? [Self.orders, Self.check, Self.notNull] : [Self.orders, Self.check])
            #expect(rules(report).contains("D05"), "\(up)")
        }
    }

    @Test(arguments: ["serial", "serial4", "int"]) func anIntegerThatBecomesLongerLosesNothing(_ type: String) async {
        let table = "CREATE TABLE t (id \(type) PRIMARY KEY)"
        let report = await revision(
            "ALTER TABLE t ALTER COLUMN id TYPE bigint", down: "ALTER TABLE t ALTER COLUMN id TYPE int", history: [table])
        #expect(rules(report) == ["L02"] && report.kind == .reversible, "\(report.reason)")
        let back = await lint("ALTER TABLE t ALTER COLUMN id TYPE smallint", history: [table])
        #expect(rules(back) == ["L02", "D02"])
        let same = await lint("ALTER TABLE t ALTER COLUMN id TYPE int", history: [table])
        #expect(rules(same) == [])
    }

    @Test(arguments: [
        ("DELETE FROM orders WHERE code = 'IT'", false), ("DELETE FROM orders WHERE code IN ('IT', 'ES')", false),
        ("DELETE FROM orders WHERE email = 'x' AND amount > 5", false), ("DELETE FROM orders WHERE a = 1 AND b IN (1, 2)", false),
        ("UPDATE orders SET amount = 1 WHERE code = 'IT'", false), ("DELETE FROM orders WHERE a = 1", true),
        ("DELETE FROM orders WHERE amount = 1", true), ("DELETE FROM orders WHERE code = 'IT' OR amount = 1", true),
        ("DELETE FROM orders WHERE code <> 'IT'", true), ("DELETE FROM orders WHERE NOT code = 'IT'", true),
        ("DELETE FROM orders WHERE code > 'IT'", true), ("DELETE FROM orders WHERE code = upper(code)", true),
        ("DELETE FROM other WHERE code = 'IT'", true),
    ])
    func rowsThatAreNamedByTheirKeyAreFew(_ sql: String, _ isFound: Bool) async {
        let report = await lint(sql, history: [Self.orders])
        #expect(rules(report).contains("L08") == isFound)
    }

    @Test(arguments: [
        ("-- serin: allow R01 because nobody writes it\nALTER TYPE mood ADD VALUE 'x';", ""),
        ("-- serin: allow-file R01 because nobody writes it\nALTER TYPE mood ADD VALUE 'x';", ""),
        ("ALTER TYPE mood ADD VALUE 'x';", "-- serin: allow R01 because nobody writes it"),
        ("ALTER TYPE mood ADD VALUE 'x';", "-- serin: allow R01 because nobody writes it\nSELECT 1;"),
    ])
    func thatThereIsNoWayBackIsAllowedWhereverItIsWritten(_ up: String, _ down: String) async {
        let report = await revision(up, down: down, history: ["CREATE TYPE mood AS ENUM ('a')"])
        #expect(report.findings.map(\.rule) == [.noWayBack], "\(report.findings)")
        #expect(report.findings.first?.allowance == "nobody writes it")
    }

    @Test func aClassThatIsNotNeededIsToldWhatToDo() async {
        let found = await lint(
            "-- serin: class additive because it is one row\nUPDATE orders SET amount = 1;", history: [Self.orders])
        let words = found.findings.first { $0.rule == .annotation }?.safeForm ?? ""
        #expect(words.contains("-- serin: allow D03, L08 because <reason>"), "\(words)")
        let calm = await lint("-- serin: class additive because it is new\nALTER TYPE mood ADD VALUE 'x';")
        #expect(calm.findings.map(\.safeForm) == ["leave the comment out"])
    }

    private static let clients = "ALTER TABLE orders RENAME TO sales"

    @Test(arguments: [
        "BEGIN; \(clients); CREATE VIEW orders AS SELECT * FROM sales; COMMIT",
        "BEGIN; \(clients); CREATE VIEW orders AS SELECT id, amount, email, code, a, b FROM sales; COMMIT",
        "BEGIN; \(clients); CREATE VIEW orders WITH (security_invoker = true) AS SELECT * FROM sales; ALTER TABLE sales ADD COLUMN n int; COMMIT",
        "BEGIN; \(clients); CREATE VIEW orders AS SELECT * FROM sales; COMMENT ON VIEW orders IS 'was a table'; COMMIT; CREATE TABLE n (id int)",
    ])
    func aViewOfAllStandsInForATableThatIsRenamed(_ up: String) async {
        let report = await revision(
            up, down: "BEGIN; DROP VIEW orders; ALTER TABLE sales RENAME TO orders; COMMIT", history: [Self.orders])
        #expect(report.kind == .reversible, "\(report.reason)")
        let found = report.up.findings.filter { $0.rule == .breaksPrevious }
        #expect(found.map(\.severity) == [.warning], "\(report.findings)")
    }

    @Test(arguments: [
        "\(clients); CREATE VIEW orders AS SELECT * FROM sales",
        "BEGIN; \(clients); COMMIT; CREATE VIEW orders AS SELECT * FROM sales",
        "BEGIN; \(clients); COMMIT; BEGIN; CREATE VIEW orders AS SELECT * FROM sales; COMMIT",
        "BEGIN; \(clients); CREATE VIEW orders AS SELECT * FROM sales; ROLLBACK",
        "BEGIN; \(clients); SAVEPOINT s; CREATE VIEW orders AS SELECT * FROM sales; ROLLBACK TO s; COMMIT",
        "BEGIN; \(clients); CREATE VIEW orders AS SELECT * FROM sales WHERE amount > 0; COMMIT",
        "BEGIN; \(clients); CREATE VIEW orders AS SELECT DISTINCT * FROM sales; COMMIT",
        "BEGIN; \(clients); CREATE VIEW orders AS SELECT * FROM sales LIMIT 10; COMMIT",
        "BEGIN; \(clients); CREATE VIEW orders AS SELECT * FROM ONLY sales; COMMIT",
        "BEGIN; \(clients); CREATE VIEW orders AS SELECT *, 1 AS n FROM sales; COMMIT",
        "BEGIN; \(clients); CREATE VIEW orders AS SELECT id, amount FROM sales; COMMIT",
        "BEGIN; \(clients); CREATE VIEW orders AS SELECT id, amount, email, code, b, a FROM sales; COMMIT",
        "BEGIN; \(clients); CREATE VIEW orders AS SELECT id, amount, email, code, a, b AS c FROM sales; COMMIT",
        "BEGIN; \(clients); CREATE VIEW orders AS SELECT id, amount, upper(email) AS email, code, a, b FROM sales; COMMIT",
        "BEGIN; \(clients); CREATE VIEW orders (i, amount, email, code, a, b) AS SELECT * FROM sales; COMMIT",
        "BEGIN; \(clients); CREATE VIEW orders AS SELECT s.* FROM sales s, n; COMMIT",
        "BEGIN; \(clients); CREATE VIEW orders AS SELECT * FROM other; COMMIT",
        "BEGIN; \(clients); CREATE TEMP VIEW orders AS SELECT * FROM sales; COMMIT",
        "BEGIN; \(clients); SET LOCAL search_path = other; CREATE VIEW orders AS SELECT * FROM sales; COMMIT",
        "BEGIN; \(clients); CREATE VIEW other.orders AS SELECT * FROM sales; COMMIT",
        "BEGIN; \(clients); CREATE VIEW orders AS SELECT * FROM sales; COMMIT; DROP VIEW orders",
        "BEGIN; \(clients); CREATE VIEW orders AS SELECT * FROM sales; ALTER VIEW orders RENAME TO o; COMMIT",
        "BEGIN; \(clients); CREATE VIEW orders AS SELECT * FROM sales; CREATE RULE r AS ON INSERT TO orders DO INSTEAD NOTHING; COMMIT",
        "BEGIN; \(clients); CREATE VIEW orders AS SELECT * FROM sales; DROP TABLE sales CASCADE; COMMIT",
        "BEGIN; \(clients); CREATE VIEW orders AS SELECT * FROM sales; CREATE OR REPLACE VIEW orders AS SELECT * FROM sales WHERE false; COMMIT",
    ])
    func aViewOfLessOrForAMomentStandsInForNothing(_ up: String) async {
        let report = await lint(up, history: [Self.orders])
        #expect(report.up.findings.contains { $0.rule == .breaksPrevious && $0.failsGate }, "\(report.findings)")
    }

    @Test func whatTheServerRefusesOfAPartitionedTableIsSaid() async {
        let table = "CREATE TABLE events (at timestamptz NOT NULL) PARTITION BY RANGE (at); CREATE INDEX events_at ON events (at)"
        #expect(rules(await lint("CREATE INDEX CONCURRENTLY i ON events (at)", history: [table])) == ["L01"])
        #expect(rules(await lint("DROP INDEX CONCURRENTLY events_at", history: [table])) == ["L01"])
        let plain = await lint("DROP INDEX events_at", history: [table])
        #expect(plain.findings.first?.safeForm.contains("CONCURRENTLY") == false)
    }

    private static let audit = [
        orders, "CREATE TABLE past (LIKE orders)",
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO past SELECT (OLD).*; RETURN NULL; END $$",
        "CREATE TRIGGER kept AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION keep()",
    ]

    @Test func aColumnThatATriggerTakesWithTheWholeRowIsSaid() async {
        let up = "ALTER TABLE orders ADD COLUMN n int"
        let found = await revision(up, down: "ALTER TABLE orders DROP COLUMN n", history: Self.audit)
        #expect(found.findings.map(\.rule) == [.breaksPrevious] && found.kind == .reversible, "\(found.findings)")
        #expect(!found.findings.contains { $0.failsGate })
        for change in [
            "CREATE OR REPLACE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO past (id) VALUES (OLD.id); RETURN NULL; END $$",
            "DROP TRIGGER kept ON orders",
        ] {
            let calm = await revision(up, down: "ALTER TABLE orders DROP COLUMN n", history: Self.audit + [change])
            #expect(calm.findings == [] && calm.kind == .additive, "\(calm.findings)")
        }
    }

    @Test(arguments: [
        ("((email::int))", true), ("((amount / a))", true), ("((amount % 2))", true), ("(CAST(email AS date))", true),
        ("(amount) WHERE email::int > 5", true), ("(lower(email))", false), ("(lower(email::text))", false),
        ("((amount + a))", false), ("(amount) WHERE amount > 5", false), ("(amount) WHERE code = 'x'::bpchar", false),
    ])
    func anIndexOfAnExpressionThatMayFailIsSaid(_ what: String, _ isFound: Bool) async {
        let report = await revision(
            "CREATE INDEX CONCURRENTLY i ON orders \(what)", down: "DROP INDEX CONCURRENTLY i", history: [Self.orders])
        #expect(report.findings.contains { $0.rule == .breaksPrevious && $0.message.contains("computes") } == isFound)
        #expect(report.kind == (isFound ? .reversible : .additive), "\(report.reason)")
        let new = await lint("CREATE TABLE n (email text); CREATE INDEX ON n ((email::int))")
        #expect(rules(new) == [])
    }

    @Test func statisticsAreMadeAndDropped() async {
        let made = await revision(
            "CREATE STATISTICS s ON a, b FROM orders", down: "DROP STATISTICS s", history: [Self.orders])
        #expect(made.findings == [] && made.kind == .additive, "\(made.reason)")
        let other = await revision(
            "CREATE STATISTICS IF NOT EXISTS s ON a, b FROM orders", down: "DROP STATISTICS s", history: [Self.orders])
        #expect(other.kind == .destructive, "\(other.reason)")
    }

    @Test func aCommentOfAProgramIsNeededInOneDirectionOnly() async {
        let sql = ("CREATE INDEX i ON orders (a);", "DROP INDEX CONCURRENTLY i;")
        let used = await revision(
            sql.0, down: sql.1, history: [Self.orders], source: "# serin: allow L01 because it is small\n")
        #expect(used.findings.map(\.rule) == [.indexBlocks] && used.findings.first?.allowance != nil, "\(used.findings)")
        let idle = await revision(
            sql.0, down: sql.1, history: [Self.orders], source: "# serin: allow L01, L02 because it is small\n")
        #expect(idle.findings.map(\.rule) == [.indexBlocks, .annotation], "\(idle.findings)")
    }
}
