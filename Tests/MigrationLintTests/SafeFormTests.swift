import SerinMigrations
import SerinModel
import SerinProcesses
import SerinSQL
import Testbed
import Testing

/// The safe forms that findings print as SQL: pasted as they are, nothing in them fails the gate, and they run on a real server forward,
/// back, and forward again.
@Suite(.serialized) struct SafeFormTests {
    /// What was there, with rows in it.
    private static let schema = """
        CREATE TABLE customers (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL);
        CREATE TABLE orders (id serial PRIMARY KEY, customer_id bigint, amount int, email text, tags text[], "Big" int);
        CREATE INDEX orders_email ON orders (email);
        CREATE TABLE keyed (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer_id bigint, note text);
        CREATE TABLE events (id bigint NOT NULL, at timestamptz NOT NULL) PARTITION BY RANGE (at);
        CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
        CREATE MATERIALIZED VIEW totals AS SELECT customer_id, sum(amount) AS amount FROM orders GROUP BY customer_id;
        CREATE UNIQUE INDEX totals_customer ON totals (customer_id);
        """

    private static let rows = """
        INSERT INTO customers (email) SELECT 'u' || i FROM generate_series(1, 20) i;
        INSERT INTO orders (customer_id, amount, email, "Big") SELECT i % 20 + 1, i, 'e' || i, i FROM generate_series(1, 200) i;
        INSERT INTO keyed (customer_id, note) SELECT i, 'n' || i FROM generate_series(1, 40) i;
        INSERT INTO events SELECT i, '2024-03-01' FROM generate_series(1, 20) i;
        REFRESH MATERIALIZED VIEW totals;
        """

    /// A revision in which a rule finds something, and how what is printed is to be used.
    struct Case: Sendable, CustomTestStringConvertible {
        enum Place: Sendable {
            /// In place of the way forward.
            case instead
            /// Before the revision, which stays.
            case before
            /// In place of the way back.
            case insteadOfBack
        }

        var rule: LintRule
        var up: String
        var down: String
        var place = Place.instead
        /// Whether it leaves no trace when it is taken back.
        var comesBack = true

        var testDescription: String { "\(rule.rawValue): \(up)" }
    }

    static let cases: [Case] = [
        Case(
            rule: .indexBlocks, up: "CREATE INDEX i ON orders USING gin (tags) WHERE amount > 0",
            down: "DROP INDEX CONCURRENTLY i"),
        Case(
            rule: .indexBlocks, up: "CREATE UNIQUE INDEX i ON orders (lower(email), id DESC);", down: "DROP INDEX CONCURRENTLY i"),
        Case(rule: .indexBlocks, up: "DROP INDEX orders_email", down: "CREATE INDEX CONCURRENTLY orders_email ON orders (email)"),
        Case(
            rule: .indexBlocks, up: "CREATE INDEX CONCURRENTLY i ON orders (amount)", down: "DROP INDEX i", place: .insteadOfBack),
        Case(rule: .indexBlocks, up: "REINDEX TABLE orders", down: "SELECT 1"),
        Case(
            rule: .notNullScans, up: "ALTER TABLE orders ALTER COLUMN amount SET NOT NULL",
            down: "ALTER TABLE orders ALTER COLUMN amount DROP NOT NULL"),
        Case(
            rule: .notNullScans, up: "ALTER TABLE orders ALTER COLUMN \"Big\" SET NOT NULL",
            down: "ALTER TABLE orders ALTER COLUMN \"Big\" DROP NOT NULL"),
        Case(
            rule: .constraintScans, up: "ALTER TABLE orders ADD CONSTRAINT positive CHECK (amount > 0 AND email <> ';')",
            down: "ALTER TABLE orders DROP CONSTRAINT positive"),
        Case(
            rule: .constraintScans,
            up:
                "ALTER TABLE ONLY orders ADD CONSTRAINT buyer FOREIGN KEY (customer_id) REFERENCES customers (id) DEFERRABLE INITIALLY DEFERRED",
            down: "ALTER TABLE orders DROP CONSTRAINT buyer"),
        Case(
            rule: .uniqueBuilds, up: "ALTER TABLE orders ADD CONSTRAINT one UNIQUE (email, \"Big\")",
            down: "ALTER TABLE orders DROP CONSTRAINT one"),
        Case(
            rule: .uniqueBuilds, up: "ALTER TABLE orders ADD UNIQUE (email)",
            down: "ALTER TABLE orders DROP CONSTRAINT orders_email_key"),
        Case(
            rule: .foreignKeyWithoutIndex,
            up: "ALTER TABLE orders ADD CONSTRAINT buyer FOREIGN KEY (customer_id) REFERENCES customers (id) NOT VALID",
            down: "ALTER TABLE orders DROP CONSTRAINT buyer", place: .before),
        Case(
            rule: .partitionOrLock, up: "ALTER TABLE events DETACH PARTITION events_2024",
            down: "ALTER TABLE events ATTACH PARTITION events_2024 FOR VALUES FROM ('2024-01-01') TO ('2025-01-01')",
            comesBack: false),
        Case(
            rule: .partitionOrLock, up: "REFRESH MATERIALIZED VIEW totals", down: "REFRESH MATERIALIZED VIEW CONCURRENTLY totals"),
        Case(rule: .overwrites, up: "UPDATE orders SET amount = 0, email = NULL WHERE amount < 5", down: "SELECT 1"),
        Case(rule: .overwrites, up: "UPDATE orders SET \"Big\" = 0", down: "SELECT 1"),
        Case(
            rule: .overwrites,
            up: "DELETE FROM keyed WHERE NOT EXISTS (SELECT 1 FROM customers c WHERE c.id = keyed.customer_id)",
            down: "SELECT 1"),
        Case(rule: .overwrites, up: "DELETE FROM orders WHERE amount < 5", down: "SELECT 1"),
        Case(
            rule: .breaksPrevious, up: "ALTER TABLE customers RENAME TO clients", down: "ALTER TABLE clients RENAME TO customers"),
        Case(
            rule: .breaksPrevious, up: "ALTER TABLE orders RENAME TO \"Orders\"", down: "ALTER TABLE \"Orders\" RENAME TO orders"),
    ]

    /// Tables are small, so that only what is not a matter of time counts.
    private static let small = LintSettings(rows: ["keyed": 40, "orders": 200])

    /// The revisions of a case with what is printed in its place.
    private func pasted(_ test: Case) async throws -> [SafeRevision] {
        // Small tables make some of what is asked for here worth knowing only.
        let settings = test.rule == .overwrites ? Self.small : LintSettings()
        let report = await revision(
            test.up, down: test.down, history: [Self.schema], wrapping: .oneQuery, settings: settings)
        let found = (test.place == .insteadOfBack ? report.down?.findings : report.up.findings) ?? []
        let finding = try #require(
            found.first { $0.rule == test.rule && !$0.safeRevisions.isEmpty }, "\(test.up): \(report.findings)")
        let safe = finding.safeRevisions
        for statement in safe.flatMap({ $0.up + ($0.down ?? []) }) {
            #expect(!statement.contains("…") && !statement.contains("<key>"), "\(statement)")
            #expect(finding.safeForm.contains(statement), "\(finding.safeForm)")
        }
        switch test.place {
        case .instead: return safe.map { SafeRevision($0.up, back: $0.down ?? [test.down]) }
        case .before: return safe + [SafeRevision([test.up], back: [test.down])]
        case .insteadOfBack: return [SafeRevision([test.up], back: safe.flatMap(\.up))]
        }
    }

    private func text(_ statements: [String]) -> String { statements.map { $0 + ";\n" }.joined() }

    @Test(arguments: cases) func aSafeFormLintsAsItIsPrinted(_ test: Case) async throws {
        let revisions = try await pasted(test)
        func side(_ statements: [String]) -> MigrationSide {
            .text(MigrationText(file: "db/0001.sql", sql: Array(text(statements).utf8), wrapping: .oneQuery))
        }
        let scripts =
            [MigrationScript(revision: "0", name: "", up: side([Self.schema]), down: .missing)]
            + revisions.enumerated().map {
                MigrationScript(
                    revision: "\($0.offset + 1)", name: "", up: side($0.element.up), down: side($0.element.down ?? []))
            }
        var settings = test.rule == .overwrites ? Self.small : LintSettings()
        settings.wantsWayBack = true
        let read = await StatementReader().read(scripts, applied: 1, version: settings.version)
        let report = Lint(settings).report(read)
        #expect(report.revisions.count == revisions.count)
        #expect(report.isClean, "\(report.allFindings)")
        for judged in report.revisions {
            #expect(judged.kind <= .reversible && judged.hasDown, "\(judged.revision): \(judged.kind) \(judged.reason)")
            #expect(!judged.findings.contains { $0.safeRevisions == revisions }, "\(judged.findings)")
        }
    }

    @Test func everySafeFormRunsForwardBackAndForward() async throws {
        let scratch = try Scratch()
        let cluster = try await PostgresCluster.start(in: scratch, base: [Self.schema, Self.rows])
        defer { cluster.stop() }
        let server = cluster.primary
        for (number, test) in Self.cases.enumerated() {
            let database = "case\(number)"
            try await server.sql("CREATE DATABASE \(database) TEMPLATE base")
            let revisions = try await pasted(test)
            let before = try await content(of: database, server)
            do {
                for revision in revisions { try await server.sql(text(revision.up), database: database) }
                for revision in revisions.reversed() where revision.down?.isEmpty == false {
                    try await server.sql(text(revision.down ?? []), database: database)
                }
                if test.comesBack {
                    let after = try await content(of: database, server)
                    #expect(after.subtracting(before).isEmpty && before.subtracting(after).isEmpty, "\(test.testDescription)")
                }
                for revision in revisions { try await server.sql(text(revision.up), database: database) }
            } catch { Issue.record("\(test.testDescription): \(error)\n\(revisions)") }
        }
    }

    /// The lines of a dump, in no order: rows that were written back stand elsewhere.
    private func content(of database: String, _ server: PostgresServer) async throws -> Set<String> {
        Set(try await server.dump(database: database, []).split(separator: "\n").map(String.init).filter { !$0.hasPrefix("\\") })
    }

    @Test func ofAPartitionThatIsNotTakenBackTheWayBackIsWithoutAStatement() async {
        let up =
            "CREATE TABLE events_2025 (LIKE events INCLUDING ALL); ALTER TABLE events ATTACH PARTITION events_2025 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')"
        let back = "ALTER TABLE events DETACH PARTITION events_2025; DROP TABLE events_2025"
        let lossy = await revision(up, down: back, history: [Self.schema], wrapping: .oneQuery)
        let finding = lossy.findings.first { $0.rule == .destroys }
        let comment = "-- serin: allow R01 because the partition stays"
        #expect(finding?.safeForm.contains(comment) == true, "\(lossy.findings)")
        let left = await revision(up, down: comment, history: [Self.schema], wrapping: .oneQuery)
        #expect(left.kind == .additive, "\(left.reason)")
        #expect(!left.findings.contains { $0.failsGate }, "\(left.findings)")
    }

    @Test func aPartitionMadeInPlaceIsMadeAndAttachedInstead() async throws {
        let report = await revision(
            "CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')", down: nil,
            history: [Self.schema])
        let finding = try #require(report.findings.first { $0.rule == .partitionOrLock })
        let safe = try #require(finding.safeRevisions.first)
        #expect(
            safe.up.last
                == "ALTER TABLE events ATTACH PARTITION events_2025 FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')")
        let pasted = await lint(text(safe.up), history: [Self.schema])
        #expect(rules(pasted) == [])
    }
}
