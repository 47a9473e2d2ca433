import SerinMigrations
import SerinModel
import SerinSQL
import Testing

@Suite struct RevisionTests {
    @Test func aRevisionIsSortedByWhatItDoesToDataAndToThePreviousVersion() async {
        let cases: [(String, String?, MigrationClass, MigrationPhase)] = [
            ("ALTER TABLE t ADD COLUMN x int", "ALTER TABLE t DROP COLUMN x", .additive, .expand),
            ("ALTER TABLE t ADD COLUMN x int", nil, .additive, .expand),
            ("CREATE TABLE n (id int); INSERT INTO n VALUES (1)", "DROP TABLE n", .additive, .expand),
            ("INSERT INTO t VALUES (1)", "DELETE FROM t WHERE id = 1", .destructive, .migrate),
            ("ALTER TABLE t RENAME COLUMN a TO b", "ALTER TABLE t RENAME COLUMN b TO a", .reversible, .contract),
            ("ALTER TABLE t RENAME COLUMN a TO b", nil, .unclassified, .contract),
            ("ALTER TABLE t ALTER a SET NOT NULL", "ALTER TABLE t ALTER a DROP NOT NULL", .reversible, .contract),
            ("ALTER TABLE t ALTER a SET NOT NULL", "TRUNCATE t", .destructive, .contract),
            ("ALTER TABLE t DROP COLUMN a", "ALTER TABLE t ADD COLUMN a int", .destructive, .contract),
            ("UPDATE t SET a = 1", "SELECT 1", .destructive, .migrate),
            ("DO $$ BEGIN END $$", "SELECT 1", .unclassified, .expand),
            ("CREATE INDEX CONCURRENTLY i ON t (a)", "DROP INDEX CONCURRENTLY i", .additive, .expand),
        ]
        for (up, down, kind, phase) in cases {
            let report = await revision(up, down: down)
            #expect(report.kind == kind, "\(up): \(report.reason)")
            #expect(report.phase == phase, "\(up)")
        }
    }

    @Test func goingBackListsWhatItLosesAndIsNotBlamedForTakingBackItsOwn() async {
        let report = await revision(
            "ALTER TABLE t ADD COLUMN x int; CREATE TABLE n (id int)", down: "DROP TABLE n; ALTER TABLE t DROP COLUMN x")
        #expect(report.downLosses == ["the rows of n", "the values of t.x"])
        #expect(report.down?.findings == [])
    }

    @Test func goingBackIsBlamedForWhatTheRevisionDidNotAdd() async {
        let report = await revision("ALTER TABLE t ADD COLUMN x int", down: "DROP TABLE t")
        #expect(report.down?.findings.map(\.rule) == [.destroys])
    }

    @Test func aMissingOrEmptyWayBackIsAnErrorAndABlockWhereThePreviousVersionNeedsIt() async {
        let additive = await revision("ALTER TABLE t ADD COLUMN x int", down: nil)
        #expect(additive.findings.map(\.rule) == [.noWayBack])
        #expect(additive.findings.first?.severity == .error)
        let breaking = await revision("ALTER TABLE t ALTER a SET NOT NULL", down: "-- nothing to do")
        #expect(breaking.findings.last?.rule == .noWayBack)
        #expect(breaking.findings.last?.severity == .block)
        let nothing = await revision("SELECT 1", down: nil)
        #expect(nothing.findings == [])
    }

    @Test func sqlThatCannotBeGeneratedIsUnclassifiedUntilACommentSaysOtherwise() async {
        func report(_ source: String) async -> RevisionReport? {
            let script = MigrationScript(
                revision: "0002", name: "",
                up: .unavailable(file: "versions/0002.py", words: "no fetchall", source: Array(source.utf8)), down: .missing)
            return Lint().report(await StatementReader().read([script], version: 15)).revisions.first
        }
        let silent = await report("def upgrade(): pass")
        #expect(silent?.kind == .unclassified)
        #expect(silent?.findings.first?.message.contains("no fetchall") == true)
        #expect(silent?.findings.first?.failsGate == true)
        let told = await report(
            "# serin: class additive because it only fills a lookup table\n# serin: allow R01 because nothing is taken back")
        #expect(told?.kind == .additive)
        #expect(told?.findings.contains { $0.failsGate } == false)
    }

    @Test func twoRevisionsOfOneNameAndSeveralHeadsAreFound() async {
        let text = MigrationSide.text(MigrationText(file: "a.sql", sql: Array("SELECT 1".utf8), wrapping: .separate))
        let scripts = [
            MigrationScript(revision: "1", name: "a", up: text, down: text),
            MigrationScript(revision: "1", name: "b", up: text, down: text),
        ]
        let report = Lint().report(await StatementReader().read(scripts, version: 15), heads: ["1", "2"])
        #expect(report.findings.map(\.rule) == [.heads, .heads])
        #expect(!report.isClean)
    }

    @Test func generatedTransactionsAreTheToolsOwn() async {
        let sql =
            "BEGIN;\nALTER TABLE t ADD COLUMN x int;\nCOMMIT;\nCREATE INDEX CONCURRENTLY i ON t (x);\nBEGIN;\nUPDATE alembic_version SET version_num='2' WHERE version_num='1';\nCOMMIT;"
        let report = await revision(sql, down: "ALTER TABLE t DROP COLUMN x", source: "")
        #expect(report.findings == [])
    }

    @Test func thePlannedRevisionSaysTheSame() async {
        let report = await revision("ALTER TABLE t ADD COLUMN x int", down: "ALTER TABLE t DROP COLUMN x")
        #expect(report.planned?.kind == .additive)
        #expect(report.planned?.tables == ["t"])
        #expect(report.planned?.hasDown == true)
    }
}
