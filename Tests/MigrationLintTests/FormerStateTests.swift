import SerinMigrations
import SerinModel
import Testing

/// A way back that leaves something otherwise than the revisions show it to have been; and what the server refuses.
@Suite struct FormerStateTests {
    private static let history = """
        CREATE TABLE orders (id serial PRIMARY KEY, status text NOT NULL DEFAULT 'new', amount numeric(10,2) NOT NULL DEFAULT 0,
            at timestamptz DEFAULT CURRENT_TIMESTAMP, note text, tags text[] DEFAULT ARRAY[]::text[]);
        CREATE VIEW paid AS SELECT id, amount FROM orders WHERE status = 'paid';
        CREATE FUNCTION twice(n int) RETURNS int LANGUAGE sql AS $$ SELECT n * 2 $$;
        CREATE TABLE events (at timestamptz NOT NULL) PARTITION BY RANGE (at);
        CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')
        """

    private static func status(_ down: String) -> [String] {
        ["ALTER TABLE orders ALTER COLUMN status SET DEFAULT 'paid'", "ALTER TABLE orders ALTER COLUMN status \(down)"]
    }

    private static func column(_ column: String, _ down: String) -> [String] {
        ["ALTER TABLE orders ALTER \(column) DROP DEFAULT", "ALTER TABLE orders ALTER \(column) SET DEFAULT \(down)"]
    }

    private static func view(_ up: String, _ down: String) -> [String] {
        ["CREATE OR REPLACE VIEW paid AS SELECT id, amount FROM orders \(up)", "CREATE OR REPLACE VIEW paid AS \(down)"]
    }

    private static func function(_ down: String) -> [String] {
        let head = "CREATE OR REPLACE FUNCTION twice(n integer) RETURNS int LANGUAGE sql AS $$ "
        return [head + "SELECT n + n $$", head + down + " $$"]
    }

    private static func partition(_ bounds: String) -> [String] {
        [
            "ALTER TABLE events DETACH PARTITION events_2024 CONCURRENTLY",
            "ALTER TABLE events ATTACH PARTITION events_2024 FOR VALUES \(bounds)",
        ]
    }

    @Test(arguments: [
        (status("DROP DEFAULT"), "default of status"), (status("SET DEFAULT 'old'"), "default of status"),
        (column("amount", "1"), "default of amount"), (column("at", "clock_timestamp()"), "default of at"),
        (["ALTER TABLE orders ALTER note SET DEFAULT 'a'", "ALTER TABLE orders ALTER note SET DEFAULT 'b'"], "default of note"),
        (view("WHERE status IN ('paid', 'sent')", "SELECT id, amount FROM orders WHERE status = 'sent'"), "text of public.paid"),
        (function("SELECT n * 3"), "text (int4) of public.twice"),
        (partition("FROM ('2024-01-01') TO ('2024-02-01')"), "bounds of public.events_2024"),
    ])
    func aWayBackThatLeavesAnotherStateIsFound(_ text: [String], _ what: String) async {
        let report = await revision(text[0], down: text[1], history: [Self.history])
        let found = report.findings.filter { $0.rule == .noWayBack }
        #expect(found.count == 1 && found[0].message.contains(what) && found[0].failsGate, "\(report.findings.map(\.message))")
        #expect(report.kind != .additive && report.kind != .reversible, "\(report.reason)")
    }

    @Test(arguments: [
        status("SET DEFAULT 'new'"), status("SET DEFAULT 'new'::text"),
        status("DROP DEFAULT; ALTER TABLE orders ALTER status SET DEFAULT 'new'"),
        column("amount", "0.00"), column("amount", "'0'"), column("at", "now()"), column("at", "pg_catalog.now()"),
        column("tags", "'{}'"), column("id", "nextval('public.orders_id_seq'::regclass)"),
        ["ALTER TABLE orders ALTER note SET DEFAULT 'a'", "ALTER TABLE orders ALTER note DROP DEFAULT"],
        view("", "SELECT id, amount FROM orders WHERE status = 'paid'"),
        view("", "SELECT orders.id, orders.amount\nFROM public.orders\nWHERE orders.status = 'paid'::text"),
        function("SELECT\n  n * 2"), partition("FROM ('2024-01-01 00:00:00+00') TO ('2025-01-01')"),
    ])
    func aWayBackThatLeavesWhatWasThereIsNone(_ text: [String]) async {
        let report = await revision(text[0], down: text[1], history: [Self.history])
        #expect(!report.findings.contains { $0.rule == .noWayBack }, "\(report.findings.map(\.message))")
    }

    @Test func aReasonLetsAnotherStateBe() async {
        let text = Self.status("DROP DEFAULT;\n-- serin: allow R01 because nobody relies on it\n")
        let report = await revision(text[0], down: text[1], history: [Self.history])
        #expect(report.findings.filter { $0.rule == .noWayBack }.map(\.allowance) == ["nobody relies on it"])
    }

    @Test(arguments: [
        "ALTER TABLE orders ALTER amount TYPE numeric(12,2)", "ALTER TABLE orders DROP COLUMN amount",
        "ALTER TABLE orders DROP COLUMN status",
    ])
    func aColumnThatAViewUsesIsNotChanged(sql: String) async {
        let words = "the view public.paid uses"
        let refused = await lint(sql, history: [Self.history])
        #expect(refused.up.findings.contains { $0.message.hasPrefix(words) && $0.failsGate })
        for calm in [
            "DROP VIEW paid; \(sql)", sql.replacing("amount", with: "note").replacing("status", with: "note"), "\(sql) CASCADE",
        ] where !(calm.hasSuffix("CASCADE") && sql.contains("TYPE")) {
            let report = await lint(calm, history: [Self.history])
            #expect(!report.up.findings.contains { $0.message.hasPrefix(words) }, "\(calm)")
        }
    }

    @Test func aValueOfAnEnumIsNotUsedInTheTransactionThatAddsIt() async {
        let history = "CREATE TYPE mood AS ENUM ('a'); CREATE TABLE orders (m mood)"
        let (add, use) = ("ALTER TYPE mood ADD VALUE 'open'", "ALTER TABLE orders ALTER m SET DEFAULT 'open'")
        func found(_ sql: String, _ wrapping: MigrationText.Wrapping) async -> Bool {
            await lint(sql, history: [history], wrapping: wrapping).up.findings.contains {
                $0.message.hasPrefix("it uses 'open'")
            }
        }
        #expect(await found("\(add); \(use)", .transaction))
        #expect(await found("\(add); \(use)", .oneQuery))
        #expect(await found("BEGIN; \(add); \(use); COMMIT", .separate))
        #expect(!(await found("\(add); \(use)", .separate)))
        #expect(!(await found("BEGIN; \(add); COMMIT; BEGIN; \(use); COMMIT", .separate)))
        #expect(!(await found("\(add); \(add.replacing("open", with: "shut"))", .transaction)))
        #expect(
            !(await found(
                "CREATE TYPE fresh AS ENUM ('a'); ALTER TYPE fresh ADD VALUE 'open'; SELECT 'open'::fresh", .transaction)))
    }
}
