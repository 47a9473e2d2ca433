public import SerinModel

/// Reads values back from the form that `CanonicalEncoder` writes.
///
/// Only that form is accepted: a floating-point number must be the very text that writing it gives, a whole number must fit its
/// type. Every error names its place. Keys that a value does not know are left aside.
public enum CanonicalDecoder {
    /// How deep a record may nest.
    static let depthLimit = 64
    /// How long a record may be, in bytes: what is longer is not written either.
    public static let byteLimit = 64 << 20

    /// Reads a value from a JSON document.
    public static func decode<Value: Decodable>(_ type: Value.Type, from document: JSONValue) throws(RecordError) -> Value {
        do {
            return try Value(from: DecodingNode(value: document, path: nil))
        } catch let error as RecordError {
            throw error
        } catch let error as DecodingError {
            throw RecordError(error, in: document)
        } catch {
            throw RecordError("\(error)")
        }
    }

    /// Reads a value from canonical bytes.
    public static func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws(RecordError) -> Value {
        let document: JSONValue
        do {
            document = try JSONValue(parsing: bytes, depthLimit: depthLimit, byteLimit: byteLimit)
        } catch {
            throw RecordError("no JSON document: \(error)")
        }
        return try decode(type, from: document)
    }
}

extension RecordError {
    /// The words of the standard library's error, with its place; an enumeration's unknown case is named.
    fileprivate init(_ error: DecodingError, in document: JSONValue) {
        switch error {
        case .typeMismatch(let type, let context):
            // Synthesised enumerations report an unknown case as a wrong number of keys.
            let members = RecordError.value(at: context.codingPath, in: document).flatMap { value -> [JSONValue.Member]? in
                if case .object(let members) = value { return members }
                return nil
            }
            let name = String(describing: type)
            if let members, members.count == 1, let key = members.first?.key {
                self.init(path: pathText(context.codingPath), "unknown case '\(key)' of \(name)")
            } else if let members {
                self.init(path: pathText(context.codingPath), "expected one case of \(name), found \(members.count) keys")
            } else {
                self.init(path: pathText(context.codingPath), "expected \(name): \(context.debugDescription)")
            }
        case .valueNotFound(_, let context), .keyNotFound(_, let context), .dataCorrupted(let context):
            self.init(path: pathText(context.codingPath), context.debugDescription)
        @unknown default:
            self.init("\(error)")
        }
    }

    private static func value(at path: [any CodingKey], in document: JSONValue) -> JSONValue? {
        var value = document
        for key in path {
            let next: JSONValue?
            if let index = key.intValue, let items = value.items {
                next = items.indices.contains(index) ? items[index] : nil
            } else {
                next = value[key.stringValue]
            }
            guard let next else { return nil }
            value = next
        }
        return value
    }
}

/// One value being read.
struct DecodingNode: Decoder {
    let value: JSONValue
    let path: CodingPath?

    var codingPath: [any CodingKey] { path.keys }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) throws -> KeyedDecodingContainer<Key> {
        guard case .object(let members) = value else { throw mismatch("an object") }
        return KeyedDecodingContainer(KeyedDecoding<Key>(members: members, path: path))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer {
        guard case .array(let items) = value else { throw mismatch("an array") }
        return UnkeyedDecoding(items: items, path: path)
    }

    func singleValueContainer() -> any SingleValueDecodingContainer { SingleDecoding(node: self) }

    func bool() throws(RecordError) -> Bool {
        guard case .bool(let value) = value else { throw mismatch("true or false") }
        return value
    }

    func string() throws(RecordError) -> String {
        guard case .string(let text) = value else { throw mismatch("a string") }
        return text
    }

    func integer<Value: FixedWidthInteger>() throws(RecordError) -> Value {
        guard case .number(let text) = value, let number = Value(text) else { throw mismatch("a whole number (\(Value.self))") }
        return number
    }

    func floating<Value: BinaryFloatingPoint & LosslessStringConvertible>() throws(RecordError) -> Value {
        guard case .string(let text) = value, let number = Value(text), !number.isNaN, "\(number)" == text else {
            throw mismatch("a decimal number in quotes, in its shortest form")
        }
        return number
    }

    private func mismatch(_ expected: String) -> RecordError {
        let found = value.canonicalText
        return path.failure("expected \(expected), found \(found.count > 60 ? found.prefix(60) + "…" : found[...])")
    }
}
