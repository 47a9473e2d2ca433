import Glibc
import SerinMigrations
import SerinSQL
import Testing

@Suite struct HostileTests {
    private func statements(_ sql: String) async -> StatementList {
        await StatementReader().statements(of: Array(sql.utf8), version: 15)
    }

    private func isRefused(_ list: StatementList) -> Bool {
        guard case .unparsable = list.statements.last?.actions.first else { return false }
        return true
    }

    @Test func twoMegabytesOfStatementsAreRead() async {
        let line =
            "INSERT INTO t (a, b) VALUES (1, 'some words that fill the line up to a hundred bytes or so, as in a real one');\n"
        let count = (2 << 20) / line.utf8.count
        let list = await statements(String(repeating: line, count: count))
        #expect(list.statements.count == count)
        #expect(list.statements.last?.line == count)
        #expect(
            list.statements.last?.actions == [
                .calls([":="]),
                .insert(
                    RelationName("t"), from: [],
                    rows: [["a": "1", "b": "some words that fill the line up to a hundred bytes or so, as in a real one"]]),
                .givesValues(RelationName("t"), columns: ["a", "b"]),
            ])
    }

    @Test func aStatementThatIsTooLongIsRefusedAndTheNextOneRead() async {
        let list = await statements("SELECT '" + String(repeating: "x", count: 2 << 20) + "';\nDROP TABLE t")
        #expect(list.statements.count == 2)
        #expect(list.statements.last?.line == 2)
        guard case .unparsable(let words) = list.statements.first?.actions.first else {
            Issue.record("the long statement was read")
            return
        }
        #expect(words.contains("longer than"))
    }

    /// A text of which one part stands there many times.
    struct Chain: Sendable, CustomTestStringConvertible {
        var start = "SELECT 1"
        var part: String
        var count: Int
        var end = ""

        var testDescription: String { "\(count) times \(part)" }
        var sql: String { start + String(repeating: part, count: count) + end }
    }

    @Test(arguments: [
        Chain(part: "+1", count: 500_000), Chain(start: "SELECT ", part: "(", count: 100_000, end: "1"),
        Chain(part: " UNION SELECT 1", count: 60_000), Chain(part: "::int", count: 200_000),
        Chain(start: "SELECT ", part: "NOT ", count: 200_000, end: "true"),
        Chain(start: "SELECT ", part: "- ", count: 8000, end: "a"),
    ])
    func deepNestingIsRefusedWithoutHarm(_ chain: Chain) async {
        let isRefused = isRefused(await statements(chain.sql))
        #expect(isRefused)
    }

    /// Each thread on which the parser runs takes a key for good, of which a process has about a thousand.
    @Test func textsWithoutEndLeaveRoomForOtherLibraries() async {
        for _ in 0..<1100 { _ = await statements("SELECT 1") }
        var key = pthread_key_t()
        #expect(pthread_key_create(&key, nil) == 0)
        pthread_key_delete(key)
    }

    @Test func bytesThatAreNoTextAreRefused() async {
        let reader = StatementReader()
        #expect(isRefused(await reader.statements(of: [0x53, 0x00, 0x3B], version: 15)))
        #expect(isRefused(await reader.statements(of: [0x53, 0xFF, 0xFE], version: 15)))
        #expect(isRefused(await reader.statements(of: Array(repeating: 0x20, count: 33 << 20), version: 15)))
    }

    @Test(arguments: ["SELECT 'abc", "SELECT \"abc", "SELECT $x$abc$y$", "/* /* */ SELECT 1", "SELECT E'a\\'"])
    func whatIsLeftOpenIsRefused(_ sql: String) async { #expect(isRefused(await statements("SELECT 1;\n" + sql))) }

    @Test func statementsAreCutWhereTheServerCutsThem() async {
        let cases: [(String, Int)] = [
            ("", 0), ("-- only a comment", 0), (";;;", 0), ("SELECT 1;", 1),
            ("SELECT ';'; SELECT E'\\';'; SELECT $a$;$b$;$a$", 3),
            ("SELECT /* ; /* ; */ ; */ 1; SELECT \";\"", 2),
            ("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT CASE WHEN true THEN 1 END; END; SELECT 1", 2),
            ("CREATE RULE r AS ON INSERT TO t DO INSTEAD (SELECT 1; SELECT 2); SELECT 1", 2),
            ("COPY t FROM STDIN;\n1;2\n'\n\\.\nSELECT 1;", 2), ("SELECT $1, a$b$c FROM t; SELECT 1", 2),
            ("BEGIN; SELECT 1; END; SELECT 2", 4), ("-- a\rSELECT 1; -- b\r\nSELECT 2", 2), ("\\set x 1\nSELECT 1;", 2),
        ]
        for (sql, count) in cases { #expect(await statements(sql).statements.count == count, "\(sql)") }
    }

    @Test func placesAreCountedInCharacters() async {
        let list = await statements("-- für\nSELECT 'ä'; DROP TABLE t;\n  DROP TABLE u")
        #expect(list.statements.map(\.line) == [2, 2, 3])
        #expect(list.statements.map(\.column) == [1, 13, 3])
    }

    @Test func theParsersWordsCarryThePlaceInTheText() async {
        let list = await statements("SELECT 1;\nSELECT\n  FROM WHERE")
        guard case .unparsable(let words) = list.statements.last?.actions.first else {
            Issue.record("it was read")
            return
        }
        #expect(words.contains("line 3"))
    }
}
