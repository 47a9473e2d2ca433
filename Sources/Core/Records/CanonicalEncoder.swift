public import SerinModel

/// Writes `Encodable` values in canonical form, so that equal values always give equal bytes.
///
/// Objects have sorted keys; whole numbers are numbers; floating-point numbers are strings holding their shortest decimal text
/// that reads back to the same bits (`"0.1"`, `"1e-09"`, `"inf"`), and NaN is refused; absent optionals are left out of objects and
/// `null` in arrays; enumerations have the form that Swift synthesises (`{"case":{"_0":…}}`).
/// Collections without an order (sets, dictionaries whose keys are no strings) are refused: their order differs from run to run.
public enum CanonicalEncoder {
    /// The value as a JSON document.
    public static func encode(_ value: some Encodable) throws(RecordError) -> JSONValue {
        do {
            return try EncodingNode(path: nil).encode(value, nil)
        } catch let error as RecordError {
            throw error
        } catch let EncodingError.invalidValue(_, context) {
            throw RecordError(path: pathText(context.codingPath), context.debugDescription)
        } catch {
            throw RecordError("\(error)")
        }
    }

    /// The value as canonical bytes.
    public static func bytes(of value: some Encodable) throws(RecordError) -> [UInt8] { try encode(value).canonicalBytes }
}

/// Collections whose order of elements means nothing and changes from run to run.
private protocol UnorderedCollection {
    static var isUnordered: Bool { get }
}

extension Set: UnorderedCollection {
    fileprivate static var isUnordered: Bool { true }
}

extension Dictionary: UnorderedCollection {
    /// Dictionaries with string keys become objects, whose keys are sorted.
    fileprivate static var isUnordered: Bool { Key.self != String.self && !(Key.self is any CodingKeyRepresentable.Type) }
}

/// Collects what one value encodes. A class, because nested containers go on writing after they were handed out.
final class EncodingNode: Encoder {
    enum Kind { case nothing, single, array, object }
    enum Item {
        case value(JSONValue)
        case node(EncodingNode)
    }

    let path: CodingPath?
    var kind = Kind.nothing
    var single = JSONValue.null
    var items: [Item] = []
    var members: [(key: String, item: Item)] = []
    /// What went wrong in a call that cannot throw.
    var failure: RecordError?

    init(path: CodingPath?) { self.path = path }

    var codingPath: [any CodingKey] { path.keys }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedEncodingContainer<Key> {
        become(.object)
        return KeyedEncodingContainer(KeyedEncoding<Key>(node: self))
    }

    func unkeyedContainer() -> any UnkeyedEncodingContainer {
        become(.array)
        return UnkeyedEncoding(node: self)
    }

    func singleValueContainer() -> any SingleValueEncodingContainer { SingleEncoding(node: self) }

    func become(_ wanted: Kind) {
        if kind == .nothing {
            kind = wanted
        } else if kind != wanted || wanted == .single {
            failure = failure ?? path.failure("written twice in different forms")
        }
    }

    /// A nested value in canonical form.
    func encode<Value: Encodable>(_ value: Value, _ step: CodingPath.Step?) throws -> JSONValue {
        let nested = child(step)
        if let type = Value.self as? any UnorderedCollection.Type, type.isUnordered {
            throw nested.path.failure("\(Value.self) has no order and cannot be journaled; use a sorted array")
        }
        try value.encode(to: nested)
        return try nested.finish()
    }

    func child(_ step: CodingPath.Step?) -> EncodingNode {
        EncodingNode(path: step.map { CodingPath(path, $0) } ?? path)
    }

    /// Everything written so far as one value.
    func finish() throws(RecordError) -> JSONValue {
        if let failure { throw failure }
        switch kind {
        case .nothing: return .object([])
        case .single: return single
        case .array:
            var values: [JSONValue] = []
            values.reserveCapacity(items.count)
            for item in items { values.append(try resolve(item)) }
            return .array(values)
        case .object:
            var sorted: [JSONValue.Member] = []
            sorted.reserveCapacity(members.count)
            for member in members { sorted.append(JSONValue.Member(member.key, try resolve(member.item))) }
            sorted.sort { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
            for (left, right) in zip(sorted, sorted.dropFirst()) where left.key == right.key {
                throw path.failure("the key '\(left.key)' is written twice")
            }
            return .object(sorted)
        }
    }

    private func resolve(_ item: Item) throws(RecordError) -> JSONValue {
        switch item {
        case .value(let value): value
        case .node(let node): try node.finish()
        }
    }

    /// The shortest decimal text that reads back to the same value.
    static func text(of value: some BinaryFloatingPoint & LosslessStringConvertible, path: CodingPath?) throws -> JSONValue {
        guard !value.isNaN else { throw path.failure("not a number (NaN) cannot be journaled") }
        return .string("\(value)")
    }
}
