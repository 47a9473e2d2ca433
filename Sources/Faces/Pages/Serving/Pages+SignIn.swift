internal import SerinAPI
internal import SerinModel
internal import SerinRollouts

// Signing in, with a token or at an issuer of identity tokens, and out.
extension Pages {
    func signInForm(_ request: Request, _: [String]) async throws -> Response {
        let undone = request.parameter("undone").flatMap { Command.Verb(rawValue: $0) }
        return try signInPage(
            request, target: Link(place: request.parameter("to")),
            complaint: undone.map { "Not done: the \($0.rawValue). You were signed out; sign in, and ask for it again." })
    }

    func signIn(_ request: Request, _: [String]) async throws -> Response {
        guard sessions.isOwnForm(request) else {
            throw Problem(.forbidden, "this was not sent by the form of these pages", hint: "open /sign-in again")
        }
        let form = FormBody(request.body)
        let target = Link(place: form["to"])
        // Why a token is not good is for the log alone: the same words for every reason.
        let cookie: String?
        do throws(Problem) { cookie = try await sessions.open(form["token"] ?? "", request) } catch {
            guard error.kind == .unidentified || error.kind == .forbidden else { throw error }
            cookie = nil
        }
        guard let cookie else { return try signInPage(request, target: target, complaint: "This token is not good.") }
        return PageAnswer.redirect(to: target.text, headers: [Request.Pair("Set-Cookie", cookie)])
    }

    func signOut(_ request: Request, _: [String]) async throws -> Response {
        guard sessions.isOwnForm(request) else {
            throw Problem(.forbidden, "this was not sent by a form of these pages", hint: "open the page again")
        }
        return PageAnswer.redirect(to: "/sign-in", headers: [Request.Pair("Set-Cookie", sessions.close(request))])
    }

    /// Leads to an issuer, by a link and not a form: browsers let forms of these pages lead nowhere else.
    func beginSignIn(_ request: Request, names: [String]) async throws -> Response {
        let host = request.header("Host") ?? ""
        guard !host.isEmpty, host.utf8.allSatisfy({ Self.hostCharacters.contains($0) }) else {
            throw Problem(.malformed, "the request names no host to come back to")
        }
        let scheme = PageSessions.isEncrypted(request) ? "https" : "http"
        let way = try await sources.signIn.begin(
            names[0], "\(scheme)://\(host)" + Link("sign-in", names[0], "back").text, Link(place: request.parameter("to")).text)
        return PageAnswer.redirect(
            to: way.address, headers: [Request.Pair("Set-Cookie", PageSessions.binding(way.binding, for: request))])
    }

    /// Takes back whom an issuer sends. The answer is a page that leads on by itself: the session's cookie is not sent with a request that
    /// another site began.
    func finishSignIn(_ request: Request, names: [String]) async throws -> Response {
        let forgetting = Request.Pair("Set-Cookie", PageSessions.binding("", for: request))
        do {
            let (token, target) = try await sources.signIn.finish(
                names[0],
                SignInReturn(
                    binding: PageSessions.binding(of: request) ?? "", state: request.parameter("state") ?? "",
                    code: request.parameter("code"), issuer: request.parameter("iss"), error: request.parameter("error")))
            guard let cookie = try await sessions.open(token, request) else {
                throw Problem(.unidentified, "these credentials are not accepted")
            }
            let visit = try visit(request)
            let page = NoticePage(
                title: "Signed in", text: "You are signed in.", hint: nil, visit: visit, next: Link(place: target))
            return PageAnswer.page(
                page.markup, nonce: visit.nonce, headers: [forgetting, Request.Pair("Set-Cookie", cookie)])
        } catch let problem as Problem where problem.kind == .unidentified || problem.kind == .forbidden {
            let words = [problem.detail, problem.hint].compactMap { $0 }.map { sentenceCase($0) + "." }
            return try signInPage(
                request, target: Link(place: nil), complaint: words.joined(separator: " "), headers: [forgetting])
        }
    }

    private static let hostCharacters = Set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:[]".utf8)

    private func signInPage(
        _ request: Request, target: Link, complaint: String?, headers: [Request.Pair] = []
    ) throws(Problem) -> Response {
        let visit = try visit(request)
        let page = SignInPage(target: target, issuers: sources.signIn.names(), complaint: complaint, visit: visit)
        return PageAnswer.page(page.markup, nonce: visit.nonce, status: complaint == nil ? 200 : 401, headers: headers)
    }
}
