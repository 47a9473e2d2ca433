internal import SerinCrypto
internal import SerinModel

/// A signed token (JWT, RFC 7519, in the compact form of RFC 7515) taken apart. Nothing of it is to be believed yet.
struct WebToken: Sendable {
    /// The longest token that is read, in bytes.
    static let byteLimit = 16 << 10

    /// What its header says it is signed with.
    let algorithm: String
    /// The key that its header names.
    let keyID: String?
    /// What its header says it is; in lower case, without `application/`.
    let type: String?
    /// Its claims.
    let claims: JSONValue
    /// What is signed.
    let signed: [UInt8]
    /// The signature.
    let signature: [UInt8]

    /// Takes a token apart. Fails with what is wrong with its form.
    init(_ text: String) throws(CredentialError) {
        guard text.utf8.count <= Self.byteLimit else { throw .refused("a token of \(text.utf8.count) bytes") }
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 3 else { throw .refused("a token of \(parts.count) parts, and a signed one has 3") }
        let header = try Self.document(parts[0], "header", depth: 4)
        claims = try Self.document(parts[1], "claims", depth: 16)
        guard let signature = Base64URL.bytes(of: parts[2]) else { throw .refused("a signature that is no base64url") }
        self.signature = signature
        signed = Array(text.utf8.prefix(parts[0].utf8.count + 1 + parts[1].utf8.count))
        // Extensions that must be understood, and none is.
        guard header["crit"] == nil, header["b64"] == nil, header["enc"] == nil, header["zip"] == nil else {
            throw .refused("a header with an extension that is not known")
        }
        guard let algorithm = header["alg"]?.text else { throw .refused("a header without an algorithm") }
        self.algorithm = algorithm
        keyID = try Self.optionalText(header, "kid")
        type = try Self.optionalText(header, "typ").map { text in
            let lower = text.lowercased()
            return lower.hasPrefix("application/") ? String(lower.dropFirst(12)) : lower
        }
    }

    private static func document(_ part: Substring, _ name: String, depth: Int) throws(CredentialError) -> JSONValue {
        guard let bytes = Base64URL.bytes(of: part) else { throw .refused("\(name) that are no base64url") }
        do throws(JSONError) {
            let value = try JSONValue(parsing: bytes, depthLimit: depth, byteLimit: byteLimit)
            if case .object = value { return value }
        } catch { throw .refused("\(name) that are no JSON: \(error)") }
        throw .refused("\(name) that are no JSON object")
    }

    private static func optionalText(_ header: JSONValue, _ name: String) throws(CredentialError) -> String? {
        switch header[name] {
        case nil: return nil
        case .string(let text) where text.utf8.count <= 256: return text
        default: throw .refused("a header whose '\(name)' is no text of at most 256 bytes")
        }
    }
}
