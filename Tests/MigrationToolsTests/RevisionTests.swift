import SerinModel
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
