internal import SerinCrypto
internal import SerinModel

/// The public keys of an issuer (JWK Set, RFC 7517).
struct KeySet: Sendable, Hashable {
    /// The longest document that is read, in bytes.
    static let byteLimit = 256 << 10
    /// The most keys that are read.
    static let keyLimit = 100

    /// One key.
    struct Key: Sendable, Hashable {
        /// How tokens name it; nil when it has no name.
        var id: String?
        /// The key.
        var key: PublicKey
    }

    /// The keys that signatures can be checked with.
    let keys: [Key]

    /// These keys, without names.
    init(_ keys: [PublicKey]) { self.keys = keys.map { Key(id: nil, key: $0) } }

    /// Reads a document. Keys of kinds that are not known, for other uses, or that are not sound are left out, as RFC 7517 asks; private
    /// and symmetric ones have no business in it and are left out too.
    init(parsing bytes: [UInt8]) throws(Failure) {
        let document: JSONValue
        do throws(JSONError) { document = try JSONValue(parsing: bytes, depthLimit: 8, byteLimit: Self.byteLimit) } catch {
            throw Failure(.invalid, "the key set is no JSON document: \(error)")
        }
        guard case .array(let items) = document["keys"] else { throw Failure(.invalid, "the key set has no list of keys") }
        guard items.count <= Self.keyLimit else {
            throw Failure(.invalid, "the key set has \(items.count) keys, and at most \(Self.keyLimit) are read")
        }
        keys = items.compactMap(Self.key)
        guard !keys.isEmpty else { throw Failure(.invalid, "the key set has no key for RS256, ES256 or EdDSA") }
    }

    /// The keys that may have made a token's signature: of the algorithm's kind, and of the name that it gives. A token that names none
    /// may be of a key without a name, or of the only one of that kind.
    func candidates(_ kind: PublicKey.Kind, named id: String?) -> [PublicKey] {
        let fitting = keys.filter { $0.key.kind == kind }
        guard let id else {
            let nameless = fitting.filter { $0.id == nil }
            return (nameless.isEmpty && fitting.count == 1 ? fitting : nameless).map(\.key)
        }
        let named = fitting.filter { $0.id == id }
        return (named.isEmpty ? fitting.filter { $0.id == nil } : named).map(\.key)
    }

    private static func key(_ item: JSONValue) -> Key? {
        guard item["d"] == nil, item["k"] == nil, item["use"]?.text ?? "sig" == "sig" else { return nil }
        if case .array(let operations) = item["key_ops"], !operations.contains(.string("verify")) { return nil }
        let algorithm = item["alg"]?.text
        func bytes(_ name: String) -> [UInt8] { item[name]?.text.flatMap { Base64URL.bytes(of: $0) } ?? [] }
        let key: PublicKey
        // What cannot be used is left out, as the others may be all right.
        do throws(CryptoError) {
            switch (item["kty"]?.text, item["crv"]?.text) {
            case ("RSA", _) where algorithm ?? "RS256" == "RS256":
                key = try PublicKey(rsaModulus: bytes("n"), exponent: bytes("e"))
            case ("EC", "P-256") where algorithm ?? "ES256" == "ES256": key = try PublicKey(p256X: bytes("x"), y: bytes("y"))
            case ("OKP", "Ed25519") where ["EdDSA", "Ed25519"].contains(algorithm ?? "EdDSA"):
                key = try PublicKey(ed25519: bytes("x"))
            default: return nil
            }
        } catch { return nil }
        return Key(id: item["kid"]?.text, key: key)
    }
}
