internal import SerinCrypto
public import SerinLocks
public import SerinModel
internal import SerinTransport

/// An issuer on loopback at which people sign in with a browser, as OpenID Connect Core 1.0 and RFC 7636 say it must behave: discovery,
/// keys, a page that asks, codes that are good once and only for their verifier, and signed identity tokens.
public final class IdentityProvider: Sendable {
    /// What it does otherwise than it should.
    public enum Fault: Sendable, CaseIterable {
        /// The token's nonce, audience, issuer, key or authorised party is not the one that was asked for.
        case otherNonce, noNonce, otherAudience, otherIssuer, otherKey, otherParty
        /// There is no identity token, or no answer that makes sense.
        case noToken, broken
    }

    private struct Grant: Sendable {
        var client: String
        var redirect: String
        var challenge: String
        var nonce: String
    }

    /// What it does wrong now.
    public let fault = Locked<Fault?>(nil)
    /// How clients may show their secret, as its discovery says; nil: it does not say.
    public let methods = Locked<[String]?>(nil)
    private let grants = Locked<[String: Grant]>([:])
    private let place = Locked("")
    private let running = Locked<ScriptedServer?>(nil)
    private let (client, secret, subject): (String, String, String)
    private let key: SigningKey
    private let stranger: SigningKey
    private let now: @Sendable () -> Instant

    /// An issuer with one client and one person.
    public init(client: String, secret: String, subject: String, now: @escaping @Sendable () -> Instant) throws {
        (self.client, self.secret, self.subject, self.now) = (client, secret, subject, now)
        key = try SigningKey(.ed25519)
        stranger = try SigningKey(.ed25519)
        let server = try ScriptedServer { [self] in [answer($0)] }
        running.withLock { $0 = server }
        place.withLock { $0 = server.url }
    }

    /// Its address and name.
    public var url: String { place.withLock { $0 } }

    /// Every request so far.
    public var requests: [ScriptedServer.Request] { running.withLock { $0 }?.requests ?? [] }

    /// Ends it.
    public func stop() {
        running.withLock { server in
            server?.stop()
            server = nil
        }
    }

    /// Gives the code of somebody who agrees; nil when what was asked is not enough.
    public func grant(_ query: [String: String]) -> String? {
        guard let client = query["client_id"], let redirect = query["redirect_uri"], let challenge = query["code_challenge"],
            let nonce = query["nonce"]
        else { return nil }
        let grant = Grant(client: client, redirect: redirect, challenge: challenge, nonce: nonce)
        return grants.withLock { grants in
            let code = "code-\(grants.count)-\(query["state"] ?? "")"
            grants[code] = grant
            return code
        }
    }

    /// What an address asks for.
    public static func query(of address: String) -> [String: String] {
        var query: [String: String] = [:]
        for pair in address.drop(while: { $0 != "?" }).dropFirst().split(separator: "&") {
            let words = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            query[String(words[0])] = words.count > 1 ? decoded(words[1]) : ""
        }
        return query
    }

    private static func decoded(_ text: Substring) -> String {
        var (bytes, rest) = ([UInt8](), Array(text.utf8)[...])
        while let byte = rest.popFirst() {
            bytes.append(byte == 0x25 ? UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) ?? 0x3F : byte)
            if byte == 0x25 { rest = rest.dropFirst(2) }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    private func answer(_ request: ScriptedServer.Request) -> ScriptedServer.Step {
        switch request.target.prefix(while: { $0 != "?" }) {
        case "/.well-known/openid-configuration": discovery()
        case "/keys": keys()
        case "/authorize": page(Self.query(of: request.target))
        case "/agree": back(Self.query(of: request.target))
        case "/token": token(request)
        default: .http(404, "")
        }
    }

    private func discovery() -> ScriptedServer.Step {
        var document: [JSONValue.Member] = [
            ("issuer", url), ("jwks_uri", url + "/keys"), ("authorization_endpoint", url + "/authorize?tenant=a"),
            ("token_endpoint", url + "/token"),
        ].map { JSONValue.Member($0.0, .string($0.1)) }
        if let methods = methods.withLock({ $0 }) {
            document.append(
                JSONValue.Member("token_endpoint_auth_methods_supported", .array(methods.map { .string($0) })))
        }
        return .http(200, JSONValue.sortedObject(document).canonicalText)
    }

    private func keys() -> ScriptedServer.Step {
        guard let key = try? key.jwk("k") else { return .http(500, "") }
        return .http(200, JSONValue.object(["keys": .array([key])]).canonicalText)
    }

    /// The page on which a person agrees, or does not.
    private func page(_ query: [String: String]) -> ScriptedServer.Step {
        let words = query.sorted { $0.key < $1.key }.map { "\($0.key)=\(percentEncoded($0.value))" }.joined(separator: "&amp;")
        let refusing = "\(query["redirect_uri"] ?? "")?error=access_denied&amp;state=\(query["state"] ?? "")"
        return .http(
            200,
            """
            <!doctype html><html lang="en"><title>Acme</title><h1>Acme</h1>
            <p><a id="agree" href="/agree?\(words)">Sign in as \(subject)</a></p>
            <p><a id="refuse" href="\(refusing)">No</a></p></html>
            """, type: "text/html; charset=utf-8")
    }

    private func back(_ query: [String: String]) -> ScriptedServer.Step {
        guard query["client_id"] == client, let redirect = query["redirect_uri"], let code = grant(query) else {
            return .http(400, "")
        }
        let words = ["code": code, "state": query["state"] ?? "", "iss": url].sorted { $0.key < $1.key }
        let address = redirect + "?" + words.map { "\($0.key)=\(percentEncoded($0.value))" }.joined(separator: "&")
        return .http(303, "", headers: ["Location: \(address)"])
    }

    private func token(_ request: ScriptedServer.Request) -> ScriptedServer.Step {
        let fault = fault.withLock { $0 }
        if fault == .broken { return .http(500, "") }
        // A code is good once.
        let grant = request.field("code").flatMap { code in grants.withLock { $0.removeValue(forKey: code) } }
        let basic = "Basic " + basicCredentials(user: client, password: percentEncoded(secret))
        let isPosted = request.field("client_id") == client && request.field("client_secret") == secret
        let isPostedOnly = methods.withLock { $0 } == ["client_secret_post"]
        let verifier = request.field("code_verifier") ?? ""
        guard let grant, request.field("grant_type") == "authorization_code", request.field("redirect_uri") == grant.redirect,
            isPostedOnly ? isPosted : request.header("Authorization") == basic, (43...128).contains(verifier.utf8.count),
            Base64URL.text(of: SHA256.digestOrEmpty(Array(verifier.utf8))) == grant.challenge
        else { return .http(400, #"{"error":"invalid_grant"}"#) }
        let seconds = now().millisecondsSince1970 / 1000
        var claims = [
            JSONValue.Member("iss", .string(fault == .otherIssuer ? "https://elsewhere.example" : url)),
            JSONValue.Member("aud", .string(fault == .otherAudience ? "another" : grant.client)),
            JSONValue.Member("sub", .string(subject)), JSONValue.Member("iat", .integer(seconds)),
            JSONValue.Member("exp", .integer(seconds + 300)),
        ]
        if fault == .otherParty { claims.append(JSONValue.Member("azp", .string("another"))) }
        if fault != .noNonce {
            claims.append(JSONValue.Member("nonce", .string(fault == .otherNonce ? "stale" : grant.nonce)))
        }
        let signer = fault == .otherKey ? stranger : key
        guard fault != .noToken,
            let token = try? signer.token(.sortedObject(claims), header: ["alg": .string("EdDSA"), "kid": .string("k")])
        else { return .http(200, #"{"access_token":"a","token_type":"Bearer"}"#) }
        return .http(
            200,
            JSONValue.object([
                "access_token": .string("a"), "token_type": .string("Bearer"), "id_token": .string(token),
            ]).canonicalText)
    }
}
