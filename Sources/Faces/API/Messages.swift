public import SerinModel

/// One request as a route sees it: already read whole, within the server's limits.
public struct Request: Sendable {
    /// The method in capitals, such as `GET`.
    public var method: String
    /// The path without the query, decoded, starting with `/`.
    public var path: String
    /// The parts of the query, decoded, in the order given.
    public var query: [Pair]
    /// Header fields in the order received.
    public var headers: [Pair]
    /// The body; empty when there is none.
    public var body: [UInt8]
    /// Who asks, as the server's border identified the peer; nil when it could not.
    public var principal: Principal?

    /// A name with its value.
    public struct Pair: Sendable, Hashable {
        /// The name.
        public var name: String
        /// The value.
        public var value: String

        /// A pair.
        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }

    /// A request.
    public init(
        method: String, path: String, query: [Pair] = [], headers: [Pair] = [], body: [UInt8] = [], principal: Principal? = nil
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        self.principal = principal
    }

    /// The first value of a query parameter.
    public func parameter(_ name: String) -> String? { query.first { $0.name == name }?.value }

    /// The first value of a header field, whatever the case of its name.
    public func header(_ name: String) -> String? { headers.first { $0.name.lowercased() == name.lowercased() }?.value }
}

/// Takes the parts of an answer that is written while it grows.
public protocol ResponseSink: Sendable {
    /// Passes bytes on, waiting while the peer is slow; false once the peer has gone or the server stops, and nothing more is sent.
    func send(_ bytes: [UInt8]) async -> Bool
}

/// An answer.
public struct Response: Sendable {
    /// What follows the header.
    public enum Body: Sendable {
        /// All of it.
        case bytes([UInt8])
        /// Written by the closure while it grows; the answer ends when the closure returns.
        case stream(@Sendable (any ResponseSink) async -> Void)
    }

    /// The status code, such as 200.
    public var status: Int
    /// Header fields.
    public var headers: [Request.Pair]
    /// The body.
    public var body: Body

    /// An answer.
    public init(status: Int, headers: [Request.Pair] = [], body: Body) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// A JSON document.
    public static func json(_ status: Int, _ value: JSONValue, headers: [Request.Pair] = []) -> Response {
        Response(
            status: status,
            headers: [Request.Pair("Content-Type", "application/json"), Request.Pair("Cache-Control", "no-store")] + headers,
            body: .bytes(value.canonicalBytes + [0x0A]))
    }

    /// The value of a header field, whatever the case of its name.
    public func header(_ name: String) -> String? { headers.first { $0.name.lowercased() == name.lowercased() }?.value }

    /// The body's bytes; nil while it is a stream.
    public var bytes: [UInt8]? {
        if case .bytes(let bytes) = body { return bytes }
        return nil
    }
}
