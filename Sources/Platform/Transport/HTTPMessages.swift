public import SerinModel

/// One header field.
public struct HTTPHeader: Sendable, Hashable {
    /// The field's name.
    public var name: String
    /// The field's value.
    public var value: String

    /// A header field.
    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// An HTTP request with all its limits.
public struct HTTPRequest: Sendable {
    /// `GET`, `POST`, `PUT`, `PATCH`, `DELETE`.
    public var method: String
    /// The address, `http://` or `https://`.
    public var url: String
    /// Header fields.
    public var headers: [HTTPHeader]
    /// The body; nil sends none.
    public var body: [UInt8]?
    /// The path of a unix socket to connect to instead of the address' host.
    public var unixSocket: String?
    /// A file of certificates to trust instead of the system's.
    public var certificateAuthorityFile: String?
    /// User and password for basic authentication.
    public var basic: (user: String, password: String)?
    /// For the whole exchange.
    public var timeout: Duration
    /// The longest body accepted, in bytes.
    public var bodyLimit: Int

    /// A request.
    public init(
        method: String = "GET", url: String, headers: [HTTPHeader] = [], body: [UInt8]? = nil, timeout: Duration,
        bodyLimit: Int = 1 << 20
    ) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.timeout = timeout
        self.bodyLimit = bodyLimit
        unixSocket = nil
        certificateAuthorityFile = nil
        basic = nil
    }
}

/// A finished exchange.
public struct HTTPResponse: Sendable, Hashable {
    /// The status code, such as 200.
    public var status: Int
    /// Header fields in the order received.
    public var headers: [HTTPHeader]
    /// The body.
    public var body: [UInt8]

    /// An answer.
    public init(status: Int, headers: [HTTPHeader], body: [UInt8]) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    /// The first value of a header field, whatever the case of its name.
    public func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }
}
