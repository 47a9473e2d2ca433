import SerinModel
import Testbed
import Testing

@testable import SerinMigrations

/// Rows with keys of their own in a table whose keys a sequence gives: the next row that asks for one gets one that is there.
@Suite(.serialized) struct NumberTests {
    private static let schema = [
        LossCase.orders, "CREATE TABLE tags (id serial PRIMARY KEY, name text)",
        "CREATE TABLE kinds (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text)",
        "CREATE TABLE codes (id int PRIMARY KEY, name text)",
        "CREATE TABLE old (id int NOT NULL, name text)", "CREATE SEQUENCE old_id_seq OWNED BY old.id",
        "ALTER TABLE old ALTER COLUMN id SET DEFAULT nextval('old_id_seq')",
        "ALTER TABLE old ADD CONSTRAINT old_pkey PRIMARY KEY (id)",
    ]

    /// What is run, the table, and whether the next row that asks for a number is refused.
    private static let cases: [(sql: String, table: String, isRefused: Bool)] = [
        ("INSERT INTO tags (id, name) VALUES (1, 'a')", "tags", true),
        ("INSERT INTO tags VALUES (1, 'a')", "tags", true),
        ("INSERT INTO tags (id, name) SELECT g, 'a' FROM generate_series(1, 3) g", "tags", true),
        ("INSERT INTO tags (id, name) VALUES (1, 'a') ON CONFLICT (id) DO UPDATE SET name = 'a'", "tags", true),
        ("INSERT INTO kinds (id, name) OVERRIDING SYSTEM VALUE VALUES (1, 'a')", "kinds", true),
        ("INSERT INTO old (id, name) VALUES (1, 'a')", "old", true),
        ("INSERT INTO tags (id, name) VALUES (1, 'a'); SELECT setval('kinds_id_seq', (SELECT max(id) FROM kinds))", "tags", true),
        ("INSERT INTO kinds (id, name) OVERRIDING USER VALUE VALUES (1, 'a')", "kinds", false),
        ("INSERT INTO tags (name) VALUES ('a')", "tags", false),
        ("INSERT INTO tags VALUES (DEFAULT, 'a')", "tags", false),
        ("INSERT INTO tags (id, name) VALUES (DEFAULT, 'a'), (nextval('tags_id_seq'), 'b')", "tags", false),
        ("INSERT INTO tags (id, name) VALUES (0, 'nobody'), (-1, 'everybody')", "tags", false),
        (
            "INSERT INTO tags (id, name) VALUES (1, 'a'); SELECT setval(pg_get_serial_sequence('tags', 'id'), (SELECT max(id) FROM tags))",
            "tags", false
        ),
        ("INSERT INTO tags (id, name) VALUES (1, 'a'); SELECT setval('tags_id_seq', max(id)) FROM tags", "tags", false),
        (
            "INSERT INTO kinds (id, name) OVERRIDING SYSTEM VALUE VALUES (1, 'a'); ALTER TABLE kinds ALTER COLUMN id RESTART WITH 2",
            "kinds", false
        ),
        ("INSERT INTO tags (id, name) VALUES (1, 'a'); ALTER SEQUENCE tags_id_seq RESTART WITH 2", "tags", false),
    ]

    private func isSaid(_ report: RevisionReport) -> Bool {
        report.up.findings.contains { $0.rule == .breaksPrevious && $0.message.contains("of their own") && $0.failsGate }
    }

    @Test func theServerRefusesTheNextRowWhereTheLintSaysSo() async throws {
        let scratch = try Scratch()
        let cluster = try await PostgresCluster.start(in: scratch, withReplica: false)
        defer { cluster.stop() }
        let server = cluster.primary
        for (index, test) in Self.cases.enumerated() {
            let report = await lint(test.sql, history: Self.schema)
            #expect(isSaid(report) == test.isRefused, "\(test.sql)")
            let database = "numbers\(index)"
            try await server.sql("CREATE DATABASE \(database)")
            for statement in Self.schema + [test.sql] { try await server.sql(statement, database: database) }
            var refusal = ""
            do {
                try await server.sql("INSERT INTO \(test.table) (name) VALUES ('next')", database: database)
            } catch {
                refusal = error.message
            }
            #expect(refusal.contains("duplicate key") == test.isRefused, "\(test.sql): \(refusal)")
        }
    }

    @Test func thePreviousVersionDoesNotSurviveIt() async {
        let put = "INSERT INTO tags (id, name) VALUES (1, 'a')"
        let takeBack = "DELETE FROM tags WHERE id = 1"
        let report = await revision(put, down: takeBack, history: Self.schema)
        #expect(report.kind == .reversible && isSaid(report), "\(report.reason)")
        let set =
            "SELECT setval('tags_id_seq', greatest((SELECT max(id) FROM tags), (SELECT last_value FROM tags_id_seq)))"
        let told = await revision("\(put); \(set)", down: takeBack, history: Self.schema)
        #expect(told.kind == .additive, "\(told.reason)")
        #expect(told.findings == [])
        let alone = await revision(set, down: nil, history: Self.schema)
        #expect(alone.kind == .additive && alone.findings == [], "\(alone.reason)")
        // Numbers of rows that are not committed yet would be given again.
        let bare = await revision("SELECT setval('tags_id_seq', (SELECT max(id) FROM tags))", down: set, history: Self.schema)
        #expect(bare.kind == .reversible, "\(bare.reason)")
        let block = await revision(
            "SELECT setval('tags_id_seq', (SELECT max(id) + 1000 FROM tags))", down: set, history: Self.schema)
        #expect(block.kind == .reversible && block.findings == [], "\(block.reason)")
        let other = await revision("\(put); \(set)", down: "\(takeBack); \(set)", history: Self.schema)
        #expect(other.kind == .additive && other.findings == [], "\(other.reason)")
    }

    @Test func aNewTableIsOfTheNextVersionAlone() async {
        let report = await lint("CREATE TABLE n (id serial PRIMARY KEY, name text); INSERT INTO n VALUES (1, 'a'), (2, 'b')")
        #expect(report.kind == .additive)
        #expect(report.up.findings.map(\.severity) == [.warning])
    }

    @Test(arguments: [
        "SELECT setval('tags_id_seq', (SELECT max(id) FROM codes))", "SELECT setval('tags_id_seq', (SELECT min(id) FROM tags))",
        "SELECT setval('tags_id_seq', (SELECT max(id) FROM tags WHERE id < 5))",
        "SELECT setval('tags_id_seq', least((SELECT max(id) FROM tags), 5))",
        "SELECT setval('tags_id_seq', greatest((SELECT max(id) FROM tags), (SELECT last_value FROM old_id_seq)))",
        "SELECT setval('tags_id_seq', greatest((SELECT max(id) FROM codes), (SELECT last_value FROM tags_id_seq)))",
        "SELECT setval('tags_id_seq', greatest((SELECT max(id) FROM tags), (SELECT last_value FROM tags_id_seq)), false)",
    ])
    func onlyTheGreatestNumberOfTheTableItselfIsHarmless(_ sql: String) async {
        #expect(await revision(sql, down: "SELECT 1", history: Self.schema).kind == .unclassified)
    }
}
