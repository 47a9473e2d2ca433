internal import SerinCrypto
internal import SerinModel
public import SerinTransport

/// A request that came in on a hook's address.
public struct HookRequest: Sendable, Hashable {
    /// `POST`, or whatever it was.
    public var method: String
    /// Header fields in the order received.
    public var headers: [HTTPHeader]
    /// The body as it was sent.
    public var body: [UInt8]

    /// A request.
    public init(method: String = "POST", headers: [HTTPHeader], body: [UInt8]) {
        self.method = method
        self.headers = headers
        self.body = body
    }

    /// The one value of a header field; nil when it is missing. Two of one name are refused: who checks and who reads might take
    /// different ones.
    func header(_ name: String) throws(HookRefusal) -> String? {
        let values = headers.filter { $0.name.lowercased() == name.lowercased() }
        guard values.count <= 1 else { throw HookRefusal(.malformed, "the header \(name) stands \(values.count) times") }
        return values.first?.value
    }

    /// The value of a header field that must be there.
    func required(_ name: String) throws(HookRefusal) -> String {
        guard let value = try header(name), !value.isEmpty else { throw HookRefusal(.malformed, "the header \(name) is missing") }
        return value
    }

    /// The fields of the body when it is a form (`application/x-www-form-urlencoded`), the last of one name.
    var form: [String: String] {
        var fields: [String: String] = [:]
        for pair in body.split(separator: 0x26).prefix(200) {
            let parts = pair.split(separator: 0x3D, maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = parts.first else { continue }
            fields[decoded(name)] = parts.count == 2 ? decoded(parts[1]) : ""
        }
        return fields
    }

    /// The body as JSON, not deeper than 32 levels; nil when it is none.
    var json: JSONValue? {
        // Why it is no JSON changes nothing: the sender is told that it is none.
        try? JSONValue(parsing: body, depthLimit: 32, byteLimit: HookKind.longestBody)
    }

    private func decoded(_ text: some Collection<UInt8>) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text)[...]
        while let byte = rest.popFirst() {
            if byte == 0x25, let value = Hexadecimal.bytes(of: String(decoding: rest.prefix(2), as: UTF8.self))?.first {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte == 0x2B ? 0x20 : byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

/// What to answer to a request, byte for byte.
public struct HookAnswer: Sendable, Hashable {
    /// The status code.
    public var status: Int
    /// Header fields.
    public var headers: [HTTPHeader]
    /// The body.
    public var body: [UInt8]

    /// An answer.
    public init(status: Int, headers: [HTTPHeader] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// An answer in JSON.
    static func json(_ value: JSONValue, status: Int = 200) -> HookAnswer {
        HookAnswer(status: status, headers: [HTTPHeader("Content-Type", "application/json")], body: value.canonicalBytes)
    }
}
