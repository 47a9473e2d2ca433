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
    /// The other end of the connection, as the server's border sees it. Nothing of it comes from the request's own words.
    public var peer: Peer
    /// Who asks, once the router has authenticated them; nil before, and on open routes.
    public internal(set) var identity: Identity?

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
        method: String, path: String, query: [Pair] = [], headers: [Pair] = [], body: [UInt8] = [], peer: Peer = Peer()
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        self.peer = peer
    }

    /// Whether path or query hold what no address of anything holds: line breaks, or a NUL, which the server passes on as U+0001.
    var hasControlCharacters: Bool {
        let parts = [path] + query.flatMap { [$0.name, $0.value] }
        return parts.contains { $0.utf8.contains { $0 < 0x20 || $0 == 0x7F } }
    }

    /// Who asks; nil on open routes.
    public var principal: Principal? { identity?.principal }

    /// The first value of a query parameter.
    public func parameter(_ name: String) -> String? { query.first { $0.name == name }?.value }

    /// The first value of a header field, whatever the case of its name.
    public func header(_ name: String) -> String? { headers.first { $0.name.lowercased() == name.lowercased() }?.value }

    /// Who asks, on a route that is not open.
    public func identified() throws(Problem) -> Identity {
        guard let identity else { throw Problem(.unidentified, "nobody knows who asks") }
        return identity
    }

    /// Whether a browser says that another site made it send this. Programs say nothing.
    public var isFromElsewhere: Bool {
        let site = header("Sec-Fetch-Site")
        guard site == nil || site == "same-origin" else { return true }
        // A browser that was told to name no referrer says `null`; that it is the same site, it says elsewhere.
        guard let origin = header("Origin"), origin != "null" || site == nil else { return false }
        guard let host = header("Host") else { return true }
        return origin != "http://\(host)" && origin != "https://\(host)"
    }

    /// The first cookie of a name, as it was sent.
    public func cookie(_ name: String) -> String? {
        for header in headers where header.name.lowercased() == "cookie" {
            for part in header.value.split(separator: ";") {
                let pair = part.drop { $0 == " " || $0 == "\t" }
                guard let equals = pair.firstIndex(of: "="), pair[..<equals] == name else { continue }
                return String(pair[pair.index(after: equals)...])
            }
        }
        return nil
    }
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

    /// A text of any media type.
    public static func text(
        _ status: Int, _ text: String, type: String = "text/plain; charset=utf-8", headers: [Request.Pair] = []
    ) -> Response {
        Response(
            status: status, headers: [Request.Pair("Content-Type", type), Request.Pair("Cache-Control", "no-store")] + headers,
            body: .bytes(Array(text.utf8)))
    }

    /// The value of a header field, whatever the case of its name.
    public func header(_ name: String) -> String? { headers.first { $0.name.lowercased() == name.lowercased() }?.value }

    /// The body's bytes; nil while it is a stream.
    public var bytes: [UInt8]? {
        if case .bytes(let bytes) = body { return bytes }
        return nil
    }
}
