public import SerinCrypto
public import SerinModel

/// The keys that requests are signed with.
public struct SigningKeys: Sendable {
    /// The public name of the key.
    public var accessKey: String
    /// The secret.
    public var secretKey: String
    /// The token that belongs to keys with an end.
    public var sessionToken: String?

    /// Keys.
    public init(accessKey: String, secretKey: String, sessionToken: String? = nil) {
        self.accessKey = accessKey
        self.secretKey = secretKey
        self.sessionToken = sessionToken
    }
}

/// Signatures in the `Authorization` header as S3 documents them ("Authenticating Requests: AWS Signature Version 4"), and the same
/// under Google's names ("V4 signing process" of Cloud Storage's XML API).
public struct SignatureV4: Sendable, Hashable {
    /// Whose names are used.
    public enum Scheme: Sendable, Hashable {
        /// `AWS4-HMAC-SHA256`, `x-amz-…`.
        case aws
        /// `GOOG4-HMAC-SHA256`, `x-goog-…`.
        case google

        /// What the names of its headers begin with.
        public var prefix: String { self == .aws ? "x-amz-" : "x-goog-" }
        fileprivate var name: String { self == .aws ? "AWS4" : "GOOG4" }
        fileprivate var ending: String { self == .aws ? "aws4_request" : "goog4_request" }
    }

    /// What stands for the hash of a body that is not signed.
    public static let unsignedPayload = "UNSIGNED-PAYLOAD"

    /// Whose names are used.
    public var scheme: Scheme
    /// The region, such as `us-east-1`.
    public var region: String
    /// The service, such as `s3`.
    public var service: String

    /// Signatures for a service in a region.
    public init(scheme: Scheme = .aws, region: String, service: String) {
        self.scheme = scheme
        self.region = region
        self.service = service
    }

    /// The headers to send beside those given: date, payload hash, token and `Authorization`. Every header given is signed.
    ///
    /// - Parameters:
    ///   - host: The `Host` header as libcurl sends it: with the port when the address names one.
    ///   - path: The path as sent, that is, encoded with `encoded`.
    ///   - query: As sent: `canonicalQuery` of the same pairs.
    ///   - payload: The SHA-256 of the body in hexadecimal, or `unsignedPayload`.
    public func headers(
        method: String, host: String, path: String, query: [HTTPHeader], headers: [HTTPHeader], payload: String,
        keys: SigningKeys,
        at moment: Instant
    ) throws(CryptoError) -> [HTTPHeader] {
        let time = moment.description.filter { $0 != "-" && $0 != ":" }
        var added = [HTTPHeader(scheme.prefix + "content-sha256", payload), HTTPHeader(scheme.prefix + "date", time)]
        if let token = keys.sessionToken { added.append(HTTPHeader(scheme.prefix + "security-token", token)) }
        let signed = ([HTTPHeader("host", host)] + headers + added)
            .map { HTTPHeader($0.name.lowercased(), trimmed($0.value)) }
            .sorted { ($0.name, $0.value) < ($1.name, $1.value) }
        let names = signed.map(\.name).joined(separator: ";")
        let request = [
            method, path, Self.canonicalQuery(query), signed.map { "\($0.name):\($0.value)\n" }.joined(), names, payload,
        ].joined(separator: "\n")
        let day = String(time.prefix(8))
        let scope = [day, region, service, scheme.ending].joined(separator: "/")
        let digest = Hexadecimal.text(of: try SHA256.digest(Array(request.utf8)))
        let text = ["\(scheme.name)-HMAC-SHA256", time, scope, digest].joined(separator: "\n")
        var key = Array((scheme.name + keys.secretKey).utf8)
        for part in [day, region, service, scheme.ending] { key = try HMACSHA256.code(for: Array(part.utf8), key: key) }
        let signature = Hexadecimal.text(of: try HMACSHA256.code(for: Array(text.utf8), key: key))
        let credential = "Credential=\(keys.accessKey)/\(scope)"
        added.append(
            HTTPHeader(
                "Authorization", "\(scheme.name)-HMAC-SHA256 \(credential), SignedHeaders=\(names), Signature=\(signature)"))
        return added
    }

    /// The query in the order and encoding that is signed; what must be sent too.
    public static func canonicalQuery(_ pairs: [HTTPHeader]) -> String {
        pairs.map { (encoded($0.name), encoded($0.value)) }
            .sorted { $0.0 == $1.0 ? $0.1 < $1.1 : $0.0.utf8.lexicographicallyPrecedes($1.0.utf8) }
            .map { "\($0.0)=\($0.1)" }.joined(separator: "&")
    }

    /// Percent-encoding of everything that RFC 3986 does not call unreserved; slashes are kept in paths.
    public static func encoded(_ text: String, keepsSlashes: Bool = false) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E: bytes.append(byte)
            case 0x2F where keepsSlashes: bytes.append(byte)
            default: bytes += [0x25, digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Without spaces around, and with single ones inside.
    private func trimmed(_ value: String) -> String { value.split(separator: " ").joined(separator: " ") }
}
