public import SerinCrypto
internal import SerinLocks
public import SerinModel
public import SerinTransport

/// How people sign in at an issuer with a browser.
public struct SignInSettings: Sendable {
    /// What Serin is called there; the audience of the tokens that it gives.
    public var clientID: String
    /// The secret that Serin shows there; nil for a public client.
    public var secret: Secret?
    /// What is asked for beside `openid`.
    public var scopes: [String]

    /// Settings.
    public init(clientID: String, secret: Secret? = nil, scopes: [String] = []) {
        self.clientID = clientID
        self.secret = secret
        self.scopes = scopes
    }
}

/// Signs people in at issuers of identity tokens: the authorization code flow of OpenID Connect Core 1.0 (section 3.1) with PKCE
/// (RFC 7636), by the rules of RFC 9700. What comes of it is an identity token, which is judged like any other.
public final class CodeFlow: Sendable {
    /// How long somebody may take to sign in at the issuer.
    static let patience = Duration.minutes(10)
    /// The most sign-ins under way; the oldest ends when there is one more.
    static let limit = 1000
    /// How long one answer may take.
    static let timeout = Duration.seconds(10)
    /// How long what an issuer says of itself is kept.
    private static let freshFor = Duration.minutes(5)

    /// Where a sign-in begins.
    public struct Beginning: Sendable {
        /// Where the browser is led.
        public var address: String
        /// What the browser must show when it comes back, so that nobody is signed in by somebody else's link.
        public var binding: String
    }

    /// What a browser brings back from an issuer.
    public struct Return: Sendable {
        /// What the browser was given at the beginning.
        public var binding: String
        /// `state`.
        public var state: String
        /// `code`; nil when the issuer let nobody in.
        public var code: String?
        /// `iss` (RFC 9207); nil where the issuer sends none.
        public var issuer: String?
        /// `error`.
        public var error: String?

        /// What came back.
        public init(binding: String, state: String, code: String?, issuer: String? = nil, error: String? = nil) {
            self.binding = binding
            self.state = state
            self.code = code
            self.issuer = issuer
            self.error = error
        }
    }

    private struct Pending: Sendable {
        var issuer: String
        var binding: String
        var nonce: String
        var verifier: String
        var redirect: String
        var target: String
        var begunAt: Instant
    }

    private struct Provider: Sendable {
        var authorization: String
        var token: String
        var takesBasic: Bool
    }

    private let issuers: [(settings: IssuerSettings, signIn: SignInSettings)]
    private let transport: Transport
    private let tokens: WebTokens
    private let now: @Sendable () -> Instant
    private let pending = Locked<[String: Pending]>([:])
    private let known = Locked<[String: (Provider, Instant)]>([:])

    /// Sign-ins at those of the issuers that allow them. Nothing is asked yet.
    ///
    /// - Parameter tokens: What judges the tokens that come of it.
    public init(_ issuers: [IssuerSettings], transport: Transport, tokens: WebTokens, now: @escaping @Sendable () -> Instant) {
        self.issuers = issuers.compactMap { settings in settings.signIn.map { (settings, $0) } }
        self.transport = transport
        self.tokens = tokens
        self.now = now
    }

    /// The issuers at which people can sign in.
    public var names: [String] { issuers.map(\.settings.name).sorted() }

    /// Begins a sign-in.
    ///
    /// - Parameters:
    ///   - name: The issuer.
    ///   - redirect: Where the issuer sends the browser back to, as it knows it.
    ///   - target: Where to go on afterwards; it is given back as it is.
    public func begin(at name: String, redirect: String, target: String) async throws(CredentialError) -> Beginning {
        let (settings, signIn) = try issuer(name)
        let provider = try await provider(of: settings)
        let words: [String]
        do throws(CryptoError) {
            words = [
                Base64URL.text(of: try randomBytes(32)), Base64URL.text(of: try randomBytes(32)),
                Base64URL.text(of: try randomBytes(32)), Base64URL.text(of: try randomBytes(32)),
            ]
        } catch { throw .unavailable("no sign-in can be begun: \(error)") }
        let (state, verifier) = (words[0], words[2])
        let waiting = Pending(
            issuer: name, binding: words[3], nonce: words[1], verifier: verifier, redirect: redirect, target: target,
            begunAt: now())
        pending.withLock { pending in
            pending[state] = waiting
            guard pending.count > Self.limit else { return }
            let oldest = pending.min { ($0.value.begunAt, $0.key) < ($1.value.begunAt, $1.key) }
            if let oldest { pending[oldest.key] = nil }
        }
        let query = Self.form([
            ("response_type", "code"), ("client_id", signIn.clientID), ("redirect_uri", redirect),
            ("scope", (["openid"] + signIn.scopes.filter { $0 != "openid" }).joined(separator: " ")), ("state", state),
            ("nonce", waiting.nonce),
            ("code_challenge", Base64URL.text(of: SHA256.digestOrEmpty(Array(verifier.utf8)))), ("code_challenge_method", "S256"),
        ])
        let separator = provider.authorization.contains("?") ? "&" : "?"
        return Beginning(address: provider.authorization + separator + query, binding: waiting.binding)
    }

    /// Ends a sign-in that a browser comes back from; it can be ended once.
    ///
    /// - Returns: The identity token, and where to go on.
    public func finish(at name: String, _ back: Return) async throws(CredentialError) -> (token: String, target: String) {
        let (settings, signIn) = try issuer(name)
        // Taken out whatever comes next: what was brought back once is never good again.
        let waiting = pending.withLock { $0.removeValue(forKey: back.state) }
        guard let waiting, now() - waiting.begunAt <= Self.patience else {
            throw .refused(told: Self.over, detail: "a sign-in that nobody began here, or that was over")
        }
        guard waiting.issuer == name, areEqual(Array(waiting.binding.utf8), Array(back.binding.utf8)) else {
            throw .refused(told: Self.over, detail: "a sign-in that another browser began, or at another issuer")
        }
        guard back.issuer == nil || back.issuer == settings.issuer else {
            throw .refused(told: Self.over, detail: "an answer of another issuer than '\(name)'")
        }
        if let error = back.error {
            let word =
                error.utf8.count <= 64 && error.utf8.allSatisfy { (0x61...0x7A).contains($0) || $0 == 0x5F } ? error : "an error"
            throw .refused(
                told: "'\(name)' did not sign you in: \(word)", detail: "a sign-in that '\(name)' answered with \(word)")
        }
        guard let code = back.code, (1...2048).contains(code.utf8.count) else {
            throw .refused(told: Self.over, detail: "an answer of '\(name)' without a code")
        }
        let text = try await exchange(code, waiting, settings, signIn)
        let claims = try WebToken(text).claims
        guard claims["iss"]?.text == settings.issuer, Self.audiences(claims).contains(signIn.clientID),
            claims["azp"] == nil || claims["azp"]?.text == signIn.clientID
        else { throw .refused("a token for somebody else, of '\(name)'") }
        guard let nonce = claims["nonce"]?.text, areEqual(Array(nonce.utf8), Array(waiting.nonce.utf8)) else {
            throw .refused(told: Self.over, detail: "a token made for another sign-in, of '\(name)'")
        }
        _ = try await tokens.caller(bearing: text, people: .none, at: now())
        return (text, waiting.target)
    }

    private static let over = "this sign-in is over; begin it again"

    private static func audiences(_ claims: JSONValue) -> [String] {
        switch claims["aud"] {
        case .string(let text): [text]
        case .array(let items): items.compactMap(\.text)
        default: []
        }
    }

    private func issuer(_ name: String) throws(CredentialError) -> (settings: IssuerSettings, signIn: SignInSettings) {
        guard let issuer = issuers.first(where: { $0.settings.name == name }) else {
            throw .refused(told: "nobody signs in at '\(name)'", detail: "a sign-in at an issuer without sign_in")
        }
        return issuer
    }

    /// Gives the code for a token (OpenID Connect Core 1.0, section 3.1.3; RFC 7636, section 4.5).
    private func exchange(
        _ code: String, _ waiting: Pending, _ settings: IssuerSettings, _ signIn: SignInSettings
    ) async throws(CredentialError) -> String {
        let provider = try await provider(of: settings)
        var fields = [
            ("grant_type", "authorization_code"), ("code", code), ("redirect_uri", waiting.redirect),
            ("code_verifier", waiting.verifier),
        ]
        var headers = [
            HTTPHeader("Accept", "application/json"), HTTPHeader("Content-Type", "application/x-www-form-urlencoded"),
        ]
        let secret = signIn.secret.map { secret in secret.withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
        if let secret, provider.takesBasic {
            let credentials = basicCredentials(user: percentEncoded(signIn.clientID), password: percentEncoded(secret))
            headers.append(HTTPHeader("Authorization", "Basic " + credentials))
        } else {
            fields.append(("client_id", signIn.clientID))
            if let secret { fields.append(("client_secret", secret)) }
        }
        var request = HTTPRequest(
            method: "POST", url: provider.token, headers: headers, body: Array(Self.form(fields).utf8), timeout: Self.timeout,
            bodyLimit: 64 << 10)
        request.certificateAuthorityFile = settings.certificateAuthorityFile
        let response: HTTPResponse
        do throws(Failure) { response = try await transport.send(request) } catch {
            throw .unavailable("'\(settings.name)' does not answer: \(error.message)")
        }
        guard response.status == 200 else {
            if response.status >= 500 { throw .unavailable("\(request.publicURL) answered \(response.status)") }
            throw .refused(told: Self.over, detail: "\(request.publicURL) answered a code with \(response.status)")
        }
        guard let document = try? JSONValue(parsing: response.body, depthLimit: 8), let token = document["id_token"]?.text else {
            // Whatever else it is, it is no token.
            throw .refused(told: Self.over, detail: "\(request.publicURL) answered without an identity token")
        }
        return token
    }

    /// Where an issuer signs people in, as its discovery document says.
    private func provider(of settings: IssuerSettings) async throws(CredentialError) -> Provider {
        let now = now()
        if let (provider, at) = known.withLock({ $0[settings.name] }), now >= at, now - at < Self.freshFor { return provider }
        let document: JSONValue
        do throws(Failure) { document = try await KeyFetch(transport: transport, settings: settings).discovery() } catch {
            throw .unavailable("'\(settings.name)' cannot be asked where it signs people in: \(error.message)")
        }
        func endpoint(_ name: String) throws(CredentialError) -> String {
            guard let address = document[name]?.text, mayFetch(address), !address.contains("#"),
                address.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }),
                address.hasPrefix("https://") || settings.issuer.hasPrefix("http://")
            else { throw .unavailable("the discovery document of '\(settings.name)' names no https address as \(name)") }
            return address
        }
        if case .array(let methods)? = document["code_challenge_methods_supported"], !methods.contains(.string("S256")) {
            throw .unavailable("'\(settings.name)' takes no code challenge of the method S256")
        }
        let methods = document["token_endpoint_auth_methods_supported"]?.items?.compactMap(\.text)
        let provider = Provider(
            authorization: try endpoint("authorization_endpoint"), token: try endpoint("token_endpoint"),
            takesBasic: methods.map { $0.contains("client_secret_basic") || !$0.contains("client_secret_post") } ?? true)
        known.withLock { $0[settings.name] = (provider, now) }
        return provider
    }

    private static func form(_ fields: [(String, String)]) -> String {
        fields.map { "\(percentEncoded($0.0))=\(percentEncoded($0.1))" }.joined(separator: "&")
    }
}
