/// What a script drops by name, read well enough to hold it against a schema: so that a way back does not destroy what was there
/// before its way forward. What is dropped in other ways is seen afterwards.
struct DroppedObjects {
    /// One thing that is dropped.
    private struct Drop {
        /// The word that begins the lines of such things in a `SchemaSnapshot`.
        var kind: String
        /// The name in parts, perhaps with its schema; of a column the table's and its own.
        var name: [String]
        /// Whether rows go with it, which making it anew does not bring back.
        var holdsRows: Bool
        /// The statement.
        var place: Int
    }

    private let statements: [[SQLStatements.Piece]]
    private var drops: [Drop] = []

    init(_ sql: [UInt8]) {
        statements = SQLStatements(sql).pieces
        for (place, pieces) in statements.enumerated() {
            var reading = SQLStatements.Reading(pieces[...])
            if reading.takes("DROP") {
                readDrop(&reading, place)
            } else if reading.takes("ALTER"), reading.takes("TABLE") {
                readTable(&reading, place)
            }
        }
    }

    /// The first thing that is dropped, that stands in both schemas, and that the script does not put back, in words.
    func first(standingIn earlier: SchemaSnapshot, and present: SchemaSnapshot) -> String? {
        for drop in drops where !isPutBack(drop) {
            let here = present.names(of: drop.kind, like: drop.name)
            let before = earlier.names(of: drop.kind, like: drop.name)
            // Of several functions of a name nobody can tell which one is meant.
            if drop.kind == "function", here.count > before.count { continue }
            if drop.kind == "schema", drop.name == ["public"] { return "schema public" }
            if before.contains(where: here.contains) { return "\(drop.kind) \(drop.name.joined(separator: "."))" }
        }
        return nil
    }

    /// Whether a later statement gives something else that name, or makes anew what holds no rows.
    private func isPutBack(_ drop: Drop) -> Bool {
        guard let name = drop.name.last else { return false }
        return statements.dropFirst(drop.place).contains { pieces in
            let names = pieces.map(\.name)
            let isMade = names.first == "create" && !drop.holdsRows
            let isRenamed = zip(names, names.dropFirst()).contains { $0 == "to" && $1 == name }
            return isMade && names.contains(name) || names.first == "alter" && names.contains("rename") && isRenamed
        }
    }

    private mutating func readDrop(_ reading: inout SQLStatements.Reading, _ place: Int) {
        let kinds: [(String, String)] = [
            ("TABLE", "table"), ("VIEW", "table"), ("INDEX", "index"), ("SEQUENCE", "sequence"), ("TYPE", "type"),
            ("DOMAIN", "type"), ("FUNCTION", "function"), ("PROCEDURE", "function"), ("AGGREGATE", "function"),
            ("ROUTINE", "function"), ("SCHEMA", "schema"), ("EXTENSION", "extension"),
        ]
        while reading.takes("MATERIALIZED") || reading.takes("FOREIGN") {}
        let isView = reading.rest.first == .word("VIEW")
        guard let kind = kinds.first(where: { reading.takes($0.0) })?.1 else { return }
        let holdsRows = !isView && ["table", "schema"].contains(kind)
        while reading.takes("CONCURRENTLY") || reading.takes("IF") || reading.takes("EXISTS") {}
        repeat {
            let name = reading.takeName()
            guard !name.isEmpty else { return }
            drops.append(Drop(kind: kind, name: name, holdsRows: holdsRows, place: place))
            reading.skipParentheses()
        } while reading.takesComma()
    }

    private mutating func readTable(_ reading: inout SQLStatements.Reading, _ place: Int) {
        while reading.takes("IF") || reading.takes("EXISTS") || reading.takes("ONLY") {}
        let table = reading.takeName()
        repeat {
            if reading.takes("DROP"), !reading.takes("CONSTRAINT") {
                while reading.takes("COLUMN") || reading.takes("IF") || reading.takes("EXISTS") {}
                let column = reading.takeName()
                if column.count == 1 { drops.append(Drop(kind: "column", name: table + column, holdsRows: true, place: place)) }
            }
        } while reading.skipsBehindComma()
    }

}

extension SQLStatements {
    /// A statement while it is read.
    struct Reading {
        private(set) var rest: ArraySlice<SQLStatements.Piece>

        init(_ pieces: ArraySlice<SQLStatements.Piece>) { rest = pieces }

        mutating func takes(_ word: String) -> Bool { takes(.word(word)) }

        mutating func takesComma() -> Bool { takes(.mark(UInt8(ascii: ","))) }

        private mutating func takes(_ piece: SQLStatements.Piece) -> Bool {
            guard rest.first == piece else { return false }
            rest.removeFirst()
            return true
        }

        mutating func takeName() -> [String] {
            var parts: [String] = []
            repeat {
                guard let part = rest.first?.name else { return parts }
                parts.append(part)
                rest.removeFirst()
            } while takes(.mark(UInt8(ascii: ".")))
            return parts
        }

        mutating func skipParentheses() {
            var depth = 0
            while let piece = rest.first {
                if piece == .mark(UInt8(ascii: "(")) { depth += 1 }
                guard depth > 0 else { return }
                if piece == .mark(UInt8(ascii: ")")) { depth -= 1 }
                rest.removeFirst()
            }
        }

        /// Goes on behind the next comma that stands in no parentheses; false when there is none.
        mutating func skipsBehindComma() -> Bool {
            while !rest.isEmpty {
                if takesComma() { return true }
                if rest.first == .mark(UInt8(ascii: "(")) { skipParentheses() } else { rest.removeFirst() }
            }
            return false
        }
    }
}

extension SQLStatements.Piece {
    /// The name that it may be, as the server reads it; nil when it is none.
    var name: String? {
        switch self {
        case .word(let word): word.lowercased()
        case .quoted(let name): name
        case .mark, .text: nil
        }
    }
}

extension SchemaSnapshot {
    /// The things of a kind that a name may mean, as their lines name them: without a schema those of all schemas.
    fileprivate func names(of kind: String, like name: [String]) -> [[String]] {
        lines.compactMap { line in
            guard line.hasPrefix(kind), let next = line.dropFirst(kind.count).first, next == " " || next == "\t" else {
                return nil
            }
            let parts = SchemaSnapshot.parts(of: line.dropFirst(kind.count + 1))
            return parts.suffix(name.count) == name[...] ? parts : nil
        }
    }

    /// The parts of the name that a text begins with, without their quotes; the arguments of a function behind them.
    private static func parts(of text: Substring) -> [String] {
        var parts = [""]
        var isQuoted = false
        var rest = text[...]
        while let character = rest.popFirst() {
            switch character {
            case "\"" where isQuoted && rest.first == "\"":
                rest.removeFirst()
                parts[parts.count - 1].append("\"")
            case "\"": isQuoted.toggle()
            case "." where !isQuoted: parts.append("")
            case " " where !isQuoted, "\t" where !isQuoted, "(" where !isQuoted: return parts
            default: parts[parts.count - 1].append(character)
            }
        }
        return parts
    }
}
