import SerinModel
import Testbed
import Testing

@testable import SerinMigrations

/// A revision, statement by statement, and whether its way back leaves everything as it was, so that it can be applied again.
private struct Turn: Sendable, CustomTestStringConvertible {
    var up: [String]
    var down: [String]
    var isWhole: Bool
    var history: [String] = []

    init(_ isWhole: Bool, _ up: [String], _ down: [String], after history: String...) {
        self.up = up
        self.down = down
        self.isWhole = isWhole
        self.history = history
    }

    var testDescription: String { "\(up.joined(separator: "; ")) / \(down.joined(separator: "; "))" }
}

/// A way back that forgets something is found, by its text alone, and no other: held against a real server.
@Suite(.serialized) struct WholeWayBackTests {
    private static let schema = [
        LossCase.orders, "CREATE TYPE mood AS ENUM ('new', 'paid')",
        "CREATE TABLE events (at date NOT NULL) PARTITION BY RANGE (at)",
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$",
    ]
    private static let add = "ALTER TABLE orders ADD COLUMN n int"
    private static let drop = "ALTER TABLE orders DROP COLUMN n"
    private static let month = "FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')"
    private static let unique = "CREATE UNIQUE INDEX orders_email ON orders (email)"
    private static let constraint = "ALTER TABLE orders ADD CONSTRAINT orders_email UNIQUE USING INDEX orders_email"
    private static let free = "ALTER TABLE orders DROP CONSTRAINT orders_email"

    private static let turns: [Turn] = [
        Turn(true, [add], [drop]),
        Turn(false, [add, "ALTER TABLE orders ADD COLUMN m int"], [drop]),
        Turn(false, ["ALTER TABLE orders ADD COLUMN n int, ADD COLUMN m int"], [drop]),
        Turn(false, [add, "CREATE TABLE t (id int)"], [drop]),
        Turn(false, [add, "CREATE VIEW v AS SELECT id FROM orders"], [drop]),
        Turn(false, [add, "CREATE SEQUENCE s"], [drop]),
        Turn(false, [add, "CREATE INDEX CONCURRENTLY i ON orders (email)"], [drop]),
        Turn(false, [add, "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'"], [drop]),
        Turn(
            false, [add, "CREATE STATISTICS st ON amount, status FROM orders", "CREATE SCHEMA app"], [drop, "DROP STATISTICS st"]),
        Turn(
            false, ["CREATE TYPE size AS ENUM ('s')", "CREATE TABLE t (id int, size size)"], ["DROP TABLE t"]),
        Turn(
            true, ["CREATE TYPE size AS ENUM ('s')", "CREATE TABLE t (id int, size size)"], ["DROP TABLE t", "DROP TYPE size"]),
        Turn(
            true,
            [
                "CREATE TABLE t (id int, a int)", "CREATE INDEX ti ON t (a)", "ALTER TABLE t ADD CONSTRAINT k CHECK (a > 0)",
                "CREATE TRIGGER tt AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION touch()", "ALTER TABLE t ADD COLUMN b int",
            ], ["DROP TABLE t"]),
        Turn(
            true,
            [
                add, "CREATE INDEX CONCURRENTLY ni ON orders (n)",
                "ALTER TABLE orders ADD CONSTRAINT nk CHECK (n > amount) NOT VALID",
            ], [drop]),
        Turn(
            false,
            [add, "ALTER TABLE orders ADD CONSTRAINT k CHECK (amount > 0) NOT VALID"], [drop]),
        Turn(
            false, [add, "CREATE TRIGGER tt AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION touch()"], [drop]),
        Turn(
            true, ["CREATE SCHEMA app", "CREATE TABLE app.t (id int)", "CREATE TABLE app.u (id int)"],
            ["DROP SCHEMA app CASCADE"]),
        Turn(true, ["CREATE TABLE t (id int)", "ALTER TABLE t RENAME TO u"], ["DROP TABLE u"]),
        Turn(false, ["CREATE TABLE t (id int)"], ["ALTER TABLE t RENAME TO u"]),
        Turn(true, [add, "ALTER TABLE orders RENAME COLUMN n TO m"], ["ALTER TABLE orders DROP COLUMN m"]),
        Turn(
            true, ["ALTER TABLE orders RENAME TO o", "CREATE TABLE orders (id int)"],
            ["DROP TABLE orders", "ALTER TABLE o RENAME TO orders"]),
        Turn(
            true,
            ["CREATE SEQUENCE s", "CREATE TABLE t (id int DEFAULT nextval('s'))", "ALTER SEQUENCE s OWNED BY t.id"],
            ["DROP TABLE t"]),
        Turn(
            true,
            ["CREATE TABLE p (id int PRIMARY KEY)", "ALTER TABLE orders ADD CONSTRAINT f FOREIGN KEY (amount) REFERENCES p"],
            ["ALTER TABLE orders DROP CONSTRAINT f", "DROP TABLE p CASCADE"]),
        Turn(true, ["CREATE TABLE t (id int)", "CREATE TABLE part PARTITION OF events \(month)"], ["DROP TABLE t, part"]),
        Turn(
            true, ["CREATE TABLE log (at date) PARTITION BY RANGE (at)", "CREATE TABLE part PARTITION OF log \(month)"],
            ["DROP TABLE log"]),
        Turn(
            false, ["CREATE TABLE part (LIKE events)", "ALTER TABLE events ATTACH PARTITION part \(month)"],
            ["ALTER TABLE events DETACH PARTITION part"]),
        Turn(false, [constraint], [free], after: unique),
        Turn(true, [constraint], [free, unique], after: unique),
        Turn(true, [unique, constraint], [free]),
        Turn(false, ["ALTER TYPE mood ADD VALUE 'open'", add], [drop]),
        Turn(false, ["ALTER TABLE orders ALTER COLUMN amount SET DEFAULT 1", add], [drop]),
    ]

    @Test(arguments: turns) private func aWayBackThatForgetsSomethingIsSaid(_ turn: Turn) async {
        let report = await judged(turn)
        #expect(report.findings.contains { $0.rule == .noWayBack } == !turn.isWhole, "\(report.findings.map(\.message))")
        #expect(report.findings.allSatisfy { $0.rule != .noWayBack || $0.failsGate })
    }

    private func judged(_ turn: Turn) async -> RevisionReport {
        await revision(
            turn.up.joined(separator: "; "), down: turn.down.joined(separator: "; "), history: Self.schema + turn.history)
    }

    @Test func theServerSaysTheSameOfEachWayBack() async throws {
        let scratch = try Scratch()
        let cluster = try await PostgresCluster.start(in: scratch, withReplica: false)
        defer { cluster.stop() }
        let server = cluster.primary
        for (index, turn) in Self.turns.enumerated() {
            let database = "turn\(index)"
            try await server.sql("CREATE DATABASE \(database)")
            func run(_ statements: [String]) async throws(Failure) {
                for statement in statements { try await server.sql(statement, database: database) }
            }
            /// Newer versions frame it in a word made by chance.
            func dump() async throws(Failure) -> [Substring] {
                try await server.dump(database: database, ["--schema-only"]).split(separator: "\n").filter {
                    !$0.contains("restrict ")
                }
            }
            try await run(Self.schema + turn.history)
            let before = try await dump()
            try await run(turn.up)
            try await run(turn.down)
            let isSame = try await dump() == before
            #expect(isSame == turn.isWhole, "\(turn.testDescription)")
        }
    }

    @Test func whatNobodyCanFollowIsNotCalledForgotten() async {
        let up = "\(Self.add); CREATE TABLE t (id int)"
        for down in ["DO $$ BEGIN DROP TABLE t; END $$; \(Self.drop)", "SET search_path = public, app; \(Self.drop)"] {
            let report = await revision(up, down: down, history: Self.schema)
            #expect(!report.findings.contains { $0.rule == .noWayBack }, "\(down)")
        }
        let kept = await revision("CREATE TABLE IF NOT EXISTS t (id int); \(Self.add)", down: Self.drop, history: Self.schema)
        #expect(!kept.findings.contains { $0.rule == .noWayBack })
    }

    @Test func whatIsForgottenIsNamedAndAReasonAllowsIt() async {
        let up = "CREATE TABLE t (id int); ALTER TABLE orders ADD COLUMN n int, ADD COLUMN m int; CREATE INDEX ti ON t (id)"
        let report = await revision(up, down: Self.drop, history: Self.schema)
        #expect(report.kind == .additive)
        #expect(
            report.findings.map(\.message) == ["the way back leaves the column orders.m, table t, which the way forward makes"])
        let allowed = await revision(
            up, down: "-- serin: allow-file R01 because they stay\n\(Self.drop)", history: Self.schema)
        #expect(!allowed.findings.contains { $0.failsGate })
    }

    @Test(arguments: [
        LossCase(.unclassified, constraint, free, after: LossCase.orders, unique),
        LossCase(.reversible, constraint, "\(free); \(unique)", after: LossCase.orders, unique),
        LossCase(.unclassified, "ALTER TYPE mood ADD VALUE 'open'; \(add)", drop),
        LossCase(.unclassified, "ALTER TABLE orders ALTER COLUMN amount SET DEFAULT 1; \(add)", drop),
        LossCase(.destructive, add, "\(drop); DROP FUNCTION f(int)"),
    ])
    func aClassThatTheWayBackIsToBlameForIsFound(_ test: LossCase) async {
        let report = await revision(test.up, down: test.down, history: test.history)
        #expect(report.kind == test.kind, "\(report.reason)")
        #expect(report.findings.contains { $0.rule == .noWayBack && $0.severity == .block } == test.kind.mayDestroy)
    }

    @Test func oneThingIsSaidOnce() async {
        let check = "ALTER TABLE orders ADD CONSTRAINT k CHECK (amount > 0) NOT VALID"
        let report = await revision("\(Self.add); \(check)", down: Self.drop, history: Self.schema)
        #expect(report.findings.map(\.message) == ["the way back does nothing about the constraint k of public.orders"])
        let part = await revision(
            "CREATE TABLE part (LIKE events); ALTER TABLE events ATTACH PARTITION part \(Self.month)",
            down: "ALTER TABLE events DETACH PARTITION part CONCURRENTLY", history: Self.schema)
        #expect(part.findings.filter { $0.rule == .noWayBack }.count == 1, "\(part.findings.map(\.message))")
    }

    @Test func rowsThatNobodyFindsBehindAWayBackAreSaid() async {
        let up = "CREATE TABLE part PARTITION OF events \(Self.month)"
        func found(_ down: String) async -> [String] {
            await revision(up, down: down, history: Self.schema).down?.findings.filter { $0.rule == .noWayBack }.map(\.message)
                ?? []
        }
        #expect(
            await found("ALTER TABLE events DETACH PARTITION part CONCURRENTLY") == [
                "the rows that the previous version wrote to part meanwhile are no longer among those of events"
            ])
        #expect(
            await found("ALTER TABLE events DETACH PARTITION part; INSERT INTO events SELECT * FROM part; DROP TABLE part") == [])
        #expect(await found("DROP TABLE part") == [])
    }
}
