import SerinDatabase
import SerinMigrations
import SerinModel
import SerinProcesses
import SerinSQL
import Testbed
import Testing

/// The locks and rewrites that the lint foretells, held against a real server: each statement is run in a transaction, and the server's
/// `pg_locks` and file nodes are read before it is taken back.
@Suite(.serialized) struct LockTableTests {
    private static let schema = """
        CREATE TABLE p (id int PRIMARY KEY);
        CREATE TYPE mood AS ENUM ('x', 'y');
        CREATE TABLE t (id bigint PRIMARY KEY, a int, b varchar(20), c text, n numeric(10,2), d timestamp, z timestamptz, e int NOT NULL, pid int, m mood);
        CREATE INDEX ti ON t (a);
        CREATE TABLE part (at date NOT NULL, v int) PARTITION BY RANGE (at);
        CREATE TABLE part1 PARTITION OF part FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
        CREATE TABLE q (at date NOT NULL, v int);
        CREATE MATERIALIZED VIEW mv AS SELECT id, e FROM t;
        CREATE VIEW v AS SELECT id, e FROM t;
        CREATE SEQUENCE s;
        CREATE SCHEMA other;
        CREATE DOMAIN posint AS int CHECK (VALUE > 0);
        CREATE DOMAIN anyint AS int;
        CREATE TABLE ev (at timestamp, email text, plain text);
        CREATE INDEX evat ON ev (at);
        CREATE INDEX evemail ON ev (email);
        CREATE TABLE parts (at date NOT NULL) PARTITION BY RANGE (at);
        CREATE TABLE partrest PARTITION OF parts DEFAULT;
        CREATE TABLE partnew (at date NOT NULL);
        INSERT INTO p SELECT generate_series(1, 10);
        INSERT INTO t SELECT g, g, 'b' || g, 'c' || g, g, now(), now(), g, 1 + g % 10, 'x' FROM generate_series(1, 2000) g;
        REFRESH MATERIALIZED VIEW mv;
        """

    /// What is run first and committed, and the statement itself.
    private struct Case {
        var statement: String
        var first: String?
        /// Whether the server's session has TimeZone UTC; it is asked for both.
        var isUTC = true

        init(_ statement: String, after first: String? = nil, isUTC: Bool = true) {
            self.statement = statement
            self.first = first
            self.isUTC = isUTC
        }
    }

    private static let cases: [Case] = [
        Case("SELECT count(*) FROM t"), Case("SELECT id FROM t FOR UPDATE"), Case("UPDATE t SET a = a WHERE id = 1"),
        Case("UPDATE t SET a = 1"), Case("DELETE FROM t"), Case("INSERT INTO p VALUES (11)"), Case("TRUNCATE t"),
        Case("ALTER TABLE t ADD COLUMN x posint"), Case("ALTER TABLE t ADD COLUMN x anyint"),
        Case("ALTER TABLE t ADD COLUMN x mood"), Case("ALTER TABLE t ADD COLUMN x posint[]"),
        Case("ALTER TABLE ev ALTER COLUMN email TYPE text COLLATE \"C\""),
        Case("ALTER TABLE ev ALTER COLUMN plain TYPE text COLLATE \"C\""), Case("ALTER TABLE ev ALTER COLUMN email TYPE text"),
        Case("ALTER TABLE ev ALTER COLUMN email TYPE varchar"), Case("ALTER TABLE ev ALTER COLUMN at TYPE timestamptz"),
        Case("ALTER TABLE parts ATTACH PARTITION partnew FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')"),
        Case("CREATE TABLE part3 PARTITION OF parts FOR VALUES FROM ('2026-03-01') TO ('2026-04-01')"),
        Case("REINDEX (CONCURRENTLY false) TABLE t"), Case("ALTER TABLE t ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY"),
        Case("ALTER TABLE t NO FORCE ROW LEVEL SECURITY"),
        Case("ALTER TABLE ev INHERIT evs", after: "CREATE TABLE evs (LIKE ev)"),
        Case("ALTER TABLE t ADD COLUMN x int"), Case("ALTER TABLE t ADD COLUMN x int NOT NULL DEFAULT 5"),
        Case("ALTER TABLE t ADD COLUMN x timestamptz DEFAULT now()"),
        Case("ALTER TABLE t ADD COLUMN x uuid DEFAULT gen_random_uuid()"), Case("ALTER TABLE t ADD COLUMN x bigserial"),
        Case("ALTER TABLE t ADD COLUMN x int GENERATED ALWAYS AS IDENTITY"),
        Case("ALTER TABLE t ADD COLUMN x int GENERATED ALWAYS AS (a + 1) STORED"),
        Case("ALTER TABLE t ADD COLUMN x int REFERENCES p (id)"), Case("ALTER TABLE t ADD COLUMN x int CHECK (x > 0)"),
        Case("ALTER TABLE t ADD COLUMN x int UNIQUE"), Case("ALTER TABLE t DROP COLUMN c"),
        Case("ALTER TABLE t RENAME COLUMN c TO cc"), Case("ALTER TABLE t RENAME TO tt"), Case("DROP TABLE q"),
        Case("DROP VIEW v"),
        Case("DROP MATERIALIZED VIEW mv"), Case("ALTER TABLE t ALTER COLUMN b TYPE varchar(40)"),
        Case("ALTER TABLE t ALTER COLUMN b TYPE varchar(10)"), Case("ALTER TABLE t ALTER COLUMN b TYPE text"),
        Case("ALTER TABLE t ALTER COLUMN c TYPE varchar(100)"), Case("ALTER TABLE t ALTER COLUMN c TYPE varchar"),
        Case("ALTER TABLE t ALTER COLUMN n TYPE numeric(12,2)"), Case("ALTER TABLE t ALTER COLUMN n TYPE numeric"),
        Case("ALTER TABLE t ALTER COLUMN n TYPE numeric(12,4)"), Case("ALTER TABLE t ALTER COLUMN a TYPE bigint"),
        Case("ALTER TABLE t ALTER COLUMN z TYPE timestamptz(3)"), Case("ALTER TABLE t ALTER COLUMN d TYPE timestamptz"),
        Case("ALTER TABLE t ALTER COLUMN d TYPE timestamptz", isUTC: false),
        Case("ALTER TABLE t ALTER COLUMN z TYPE timestamp", isUTC: false), Case("ALTER TABLE t ALTER COLUMN z TYPE timestamp"),
        Case("ALTER TABLE t ALTER COLUMN a TYPE bigint USING a::bigint"), Case("ALTER TABLE t ALTER COLUMN c SET NOT NULL"),
        Case("ALTER TABLE t ALTER COLUMN e DROP NOT NULL"), Case("ALTER TABLE t ALTER COLUMN a SET DEFAULT 3"),
        Case("ALTER TABLE t ALTER COLUMN a SET STATISTICS 500"), Case("ALTER TABLE t ALTER COLUMN a SET (n_distinct = 5)"),
        Case("ALTER TABLE t ALTER COLUMN c SET STORAGE EXTERNAL"), Case("ALTER TABLE t ADD CONSTRAINT ck CHECK (a > 0)"),
        Case("ALTER TABLE t ADD CONSTRAINT ck CHECK (a > 0) NOT VALID"),
        Case("ALTER TABLE t VALIDATE CONSTRAINT ck", after: "ALTER TABLE t ADD CONSTRAINT ck CHECK (a > 0) NOT VALID"),
        Case("ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (pid) REFERENCES p (id)"),
        Case("ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (pid) REFERENCES p (id) NOT VALID"),
        Case(
            "ALTER TABLE t VALIDATE CONSTRAINT fk",
            after: "ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (pid) REFERENCES p (id) NOT VALID"),
        Case("ALTER TABLE t DROP CONSTRAINT fk", after: "ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (pid) REFERENCES p (id)"),
        Case("ALTER TABLE t ADD CONSTRAINT uq UNIQUE (b)"),
        Case("ALTER TABLE t ADD CONSTRAINT uq UNIQUE USING INDEX uqi", after: "CREATE UNIQUE INDEX uqi ON t (b)"),
        Case("ALTER TABLE t DROP CONSTRAINT t_pkey"), Case("CREATE INDEX i2 ON t (e)"), Case("CREATE UNIQUE INDEX i2 ON t (b)"),
        Case("DROP INDEX ti"), Case("REINDEX INDEX ti"), Case("REINDEX TABLE t"), Case("ALTER INDEX ti RENAME TO ti2"),
        Case("ALTER INDEX ti SET (fillfactor = 80)"), Case("ALTER TABLE t SET (fillfactor = 90)"),
        Case("ALTER TABLE t SET UNLOGGED"),
        Case("CLUSTER t USING ti"),
        Case("CREATE TRIGGER tr BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()"),
        Case("ALTER TABLE t DISABLE TRIGGER ALL"), Case("ALTER TABLE t ENABLE ROW LEVEL SECURITY"),
        Case("CREATE POLICY po ON t USING (true)"), Case("DROP POLICY po ON t", after: "CREATE POLICY po ON t USING (true)"),
        Case("CREATE RULE ru AS ON INSERT TO t DO ALSO NOTHING"), Case("ALTER TYPE mood ADD VALUE 'z'"),
        Case("ALTER TYPE mood RENAME VALUE 'x' TO 'xx'"),
        Case("ALTER TABLE part ATTACH PARTITION q FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')"),
        Case("ALTER TABLE part DETACH PARTITION part1"),
        Case("CREATE TABLE part2 PARTITION OF part FOR VALUES FROM ('2026-03-01') TO ('2026-04-01')"),
        Case("CREATE TABLE child (PRIMARY KEY (id)) INHERITS (p)"), Case("CREATE TABLE ref (id int REFERENCES p (id))"),
        Case("CREATE TABLE likeness (LIKE t)"), Case("REFRESH MATERIALIZED VIEW mv"), Case("CREATE TABLE nt AS SELECT * FROM t"),
        Case("CREATE OR REPLACE VIEW v AS SELECT id, e FROM t"), Case("COMMENT ON TABLE t IS 'x'"),
        Case("COMMENT ON COLUMN t.a IS 'x'"),
        Case("ANALYZE t"), Case("GRANT SELECT ON t TO PUBLIC"), Case("LOCK TABLE t IN SHARE ROW EXCLUSIVE MODE"),
        Case("ALTER SEQUENCE s RESTART"), Case("CREATE STATISTICS st ON a, b FROM t"), Case("ALTER TABLE t SET SCHEMA other"),
        Case("ALTER TABLE t REPLICA IDENTITY FULL"),
        Case("MERGE INTO t USING p ON t.pid = p.id WHEN MATCHED THEN UPDATE SET a = 1"),
    ]

    @Test func theLintForetellsWhatTheServerDoes() async throws {
        let scratch = try Scratch()
        let cluster = try await PostgresCluster.start(in: scratch, base: [Self.schema])
        defer { cluster.stop() }
        let server = cluster.primary
        var compared = 0
        for test in Self.cases {
            let database = "case\(compared)"
            try await server.sql("CREATE DATABASE \(database) TEMPLATE base")
            compared += 1
            let url = server.url(database: database)
            let seen = try await observed(test, url)
            let foretold = try await foretold(test)
            #expect(seen.locks == foretold.locks, "\(test.statement)")
            #expect(seen.rewrites == foretold.rewrites, "\(test.statement)")
            #expect(seen.rebuilds == foretold.rebuilds, "\(test.statement)")
        }
        #expect(compared == Self.cases.count)
    }

    private struct Effects: Equatable {
        var locks: [String]
        var rewrites: [String]
        /// The tables whose rows stay and that have an index with a new file.
        var rebuilds: [String]
    }

    /// What the lint says, with the schema as its history.
    private func foretold(_ test: Case) async throws -> Effects {
        let history = [Self.schema] + [test.first].compactMap(\.self)
        let report = await lint(test.statement, history: history, settings: LintSettings(isUTC: test.isUTC))
        #expect(report.up.statements.allSatisfy { $0.mystery == nil }, "\(test.statement)")
        return Effects(
            locks: report.up.statements.flatMap(\.locks).filter { $0.mode > .accessShare }.map {
                "\($0.relation): \($0.mode.name)"
            }
            .sorted(),
            rewrites: report.up.statements.flatMap(\.rewrites).map(\.name).sorted(),
            rebuilds: report.up.statements.flatMap(\.rebuilds).map(\.name).sorted())
    }

    /// What the server did: the strongest lock on every relation that was there before, and those with new files. Indexes are listed
    /// only when the statement names them, as a table's lock speaks for its indexes.
    private func observed(_ test: Case, _ url: String) async throws -> Effects {
        try await onOwnThread { (_) throws(Failure) in
            do throws(DatabaseError) { return try Self.observe(test, url) } catch { throw error.failure }
        }
    }

    private static func observe(_ test: Case, _ url: String) throws(DatabaseError) -> Effects {
        let purpose = SessionPurpose(
            applicationName: "serin-test", setUp: "SET TimeZone = '\(test.isUTC ? "UTC" : "Europe/Berlin")'", deniedHint: "")
        let session = try Connection(url, name: "postgres", purpose: purpose, limit: .now + .seconds(10))
        func rows(_ sql: String) throws(DatabaseError) -> [[String?]] {
            try session.query(sql, limit: .now + .seconds(20)).values
        }
        if let first = test.first { _ = try rows(first) }
        _ = try rows(
            """
            CREATE TABLE public.before AS SELECT oid, relname, relfilenode, relkind FROM pg_class
            WHERE relnamespace = 'public'::regnamespace
            """)
        _ = try rows("BEGIN")
        _ = try rows(test.statement)
        let locks = try rows(
            """
            SELECT b.relname, l.mode, b.relkind FROM pg_locks l JOIN public.before b ON b.oid = l.relation
            WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation'
            """)
        let rewrites = try rows(
            """
            SELECT b.relname FROM public.before b JOIN pg_class c ON c.oid = b.oid
            WHERE c.relfilenode <> b.relfilenode AND b.relkind IN ('r', 'm')
            """)
        let rewritten = rewrites.compactMap { $0[0] }.sorted()
        // An index that is built anew is another one of the same name.
        let rebuilds = try rows(
            """
            SELECT DISTINCT t.relname FROM public.before b JOIN pg_index i ON b.relkind IN ('i', 'I')
            JOIN pg_class c ON c.oid = i.indexrelid AND c.relname = b.relname AND c.relnamespace = 'public'::regnamespace
            JOIN pg_class t ON t.oid = i.indrelid WHERE c.relfilenode <> b.relfilenode
            """)
        return Effects(
            locks: strongest(locks, in: test.statement), rewrites: rewritten,
            rebuilds: rebuilds.compactMap { $0[0] }.filter { !rewritten.contains($0) }.sorted())
    }

    private static func strongest(_ rows: [[String?]], in statement: String) -> [String] {
        var modes: [String: TableLock] = [:]
        let words = statement.split { !$0.isLetter && !$0.isNumber && $0 != "_" }
        for row in rows {
            guard let name = row[0], let word = row[1], let mode = TableLock(serverName: word)
            else { continue }
            // The index that CLUSTER names is the table's as any other.
            if row[2] == "i", !words.contains(Substring(name)) || statement.hasPrefix("CLUSTER") { continue }
            modes[name] = max(modes[name] ?? .accessShare, mode)
        }
        return modes.filter { $0.value > .accessShare }.map { "\($0.key): \($0.value.name)" }.sorted()
    }
}
