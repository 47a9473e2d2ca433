/// Cuts a text of SQL into statements by Postgres' lexical rules (PostgreSQL documentation, 4.1), without understanding them: what
/// the parser refuses must not hide what stands around it.
struct SQLScanner {
    /// A statement, a command of psql, or nothing but comments.
    struct Piece {
        /// The bytes from the first word to before the semicolon.
        var range: Range<Int>
        var line: Int
        var column: Int
        var endLine: Int
        var isMetaCommand = false
        var comments: [Comment] = []
    }

    struct Comment {
        var line: Int
        var column: Int
        var text: String
    }

    private let bytes: [UInt8]
    private var position = 0
    private var line = 1
    private var lineStart = 0
    private(set) var pieces: [Piece] = []
    /// Comments behind the last statement.
    private(set) var rest: [Comment] = []
    private var pending: [Comment] = []
    /// A word that is looked for, in capitals, and whether it was seen.
    var watched: String?
    private(set) var sawWatched = false
    /// The short words that were seen, in capitals, and what stands before a parenthesis, in small letters with its schema.
    private(set) var seen: Set<String> = []
    private(set) var called: Set<String> = []
    /// Whether a statement is followed by rows, as `COPY … FROM STDIN` is. The parser knows.
    var isFollowedByRows: (ArraySlice<UInt8>) -> Bool = { _ in false }
    /// The rows that were skipped.
    private(set) var skipped: [Range<Int>] = []
    // The statement that is being read.
    private var start: (offset: Int, line: Int, column: Int)?
    private var depth = 0
    /// Its first words, in capitals, and the last one.
    private var words: [String] = []
    private var last = ""
    /// How many blocks of `BEGIN ATOMIC` are open.
    private var blocks = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Cuts the whole text.
    mutating func scan() {
        while position < bytes.count { step() }
        end(at: bytes.count)
        rest = pending
    }

    private func byte(_ ahead: Int = 0) -> UInt8? { position + ahead < bytes.count ? bytes[position + ahead] : nil }

    private mutating func step() {
        let byte = bytes[position]
        switch byte {
        case 0x0A: newLine()
        case 0x20, 0x09, 0x0D, 0x0C, 0x0B: position += 1
        case 0x2D where self.byte(1) == 0x2D: lineComment()
        case 0x2F where self.byte(1) == 0x2A: blockComment()
        case 0x3B:
            if depth == 0, blocks == 0 {
                end(at: position)
                position += 1
                skipCopiedRows()
            } else {
                position += 1
            }
        case 0x5C: metaCommand()
        default:
            begin()
            token(byte)
        }
    }

    private mutating func token(_ byte: UInt8) {
        switch byte {
        case 0x27: string(isEscaped: false)
        case 0x22: quoted(by: 0x22)
        case 0x24: dollar()
        case 0x28, 0x5B:
            depth += 1
            position += 1
        case 0x29, 0x5D:
            depth = max(0, depth - 1)
            position += 1
        case let byte where Self.startsWord(byte): word()
        case 0x30...0x39: number()
        default: position += 1
        }
    }

    private mutating func newLine() {
        position += 1
        line += 1
        lineStart = position
    }

    /// The column of a place on this line, in characters from 1.
    private func column(_ offset: Int) -> Int { 1 + bytes[lineStart..<offset].count { $0 & 0xC0 != 0x80 } }

    private mutating func begin() {
        guard start == nil else { return }
        start = (position, line, column(position))
        words = []
    }

    private mutating func end(at offset: Int) {
        defer {
            start = nil
            depth = 0
            blocks = 0
        }
        guard let start else { return }
        var last = offset
        while last > start.offset, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[last - 1]) { last -= 1 }
        pieces.append(
            Piece(range: start.offset..<last, line: start.line, column: start.column, endLine: line, comments: pending))
        pending = []
    }

    // MARK: Comments

    private mutating func note(_ range: Range<Int>, line: Int, column: Int) {
        let text = String(decoding: bytes[range], as: UTF8.self)
        let comment = Comment(line: line, column: column, text: text.trimmingSpaces)
        // Behind a statement on its last line it is about that one.
        if start == nil, let last = pieces.indices.last, pieces[last].endLine == line, pending.isEmpty {
            pieces[last].comments.append(comment)
        } else {
            pending.append(comment)
        }
    }

    private mutating func lineComment() {
        let column = column(position)
        let first = position + 2
        // A carriage return alone ends it too.
        while position < bytes.count, bytes[position] != 0x0A, bytes[position] != 0x0D { position += 1 }
        note(first..<max(first, position), line: line, column: column)
    }

    private mutating func blockComment() {
        let (startLine, startColumn, first) = (line, column(position), position + 2)
        var level = 0
        repeat {
            if byte() == 0x2F, byte(1) == 0x2A {
                level += 1
                position += 2
            } else if byte() == 0x2A, byte(1) == 0x2F {
                level -= 1
                position += 2
            } else if byte() == 0x0A {
                newLine()
            } else {
                position += 1
            }
        } while level > 0 && position < bytes.count
        position = min(position, bytes.count)
        guard level == 0 else {
            // Left open: the parser is to say so.
            if start == nil { start = (first - 2, startLine, startColumn) }
            return
        }
        note(first..<max(first, position - 2), line: startLine, column: startColumn)
    }

    // MARK: Quotes

    private mutating func string(isEscaped: Bool) {
        position += 1
        while let byte = byte() {
            if byte == 0x0A {
                newLine()
            } else if isEscaped, byte == 0x5C, self.byte(1) != 0x0A {
                position += 2
            } else {
                position += 1
                if byte == 0x27 {
                    guard self.byte() == 0x27 else { return }
                    position += 1
                }
            }
        }
        position = min(position, bytes.count)
    }

    private mutating func quoted(by mark: UInt8) {
        let first = position
        position += 1
        while let byte = byte() {
            if byte == 0x0A { newLine() } else { position += 1 }
            if byte == mark {
                guard self.byte() == mark else { return noteCall(first) }
                position += 1
            }
        }
    }

    private mutating func dollar() {
        var tagEnd = position + 1
        if tagEnd < bytes.count, !(0x30...0x39).contains(bytes[tagEnd]) {
            while tagEnd < bytes.count, Self.isInWord(bytes[tagEnd]), bytes[tagEnd] != 0x24 { tagEnd += 1 }
        }
        guard tagEnd < bytes.count, bytes[tagEnd] == 0x24 else {
            position += 1
            return
        }
        let tag = bytes[position...tagEnd]
        position = tagEnd + 1
        while let byte = byte() {
            if byte == 0x24, bytes[position...].starts(with: tag) {
                position += tag.count
                return
            }
            if byte == 0x0A { newLine() } else { position += 1 }
        }
    }

    // MARK: Words

    static func startsWord(_ byte: UInt8) -> Bool {
        (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || byte == 0x5F || byte >= 0x80
    }

    static func isInWord(_ byte: UInt8) -> Bool { startsWord(byte) || (0x30...0x39).contains(byte) || byte == 0x24 }

    private mutating func number() {
        while let byte = byte(), Self.isInWord(byte) || byte == 0x2E { position += 1 }
    }

    private mutating func word() {
        let first = position
        while let byte = byte(), Self.isInWord(byte) { position += 1 }
        // E'…' has escapes.
        if position - first == 1, bytes[first] | 0x20 == 0x65, byte() == 0x27 { return string(isEscaped: true) }
        noteCall(first)
        guard position - first <= 16 else { return }
        let word = String(decoding: bytes[first..<position], as: UTF8.self).uppercased()
        if word == watched { sawWatched = true }
        seen.insert(word)
        track(word)
        if words.count < 64 { words.append(word) }
        last = word
    }

    /// A word before a parenthesis, which may be a function.
    private mutating func noteCall(_ first: Int) {
        var look = position
        while look < bytes.count, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[look]) { look += 1 }
        guard look < bytes.count, bytes[look] == 0x28 else { return }
        let name = String(decoding: bytes[first..<position], as: UTF8.self).lowercased()
        called.insert(first > 0 && bytes[first - 1] == 0x2E ? "." + name : name)
    }

    /// `CREATE FUNCTION … BEGIN ATOMIC …; …; END`: its semicolons end no statement.
    private mutating func track(_ word: String) {
        if blocks == 0 {
            if word == "ATOMIC", last == "BEGIN", words.first == "CREATE" { blocks = 1 }
        } else if word == "CASE" || word == "BEGIN" {
            blocks += 1
        } else if word == "END" {
            blocks -= 1
        }
    }

    // MARK: psql

    /// A backslash outside quotes is a command of psql, to the end of the line.
    private mutating func metaCommand() {
        end(at: position)
        let (first, startLine, startColumn) = (position, line, column(position))
        while position < bytes.count, bytes[position] != 0x0A, bytes[position] != 0x0D { position += 1 }
        pieces.append(
            Piece(
                range: first..<position, line: startLine, column: startColumn, endLine: startLine, isMetaCommand: true,
                comments: pending))
        pending = []
    }

    /// The rows behind `COPY … FROM STDIN;`, up to `\.` on a line of its own.
    private mutating func skipCopiedRows() {
        guard words.first == "COPY", let copy = pieces.last, isFollowedByRows(bytes[copy.range]) else { return }
        words = []
        let first = position
        var look = position
        var breaks: [Int] = []
        while look < bytes.count {
            guard let next = bytes[look...].firstIndex(of: 0x0A) else { break }
            breaks.append(next)
            look = next + 1
            if bytes[look...].starts(with: [0x5C, 0x2E]) {
                line += breaks.count
                lineStart = look
                position = look + 2
                skipped.append(first..<position)
                return
            }
        }
    }
}

extension String {
    /// Without white space at both ends.
    var trimmingSpaces: String {
        var rest = drop { $0.isWhitespace }
        while let last = rest.last, last.isWhitespace { rest.removeLast() }
        return String(rest)
    }
}
