internal import CCurl
internal import Glibc
internal import SerinCrypto
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
///
/// Redirects are never followed, and proxies named in the environment are not used.
public struct HTTPRequest: Sendable {
    /// `GET`, `HEAD`, `POST`, `PUT`, `PATCH`, `DELETE`.
    public var method: String
    /// The address, `http://` or `https://`.
    public var url: String
    /// Header fields. One with a line break or NUL in it is refused before anything is sent.
    public var headers: [HTTPHeader]
    /// The body; nil sends none.
    public var body: [UInt8]?
    /// A body that is read from files while it is sent, in place of `body`; empty: there is none.
    public var upload: [BodyPiece]
    /// Where the body of a 2xx answer goes instead of into memory. Such a body arrives as it is stored, never decompressed.
    public var download: Download?
    /// The oldest version of TLS that is spoken.
    public var tlsMinimum: TLSVersion
    /// Who sends to whom, when the exchange is no HTTP but a mail.
    var envelope: MailEnvelope?
    /// How slow the exchange may be, and for how long, before it is given up; nil: only `timeout` ends it.
    public var stall: StallLimit?
    /// The most bytes a second that are sent, and that are received; nil: no limit.
    public var rateLimit: Int64?
    /// What people may see in place of the address, where its path is a secret; nil: the address without user, password and query.
    public var publicName: String?
    /// The path of a unix socket to connect to instead of the address' host.
    public var unixSocket: String?
    /// A file of certificates to trust instead of the system's.
    public var certificateAuthorityFile: String?
    /// User and password for basic authentication.
    public var basic: (user: String, password: String)?
    /// For the whole exchange, from asking for it to the last byte of the answer.
    public var timeout: Duration
    /// The longest body accepted, in bytes after decompression.
    public var bodyLimit: Int
    /// The longest status line and headers accepted together, in bytes.
    public var headerLimit: Int
    /// Whether the server may see the request twice. When not, a connection that an earlier exchange left open is not used: it may
    /// have been closed meanwhile, and libcurl would then quietly send the request again.
    public var isIdempotent: Bool

    /// A request. It is taken as idempotent unless it is a `POST` or `PATCH`.
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
        upload = []
        download = nil
        tlsMinimum = .v1_2
        envelope = nil
        stall = nil
        rateLimit = nil
        publicName = nil
        unixSocket = nil
        certificateAuthorityFile = nil
        basic = nil
        headerLimit = 64 << 10
        isIdempotent = method != "POST" && method != "PATCH"
    }

    /// The address as people may see it: its public name, or without user, password, query and fragment.
    public var publicURL: String {
        if let publicName { return publicName }
        let bare = url.prefix { $0 != "?" && $0 != "#" }
        guard let scheme = bare.range(of: "://") else { return bare.contains("@") ? "…" : String(bare) }
        // A password may hold a stray '/', so everything up to the last '@' is taken for user and password.
        guard let at = bare.lastIndex(of: "@"), at >= scheme.upperBound else { return String(bare) }
        return bare[..<scheme.upperBound] + "…@" + bare[bare.index(after: at)...]
    }

    /// Why the request can never be sent as it is; nil when nothing is wrong with it.
    var defect: String? {
        if !isToken(method) { return "the method is no HTTP token" }
        if url.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }) { return "the address contains a space or control character" }
        for header in headers where !isToken(header.name) || header.value.utf8.contains(where: { [0, 10, 13].contains($0) }) {
            return "a header's name or value contains a character that headers cannot hold"
        }
        if let defect = envelope?.defect(url: url) { return defect }
        let texts = [unixSocket, certificateAuthorityFile, basic?.user, basic?.password, download?.path]
        if texts.contains(where: { $0?.utf8.contains(0) ?? false }) { return "a setting contains a NUL character" }
        if basic?.user.utf8.contains(0x3A) ?? false { return "the user name of basic authentication contains ':'" }
        return nil
    }
}

/// A finished exchange.
public struct HTTPResponse: Sendable, Hashable {
    /// The status code, such as 200.
    public var status: Int
    /// Header fields in the order received.
    public var headers: [HTTPHeader]
    /// The body; empty when it went to the request's `download`.
    public var body: [UInt8]
    /// What went to the request's `download`.
    public var downloaded: Downloaded?

    /// An answer.
    public init(status: Int, headers: [HTTPHeader], body: [UInt8]) {
        self.status = status
        self.headers = headers
        self.body = body
        downloaded = nil
    }

    /// The first value of a header field, whatever the case of its name.
    public func header(_ name: String) -> String? {
        headers.first { $0.name.lowercased() == name.lowercased() }?.value
    }

    /// What kind of failure the status means; nil for 2xx.
    ///
    /// A gateway that got no answer (502, 504) and a server that lost its patience (408) leave it unknown whether a write was carried
    /// out; a read may simply be asked again.
    public func failureClass(ofWrite isWrite: Bool) -> FailureClass? {
        switch status {
        case 200..<300: nil
        case 401, 403, 407: .denied
        case 409, 412: .conflict
        case 429: .throttled
        case 503 where retryAfter != nil: .throttled
        case 408, 502, 504: isWrite ? .unknown : .transient
        case 425, 500...: .transient
        default: .invalid
        }
    }

    /// How long the server asks to wait (`Retry-After` of RFC 9110, 10.2.3: seconds, or a moment by the server's own clock; at most a
    /// day); nil when it does not say.
    public var retryAfter: Duration? {
        guard let text = header("Retry-After") else { return nil }
        var seconds = Int64(text)
        if seconds == nil {
            let moment = curl_getdate(text, nil)
            let here = header("Date").map { curl_getdate($0, nil) } ?? -1
            if moment >= 0 { seconds = max(0, Int64(moment) - Int64(here >= 0 ? here : time(nil))) }
        }
        return seconds.flatMap { $0 < 0 ? nil : .seconds(min($0, 86_400)) }
    }
}

/// What basic authentication sends: base 64 (RFC 4648, section 4) of user and password (RFC 7617).
public func basicCredentials(user: String, password: String) -> String { Base64.text(of: Array("\(user):\(password)".utf8)) }

/// Percent-encodes everything but RFC 3986's unreserved characters.
public func percentEncoded(_ text: String) -> String {
    let hexadecimal = Array("0123456789ABCDEF".utf8)
    var bytes: [UInt8] = []
    for byte in text.utf8 {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: bytes.append(byte)
        default: bytes += [0x25, hexadecimal[Int(byte >> 4)], hexadecimal[Int(byte & 15)]]
        }
    }
    return String(decoding: bytes, as: UTF8.self)
}

/// Whether a text is a token of RFC 9110, section 5.6.2.
private func isToken(_ text: String) -> Bool {
    let marks = Set("!#$%&'*+-.^_`|~".utf8)
    return !text.isEmpty
        && text.utf8.allSatisfy {
            (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) || marks.contains($0)
        }
}

extension StringProtocol {
    /// The first place of a text; the standard library has none without Foundation.
    fileprivate func range(of text: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text), let end = index(start, offsetBy: text.count, limitedBy: endIndex) {
                return start..<end
            }
            start = index(after: start)
        }
        return nil
    }
}
