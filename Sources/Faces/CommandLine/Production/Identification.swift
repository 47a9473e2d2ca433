internal import Glibc
internal import SerinAPI
internal import SerinController
internal import SerinIdentity
internal import SerinModel
internal import SerinPages
internal import SerinPorts
internal import SerinTransport

/// Everyone whom a daemon believes: bearers of own tokens, identity tokens and client certificates, and local users. What a request
/// bears is asked first, so that a token on the socket is that of its bearer.
struct Identification: Sendable {
    /// By what a request bears.
    let remote: any Authenticator
    /// By the user at the other end of a unix socket.
    let local: any Authenticator
    /// How people sign in at issuers with a browser.
    private let flow: CodeFlow
    private let webTokens: WebTokens
    private let report: RefusalLog
    private let store: (any AccessStore)?

    /// - Parameters:
    ///   - settings: What the configuration says, without a defect.
    ///   - store: Where tokens are kept; nil when that could not be opened, and then nobody can tell whose one is.
    ///   - othersMayStart: Whether local users who may open the socket may do all that this process' user may, where no rule says
    ///     what they may.
    ///   - previous: Whoever was believed until now; the keys of issuers that were fetched for it are kept.
    ///   - report: Takes why credentials were refused, for the log; each reason at most every 10 seconds.
    init(
        _ settings: IdentitySettings, store: (any AccessStore)?, transport: Transport, othersMayStart: Bool = false,
        previous: Identification? = nil, now: @escaping @Sendable () -> Instant, report: @escaping @Sendable (String) -> Void
    ) throws(Failure) {
        self.store = store
        let rules = try LocalRules(settings)
        webTokens = WebTokens(settings.issuers, transport: transport, previous: previous?.webTokens)
        self.report = RefusalLog(report, now: now)
        flow = CodeFlow(settings.issuers, transport: transport, tokens: webTokens, now: now)
        let bearers = BearerTokens(
            desk: store.map { TokenDesk(store: $0) }, webTokens: webTokens, people: try People(settings.people), now: now,
            report: self.report)
        remote = Authenticators([bearers, ClientCertificates(rules: rules)])
        local = LocalUsers(rules: rules, othersMayStart: othersMayStart)
    }

    /// Opens the tokens of a state folder. When they cannot be read the controller still runs: whoever is on the machine can halt.
    static func opened(
        _ settings: IdentitySettings, _ session: Session, othersMayStart: Bool, previous: Identification?
    ) async throws(Failure) -> Identification {
        var store: (any AccessStore)?
        do throws(OperationError) { store = try await session.assembly.openAccess(session.state) } catch {
            session.complain("\(error); nobody can use a token until the daemon is started again")
        }
        return try Identification(
            settings, store: store, transport: try Transport(), othersMayStart: othersMayStart, previous: previous,
            now: { session.now },
            report: { session.note(plainLines($0)) })
    }
}

extension Identification {
    /// Ends the use of the tokens.
    func close() async { await store?.close() }

    /// Ways to sign in at the issuers of whatever identification is present when somebody does.
    static func ways(_ present: @escaping @Sendable () -> Identification) -> SignInWays {
        SignInWays(
            names: { present().flow.names },
            begin: { name, redirect, target throws(Problem) in
                let present = present()
                do throws(CredentialError) {
                    let beginning = try await present.flow.begin(at: name, redirect: redirect, target: target)
                    return (beginning.address, beginning.binding)
                } catch { throw present.problem(of: error) }
            },
            finish: { name, back throws(Problem) in
                let present = present()
                do throws(CredentialError) {
                    return try await present.flow.finish(
                        at: name,
                        CodeFlow.Return(
                            binding: back.binding, state: back.state, code: back.code, issuer: back.issuer, error: back.error))
                } catch { throw present.problem(of: error) }
            })
    }

    private func problem(of error: CredentialError) -> Problem {
        report.say(error, "refused a sign-in")
        switch error {
        case .refused(let told, _): return Problem(.unidentified, told, hint: "the daemon's log says why")
        case .unavailable(_, let after):
            return Problem(
                after, "nobody can be signed in there at the moment",
                hint: "try again, or sign in with a token; the daemon's log says why")
        }
    }
}

/// Identifies the bearers of own tokens and of identity tokens (RFC 6750, section 2.1).
private struct BearerTokens: Authenticator {
    let desk: TokenDesk?
    let webTokens: WebTokens
    let people: People
    let now: @Sendable () -> Instant
    let report: RefusalLog

    func identify(_ request: Request) async throws(Problem) -> Identity? {
        let values = request.headers.filter { $0.name.lowercased() == "authorization" }.map(\.value)
        guard let value = values.first, value.lowercased().hasPrefix("bearer ") else { return nil }
        guard values.count == 1 else { throw Problem(.unidentified, "there are \(values.count) Authorization headers") }
        let text = String(value.dropFirst(7).drop { $0 == " " })
        do throws(CredentialError) {
            if WebTokens.isToken(text) {
                return Identity(try await webTokens.caller(bearing: text, people: people, at: now()), how: .oidc)
            }
            guard let desk else { throw CredentialError.unavailable("the tokens could not be opened") }
            return Identity(try await desk.caller(bearing: text, people: people, at: now()), how: .token)
        } catch {
            report.say(error, "refused a request", from: " from \(request.peer.address ?? "the unix socket")")
            switch error {
            case .refused(let told, _): throw Problem(.unidentified, told, hint: "serin token create makes a token")
            case .unavailable(_, let after):
                throw Problem(
                    after, "nobody can tell at the moment whether these credentials are good",
                    hint: after.map { "they are not refused: try again with the same in \(Problem.wholeSeconds($0)) s" })
            }
        }
    }
}

/// Identifies the holders of client certificates.
private struct ClientCertificates: Authenticator {
    let rules: LocalRules

    func identify(_ request: Request) throws(Problem) -> Identity? {
        guard let certificate = request.peer.certificate else { return nil }
        // A browser shows its certificate whoever makes it send something.
        guard request.method == "GET" || request.method == "HEAD" || !request.isFromElsewhere else {
            throw Problem(
                .forbidden, "another site made this browser send the request, and a certificate alone does not answer for that")
        }
        let shown = ClientCertificate(
            subject: certificate.subject, names: certificate.names, fingerprint: certificate.fingerprint)
        return rules.caller(showing: shown).map { Identity($0, how: .mtls) }
    }
}

/// Identifies local users: by the rules where there are some, else as always.
private struct LocalUsers: Authenticator {
    let rules: LocalRules
    let othersMayStart: Bool

    func identify(_ request: Request) -> Identity? {
        guard let user = request.peer.uid,
            var identity = SocketPeers(othersMayStart: othersMayStart).identify(request)
        else { return nil }
        let (principal, grant) = rules.peer(user: user, groups: request.peer.groups)
        identity.principal = principal
        // The host is theirs.
        guard let grant, user != 0, user != geteuid() else { return identity }
        identity = Identity(Caller(principal, grant), how: .unix)
        identity.hint = "the configuration says what local users may do"
        return identity
    }
}

extension Identity {
    fileprivate init(_ caller: Caller, how: How) {
        self.init(
            caller.principal, roles: caller.grant.roles, scopes: caller.grant.scopes, projects: caller.grant.projects,
            isPerson: caller.grant.isPerson, how: how)
    }
}

extension Problem {
    /// Nobody can tell at the moment, and may be able to after a while.
    fileprivate init(_ after: Duration?, _ detail: String, hint: String?) {
        self.init(.unavailable, detail, hint: hint)
        if let after { retryAfter = Self.wholeSeconds(after) }
    }

    /// A pause in seconds, at least one: rounded up, as a try before its end is in vain.
    fileprivate static func wholeSeconds(_ pause: Duration) -> Int { max(1, Int(pause.seconds.rounded(.up))) }
}
