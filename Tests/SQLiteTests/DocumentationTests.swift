import SerinModel
import SerinProcesses
import SerinRecords
import SerinSQLite
import Testing

@Suite struct DocumentationTests {
    /// Runs the Python program of docs/journal.md as it is printed there.
    @Test func theCheckByHandAgreesWithTheChain() async throws {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let page = try read("/\(root)/docs/journal.md")
        let code = try #require(page.split(separator: "```python\n").last?.split(separator: "```").first)
        let folder = try Folder()
        let program = folder.root + "/check.py"
        try write(String(code), to: program)

        let store = try await SQLiteStore.open(folder.state, purpose: "serin tests", at: .start, reserve: 0)
        for number in 0..<10 { _ = try await store.append([draft("é \(number)"), draft("own", of: nil)]) }
        let head = Checkpoint(try await store.head())
        await store.close()
        #expect(try await run("python3", [program, folder.state.journal]).text == "\(head)\n")

        try await tamper(folder, "UPDATE entry SET body = replace(body, 'é 3', 'é 4') WHERE sequence = 8")
        let found = try await run("python3", [program, folder.state.journal])
        #expect(found.text == "entry 8 does not hold\n")
        #expect(found.termination == .exited(1))
    }
}
