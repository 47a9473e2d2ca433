internal import SerinModel

struct KeyedEncoding<Key: CodingKey>: KeyedEncodingContainerProtocol {
    let node: EncodingNode

    var codingPath: [any CodingKey] { node.codingPath }

    private func add(_ value: JSONValue, _ key: Key) { node.members.append((key.stringValue, .value(value))) }
    private func path(_ key: Key) -> CodingPath { CodingPath(node.path, .key(key.stringValue)) }

    func encodeNil(forKey key: Key) { add(.null, key) }
    func encode(_ value: Bool, forKey key: Key) { add(.bool(value), key) }
    func encode(_ value: String, forKey key: Key) { add(.string(value), key) }
    func encode(_ value: Double, forKey key: Key) throws { add(try EncodingNode.text(of: value, path: path(key)), key) }
    func encode(_ value: Float, forKey key: Key) throws { add(try EncodingNode.text(of: value, path: path(key)), key) }
    func encode(_ value: Int, forKey key: Key) { add(.integer(value), key) }
    func encode(_ value: Int8, forKey key: Key) { add(.integer(value), key) }
    func encode(_ value: Int16, forKey key: Key) { add(.integer(value), key) }
    func encode(_ value: Int32, forKey key: Key) { add(.integer(value), key) }
    func encode(_ value: Int64, forKey key: Key) { add(.integer(value), key) }
    func encode(_ value: UInt, forKey key: Key) { add(.integer(value), key) }
    func encode(_ value: UInt8, forKey key: Key) { add(.integer(value), key) }
    func encode(_ value: UInt16, forKey key: Key) { add(.integer(value), key) }
    func encode(_ value: UInt32, forKey key: Key) { add(.integer(value), key) }
    func encode(_ value: UInt64, forKey key: Key) { add(.integer(value), key) }
    func encode(_ value: some Encodable, forKey key: Key) throws { add(try node.encode(value, .key(key.stringValue)), key) }

    private func nested(_ key: Key) -> EncodingNode {
        let child = node.child(.key(key.stringValue))
        node.members.append((key.stringValue, .node(child)))
        return child
    }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) -> KeyedEncodingContainer<Nested> {
        nested(key).container(keyedBy: type)
    }

    func nestedUnkeyedContainer(forKey key: Key) -> any UnkeyedEncodingContainer { nested(key).unkeyedContainer() }
    func superEncoder() -> any Encoder { node.refusedSuperEncoder() }
    func superEncoder(forKey key: Key) -> any Encoder { node.refusedSuperEncoder() }
}

struct UnkeyedEncoding: UnkeyedEncodingContainer {
    let node: EncodingNode

    var codingPath: [any CodingKey] { node.codingPath }
    var count: Int { node.items.count }

    private func add(_ value: JSONValue) { node.items.append(.value(value)) }
    private var path: CodingPath { CodingPath(node.path, .index(count)) }

    func encodeNil() { add(.null) }
    func encode(_ value: Bool) { add(.bool(value)) }
    func encode(_ value: String) { add(.string(value)) }
    func encode(_ value: Double) throws { add(try EncodingNode.text(of: value, path: path)) }
    func encode(_ value: Float) throws { add(try EncodingNode.text(of: value, path: path)) }
    func encode(_ value: Int) { add(.integer(value)) }
    func encode(_ value: Int8) { add(.integer(value)) }
    func encode(_ value: Int16) { add(.integer(value)) }
    func encode(_ value: Int32) { add(.integer(value)) }
    func encode(_ value: Int64) { add(.integer(value)) }
    func encode(_ value: UInt) { add(.integer(value)) }
    func encode(_ value: UInt8) { add(.integer(value)) }
    func encode(_ value: UInt16) { add(.integer(value)) }
    func encode(_ value: UInt32) { add(.integer(value)) }
    func encode(_ value: UInt64) { add(.integer(value)) }
    func encode(_ value: some Encodable) throws { add(try node.encode(value, .index(count))) }

    private func nested() -> EncodingNode {
        let child = node.child(.index(count))
        node.items.append(.node(child))
        return child
    }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type) -> KeyedEncodingContainer<Nested> {
        nested().container(keyedBy: type)
    }

    func nestedUnkeyedContainer() -> any UnkeyedEncodingContainer { nested().unkeyedContainer() }
    func superEncoder() -> any Encoder { node.refusedSuperEncoder() }
}

struct SingleEncoding: SingleValueEncodingContainer {
    let node: EncodingNode

    var codingPath: [any CodingKey] { node.codingPath }

    private func set(_ value: JSONValue) {
        node.become(.single)
        node.single = value
    }

    func encodeNil() { set(.null) }
    func encode(_ value: Bool) { set(.bool(value)) }
    func encode(_ value: String) { set(.string(value)) }
    func encode(_ value: Double) throws { set(try EncodingNode.text(of: value, path: node.path)) }
    func encode(_ value: Float) throws { set(try EncodingNode.text(of: value, path: node.path)) }
    func encode(_ value: Int) { set(.integer(value)) }
    func encode(_ value: Int8) { set(.integer(value)) }
    func encode(_ value: Int16) { set(.integer(value)) }
    func encode(_ value: Int32) { set(.integer(value)) }
    func encode(_ value: Int64) { set(.integer(value)) }
    func encode(_ value: UInt) { set(.integer(value)) }
    func encode(_ value: UInt8) { set(.integer(value)) }
    func encode(_ value: UInt16) { set(.integer(value)) }
    func encode(_ value: UInt32) { set(.integer(value)) }
    func encode(_ value: UInt64) { set(.integer(value)) }
    func encode(_ value: some Encodable) throws { set(try node.encode(value, nil)) }
}

extension EncodingNode {
    /// Classes with superclasses are no journal values. The call cannot throw, so the refusal waits for the end.
    fileprivate func refusedSuperEncoder() -> any Encoder {
        failure = failure ?? path.failure("superclass encoding is not supported")
        return child(nil)
    }
}
