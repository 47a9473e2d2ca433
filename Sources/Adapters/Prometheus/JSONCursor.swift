/// Reads JSON token by token from bytes, without building a tree. Every access is checked by the array; nothing traps.
struct JSONCursor {
    let bytes: [UInt8]
    let depthLimit: Int
    private(set) var offset = 0

    init(_ bytes: [UInt8], depthLimit: Int) {
        self.bytes = bytes
        self.depthLimit = depthLimit
    }

    func malformed(_ reason: String) -> AnswerError {
        offset >= bytes.count ? .truncated(bytes: bytes.count) : .malformed(offset: offset, reason)
    }

    /// The next byte that is no white space, not yet taken; 0 at the end.
    @inline(__always) mutating func peek() -> UInt8 {
        while offset < bytes.count {
            let byte = bytes[offset]
            if byte > 0x20 { return byte }
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return byte }
            offset += 1
        }
        return 0
    }

    /// Takes the byte when it is next.
    @inline(__always) mutating func takes(_ byte: UInt8) -> Bool {
        guard peek() == byte else { return false }
        offset += 1
        return true
    }

    @inline(__always) mutating func take(_ byte: UInt8) throws(AnswerError) {
        guard takes(byte) else { throw malformed("expected '\(Character(Unicode.Scalar(byte)))'") }
    }

    /// Takes an array, handing each item to the body.
    mutating func array(_ body: (inout JSONCursor) throws(AnswerError) -> Void) throws(AnswerError) {
        try take(0x5B)
        if takes(0x5D) { return }
        repeat { try body(&self) } while takes(0x2C)
        try take(0x5D)
    }

    /// Takes an object, handing each key to the body, which takes the value. A key that stands twice is refused.
    mutating func object(_ body: (inout JSONCursor, String) throws(AnswerError) -> Void) throws(AnswerError) {
        try take(0x7B)
        if takes(0x7D) { return }
        var seen: [String] = []
        repeat {
            let key = try string()
            guard !seen.contains(key) else { throw malformed("the key '\(key.prefix(80))' stands twice") }
            guard seen.count < 1000 else { throw .tooLarge("an object has more than 1000 keys") }
            seen.append(key)
            try take(0x3A)
            try body(&self, key)
        } while takes(0x2C)
        try take(0x7D)
    }

    /// Refuses anything after the document.
    mutating func end() throws(AnswerError) {
        _ = peek()
        guard offset == bytes.count else { throw malformed("something follows the document") }
    }

    /// Takes the bytes of a string when it has no escapes; nil, taking nothing, when it has.
    @inline(__always) mutating func plainString() throws(AnswerError) -> Range<Int>? {
        guard peek() == 0x22 else { throw malformed("expected a string") }
        var end = offset + 1
        while end < bytes.count {
            let byte = bytes[end]
            if byte == 0x22 {
                let range = offset + 1..<end
                offset = end + 1
                return range
            }
            if byte == 0x5C { return nil }
            if byte < 0x20 {
                offset = end
                throw malformed("a control character in a string")
            }
            end += 1
        }
        throw .truncated(bytes: bytes.count)
    }

    /// Takes a string.
    mutating func string() throws(AnswerError) -> String {
        if let range = try plainString() { return try text(bytes[range]) }
        offset += 1
        var content: [UInt8] = []
        while offset < bytes.count {
            let byte = bytes[offset]
            offset += 1
            switch byte {
            case 0x22: return try text(content[...])
            case 0x5C: try escape(into: &content)
            case 0..<0x20: throw malformed("a control character in a string")
            default: content.append(byte)
            }
        }
        throw .truncated(bytes: bytes.count)
    }

    private func text(_ content: ArraySlice<UInt8>) throws(AnswerError) -> String {
        // Nearly all texts are ASCII, which needs no validation; the general way costs several times as much.
        var bits: UInt8 = 0
        for byte in content { bits |= byte }
        if bits < 0x80 { return String(decoding: content, as: UTF8.self) }
        guard let text = String(validating: content, as: UTF8.self) else {
            throw .malformed(offset: offset, "a string is not UTF-8")
        }
        return text
    }

    private mutating func escape(into content: inout [UInt8]) throws(AnswerError) {
        guard offset < bytes.count else { throw .truncated(bytes: bytes.count) }
        let byte = bytes[offset]
        offset += 1
        switch byte {
        case 0x22, 0x5C, 0x2F: content.append(byte)
        case 0x62: content.append(0x08)
        case 0x66: content.append(0x0C)
        case 0x6E: content.append(0x0A)
        case 0x72: content.append(0x0D)
        case 0x74: content.append(0x09)
        case 0x75: content += Array(String(Character(try unicodeEscape())).utf8)
        default: throw malformed("an unknown escape")
        }
    }

    private mutating func unicodeEscape() throws(AnswerError) -> Unicode.Scalar {
        let high = try fourDigits()
        if let scalar = Unicode.Scalar(high) { return scalar }
        guard high < 0xDC00, bytes[offset...].starts(with: [0x5C, 0x75]) else { throw malformed("a lone surrogate") }
        offset += 2
        let low = try fourDigits()
        guard (0xDC00..<0xE000).contains(low), let scalar = Unicode.Scalar(0x10000 + (high - 0xD800) << 10 + (low - 0xDC00))
        else { throw malformed("a lone surrogate") }
        return scalar
    }

    private mutating func fourDigits() throws(AnswerError) -> UInt32 {
        guard bytes.count - offset >= 4 else { throw .truncated(bytes: bytes.count) }
        var value: UInt32 = 0
        for byte in bytes[offset..<offset + 4] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
                throw malformed("expected four hexadecimal digits")
            }
            value = value << 4 | UInt32(digit)
        }
        offset += 4
        return value
    }

    /// Takes the bytes of a number, of JSON's characters for numbers; their order is the caller's to check.
    @inline(__always) mutating func number() throws(AnswerError) -> Range<Int> {
        _ = peek()
        let start = offset
        while offset < bytes.count {
            let byte = bytes[offset]
            guard (0x30...0x39).contains(byte) || byte == 0x2E || byte == 0x2D || byte == 0x2B || byte | 0x20 == 0x65 else {
                break
            }
            offset += 1
        }
        guard offset > start else { throw malformed("expected a number") }
        return start..<offset
    }

    /// Takes any value and forgets it.
    mutating func skip(depth: Int = 0) throws(AnswerError) {
        guard depth < depthLimit else { throw .tooLarge("nested more than \(depthLimit) levels deep") }
        switch peek() {
        case 0x22: if try plainString() == nil { _ = try string() }
        case 0x7B: try object { (cursor, _) throws(AnswerError) in try cursor.skip(depth: depth + 1) }
        case 0x5B: try array { (cursor) throws(AnswerError) in try cursor.skip(depth: depth + 1) }
        case 0x74: try word("true")
        case 0x66: try word("false")
        case 0x6E: try word("null")
        default:
            let range = try number()
            guard decimal(bytes, range) != nil else { throw .malformed(offset: range.lowerBound, "expected a value") }
        }
    }

    private mutating func word(_ word: StaticString) throws(AnswerError) {
        for byte in "\(word)".utf8 {
            guard offset < bytes.count, bytes[offset] == byte else { throw malformed("expected a value") }
            offset += 1
        }
    }
}
