import SerinModel
import Testbed
import Testing

@testable import SerinMigrationTools

@Suite struct RevisionTests {
    private func graph(_ edges: [(String, [String])], heads: [String]) throws -> RevisionGraph {
        RevisionGraph(
            revisions: try edges.map { id, parents in
                RevisionGraph.Revision(
                    id: try #require(RevisionID(id)), name: "", parents: parents.compactMap { RevisionID($0) })
            }, heads: heads.compactMap { RevisionID($0) })
    }

    private func id(_ text: String) throws -> RevisionID { try #require(RevisionID(text)) }

    @Test func whatIsPendingComesInOrderAndOnlyWhatIsMissing() throws {
        let graph = try graph([("a", []), ("b", ["a"]), ("c", ["a"]), ("d", ["b", "c"]), ("e", ["d"])], heads: ["e"])
        let names = { (revisions: [RevisionGraph.Revision]) in revisions.map(\.id.description).joined() }
        #expect(names(try graph.pending(from: [], to: id("e"))) == "abcde")
        #expect(names(try graph.pending(from: [id("b")], to: id("e"))) == "cde")
        #expect(names(try graph.pending(from: [id("d")], to: id("d"))) == "")
        #expect(names(try graph.applied(above: id("d"), from: [id("e")])) == "e")
        #expect(throws: Failure.self) { try graph.pending(from: [id("e")], to: id("a")) }
        #expect(throws: Failure.self) { try graph.applied(above: id("e"), from: [id("a")]) }
        #expect(throws: Failure.self) { try graph.applied(above: id("a"), from: [id("e")]) }
        #expect(throws: Failure.self) { try graph.pending(from: [], to: id("z")) }
        // A tool that tells its heads alone is asked for whatever is wanted.
        let heads = RevisionGraph(headsOnly: [try id("e")])
        #expect(names(try heads.pending(from: [id("a")], to: id("c"))) == "c")
        #expect(names(try heads.pending(from: [id("c")], to: id("c"))) == "")
    }

    @Test func whatAlembicPrintsIsRead() throws {
        let graph = try AlembicHistory.graph(
            of: """
                Rev: d (head) (mergepoint)
                Merges: b, c
                Path: /app/versions/d.py

                    join

                    Revision ID: d
                    Revises: b, c

                Rev: c
                Parent: a
                Also depends on: x
                Path: /app/versions/c.py

                    third

                Rev: b
                Parent: a
                Path: /app/versions/b.py

                    second

                Rev: a (branchpoint)
                Parent: <base>
                Branches into: b, c
                Path: /app/versions/a.py

                    first

                """)
        #expect(graph.revisions.map(\.id.description) == ["a", "b", "c", "d"])
        #expect(graph.revisions.map(\.name) == ["first", "second", "third", "join"])
        #expect(graph.revisions.map { $0.parents.map(\.description) } == [[], ["a"], ["a", "x"], ["b", "c"]])
        #expect(graph.revisions.last?.file == "/app/versions/d.py")
        #expect(graph.heads.map(\.description) == ["d"])
    }

    @Test(arguments: [
        ("SELECT 1; SELECT 2", 2), ("SELECT ';'; -- a; b\nSELECT 2", 2), ("SELECT $x$;$x$; /* ; /* ; */ ; */ SELECT \";\"", 2),
        ("SELECT E'\\'; '; SELECT '\\'; SELECT 3", 3), ("DO $$ BEGIN PERFORM 1; END $$;", 1), ("  ;; -- nothing", 0),
    ]) func statementsAreToldApart(text: String, count: Int) {
        #expect(SQLStatements(Array(text.utf8)).words.count == count)
    }

    @Test func whatMustStandAloneIsKnown() {
        let alone = ["create index concurrently i on t (a)", "VACUUM t;", "DROP INDEX CONCURRENTLY i", "ALTER SYSTEM SET a = 1"]
        for text in alone { #expect(SQLStatements(Array(text.utf8)).standsAlone, "\(text)") }
        let together = [
            "CREATE INDEX i ON t (a)", "SELECT 'CONCURRENTLY'", "REFRESH MATERIALIZED VIEW CONCURRENTLY v",
            "CREATE INDEX CONCURRENTLY i ON t (a); SELECT 1",
        ]
        for text in together { #expect(!SQLStatements(Array(text.utf8)).standsAlone, "\(text)") }
        #expect(SQLStatements(Array("BEGIN; SELECT 1; COMMIT".utf8)).handlesTransactions)
        #expect(!SQLStatements(Array("SELECT 'BEGIN'".utf8)).handlesTransactions)
    }

    @Test func onlyBuildsThatKeepNobodyWaitingMayWaitLong() {
        let patient = "BEGIN; COMMIT; CREATE UNIQUE INDEX CONCURRENTLY i ON t (a); UPDATE alembic_version SET version_num = 'x';"
        #expect(SQLStatements(Array(patient.utf8)).blocksNobody)
        #expect(!SQLStatements(Array("ALTER TABLE t ADD c int; CREATE INDEX CONCURRENTLY i ON t (c)".utf8)).blocksNobody)
        #expect(!SQLStatements(Array("UPDATE t SET a = 1".utf8)).blocksNobody)
    }

    @Test func branchesAreAppliedOneByOneAndOnlyALineLeadsBack() throws {
        let graph = try graph(
            [("a", []), ("b", ["a"]), ("c", ["a"]), ("d", ["b", "c"]), ("e", ["d"])], heads: ["e"])
        let all = try graph.steps(graph.pending(from: [id("a")], to: id("e")), from: [id("a")])
        #expect(all.map { $0.after.map(\.description).joined() } == ["b", "bc", "d", "e"])
        let rest = try graph.steps(graph.pending(from: [id("b"), id("c")], to: id("e")), from: [id("b"), id("c")])
        #expect(rest.map(\.revision.description) == ["d", "e"])
        #expect(rest[0].before == [try id("b"), try id("c")])
        try graph.check([id("b"), id("c")])
        #expect(throws: Failure.self) { try graph.check([id("b"), id("z")]) }
        // Back to where branches part is back on both.
        #expect(throws: Failure.self) { try graph.applied(above: id("a"), from: [id("b"), id("c")]) }
        #expect(try graph.applied(above: id("a"), from: [id("b")]).map(\.id.description) == ["b"])
        let unreachable = graph.unreachable(try ["b", "c", "d", "e"].map { try id($0) }, from: [try id("a")])
        #expect(unreachable.keys.map(\.description).sorted() == ["c", "d", "e"])
        #expect(unreachable[try id("d")]?.contains("joins branches") == true, "\(unreachable)")
    }

    @Test(arguments: [
        ("DROP VIEW paid", "table paid"), ("drop view if exists public.paid, other cascade", "table public.paid"),
        ("ALTER TABLE orders DROP amount", "column orders.amount"),
        ("ALTER TABLE ONLY public.\"orders\" ADD x numeric(1, 2), DROP COLUMN IF EXISTS amount", "column public.orders.amount"),
        ("DROP INDEX CONCURRENTLY \"By Amount\"", "index By Amount"), ("DROP SCHEMA app CASCADE", "schema app"),
        ("DROP FUNCTION f(int)", "function f"), ("DROP TABLE fresh, orders", "table orders"),
    ]) func whatStoodBeforeIsNotDroppedByAWayBack(sql: String, what: String) {
        let earlier = SchemaSnapshot(lines: [
            "schema app", "table public.orders r p", "column public.orders.amount numeric", "table public.paid v p",
            "index\tpublic.\"By Amount\"\tCREATE INDEX", "function public.f(integer) 0",
        ])
        let present = SchemaSnapshot(lines: earlier.lines + ["table public.fresh r p", "column public.orders.fresh integer"])
        #expect(DroppedObjects(Array(sql.utf8)).first(standingIn: earlier, and: present) == what)
    }

    @Test(arguments: [
        "DROP TABLE fresh", "ALTER TABLE orders DROP COLUMN fresh", "SELECT 'DROP TABLE orders'",
        "DROP VIEW paid; CREATE VIEW paid AS SELECT 1", "DROP TABLE orders; ALTER TABLE orders_old RENAME TO orders",
        "ALTER TABLE orders DROP CONSTRAINT amount", "DROP TABLE elsewhere.orders",
        "ALTER TABLE orders ALTER amount DROP NOT NULL",
    ]) func whatAWayBackMadeOrPutsBackIsNotHeldAgainstIt(sql: String) {
        let earlier = SchemaSnapshot(lines: [
            "table public.orders r p", "column public.orders.amount numeric", "table public.paid v p",
        ])
        let present = SchemaSnapshot(lines: earlier.lines + ["table public.fresh r p", "column public.orders.fresh integer"])
        #expect(DroppedObjects(Array(sql.utf8)).first(standingIn: earlier, and: present) == nil)
    }

    @Test func onlyTheVeryIndexOfARevisionIsItsOwn() throws {
        func builds(_ text: String, _ definition: String) -> Bool {
            let index = SchemaSnapshot.Index(name: "public.ref", isValid: true, definition: definition)
            return IndexStatement.all(in: text).contains { $0.builds(index) }
        }
        let there = "CREATE UNIQUE INDEX ref ON public.orders USING btree (id, amount)"
        #expect(builds("create unique index concurrently if not exists ref on orders (id, amount);", there))
        #expect(builds("CREATE UNIQUE INDEX \"ref\" ON ONLY public.orders USING btree (id, amount)", there))
        for other in [
            "CREATE INDEX ref ON orders (id, amount)", "CREATE UNIQUE INDEX ref ON orders (id)",
            "CREATE UNIQUE INDEX ref ON other (id, amount)", "CREATE UNIQUE INDEX orders_ref ON orders (id, amount)",
            "SELECT 'CREATE UNIQUE INDEX ref ON orders (id, amount)'",
            "CREATE UNIQUE INDEX ref ON orders (id, amount) WHERE id > 1",
        ] { #expect(!builds(other, there), "\(other)") }
    }

    @Test func aSchemaThatAnEarlierVersionNotedIsComparedByWhatItNoted() {
        let old = SchemaSnapshot(lines: ["table public.orders r p"])
        let new = SchemaSnapshot(lines: ["kinds 2", "rule O CREATE RULE x", "table public.orders r p"])
        #expect(new.isSame(as: old) && old.isSame(as: new) && new.difference(from: old) == [])
        let without = SchemaSnapshot(lines: ["kinds 2", "table public.orders r p"])
        #expect(!new.isSame(as: without))
        #expect(new.difference(from: without) == ["+ rule O CREATE RULE x"])
        #expect(!SchemaSnapshot(lines: ["kinds 2"]).isSame(as: old))
    }

    @Test(arguments: [
        ("ALTER TABLE t ADD n int; ABORT;", "ABORT"), ("SELECT 1; PREPARE TRANSACTION 'x'", "PREPARE TRANSACTION"),
        ("BEGIN; SELECT 1; ROLLBACK", "ROLLBACK"), ("-- note\rABORT", "ABORT"), ("SELECT 'caf\0'", "NUL"),
        ("BEGIN; SELECT 1", "BEGIN without a COMMIT"), ("SELECT 1; START TRANSACTION; SELECT 'COMMIT' -- ; COMMIT", "without"),
        ("BEGIN; SELECT 1; COMMIT AND CHAIN; SELECT 2", "COMMIT AND CHAIN without"),
        ("BEGIN; CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END; SELECT 2", "BEGIN without a COMMIT"),
    ]) func whatWouldBeNotedAndNotDoneIsRefused(sql: String, word: String) throws {
        let scratch = try Scratch("serin-folder")
        defer { scratch.remove() }
        try scratch.write("1_a.up.sql", sql)
        let step = RevisionStep(direction: .up, revision: try id("1"), from: nil, to: try id("1"))
        let objection = FolderTool(path: scratch.path, table: "t").objection(to: step)
        #expect(objection?.message.contains(word) == true, "\(String(describing: objection))")
        try scratch.write("1_a.up.sql", "BEGIN; SAVEPOINT a; SELECT 'ABORT'; ROLLBACK TO a; COMMIT")
        #expect(FolderTool(path: scratch.path, table: "t").objection(to: step) == nil)
        let function = "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END;"
        try scratch.write("1_a.up.sql", "BEGIN; \(function) COMMIT AND CHAIN; SELECT 1; END")
        #expect(FolderTool(path: scratch.path, table: "t").objection(to: step) == nil)
        // Its END ends no transaction, so it is run within one as any other.
        #expect(!SQLStatements(Array(function.utf8)).handlesTransactions)
    }

    @Test func aFileThatIsNotUTF8IsRefused() throws {
        let side = FolderFiles.Side(
            file: "1_a.up.sql", line: 1, sql: Array("SELECT 'caf".utf8) + [0xE9, 0x27], isOutsideTransaction: false)
        #expect(side.objection?.message.contains("is not UTF-8") == true)
    }

    @Test(arguments: [
        "-- migrate:up\nSELECT 1;\n-- migrate:up\nSELECT 2;\n", "SELECT 0;\n-- migrate:up\nSELECT 1;\n",
        "-- migrate:down\nSELECT 1;\n-- migrate:up\nSELECT 2;\n", "-- migrate:up\nSELECT 1;\n  -- migrate:down\nSELECT 2;\n",
    ]) func marksThatDbmateWouldReadOtherwiseAreRefused(text: String) throws {
        let scratch = try Scratch("serin-folder")
        defer { scratch.remove() }
        try scratch.write("1_a.sql", text)
        #expect(throws: Failure.self) { try FolderFiles(scratch.path) }
        try scratch.write("1_a.sql", "-- a comment\n--migrate:up transaction:false\nSELECT 1;\n--  migrate:down\nSELECT 2;\n")
        let version = try #require(FolderFiles(scratch.path).versions.first)
        #expect(version.up.map { String(decoding: $0.sql, as: UTF8.self) } == "SELECT 1;\n")
        #expect(version.up?.isOutsideTransaction == true)
        #expect(version.down.map { String(decoding: $0.sql, as: UTF8.self) }?.hasPrefix("SELECT 2;") == true)
    }

    @Test func pausesGrowAndHalfOfEachIsChance() {
        let pause = { (tries: Int, chance: Double) in Pause(first: .milliseconds(500), tries: tries).length(chance).milliseconds }
        #expect(pause(1, 0) == 250 && pause(1, 1) == 500)
        #expect(pause(4, 0) == 2000)
        #expect(pause(20, 1) == 30_000)
    }

    @Test func aConnectionStringOfSQLAlchemyIsUnderstood() throws {
        let database = try MigrationDatabase(url: "postgresql+psycopg://shop:secret@db:5433/shop")
        #expect(database.name == "db:5433/shop")
        #expect(database.variables["PGPASSWORD"] == "secret")
        #expect(throws: Failure.self) { try MigrationDatabase(url: "mysql+x://db") }
    }

    @Test func whatFailedBecauseOfLocksIsToldFromWhatDidNot() {
        let kind = { (text: String) in ToolFailure(Failure(.invalid, "x"), said: text).kind }
        #expect(kind("psycopg.errors.LockNotAvailable: abgebrochen") == .lock)
        #expect(kind("ERROR:  55P03: canceling statement due to lock timeout") == .lock)
        #expect(kind("57014: canceling statement due to user request") == .cancelled)
        #expect(kind("division by zero") == .other)
    }
}
