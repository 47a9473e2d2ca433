internal import SerinModel

/// Reads SQL text as `psql` reads it, one piece after another, and lets through only what cannot command `psql` itself.
///
/// A dump in text form may hold `psql`'s own commands, which begin with a backslash and can run programs. Outside quotes, comments
/// and the data of `COPY` none is let through. The pair `\restrict` and `\unrestrict` with which newer versions of `pg_dump` frame
/// a dump is taken out, so that the whole can be framed anew. Where `psql` and this scanner could read a text differently, and
/// `pg_dump` never writes such a text, it is refused. On the way the rows of each `COPY` are counted.
struct DumpScanner {
    /// Rows seen in the data of `COPY`, by the bytes of the table's name as it is written there.
    private(set) var rows: [[UInt8]: Int64] = [:]
    /// Whether the last words were those that end a dump.
    private(set) var isComplete = false

    private enum State: Hashable {
        case text
        case lineComment
        case blockComment(depth: Int)
        case quoted(byEscapes: Bool)
        case identifier
        case dollarQuoted
        /// What follows the end of `COPY … FROM stdin` on its line.
        case copyStart
        /// The beginning of a line of data.
        case copyLine
        case copyRest
        /// A line of data that begins with a backslash, held back until it is known.
        case copyHeld
        /// A line that begins with a backslash, held back until it is known.
        case command
    }

    private var state = State.text
    private var statement = SQLStatement()
    private var tag: [UInt8] = []
    private var window: [UInt8] = []
    private var held: [UInt8] = []
    private var last: UInt8 = 0x0A
    private var beforeLast: UInt8 = 0x0A
    private var hasEscapesBefore = false
    private var table: [UInt8] = []
    private var comment: [UInt8] = []
    private var line = 1

    /// Takes the next bytes and gives what may pass.
    ///
    /// - Throws: `denied` at the first thing that may not.
    mutating func take(_ bytes: UnsafeRawBufferPointer, _ pass: (UnsafeRawBufferPointer) throws(Failure) -> Void) throws(Failure)
    {
        var start = 0
        var index = 0
        while index < bytes.count {
            switch state {
            case .copyRest: index = try skipRow(bytes, from: index)
            case .copyHeld, .command:
                if start < index { try pass(UnsafeRawBufferPointer(rebasing: bytes[start..<index])) }
                held.append(bytes[index])
                index += 1
                start = index
                let isOver = state == .command ? try judgeCommand() : try judgeData()
                if isOver {
                    try held.span.withUnsafeBytes { (raw) throws(Failure) in try pass(raw) }
                    held = []
                }
            case .copyLine:
                if bytes[index] == 0x5C { state = .copyHeld } else { state = .copyRest }
            case .text, .lineComment, .blockComment, .quoted, .identifier, .dollarQuoted, .copyStart:
                if state == .text, bytes[index] == 0x5C {
                    state = .command
                } else {
                    try step(bytes[index])
                    index += 1
                }
            }
        }
        if start < index { try pass(UnsafeRawBufferPointer(rebasing: bytes[start..<index])) }
    }

    /// Ends the text.
    ///
    /// - Throws: When it ends in the middle of something.
    mutating func finish() throws(Failure) {
        guard held.isEmpty, state == .text || state == .lineComment else {
            throw Failure(.invalid, "the dump ends in the middle of line \(line)")
        }
    }

    // MARK: Data of COPY

    private mutating func skipRow(_ bytes: UnsafeRawBufferPointer, from index: Int) throws(Failure) -> Int {
        var index = index
        while index < bytes.count, bytes[index] != 0x0A {
            guard bytes[index] != 0 else { throw denied("holds a byte of zero") }
            index += 1
        }
        guard index < bytes.count else { return index }
        endRow()
        return index + 1
    }

    private mutating func endRow() {
        line += 1
        rows[table, default: 0] += 1
        state = .copyLine
    }

    /// Whether what is held may go on: the data's end, or a row that only looked like it.
    private mutating func judgeData() throws(Failure) -> Bool {
        switch held {
        case [0x5C], [0x5C, 0x2E]: return false
        case [0x5C, 0x2E, 0x0D]: throw denied("ends the data of COPY in another way than pg_dump does")
        case [0x5C, 0x2E, 0x0A]:
            line += 1
            state = .text
            (last, beforeLast) = (0x0A, 0x0A)
        default:
            if held.last == 0x0A { endRow() } else { state = .copyRest }
        }
        return true
    }

    // MARK: Commands

    /// Whether the command is known; what may pass of it is nothing.
    private mutating func judgeCommand() throws(Failure) -> Bool {
        guard held.last == 0x0A || held.count > 200 else { return false }
        let words = held.split { $0 == 0x20 || $0 == 0x0A }
        let isFrame =
            words.count == 2 && (words[0].elementsEqual("\\restrict".utf8) || words[0].elementsEqual("\\unrestrict".utf8))
            && held.last == 0x0A && words[1].allSatisfy { isNamePart($0) && $0 < 0x80 }
        guard isFrame, last == 0x0A, statement.isEmpty else { throw denied("is a command to psql, which pg_dump never writes") }
        line += 1
        held = []
        state = .text
        return false
    }

    private func denied(_ what: String) -> Failure {
        Failure(
            .denied, "line \(line) of the dump \(what)",
            hint: "do not restore it; find out who could change this backup")
    }

    // MARK: Text

    private mutating func step(_ byte: UInt8) throws(Failure) {
        guard byte != 0 else { throw denied("holds a byte of zero") }
        if byte == 0x0A { line += 1 }
        switch state {
        case .text: return try stepText(byte)
        case .lineComment: stepComment(byte)
        case .blockComment(let depth):
            if last == 0x2F, byte == 0x2A { return enter(.blockComment(depth: depth + 1)) }
            if last == 0x2A, byte == 0x2F { return enter(depth == 1 ? .text : .blockComment(depth: depth - 1)) }
        case .quoted(let byEscapes):
            if byEscapes, last == 0x5C { return enter(state) }
            if byte == 0x27 {
                hasEscapesBefore = byEscapes
                state = .text
            }
        case .identifier:
            statement.addQuoted(byte)
            if byte == 0x22 { state = .text }
        case .dollarQuoted:
            window.append(byte)
            if window.count > tag.count { window.removeFirst() }
            if window == tag {
                tag = []
                return enter(.text)
            }
        case .copyStart:
            guard byte == 0x0A else { throw denied("has more after COPY, which pg_dump never writes") }
            state = .copyLine
        case .copyLine, .copyRest, .copyHeld, .command: break
        }
        shift(byte)
    }

    private mutating func shift(_ byte: UInt8) { (beforeLast, last) = (last, byte) }

    /// Goes on in a state in which the bytes before mean nothing.
    private mutating func enter(_ next: State) {
        state = next
        (last, beforeLast) = (0x20, 0x20)
    }

    private mutating func stepComment(_ byte: UInt8) {
        if byte == 0x0A {
            let text = String(decoding: comment, as: UTF8.self)
            if text == " PostgreSQL database dump complete" || text == " PostgreSQL database cluster dump complete" {
                isComplete = true
            }
            state = .text
        } else if comment.count < 100 {
            comment.append(byte)
        }
    }

    private mutating func stepText(_ byte: UInt8) throws(Failure) {
        if byte > 0x20, byte != 0x2D { isComplete = false }
        let isAfterEscapes = hasEscapesBefore
        if !isSpace(byte) { hasEscapesBefore = false }
        if !tag.isEmpty {
            if byte == 0x24 {
                tag.append(byte)
                window = []
                return enter(.dollarQuoted)
            }
            if isNamePart(byte), !(tag.count == 1 && isDigit(byte)) { tag.append(byte) } else { tag = [] }
        }
        switch byte {
        case 0x27:
            // The second of two quotes that stand for one, or a new text.
            guard !isAfterEscapes || last == 0x27 else { throw denied("continues a text, which pg_dump never writes") }
            state = .quoted(byEscapes: isAfterEscapes || ((last | 0x20) == 0x65 && !isNamePart(beforeLast)))
            statement.add(byte)
            return enterKeeping(byte)
        case 0x22: state = .identifier
        case 0x2D where last == 0x2D, 0x2A where last == 0x2F:
            statement.removeLast()
            // It parts words, as a space does.
            statement.add(0x20)
            hasEscapesBefore = isAfterEscapes
            comment = []
            return enter(byte == 0x2D ? .lineComment : .blockComment(depth: 1))
        case 0x24:
            guard !isNamePart(last) else { throw denied("has a \"$\" inside a name, which pg_dump never writes") }
            tag = [byte]
        case 0x3B where statement.isAtTop:
            try endStatement()
            return shift(byte)
        default: break
        }
        statement.add(byte)
        shift(byte)
    }

    /// Within a text, so that its first byte is not taken for an escape.
    private mutating func enterKeeping(_ byte: UInt8) { (beforeLast, last) = (0x20, byte) }

    private mutating func endStatement() throws(Failure) {
        let ended = statement
        statement = SQLStatement()
        tag = []
        if ended.isCopy {
            guard let name = ended.copiedTable else { throw denied("has a COPY that pg_dump never writes") }
            table = name
            rows[table, default: 0] += 0
            state = .copyStart
        }
        if ended.changesQuoting { throw denied("changes how quotes are read") }
    }
}

/// What must be known of a statement that passes: its beginning, its end, and whether `;` ends it.
struct SQLStatement {
    private var beginning: [UInt8] = []
    private var end: [UInt8] = []
    private var word: [UInt8] = []
    private var wordBefore: [UInt8] = []
    private var parentheses = 0
    private var blocks = 0

    var isEmpty: Bool { beginning.isEmpty }
    /// Whether a `;` here would end it: outside parentheses and the body of a function in SQL.
    var isAtTop: Bool { parentheses <= 0 && openBlocks <= 0 }

    /// Open blocks, the word that is being read included.
    private var openBlocks: Int { blocks + change(by: word) }

    mutating func add(_ byte: UInt8) {
        if beginning.isEmpty, isSpace(byte) { return }
        if beginning.count < 4096 { beginning.append(byte) }
        end.append(byte)
        if end.count > 128 { end.removeFirst(64) }
        if byte == 0x28 { parentheses += 1 }
        if byte == 0x29 { parentheses -= 1 }
        if isNamePart(byte) {
            if word.count < 16 { word.append(byte | 0x20) }
        } else if !word.isEmpty {
            blocks += change(by: word)
            wordBefore = word
            word = []
        }
    }

    /// Within a quoted name, where nothing has a meaning.
    mutating func addQuoted(_ byte: UInt8) { if beginning.count < 4096 { beginning.append(byte) } }

    mutating func removeLast() {
        if !beginning.isEmpty, beginning.count < 4096 { beginning.removeLast() }
        if !end.isEmpty { end.removeLast() }
    }

    private func change(by word: [UInt8]) -> Int {
        if blocks == 0 { return word == Array("atomic".utf8) && wordBefore == Array("begin".utf8) ? 1 : 0 }
        if word == Array("case".utf8) || word == Array("begin".utf8) { return 1 }
        return word == Array("end".utf8) ? -1 : 0
    }

    /// Whether its first word is `COPY`, whatever stands behind that.
    var isCopy: Bool { beginning.prefix { isNamePart($0) }.map { $0 | 0x20 } == Array("copy".utf8) }

    /// The table of `COPY table (columns) FROM stdin`; nil for any other form.
    var copiedTable: [UInt8]? {
        let closing = end.map(lower).split(whereSeparator: isSpace).suffix(2).map { Array($0) }
        guard closing == [Array("from".utf8), Array("stdin".utf8)] else { return nil }
        var name: [UInt8] = []
        var isQuoted = false
        for byte in beginning.dropFirst(4).drop(while: isSpace) {
            if byte == 0x22 { isQuoted.toggle() }
            if !isQuoted, byte == 0x28 || isSpace(byte) { break }
            name.append(byte)
        }
        return name.isEmpty ? nil : name
    }

    var changesQuoting: Bool {
        let words = beginning.map(lower).split { isSpace($0) || "='\"".utf8.contains($0) }.map { Array($0) }
        return words.first == Array("set".utf8) && words.contains(Array("standard_conforming_strings".utf8))
            && words.last != Array("on".utf8)
    }
}

private func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

/// Whether a byte can stand inside a name or the tag of a dollar quote.
private func isNamePart(_ byte: UInt8) -> Bool {
    (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) || isDigit(byte) || byte == 0x5F || byte >= 0x80
}

private func lower(_ byte: UInt8) -> UInt8 { (0x41...0x5A).contains(byte) ? byte | 0x20 : byte }

private func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
