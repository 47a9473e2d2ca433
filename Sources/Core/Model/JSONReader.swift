/// Why a text is no acceptable JSON document.
public struct JSONError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The byte at which reading stopped, from 0.
    public var offset: Int
    /// What is wrong there.
    public var message: String

    /// The message with its place.
    public var description: String { "byte \(offset): \(message)" }
}

extension JSONValue {
    /// Reads one document (RFC 8259), refusing duplicate keys, invalid UTF-8, lone surrogates and anything after it.
    ///
    /// - Parameters:
    ///   - bytes: The document.
    ///   - depthLimit: How many arrays and objects may stand inside each other.
    ///   - byteLimit: How long the document may be, in bytes.
    public init(parsing bytes: some Collection<UInt8>, depthLimit: Int = 64, byteLimit: Int = 64 << 20) throws(JSONError) {
        guard bytes.count <= byteLimit else {
            throw JSONError(offset: byteLimit, message: "longer than \(byteLimit) bytes")
        }
        var reader = JSONReader(bytes: Array(bytes), depthLimit: depthLimit)
        self = try reader.document()
    }
}

private struct JSONReader {
    let bytes: [UInt8]
    let depthLimit: Int
    var offset = 0

    init(bytes: [UInt8], depthLimit: Int) {
        self.bytes = bytes
        self.depthLimit = depthLimit
    }

    func failure(_ message: String) -> JSONError { JSONError(offset: offset, message: message) }

    mutating func document() throws(JSONError) -> JSONValue {
        let value = try value(depth: 0)
        skipSpace()
        guard offset == bytes.count else { throw failure("expected the end of the document") }
        return value
    }

    mutating func skipSpace() {
        while offset < bytes.count {
            switch bytes[offset] {
            case 0x20, 0x09, 0x0A, 0x0D: offset += 1
            default: return
            }
        }
    }

    mutating func value(depth: Int) throws(JSONError) -> JSONValue {
        skipSpace()
        guard offset < bytes.count else { throw failure("the document ends early") }
        switch bytes[offset] {
        case 0x7B, 0x5B:
            guard depth < depthLimit else { throw failure("nested more than \(depthLimit) levels deep") }
            return bytes[offset] == 0x7B ? try object(depth: depth) : try array(depth: depth)
        case 0x22: return .string(try string())
        case 0x74: return try word("true", .bool(true))
        case 0x66: return try word("false", .bool(false))
        case 0x6E: return try word("null", .null)
        default: return try number()
        }
    }

    mutating func word(_ word: StaticString, _ value: JSONValue) throws(JSONError) -> JSONValue {
        let expected = Array("\(word)".utf8)
        guard bytes.count - offset >= expected.count, Array(bytes[offset..<offset + expected.count]) == expected else {
            throw failure("expected a value")
        }
        offset += expected.count
        return value
    }

    mutating func object(depth: Int) throws(JSONError) -> JSONValue {
        offset += 1
        var members: [JSONValue.Member] = []
        // By bytes: texts that only look alike are different keys.
        var seen: Set<[UInt8]> = []
        skipSpace()
        if take(0x7D) { return .object([]) }
        repeat {
            skipSpace()
            guard offset < bytes.count, bytes[offset] == 0x22 else { throw failure("expected a key in quotes") }
            let key = try string()
            guard seen.insert(Array(key.utf8)).inserted else { throw failure("the key '\(key)' stands twice") }
            skipSpace()
            guard take(0x3A) else { throw failure("expected ':'") }
            members.append(JSONValue.Member(key, try value(depth: depth + 1)))
            skipSpace()
        } while take(0x2C)
        guard take(0x7D) else { throw failure("expected ',' or '}'") }
        return .sortedObject(members)
    }

    mutating func array(depth: Int) throws(JSONError) -> JSONValue {
        offset += 1
        var items: [JSONValue] = []
        skipSpace()
        if take(0x5D) { return .array([]) }
        repeat {
            items.append(try value(depth: depth + 1))
            skipSpace()
        } while take(0x2C)
        guard take(0x5D) else { throw failure("expected ',' or ']'") }
        return .array(items)
    }

    mutating func take(_ byte: UInt8) -> Bool {
        guard offset < bytes.count, bytes[offset] == byte else { return false }
        offset += 1
        return true
    }

    mutating func number() throws(JSONError) -> JSONValue {
        let start = offset
        _ = take(0x2D)
        let integerStart = offset
        try digits("expected a value")
        guard offset - integerStart == 1 || bytes[integerStart] != 0x30 else { throw failure("a number starts with 0") }
        if take(0x2E) { try digits("expected digits after '.'") }
        if take(0x65) || take(0x45) {
            if !take(0x2B) { _ = take(0x2D) }
            try digits("expected digits of the exponent")
        }
        return .number(String(decoding: bytes[start..<offset], as: UTF8.self))
    }

    mutating func digits(_ message: String) throws(JSONError) {
        let start = offset
        while offset < bytes.count, (0x30...0x39).contains(bytes[offset]) { offset += 1 }
        guard offset > start else { throw failure(message) }
    }

    mutating func string() throws(JSONError) -> String {
        offset += 1
        var content: [UInt8] = []
        while offset < bytes.count {
            let byte = bytes[offset]
            switch byte {
            case 0x22:
                offset += 1
                guard let text = String(validating: content, as: UTF8.self) else { throw failure("not valid UTF-8") }
                return text
            case 0x5C: try escape(into: &content)
            case 0x00..<0x20: throw failure("a control character inside a string")
            default:
                content.append(byte)
                offset += 1
            }
        }
        throw failure("a string does not end")
    }

    mutating func escape(into content: inout [UInt8]) throws(JSONError) {
        guard offset + 1 < bytes.count else { throw failure("a string does not end") }
        let byte = bytes[offset + 1]
        offset += 2
        switch byte {
        case 0x22, 0x5C, 0x2F: content.append(byte)
        case 0x62: content.append(0x08)
        case 0x66: content.append(0x0C)
        case 0x6E: content.append(0x0A)
        case 0x72: content.append(0x0D)
        case 0x74: content.append(0x09)
        case 0x75:
            let scalar = try unicodeEscape()
            content += Array(String(Character(scalar)).utf8)
        default: throw failure("an unknown escape")
        }
    }

    mutating func unicodeEscape() throws(JSONError) -> Unicode.Scalar {
        let high = try fourHexDigits()
        if let scalar = Unicode.Scalar(high) { return scalar }
        guard (0xD800..<0xDC00).contains(high), take(0x5C), take(0x75) else { throw failure("a lone surrogate") }
        let low = try fourHexDigits()
        guard (0xDC00..<0xE000).contains(low),
            let scalar = Unicode.Scalar(0x10000 + (high - 0xD800) << 10 + (low - 0xDC00))
        else { throw failure("a lone surrogate") }
        return scalar
    }

    mutating func fourHexDigits() throws(JSONError) -> UInt32 {
        guard bytes.count - offset >= 4,
            bytes[offset..<offset + 4].allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
            let value = UInt32(String(decoding: bytes[offset..<offset + 4], as: UTF8.self), radix: 16)
        else { throw failure("expected four hexadecimal digits") }
        offset += 4
        return value
    }
}
