import FoundationEssentials
import SerinAPI
import SerinBackups
import SerinPolicies
import Testing

@testable import SerinCommandLine

/// docs/REQUIREMENTS.md: every requirement once, and everything it names is there.
@Suite struct RequirementsTests {
    static let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")

    static func text(_ path: String) throws -> String {
        try String(contentsOfFile: "\(root)/\(path)", encoding: .utf8)
    }

    /// One row of the tables.
    struct Row {
        var id: String
        var practice: String
        var state: String
        var place: String
    }

    private func rows() throws -> [Row] {
        try Self.text("docs/REQUIREMENTS.md").split(separator: "\n").compactMap { line in
            let cells = line.split(separator: "|", omittingEmptySubsequences: false).map { $0.trimming(" ") }
            guard cells.count == 7, let digit = cells[1].last, digit.isNumber || cells[1] == "C24b" else { return nil }
            return Row(id: cells[1], practice: cells[2], state: cells[4], place: cells[5])
        }
    }

    @Test func everyRequirementStandsThereOnce() throws {
        let numbers = [
            "SCH": 31, "SRC": 26, "ENC": 15, "STO": 18, "RET": 20, "CAT": 29, "API": 20, "AUT": 13, "PIPE": 20, "RST": 23,
            "PIT": 8,
            "INT": 15, "MIG": 23, "RBK": 7, "CAN": 17, "GAT": 7, "MON": 21, "DRL": 25, "DR": 6, "CMP": 9, "OPS": 16,
        ]
        var wanted = numbers.flatMap { word, count in (1...count).map { "\(word)-\($0 < 10 ? "0" : "")\($0)" } }
        #expect(wanted.count == 369)
        wanted += (1...54).filter { ![34, 36, 39, 43].contains($0) }.map { "C\($0)" } + ["C24b"]
        #expect(try rows().map(\.id).sorted() == wanted.sorted())
    }

    @Test func statesAndPracticesAreThoseThatAreExplained() throws {
        let states = ["met", "partly", "not yet", "not yet: comes with the daemon's API", "outside"]
        let practices = ["quadrant", "codeblack", "platform", "saas-chat", "all"]
        for row in try rows() {
            #expect(states.contains(row.state), "\(row.id): \(row.state)")
            #expect(practices.contains(row.practice), "\(row.id): \(row.practice)")
            #expect(!row.place.isEmpty || row.state.hasPrefix("not yet:"), "\(row.id) names no place")
            // What is met can be looked at.
            #expect(row.state != "met" || row.place.contains("`") || row.id == "C10", "\(row.id)")
        }
    }

    @Test func theNumbersAtTheTopAreThoseOfTheTables() throws {
        let rows = try rows()
        func sentence(_ rows: [Row], _ what: String) -> String {
            func count(_ state: String) -> Int { rows.count { $0.state == state } }
            let waiting = count("not yet") + count("not yet: comes with the daemon's API")
            return "Of \(rows.count) \(what) \(count("met")) are met, \(count("partly")) partly, \(waiting) not yet "
                + "(\(count("not yet: comes with the daemon's API")) of these come with the daemon's API), "
                + "\(count("outside")) are outside."
        }
        let isConflict: (Row) -> Bool = { !$0.id.contains("-") }
        let document = try Self.text("docs/REQUIREMENTS.md")
        for line in [
            sentence(rows.filter { !isConflict($0) }, "requirements"), sentence(rows.filter(isConflict), "conflicts"),
        ] { #expect(document.contains("\n\(line)\n"), "expected: \(line)") }
    }

    @Test func everythingThatIsNamedIsThere() async throws {
        let references = try DocumentReferences()
        var spans: Set<String> = []
        for row in try rows() {
            let parts = row.place.split(separator: "`", omittingEmptySubsequences: false).map(String.init)
            #expect(parts.count % 2 == 1, "\(row.id): an open quote")
            for index in stride(from: 1, to: parts.count, by: 2) where spans.insert(parts[index]).inserted {
                if let problem = try await references.problem(with: parts[index]) { Issue.record("\(row.id): \(problem)") }
            }
        }
        #expect(spans.count > 200)
    }

    @Test func everyKeyOfAPlanThatAMessageNamesIsOne() throws {
        #expect(try DocumentReferences().strangeKeysInMessages() == [])
    }
}

extension StringProtocol {
    /// Without these characters at both ends.
    func trimming(_ characters: String) -> String {
        var text = Substring(self)
        while let first = text.first, characters.contains(first) { text.removeFirst() }
        while let last = text.last, characters.contains(last) { text.removeLast() }
        return String(text)
    }
}
