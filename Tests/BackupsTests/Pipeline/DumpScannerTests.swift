import SerinModel
import Testing

@testable import SerinBackups

struct DumpScannerTests {
    /// What passes of a text that comes in pieces of a size, and the rows seen; nil when it is refused.
    private func scan(_ text: String, piece: Int) -> (passed: String, scanner: DumpScanner)? {
        var scanner = DumpScanner()
        var passed: [UInt8] = []
        let bytes = Array(text.utf8)
        do throws(Failure) {
            for start in stride(from: 0, to: bytes.count, by: piece) {
                try Array(bytes[start..<min(bytes.count, start + piece)]).span.withUnsafeBytes { (raw) throws(Failure) in
                    try scanner.take(raw) { passed += $0 }
                }
            }
            try scanner.finish()
        } catch { return nil }
        return (String(decoding: passed, as: UTF8.self), scanner)
    }

    static let pieces = [1, 2, 3, 7, 1 << 20]

    static let harmless = #"""
        --
        -- PostgreSQL database dump
        --
        SET standard_conforming_strings = on;
        CREATE FUNCTION f(text) RETURNS boolean LANGUAGE sql AS $_$ SELECT $1 ~ '\d' $_$;
        CREATE FUNCTION g() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END;
        /* a \! comment /* nested \! */ still */
        COMMENT ON TABLE x IS 'back\slash ''quoted'' \! not a command';
        SELECT E'it''s \' \\! still a text', "na\!me";
        COPY public."odd ""na;me" (a, b) FROM stdin;
        1	\\! echo \N
        \\.x	2
        \.


        COPY public.empty (a) FROM stdin;
        \.


        --
        -- PostgreSQL database dump complete
        --


        """#

    @Test(arguments: pieces) func anOrdinaryDumpPassesUnchanged(piece: Int) throws {
        let found = try #require(scan(Self.harmless, piece: piece))
        #expect(found.passed == Self.harmless)
        #expect(found.scanner.rows[Array(#"public."odd ""na;me""#.utf8)] == 2)
        #expect(found.scanner.rows[Array("public.empty".utf8)] == 0 && found.scanner.rows.count == 2)
        #expect(found.scanner.isComplete)
    }

    @Test(arguments: pieces) func theFrameOfNewDumpsIsTakenOut(piece: Int) throws {
        let found = try #require(
            scan("--\n\\restrict aB3\n\nSELECT 1;\n-- PostgreSQL database dump complete\n\n\\unrestrict aB3\n\n", piece: piece))
        #expect(found.passed == "--\n\nSELECT 1;\n-- PostgreSQL database dump complete\n\n\n")
        #expect(found.scanner.isComplete)
    }

    @Test(arguments: [
        "\\! id\n", "SELECT 1 \\! id\n", "SELECT 1;\\! id\n", "\\restrict a\\! id\n", "\\restrict a b\n", "\\unrestrict $(id)\n",
        "SELECT 1\n\\restrict a\n;\n", "SELECT '' \\gexec\n", "COPY t (a) FROM stdin;\n\\.\n\\! id\n",
        "COPY t (a) FROM stdin; \\! id\n", "COPY t FROM stdin WITH (FORMAT csv);\n\\! id\n\\.\n", "COPY t FROM PROGRAM 'id';\n",
        "COPY t (a) FROM stdin;\n\\.\r\n\\! id\n", "SELECT $a$ ' $a$ \\! id '\n", "SELECT 1$a$ ' $a$ \\! id '\n",
        "SELECT $1$ \\! id $1$\n", "SELECT E'\\' ' \\! id '\n", "SELECT E'a'\n'\\' ' \\! id '\n", "/* /* */ */ \\! id\n",
        "SELECT 1 -- '\n\\! id '\n", "SET standard_conforming_strings = off;\nSELECT '\\' \\! id '\n",
        "CREATE FUNCTION f() BEGIN ATOMIC COPY t (a) FROM stdin;\n\\! id\n\\.\n", "SELECT (1; COPY t (a) FROM stdin;\n\\! id\n",
        "/**/COPY t (a) FROM stdin WITH CSV;\n", "COPY\"\u{301}t\" FROM PROGRAM 'id';\n", "COPY/**/t FROM PROGRAM 'id';\n",
        "SET \"standard_conforming_strings\" = off;\n", "SET standard_conforming_strings='\u{301}off';\n", "SELECT 1\0\\! id\n",
    ]) func aCommandToPsqlIsRefused(text: String) {
        for piece in Self.pieces { #expect(scan(text, piece: piece) == nil, "\(text)") }
    }

    @Test(arguments: pieces) func tablesAreToldApartByTheirBytes(piece: Int) throws {
        let names = ["\"\u{301}t\"", "\"\u{600}\"\"\u{301}\"", "\"\u{e9}\"", "\"e\u{301}\"", "\"a\r\nb\""]
        let found = try #require(scan(names.map { "COPY \($0) (a) FROM stdin;\n1\n\\.\n" }.joined(), piece: piece))
        #expect(found.scanner.rows.count == names.count)
        for name in names { #expect(found.scanner.rows[Array(name.utf8)] == 1, "\(name)") }
    }

    @Test func aDumpThatEndsTooEarlyIsRefused() {
        for text in ["COPY t (a) FROM stdin;\n1\n", "SELECT 'a", "SELECT $a$ b", "\\restrict ab"] {
            #expect(scan(text, piece: 5) == nil, "\(text)")
        }
        #expect(scan("SELECT 1;\n", piece: 5)?.scanner.isComplete == false)
        #expect(scan("-- PostgreSQL database dump complete\nSELECT 1;\n", piece: 5)?.scanner.isComplete == false)
    }
}
