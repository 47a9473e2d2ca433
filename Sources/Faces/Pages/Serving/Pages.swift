public import SerinAPI
internal import SerinController
internal import SerinModel
internal import SerinRollouts

/// The pages as routes, for people with a browser.
public struct Pages: Sendable {
    let sources: PageSources
    let sessions: PageSessions
    let chronicles: Chronicles
    let trail: AuditTrail
    private let access: [Command.Verb: Access]

    /// Pages over their sources. The sessions stand among the router's authenticators too.
    public init(_ sources: PageSources, sessions: PageSessions) {
        self.sources = sources
        self.sessions = sessions
        chronicles = Chronicles(sources.operations)
        trail = AuditTrail(sources.operations)
        // Whoever may ask over the API may ask here.
        let routes = RolloutAPI(sources.operations).routes
        access = Command.Verb.allCases.reduce(into: [:]) { access, verb in
            let word = verb == .haltForSecurity ? Command.Verb.halt.rawValue : verb.rawValue
            access[verb] = routes.first { $0.pattern == "/v1/rollouts/{name}:\(word)" }?.access
        }
    }

    /// The routes.
    public var routes: [Route] {
        [
            see("/", "every service", services), see("/live", "changes of every service", liveServices),
            see("/rollouts/{name}.txt", "one rollout for terminals", text), see("/rollouts/{name}", "one rollout", rollout),
            see("/rollouts/{name}/live", "changes of one rollout", live),
            see("/rollouts/{name}/policy", "its policy and plan", policy), see("/backups", "every backup", backups),
            see("/migrations", "what rollouts do to schemas", migrations), see("/audit", "who asked for what", audit),
            see("/changes", "what waits for a second person", changes),
            see("/health", "Serin's own health", health),
        ] + agreeing + [.halt, .hold, .resume, .promote, .rollback, .approve].compactMap(ask) + [
            route("GET", "/sign-in", "the form to sign in", .open, signInForm),
            route("POST", "/sign-in", "sign in with a token", .open, signIn),
            route("GET", "/sign-in/{issuer}", "sign in at an issuer of identity tokens", .open, beginSignIn),
            route("GET", "/sign-in/{issuer}/back", "come back from there", .open, finishSignIn),
            route("POST", "/sign-out", "sign out", .open, signOut),
        ]
    }

    /// Whoever may agree over the API may agree here.
    var agreement: Access? {
        sources.desk.flatMap { desk in ConfigurationAPI(desk).routes.first { $0.pattern == "/v1/configuration:approve" }?.access }
    }

    private var agreeing: [Route] {
        guard let desk = sources.desk, let access = agreement else { return [] }
        return [
            route("POST", "/changes/agree", "agree to what was proposed", access) { request, _ in
                try await agree(request) { form, principal in _ = try await desk.approve(plan: form["plan"], by: principal) }
            },
            route("POST", "/changes/tokens/{id}", "agree to a token", access) { request, names in
                try await agree(request) { _, principal in _ = try await desk.approveToken(names[0], by: principal) }
            },
        ]
    }

    private func see(_ pattern: String, _ summary: String, _ handler: @escaping Route.Handler) -> Route {
        route("GET", pattern, summary, .any(of: [.viewer]), handler)
    }

    private func ask(_ verb: Command.Verb) -> Route? {
        guard let access = access[verb] else { return nil }
        let allowance: Route.Allowance = verb == .halt ? .halting : .usual
        return route("POST", "/rollouts/{name}/\(verb.rawValue)", "\(verb.rawValue) a rollout", access, allowance: allowance) {
            try await perform(verb, $0, $1)
        }
    }

    private func route(
        _ method: String, _ pattern: String, _ summary: String, _ access: Access, allowance: Route.Allowance = .usual,
        _ handler: @escaping Route.Handler
    ) -> Route {
        Route(
            method, pattern, summary: summary, access: access, allowance: allowance,
            onProblem: { problem, request in answer(problem, request) },
            handler: { request, names in
                try checkHost(request)
                return try await handler(request, names)
            })
    }

    /// Refuses a browser that was led here under another name, as a site does whose name is made to point at this computer.
    private func checkHost(_ request: Request) throws(Problem) {
        guard request.peer.uid == nil else { return }
        let host = (request.header("Host") ?? "").lowercased()
        let name = host.hasPrefix("[") ? String(host.prefix { $0 != "]" }) + "]" : String(host.prefix { $0 != ":" })
        guard ["localhost", "127.0.0.1", "[::1]"].contains(name) || sources.hosts.contains(name) else {
            throw Problem(
                .forbidden, "these pages are not served under the name '\(name)'",
                hint: "open them by the address of the controller, or let the name with serin daemon --page-host \(name)")
        }
    }

    /// What a browser is shown that asks for what is not there; programs, and everyone below `/v1/`, read the problem document.
    public func unknown(_ problem: Problem, _ request: Request) -> Response? {
        guard !request.path.hasPrefix("/v1/") else { return nil }
        do throws(Problem) { try checkHost(request) } catch { return error.response }
        return answer(problem, request)
    }

    /// A problem as a page; who is not known yet is led to the sign-in.
    private func answer(_ problem: Problem, _ request: Request) -> Response {
        if problem.kind == .unidentified, request.header("Accept")?.contains("text/event-stream") != true {
            guard request.method != "GET" else {
                return PageAnswer.redirect(to: Link("sign-in", query: [(name: "to", value: request.path)]).text)
            }
            // Back to the page whose form it was, and never as if it had been done.
            let parts = request.path.parts(at: "/").map(String.init)
            let isAsked = parts.count == 3 && parts[0] == "rollouts" && Command.Verb(rawValue: parts[2]) != nil
            let target = isAsked ? Link("rollouts", parts[1]).text : "/"
            return PageAnswer.redirect(
                to: Link("sign-in", query: [(name: "to", value: target), (name: "undone", value: isAsked ? parts[2] : "")]).text)
        }
        guard request.header("Accept")?.contains("text/html") == true, let visit = try? visit(request) else {
            // Programs, and browsers while no page can be made, read the problem document.
            return problem.response
        }
        let words = problem.detail.isEmpty ? problem.kind.title : sentenceCase(problem.detail)
        let notice = NoticePage(title: problem.kind.title, text: words, hint: problem.hint, visit: visit)
        return PageAnswer.page(notice.markup, nonce: visit.nonce, status: problem.kind.status)
    }

    /// What a page knows of its reader.
    func visit(_ request: Request) throws(Problem) -> Visit {
        let verbs = request.identity.map { identity in access.filter { $0.value.refusal(of: identity) == nil }.map(\.key) }
        return Visit(
            reader: request.identity.map { "\($0.principal)" }, verbs: Set(verbs ?? []), hasSession: sessions.isOpen(request),
            formToken: sessions.formToken(for: request), nonce: try PageAnswer.nonce(), now: sources.now())
    }
}
