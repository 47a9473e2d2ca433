internal import SerinModel
internal import SerinTransport

/// Asks an issuer for its keys. Redirects are not followed: keys come from where the configuration says, or from nowhere.
struct KeyFetch: Sendable {
    /// How long one answer may take.
    static let timeout = Duration.seconds(5)
    /// The longest discovery document that is read, in bytes.
    static let discoveryLimit = 64 << 10

    let transport: Transport
    let settings: IssuerSettings

    /// The keys at an address, or at that which the issuer's discovery document names.
    func keySet(at url: String?) async throws(Failure) -> KeySet {
        let address: String
        if let url { address = url } else { address = try await discoveredAddress() }
        return try KeySet(parsing: try await get(address, limit: KeySet.byteLimit))
    }

    private var discoveryURL: String {
        (settings.issuer.hasSuffix("/") ? String(settings.issuer.dropLast()) : settings.issuer)
            + "/.well-known/openid-configuration"
    }

    /// What the issuer says of itself (OpenID Connect Discovery 1.0, section 4).
    func discovery() async throws(Failure) -> JSONValue {
        let url = discoveryURL
        let bytes = try await get(url, limit: Self.discoveryLimit)
        let document: JSONValue
        do throws(JSONError) { document = try JSONValue(parsing: bytes, depthLimit: 8) } catch {
            throw Failure(.invalid, "what \(url) answers is no JSON document: \(error)")
        }
        guard document["issuer"]?.text == settings.issuer else {
            throw Failure(
                .invalid, "\(url) is another issuer's document",
                hint: "the issuer in the configuration must be exactly the one in the document")
        }
        return document
    }

    /// The address of the key set in the discovery document.
    private func discoveredAddress() async throws(Failure) -> String {
        let url = discoveryURL
        guard let address = try await discovery()["jwks_uri"]?.text, mayFetch(address) else {
            throw Failure(.invalid, "\(url) names no https address of keys")
        }
        // Keys that are served in clear prove nothing, unless the issuer is this machine itself.
        guard address.hasPrefix("https://") || settings.issuer.hasPrefix("http://") else {
            throw Failure(.invalid, "\(url) names no https address of keys")
        }
        return address
    }

    private func get(_ url: String, limit: Int) async throws(Failure) -> [UInt8] {
        var request = HTTPRequest(
            url: url, headers: [HTTPHeader("Accept", "application/json")], timeout: Self.timeout, bodyLimit: limit)
        request.certificateAuthorityFile = settings.certificateAuthorityFile
        let response = try await transport.send(request)
        guard response.status == 200 else {
            throw Failure(.transient, "\(request.publicURL) answered \(response.status), and keys were expected")
        }
        return response.body
    }
}
