import FoundationEssentials
import SerinAPI
import SerinLocks
import SerinModel
import Testbed
import Testing

@testable import SerinCommandLine

@Suite struct LintVerbTests {
    private static let unsafe = """
        ALTER TABLE orders ADD COLUMN note text;
        CREATE INDEX orders_note ON orders (note);
        """

    /// A file of SQL in a folder of its own.
    private func file(_ sql: String, in scratch: Scratch) throws -> String {
        let path = scratch.file("0002_note.sql")
        try sql.write(toFile: path, atomically: true, encoding: .utf8)
        return path
    }

    @Test func aFindingOfTheGateIsExitSevenWithPlaceReasonAndSafeForm() async throws {
        let scratch = try Scratch()
        let program = try TestProgram()
        let path = try file(Self.unsafe, in: scratch)
        #expect(await program.run("migrate", "lint", path) == .refused)
        let text = program.takeOutput()
        #expect(text.contains("\(path):2:1: ERROR L01"))
        #expect(text.contains("instead: CREATE INDEX CONCURRENTLY orders_note ON orders (note)"))
        #expect(text.contains("locks orders ACCESS EXCLUSIVE"))
        #expect(program.messages.withLock { $0 }.contains("1 revision: 1 ERROR; the gate fails"))
    }

    @Test func ofEveryStatementItIsSaidWhatThePreviousVersionMakesOfIt() async throws {
        let scratch = try Scratch()
        let program = try TestProgram()
        let sql = """
            ALTER TABLE orders ADD COLUMN note text;
            ALTER TABLE orders RENAME COLUMN amount TO cents;
            CREATE UNIQUE INDEX CONCURRENTLY orders_note ON orders (note);
            TRUNCATE orders;
            DO $$ BEGIN EXECUTE 'SELECT 1'; END $$;
            SELECT 1;
            """
        let path = try file(sql, in: scratch)
        _ = await program.run("migrate", "lint", path)
        let text = program.takeOutput()
        for line in [
            "ALTER TABLE orders ADD COLUMN note text: locks orders ACCESS EXCLUSIVE; destroys nothing; the previous version survives it",
            "locks orders ACCESS EXCLUSIVE; destroys nothing; the previous version does not survive it: it",
            "locks orders SHARE UPDATE EXCLUSIVE; destroys nothing; the previous version may not survive it: it may write rows to orders",
            "TRUNCATE orders: locks orders ACCESS EXCLUSIVE; ", "loses ", ": nobody can say what it does: ",
        ] { #expect(text.contains(line), "\(line) in\n\(text)") }
        #expect(!text.contains("    SELECT 1:"), "\(text)")
        _ = await program.run("migrate", "lint", path, "-o", "json")
        let document = try JSONValue(parsing: Array(program.takeOutput().utf8))
        let statements = document["revisions"]?.items?.first?["statements"]?.items ?? []
        #expect(
            statements.compactMap { $0["previous_version"]?.text }
                == ["survives", "breaks", "depends", "depends", "unknown", "survives"])
    }

    @Test func aSmallTableMakesItAWarningAndStrictFailsOnWarningsToo() async throws {
        let scratch = try Scratch()
        let program = try TestProgram()
        let path = try file(Self.unsafe, in: scratch)
        #expect(await program.run("migrate", "lint", path, "--rows", "orders=200") == .ok)
        #expect(await program.run("migrate", "lint", path, "--rows", "orders=200", "--strict") == .refused)
        #expect(await program.run("migrate", "lint", path, "--rows", "orders") == .usage)
        #expect(await program.run("migrate", "lint", path, "--server", "12") == .usage)
        #expect(await program.run("migrate", "lint", path, "--applied", "0099") == .usage)
        #expect(await program.run("migrate", "lint", scratch.file("missing.sql")) == .usage)
    }

    @Test func theDocumentHasEverythingThatIsKnown() async throws {
        let scratch = try Scratch()
        let program = try TestProgram()
        #expect(await program.run("migrate", "lint", try file("DROP TABLE orders", in: scratch), "-o", "json") == .refused)
        let document = try JSONValue(parsing: Array(program.takeOutput().utf8))
        #expect(document["schema"]?.text == "serin.dev/migrate-lint/v1")
        #expect(document["ok"] == .bool(false))
        let revision = try #require(document["revisions"]?.items?.first)
        #expect(revision["class"]?.text == "destructive")
        #expect(revision["phase"]?.text == "contract")
        #expect(revision["findings"]?.items?.first?["rule"]?.text == "D01")
        #expect(revision["statements"]?.items?.first?["locks"]?.items?.first?["mode"]?.text == "ACCESS EXCLUSIVE")
        #expect(revision["statements"]?.items?.first?["previous_version"]?.text == "breaks")
    }

    @Test func pipelinesGetAnnotationsAndAReport() async throws {
        let scratch = try Scratch()
        let program = try TestProgram(environment: ["GITHUB_ACTIONS": "true"])
        let path = try file(Self.unsafe, in: scratch)
        #expect(await program.run("migrate", "lint", path, "--junit", program.file("junit.xml")) == .refused)
        #expect(program.messages.withLock { $0 }.contains("::error file=\(path),line=2,col=1,title=serin L01 ERROR::"))
        let report = program.contents("junit.xml")
        #expect(report.contains("<testsuite name=\"serin migrate lint\" tests=\"2\" failures=\"1\""))
        #expect(report.contains("<failure type=\"L01\""))
    }

    /// As a pull request asks: with the policy, without a database, in every form at once.
    @Test func aPullRequestGetsEveryFormWithoutADatabase() async throws {
        let scratch = try Scratch()
        let program = try TestProgram(environment: ["GITHUB_ACTIONS": "true"])
        func check() async -> ExitCode {
            await program.run(
                "check", program.policy(), "--offline", "--migrations", "--junit", program.file("junit.xml"), "--code-quality",
                program.file("quality.json"))
        }
        program.migrations.withLock { $0 = scratch.path }
        func write(_ name: String, _ sql: String) throws {
            try sql.write(toFile: scratch.file(name), atomically: true, encoding: .utf8)
        }
        try write("1_a.up.sql", "CREATE TABLE a (n int);\n\n")
        try write("1_a.down.sql", "DROP TABLE a;")
        #expect(await check() == .ok)
        #expect(program.contents("quality.json") == "[]\n")
        #expect(!program.messages.withLock { $0 }.contains("::error"))
        #expect(program.contents("junit.xml").contains("tests=\"2\" failures=\"0\""))
        try write("2_b.up.sql", "SELECT 1;\nDROP TABLE \"<&]]>\";\nDROP TABLE \"<&]]>\";\n")
        try write("2_b.down.sql", "SELECT 1;")
        #expect(await check() == .refused)
        let file = scratch.file("2_b.up.sql")
        #expect(program.messages.withLock { $0 }.contains("::error file=\(file),line=2,col=1,title=serin D01 BLOCK::"))
        let issues = try #require(try JSONValue(parsing: Array(program.contents("quality.json").utf8)).items)
        let drops = issues.filter { $0["check_name"]?.text == "serin D01" }
        #expect(drops.compactMap { $0["location"]?["lines"]?["begin"]?.integer } == [2, 3])
        #expect(drops.allSatisfy { $0["severity"]?.text == "blocker" && $0["location"]?["path"]?.text == file })
        let prints = issues.compactMap { $0["fingerprint"]?.text }
        #expect(prints.count == issues.count && Set(prints).count == prints.count)
        // A line more above changes no finding's name.
        try write("2_b.up.sql", "\nSELECT 1;\nDROP TABLE \"<&]]>\";\nDROP TABLE \"<&]]>\";\n")
        #expect(await check() == .refused)
        let moved = try #require(try JSONValue(parsing: Array(program.contents("quality.json").utf8)).items)
        #expect(moved.compactMap { $0["fingerprint"]?.text } == prints)
        let junit = program.contents("junit.xml")
        #expect(junit.contains("&lt;&amp;]]&gt;") && !junit.contains("<&"))
        #expect(await program.run("check", program.policy("wrong"), "--offline", "--migrations") == .usage)
    }

    @Test func aTraceNeedsAServerAndRevisions() async throws {
        let scratch = try Scratch()
        let program = try TestProgram()
        let path = try file(Self.unsafe, in: scratch)
        #expect(await program.run("migrate", "lint", scratch.path, "--trace") == .usage)
        #expect(await program.run("migrate", "lint", path, "--trace", "--scratch-env", "X") == .usage)
        #expect(await program.run("migrate", "lint", path, "--scratch-env", "X") == .usage)
        #expect(program.messages.withLock { $0 }.contains("--trace needs a server"))
    }

    @Test func aFileCannotWriteCommandsIntoTheLogOfAPipeline() async throws {
        let scratch = try Scratch()
        let program = try TestProgram(environment: ["GITHUB_ACTIONS": "true"])
        let path = try file("DROP TABLE \"x\n::set-output name=a::b\u{1B}[2J\"", in: scratch)
        _ = await program.run("migrate", "lint", path)
        let text = program.takeOutput() + program.messages.withLock { $0 }
        #expect(!text.contains("\n::set-output"))
        #expect(!text.contains("\u{1B}[2J"))
    }

    @Test func aPolicyIsCheckedTogetherWithItsMigrations() async throws {
        let scratch = try Scratch()
        let program = try TestProgram()
        #expect(await program.run("check", program.policy(), "--offline", "--migrations") == .usage)
        let path = try file(Self.unsafe, in: scratch)
        try FileManager.default.moveItem(atPath: path, toPath: scratch.file("1_note.up.sql"))
        program.migrations.withLock { $0 = scratch.path }
        #expect(await program.run("check", program.policy(), "--offline", "--migrations") == .refused)
        let text = program.takeOutput()
        #expect(text.contains("1_note.up.sql:2:1: ERROR L01"))
        #expect(text.contains("ERROR R01: there is no way back from 1"))
        #expect(await program.run("check", program.policy(), "--offline") == .ok)
    }

    @Test func aFolderOfMarkedFilesIsReadInTheOrderOfItsNumbers() async throws {
        let scratch = try Scratch()
        let program = try TestProgram()
        let first = """
            -- migrate:up
            CREATE TABLE orders (id bigint PRIMARY KEY, note varchar(20));
            -- migrate:down
            DROP TABLE orders;
            """
        let second = """
            -- migrate:up transaction:false
            CREATE INDEX CONCURRENTLY orders_note ON orders (note);
            -- migrate:down transaction:false
            DROP INDEX CONCURRENTLY orders_note;
            """
        let third = """
            -- migrate:up
            ALTER TABLE orders ALTER COLUMN note TYPE varchar(40);
            -- migrate:down
            ALTER TABLE orders ALTER COLUMN note TYPE varchar(20);
            """
        for (name, text) in [("1_orders.sql", first), ("2_index.sql", second), ("10_longer.sql", third)] {
            try text.write(toFile: scratch.file(name), atomically: true, encoding: .utf8)
        }
        #expect(await program.run("migrate", "lint", scratch.path, "--applied", "1", "-o", "json") == .refused)
        let document = try JSONValue(parsing: Array(program.takeOutput().utf8))
        let revisions = document["revisions"]?.items ?? []
        #expect(revisions.compactMap { $0["revision"]?.text } == ["2", "10"])
        #expect(revisions.compactMap { $0["class"]?.text } == ["additive", "additive"])
        // The way back writes every row anew, and may cut what was written since.
        #expect(revisions.last?["findings"]?.items?.compactMap { $0["rule"]?.text } == ["L02", "D02"])
        #expect(revisions.last?["findings"]?.items?.first?["line"]?.integer == 4)
    }
}
