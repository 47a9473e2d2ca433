/// Statements of a script, told apart well enough to know how a script must be sent: by the rules of Postgres for quotes, dollar
/// quotes and comments. What statements mean is the server's business.
struct SQLStatements {
    /// What a statement consists of, beside texts, numbers' signs and comments.
    enum Piece: Sendable, Hashable {
        /// A word or a number in upper case.
        case word(String)
        /// A name between double quotes, without them.
        case quoted(String)
        /// A point, a comma or a parenthesis.
        case mark(UInt8)
        /// A text.
        case text([UInt8])
    }

    /// The pieces of each statement.
    private(set) var pieces: [[Piece]] = []
    /// The words of each statement in upper case, without what is quoted or commented.
    private(set) var words: [[String]] = []

    private var scalars: [UInt8]
    private var index = 0
    private var word: [UInt8] = []
    private var statement: [Piece] = []

    init(_ text: [UInt8]) {
        scalars = text
        while index < scalars.count { step() }
        endWord()
        endStatement()
    }

    /// The words of the statements that the server is sent: without those in the body of a function (`BEGIN ATOMIC … END`).
    private var sent: [[String]] {
        var isInside = false
        return words.filter { statement in
            if isInside {
                isInside = statement[0] != "END"
                return false
            }
            // One without a statement in it ends at once.
            let body = statement.firstRange(of: ["BEGIN", "ATOMIC"]).map { statement[$0.upperBound...] }
            isInside = body.map { $0 != ["END"] } ?? false
            return true
        }
    }

    /// Whether a script begins or ends transactions itself.
    var handlesTransactions: Bool {
        sent.contains {
            SQLStatements.begins($0) || ["COMMIT", "ROLLBACK", "ABORT", "END", "SAVEPOINT"].contains($0[0])
                || $0.starts(with: ["PREPARE", "TRANSACTION"])
        }
    }

    /// Whether a script is one transaction that it begins and commits itself.
    var isOneTransaction: Bool {
        guard let first = sent.first, let last = sent.last else { return true }
        let inner = sent.dropFirst().dropLast()
        return SQLStatements.begins(first) && ["COMMIT", "END"].contains(last[0]) && !last.contains("CHAIN")
            && !inner.contains { SQLStatements.begins($0) || ["COMMIT", "END", "ROLLBACK", "ABORT"].contains($0[0]) }
    }

    private static func begins(_ statement: [String]) -> Bool {
        statement[0] == "BEGIN" || statement.starts(with: ["START", "TRANSACTION"])
    }

    /// The statement that begins the transaction which the script leaves open; nil where it leaves none.
    var leftOpen: String? {
        var open: String?
        for statement in sent {
            if SQLStatements.begins(statement) {
                open = open ?? statement.joined(separator: " ")
            } else if ["COMMIT", "END", "ROLLBACK", "ABORT"].contains(statement[0]), !statement.contains("TO"),
                !statement.contains("PREPARED")
            {
                let isNext = statement.contains("CHAIN") && !statement.contains("NO")
                open = isNext ? statement.joined(separator: " ") : nil
            }
        }
        return open
    }

    /// A statement that ends a transaction so that what stands before it is not done, or not done yet; nil where there is none.
    var givesUp: String? {
        sent.first {
            $0[0] == "ABORT" || $0[0] == "ROLLBACK" && !$0.contains("TO") && $0.count < 4
                || $0.starts(with: ["PREPARE", "TRANSACTION"])
        }?.joined(separator: " ")
    }

    /// Whether a script is one statement that the server refuses inside a transaction.
    var standsAlone: Bool {
        guard words.count == 1, let only = words.first else { return false }
        if only[0] == "VACUUM" || only.starts(with: ["ALTER", "SYSTEM"]) { return true }
        if ["CREATE", "DROP"].contains(only[0]), only.count > 1, ["DATABASE", "TABLESPACE"].contains(only[1]) { return true }
        return only.contains("CONCURRENTLY") && !only.starts(with: ["REFRESH"])
    }

    /// Whether everything that may wait for a lock does so without keeping readers and writers waiting behind it.
    var blocksNobody: Bool {
        let harmless = words.filter { statement in
            !["SET", "BEGIN", "COMMIT", "UPDATE", "INSERT", "DELETE", "SELECT"].contains(statement[0])
        }
        return !harmless.isEmpty
            && harmless.allSatisfy { $0.contains("CONCURRENTLY") && $0.contains("INDEX") && $0[0] != "ALTER" }
    }

    private func byte(_ offset: Int = 0) -> UInt8? { index + offset < scalars.count ? scalars[index + offset] : nil }

    private mutating func step() {
        guard let byte = byte() else { return }
        switch byte {
        case UInt8(ascii: "'"):
            // A text whose word before is E has escapes; in all others a backslash is itself.
            skipQuoted(byte, hasEscapes: word == [UInt8(ascii: "E")])
        case UInt8(ascii: "\""): skipQuoted(byte, hasEscapes: false)
        case UInt8(ascii: "-") where self.byte(1) == byte: skipLine()
        case UInt8(ascii: "/") where self.byte(1) == UInt8(ascii: "*"): skipComment()
        case UInt8(ascii: "$") where word.isEmpty: skipDollarQuoted()
        case UInt8(ascii: ";"):
            endWord()
            endStatement()
            index += 1
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"), 0x30...0x39,
            0x80...:
            word.append((0x61...0x7A).contains(byte) ? byte - 0x20 : byte)
            index += 1
        case UInt8(ascii: "."), UInt8(ascii: ","), UInt8(ascii: "("), UInt8(ascii: ")"):
            endWord()
            statement.append(.mark(byte))
            index += 1
        default:
            endWord()
            index += 1
        }
    }

    private mutating func endWord() {
        if !word.isEmpty { statement.append(.word(String(decoding: word, as: UTF8.self))) }
        word = []
    }

    private mutating func endStatement() {
        let plain = statement.compactMap { piece -> String? in
            if case .word(let word) = piece { word } else { nil }
        }
        if !plain.isEmpty {
            words.append(plain)
            pieces.append(statement)
        }
        statement = []
    }

    private mutating func skipQuoted(_ quote: UInt8, hasEscapes: Bool) {
        endWord()
        index += 1
        var content: [UInt8] = []
        while let byte = byte() {
            index += 1
            if hasEscapes, byte == UInt8(ascii: "\\") {
                index += 1
            } else if byte == quote {
                // Doubled it stands for itself.
                guard self.byte() == quote else { break }
                index += 1
            }
            content.append(byte)
        }
        statement.append(quote == UInt8(ascii: "'") ? .text(content) : .quoted(String(decoding: content, as: UTF8.self)))
    }

    private mutating func skip(to end: [UInt8]) {
        endWord()
        while index < scalars.count, !scalars[index...].starts(with: end) { index += 1 }
        index += end.count
    }

    /// A carriage return alone ends a line too.
    private mutating func skipLine() {
        endWord()
        while let byte = byte(), byte != 0x0A, byte != 0x0D { index += 1 }
    }

    private mutating func skipComment() {
        endWord()
        var depth = 0
        while index < scalars.count {
            if scalars[index...].starts(with: [0x2F, 0x2A]) {
                depth += 1
                index += 2
            } else if scalars[index...].starts(with: [0x2A, 0x2F]) {
                depth -= 1
                index += 2
                if depth == 0 { return }
            } else {
                index += 1
            }
        }
    }

    private mutating func skipDollarQuoted() {
        var end = index + 1
        while end < scalars.count, scalars[end] != UInt8(ascii: "$") {
            let isTag =
                scalars[end] == 0x5F || scalars[end] >= 0x80 || (0x61...0x7A).contains(scalars[end] | 0x20)
                || (end > index + 1 && (0x30...0x39).contains(scalars[end]))
            guard isTag else {
                index += 1
                return
            }
            end += 1
        }
        guard end < scalars.count else {
            index += 1
            return
        }
        let tag = Array(scalars[index...end])
        index = end + 1
        skip(to: tag)
    }
}
