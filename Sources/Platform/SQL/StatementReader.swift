public import SerinMigrations
internal import SerinModel

/// Reads SQL into values that say what each statement does.
public struct StatementReader: Sendable {
    private let limits: SQLLimits

    /// A reader with limits.
    public init(limits: SQLLimits = SQLLimits()) { self.limits = limits }

    /// Reads the texts of revisions.
    ///
    /// - Parameters:
    ///   - scripts: In the order in which they are applied.
    ///   - applied: How many of the first are applied already.
    ///   - version: The server's major version: what only newer servers know is read when it knows it.
    public func read(_ scripts: [MigrationScript], applied: Int = 0, version: Int) async -> [ReadRevision] {
        var revisions: [ReadRevision] = []
        for (index, script) in scripts.enumerated() {
            revisions.append(
                ReadRevision(
                    script: script, up: await read(script.up, version), down: await read(script.down, version),
                    isApplied: index < applied))
        }
        return revisions
    }

    private func read(_ side: MigrationSide, _ version: Int) async -> StatementList? {
        switch side {
        case .text(let text): await statements(of: text.sql, version: version)
        case .missing, .unavailable: nil
        }
    }

    /// The statements of a text. What cannot be read is a statement as well, that says why.
    public func statements(of sql: [UInt8], version: Int) async -> StatementList {
        if let complaint = complaint(sql) {
            return StatementList(statements: [SQLStatement(line: 1, column: 1, text: "", actions: [.unparsable(complaint)])])
        }
        let limits = limits
        let list = await DeepThread.shared.run(stack: limits.stack) { StatementReading(sql, limits, version).list() }
        return list
            ?? StatementList(statements: [
                SQLStatement(line: 1, column: 1, text: "", actions: [.unparsable("the system has no room for the parser")])
            ])
    }

    private func complaint(_ sql: [UInt8]) -> String? {
        if sql.count > limits.bytes { return "the text is longer than \(limits.bytes >> 20) MiB" }
        if sql.contains(0) { return "the text holds a NUL byte" }
        // The encoding is the only thing that is asked; the text itself is read as bytes.
        if String(validating: sql, as: UTF8.self) == nil { return "the text is not UTF-8" }
        return nil
    }
}

/// One text while it is read.
private struct StatementReading {
    private let bytes: [UInt8]
    private let version: Int
    private let parser: SQLParser
    private let limits: SQLLimits

    init(_ bytes: [UInt8], _ limits: SQLLimits, _ version: Int) {
        // A mark of the encoding is no SQL; it is cut here and nowhere counted.
        self.bytes = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(bytes.dropFirst(3)) : bytes
        self.version = version
        self.limits = limits
        parser = SQLParser(limits: limits)
    }

    func list() -> StatementList {
        var scanner = SQLScanner(bytes)
        scanner.isFollowedByRows = followedByRows
        scanner.scan()
        var list = StatementList(statements: scanner.pieces.map(statement), comments: scanner.rest.map(comment))
        if let hidden = hidden(scanner, list) { list.statements.append(hidden) }
        return list
    }

    /// Whether a statement is `COPY … FROM STDIN`.
    private func followedByRows(_ sql: ArraySlice<UInt8>) -> Bool {
        // What the parser refuses is followed by whatever it looks like.
        guard let trees = try? parser.trees(of: sql), trees.count == 1, let copy = trees[0].body(of: "CopyStmt") else {
            return false
        }
        return copy.flag("is_from") && copy["filename"] == nil && !copy.flag("is_program")
    }

    /// A statement that says that the parser, given the whole text, finds others than were found one by one; nil when it agrees, or
    /// when a part was refused and said so itself.
    private func hidden(_ scanner: SQLScanner, _ list: StatementList) -> SQLStatement? {
        guard bytes.count <= limits.whole, !list.statements.contains(where: \.isRefused) else { return nil }
        var text = bytes
        for range in scanner.skipped + scanner.pieces.filter(\.isMetaCommand).map(\.range) {
            for index in range { text[index] = 0x20 }
        }
        var found = 0
        for piece in scanner.pieces where !piece.isMetaCommand {
            // Only what was given other words is refused here.
            guard let count = parser.count(of: Array(bytes[piece.range])) else { return nil }
            found += count
        }
        let whole = parser.count(of: text)
        guard whole != found else { return nil }
        return SQLStatement(
            line: 1, column: 1, text: "",
            actions: [
                .unparsable(
                    "the text has \(whole.map { "\($0)" } ?? "an unknown number of") statements as a whole, and \(found) one by one"
                )
            ])
    }

    private func comment(_ comment: SQLScanner.Comment) -> SQLComment {
        SQLComment(line: comment.line, column: comment.column, text: comment.text)
    }

    private func statement(_ piece: SQLScanner.Piece) -> SQLStatement {
        let text = String(decoding: bytes[piece.range].prefix(1600), as: UTF8.self)
        return SQLStatement(
            line: piece.line, column: piece.column, text: text.count > 400 ? text.prefix(400) + "…" : text,
            actions: actions(piece),
            comments: piece.comments.map(comment))
    }

    private func actions(_ piece: SQLScanner.Piece) -> [StatementAction] {
        let sql = bytes[piece.range]
        if piece.isMetaCommand { return [.metaCommand(String(decoding: sql.prefix(80).prefix { $0 != 0x20 }, as: UTF8.self))] }
        do throws(SQLParseError) {
            return try parser.trees(of: sql).flatMap { StatementTranslation.actions(of: $0) }
        } catch {
            // A second failure says no more than the first.
            if version >= 18, let older = NotNullConstraint.asCheck(sql), let actions = try? parsed(older) { return actions }
            return [.unparsable(error.message + place(error.position, in: piece))]
        }
    }

    private func parsed(_ sql: [UInt8]) throws(SQLParseError) -> [StatementAction] {
        try parser.trees(of: sql[...]).flatMap { StatementTranslation.actions(of: $0) }
    }

    /// Where the parser stopped, in lines and columns of the whole text.
    private func place(_ position: Int?, in piece: SQLScanner.Piece) -> String {
        guard let position else { return "" }
        let before = String(decoding: bytes[piece.range], as: UTF8.self).unicodeScalars.prefix(max(0, position - 1))
        let lines = before.count { $0 == "\n" }
        let column = before.reversed().prefix { $0 != "\n" }.count
        return lines == 0
            ? " (line \(piece.line), column \(piece.column + column))" : " (line \(piece.line + lines), column \(column + 1))"
    }
}

/// `ADD CONSTRAINT name NOT NULL column [NOT VALID]`, which Postgres has from version 18 and the parser does not know yet: read as the
/// check that it stands for, which takes the same locks and reads the same rows.
enum NotNullConstraint {
    static func asCheck(_ sql: ArraySlice<UInt8>) -> [UInt8]? {
        let words = String(decoding: sql, as: UTF8.self).split(whereSeparator: \.isWhitespace).map(String.init)
        let upper = words.map { $0.uppercased() }
        guard let add = upper.indices.dropLast(5).first(where: { upper[$0] == "ADD" && upper[$0 + 1] == "CONSTRAINT" }),
            upper[add + 3] == "NOT", upper[add + 4] == "NULL", upper[..<add].starts(with: ["ALTER", "TABLE"])
        else { return nil }
        let rest = words[(add + 6)...]
        guard rest.isEmpty || upper[(add + 6)...].elementsEqual(["NOT", "VALID"]) else { return nil }
        let check = words[...(add + 2)] + ["CHECK", "(", words[add + 5], "IS NOT NULL", ")"] + rest
        return Array(check.joined(separator: " ").utf8)
    }
}

extension SQLStatement {
    /// Whether the parser refused it.
    fileprivate var isRefused: Bool {
        actions.contains {
            if case .unparsable = $0 { return true }
            return false
        }
    }
}
