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
        let path = try file(Self.unsafe, in: scratch)
        #expect(await program.run("check", program.policy(), "--offline", "--migrations", path) == .refused)
        #expect(program.takeOutput().contains("ERROR L01"))
        let safe = try file("ALTER TABLE orders ADD COLUMN note text", in: scratch)
        #expect(await program.run("check", program.policy(), "--offline", "--migrations", safe) == .ok)
    }
}
