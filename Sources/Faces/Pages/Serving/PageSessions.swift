public import SerinAPI
internal import SerinCrypto
internal import SerinLocks
public import SerinModel

/// Sessions of browsers: a cookie that stands for the token with which someone signed in.
///
/// The token is kept in memory alone and judged again at each request, so that one that is revoked or has expired ends its sessions.
/// A session is good for reading, and for the forms of the pages, which send its form token back; nothing else can be posted with it.
public final class PageSessions: Authenticator {
    /// How long a session lasts.
    static let lifetime = Duration.hours(12)
    /// The most sessions at once; the oldest ends when there is one more.
    static let limit = 1000

    private struct Session: Sendable {
        var token: String
        var openedAt: Instant
    }

    private let tokens: any Authenticator
    private let now: @Sendable () -> Instant
    private let key: [UInt8]
    private let sessions = Locked<[String: Session]>([:])

    /// Sessions over what judges tokens.
    ///
    /// - Parameters:
    ///   - tokens: What judges `Authorization: Bearer …`.
    ///   - now: The time.
    public init(over tokens: any Authenticator, now: @escaping @Sendable () -> Instant) throws(Failure) {
        self.tokens = tokens
        self.now = now
        do throws(CryptoError) { key = try randomBytes(32) } catch {
            throw Failure(.unknown, "cannot make a key for sessions: \(error)")
        }
    }

    /// The identity behind a request's session cookie; nil for a request without one, or with credentials of its own.
    public func identify(_ request: Request) async throws(Problem) -> Identity? {
        guard request.header("Authorization") == nil, let id = Self.cookie(request), let session = session(id) else { return nil }
        guard request.method == "GET" || isOwnForm(request) else {
            throw Problem(
                .forbidden, "this was not sent by a form of these pages", hint: "open the page again and send the form from there"
            )
        }
        return try await identity(session.token, request)
    }

    /// Opens a session with a token; nil when the token is not good.
    ///
    /// - Returns: The value of `Set-Cookie`.
    func open(_ token: String, _ request: Request) async throws(Problem) -> String? {
        guard try await identity(token, request) != nil else { return nil }
        let id: String
        do throws(CryptoError) { id = Base64.text(of: try randomBytes(32)).filter { $0 != "=" && $0 != "/" && $0 != "+" } } catch
        {
            throw Problem(.unavailable, "no session can be opened: \(error)")
        }
        let session = Session(token: token, openedAt: now())
        sessions.withLock { sessions in
            sessions[id] = session
            guard sessions.count > Self.limit else { return }
            let oldest = sessions.min { ($0.value.openedAt, $0.key) < ($1.value.openedAt, $1.key) }
            if let oldest { sessions[oldest.key] = nil }
        }
        return Self.setting(id, for: request, seconds: Self.lifetime.milliseconds / 1000)
    }

    /// Ends a request's session.
    func close(_ request: Request) -> String {
        if let id = Self.cookie(request) { sessions.withLock { _ = $0.removeValue(forKey: id) } }
        return Self.setting("", for: request, seconds: 0)
    }

    /// Whether the request comes with a session that is open.
    func isOpen(_ request: Request) -> Bool { Self.cookie(request).flatMap(session) != nil }

    /// What the forms of a page send back: bound to the session, or to who else reads it.
    func formToken(for request: Request) -> String {
        let bearer = Self.cookie(request).map { "session \($0)" } ?? request.principal.map { "principal \($0)" } ?? "nobody"
        // Without a code no form is accepted, as no text is as long as one.
        guard let code = try? HMACSHA256.code(for: Array(bearer.utf8), key: key) else { return "" }
        return Hexadecimal.text(of: code)
    }

    /// Whether a request is a form of these pages, sent by a browser that shows them from this very place.
    func isOwnForm(_ request: Request) -> Bool {
        guard !request.isFromElsewhere else { return false }
        let expected = formToken(for: request)
        let given = FormBody(request.body)["form_token"] ?? ""
        return expected.utf8.count == 64 && areEqual(Array(given.utf8), Array(expected.utf8))
    }

    private func session(_ id: String) -> Session? {
        let now = now()
        return sessions.withLock { sessions in
            guard let session = sessions[id] else { return nil }
            if now - session.openedAt <= Self.lifetime { return session }
            sessions[id] = nil
            return nil
        }
    }

    private func identity(_ token: String, _ request: Request) async throws(Problem) -> Identity? {
        let visible = token.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
        guard visible, !token.isEmpty, token.utf8.count <= 8192 else { return nil }
        var bearing = request
        bearing.headers = request.headers.filter { !["authorization", "cookie"].contains($0.name.lowercased()) }
        bearing.headers.append(Request.Pair("Authorization", "Bearer \(token)"))
        return try await tokens.identify(bearing)
    }

    /// The cookie's name: one that a browser takes over TLS alone, and never from a neighbouring host, where there is TLS.
    private static func name(_ request: Request) -> String { isEncrypted(request) ? "__Host-serin" : "serin" }

    private static func cookie(_ request: Request) -> String? { request.cookie(name(request)) }

    /// A proxy in front that ends TLS says so; who says it without one only keeps his own cookie from working.
    static func isEncrypted(_ request: Request) -> Bool {
        request.peer.isEncrypted || request.header("X-Forwarded-Proto") == "https"
    }

    /// The cookie of a browser that is led to an issuer; empty takes it away. It comes back with a request that the issuer began.
    static func binding(_ value: String, for request: Request) -> String {
        "\(name(request))-sign-in=\(value); Path=/; HttpOnly; SameSite=Lax; Max-Age=\(value.isEmpty ? 0 : 600)"
            + (isEncrypted(request) ? "; Secure" : "")
    }

    /// What that cookie says.
    static func binding(of request: Request) -> String? { request.cookie(name(request) + "-sign-in") }

    private static func setting(_ value: String, for request: Request, seconds: Int64) -> String {
        "\(name(request))=\(value); Path=/; HttpOnly; SameSite=Strict; Max-Age=\(seconds)"
            + (isEncrypted(request) ? "; Secure" : "")
    }
}
