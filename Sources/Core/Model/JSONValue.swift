/// A JSON document as values. Numbers keep their text, so that nothing is lost by passing through; object keys are unique and sorted.
public enum JSONValue: Sendable, Hashable {
    /// `null`
    case null
    /// `true` or `false`
    case bool(Bool)
    /// A number, as its text in JSON's grammar.
    case number(String)
    /// A string.
    case string(String)
    /// An array.
    case array([JSONValue])
    /// An object; the pairs are in the order of their keys' UTF-8 bytes.
    case object([Member])

    /// One pair of an object.
    public struct Member: Sendable, Hashable {
        /// The key.
        public var key: String
        /// The value.
        public var value: JSONValue

        /// A pair.
        public init(_ key: String, _ value: JSONValue) {
            self.key = key
            self.value = value
        }
    }

    /// An object of pairs in any order. A later pair with the same key is dropped.
    public static func object(_ pairs: KeyValuePairs<String, JSONValue>) -> JSONValue {
        sortedObject(pairs.map { Member($0.key, $0.value) })
    }

    /// An object of pairs in any order. A later pair with the same key is dropped.
    public static func sortedObject(_ members: [Member]) -> JSONValue {
        var seen: Set<[UInt8]> = []
        let unique = members.filter { seen.insert(Array($0.key.utf8)).inserted }
        return .object(unique.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) })
    }

    /// A whole number.
    public static func integer(_ value: some BinaryInteger) -> JSONValue { .number("\(value)") }

    /// The value of a key; nil when this is no object or has no such key.
    public subscript(key: String) -> JSONValue? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.key.utf8.elementsEqual(key.utf8) }?.value
    }

    /// The text, when this is a string.
    public var text: String? {
        if case .string(let text) = self { return text }
        return nil
    }

    /// The number as a floating-point value, when this is a number and not beyond what that can hold: never infinite.
    public var double: Double? {
        guard case .number(let text) = self, let value = Double(text), value.isFinite else { return nil }
        return value
    }

    /// The number as a whole one, when this is one and it fits.
    public var integer: Int64? {
        if case .number(let text) = self { return Int64(text) }
        return nil
    }

    /// The items, when this is an array.
    public var items: [JSONValue]? {
        if case .array(let items) = self { return items }
        return nil
    }

    /// Follows a JSON pointer (RFC 6901); nil when it leads nowhere or is malformed.
    public func at(pointer: String) -> JSONValue? {
        if pointer.isEmpty { return self }
        guard pointer.utf8.first == 0x2F else { return nil }
        var value = self
        for token in pointer.utf8.dropFirst().split(separator: 0x2F, omittingEmptySubsequences: false) {
            guard let key = unescaped(pointerToken: token) else { return nil }
            switch value {
            case .object:
                guard let next = value[key] else { return nil }
                value = next
            case .array(let items):
                // Digits alone, without leading zeros: `+1` and `01` are no index.
                guard key == "0" || (key.utf8.first != 0x30 && key.utf8.allSatisfy { (0x30...0x39).contains($0) }),
                    let index = Int(key), items.indices.contains(index)
                else { return nil }
                value = items[index]
            case .null, .bool, .number, .string: return nil
            }
        }
        return value
    }

    /// `~1` is `/` and `~0` is `~`; any other use of `~` is malformed.
    private func unescaped(pointerToken token: Substring.UTF8View) -> String? {
        var result: [UInt8] = []
        var rest = token.makeIterator()
        while let byte = rest.next() {
            guard byte == 0x7E else {
                result.append(byte)
                continue
            }
            switch rest.next() {
            case 0x30: result.append(0x7E)
            case 0x31: result.append(0x2F)
            default: return nil
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// The canonical bytes: no white space, sorted keys, shortest escapes, UTF-8.
    public var canonicalBytes: [UInt8] {
        var bytes: [UInt8] = []
        write(to: &bytes)
        return bytes
    }

    /// The canonical form as text.
    public var canonicalText: String { String(decoding: canonicalBytes, as: UTF8.self) }

    private func write(to bytes: inout [UInt8]) {
        switch self {
        case .null: bytes += "null".utf8
        case .bool(let value): bytes += (value ? "true" : "false").utf8
        case .number(let text): bytes += text.utf8
        case .string(let text): JSONValue.write(text, to: &bytes)
        case .array(let items):
            bytes.append(0x5B)
            for (index, item) in items.enumerated() {
                if index > 0 { bytes.append(0x2C) }
                item.write(to: &bytes)
            }
            bytes.append(0x5D)
        case .object(let members):
            bytes.append(0x7B)
            for (index, member) in members.enumerated() {
                if index > 0 { bytes.append(0x2C) }
                JSONValue.write(member.key, to: &bytes)
                bytes.append(0x3A)
                member.value.write(to: &bytes)
            }
            bytes.append(0x7D)
        }
    }

    private static func write(_ text: String, to bytes: inout [UInt8]) {
        let hexadecimal = Array("0123456789abcdef".utf8)
        bytes.append(0x22)
        for byte in text.utf8 {
            switch byte {
            case 0x22: bytes += [0x5C, 0x22]
            case 0x5C: bytes += [0x5C, 0x5C]
            case 0x0A: bytes += [0x5C, 0x6E]
            case 0x0D: bytes += [0x5C, 0x72]
            case 0x09: bytes += [0x5C, 0x74]
            case 0x00..<0x20:
                bytes += Array("\\u00".utf8) + [hexadecimal[Int(byte >> 4)], hexadecimal[Int(byte & 15)]]
            default: bytes.append(byte)
            }
        }
        bytes.append(0x22)
    }
}
