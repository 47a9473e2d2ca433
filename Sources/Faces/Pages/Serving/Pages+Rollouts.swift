internal import SerinAPI
internal import SerinController
internal import SerinModel
internal import SerinRollouts

// The pages of services and rollouts, and what is asked of them.
extension Pages {
    func services(_ request: Request, _: [String]) async throws -> Response {
        let visit = try visit(request)
        let page = ServicesPage(try await sources.operations.statuses(), checks: await sources.checks(), visit: visit)
        return PageAnswer.page(page.markup, nonce: visit.nonce)
    }

    func liveServices(_ request: Request, _: [String]) async throws -> Response {
        stream { stream in
            await stream.follow(services: {
                ServicesPage(
                    try await sources.operations.statuses(), checks: await sources.checks(), visit: try visit(request))
            })
        }
    }

    func rollout(_ request: Request, names: [String]) async throws -> Response {
        let visit = try visit(request)
        let page = RolloutPage(try await view(sources.operations.status(of: names[0])), visit: visit)
        return PageAnswer.page(page.markup, nonce: visit.nonce)
    }

    func live(_ request: Request, names: [String]) async throws -> Response {
        // A browser that comes back says by a header how far it had come.
        guard let after = Int64(request.header("Last-Event-ID") ?? request.parameter("after") ?? "0"), after >= 0 else {
            throw Problem(.malformed, "'after' is an entry's number")
        }
        let status = try await sources.operations.status(of: names[0])
        let id = status.id.description
        return stream { stream in
            await stream.follow(
                status, after: after, page: { RolloutPage(try await view($0), visit: try visit(request)) },
                change: { try await sources.operations.statusChange(of: id, from: $0, timeout: LiveStream.pause) })
        }
    }

    func text(_ request: Request, names: [String]) async throws -> Response {
        let view = try await view(sources.operations.status(of: names[0]))
        let text = sources.text(view.status, view.history.decisions.suffix(10))
        return Response.text(200, text, type: "text/plain; charset=utf-8")
    }

    func policy(_ request: Request, names: [String]) async throws -> Response {
        let visit = try visit(request)
        let view = try await view(sources.operations.status(of: names[0]))
        guard let charter = view.history.charter else {
            throw Problem(.notFound, "the journal has no charter of \(names[0]) yet", hint: "open the page again in a moment")
        }
        return PageAnswer.page(PolicyPage(charter, plan: view.plan, visit: visit).markup, nonce: visit.nonce)
    }

    /// Does what a form asks for, and leads back to the rollout.
    func perform(_ verb: Command.Verb, _ request: Request, _ names: [String]) async throws -> Response {
        guard sessions.isOwnForm(request) else {
            throw Problem(
                .forbidden, "this was not sent by a form of these pages", hint: "open the page again and send the form from there"
            )
        }
        let form = FormBody(request.body)
        let reason = Command.kept(form["reason"] ?? "")
        let isSecurity = verb == .halt && form["security"] == "yes"
        let status = try await sources.operations.perform(
            Command(
                isSecurity ? .haltForSecurity : verb, by: try request.identified().principal, reason: reason, plan: form["plan"]),
            on: names[0])
        return PageAnswer.redirect(to: Link("rollouts", status.id.description).text)
    }

    func view(_ status: RolloutStatus) async throws(OperationError) -> RolloutView {
        let history = try await chronicles.history(of: status)
        return RolloutView(
            status: status, history: history, plan: history.charter.map(sources.plan) ?? PlanWords(),
            stateFolder: sources.stateFolder)
    }

    private func stream(_ body: @escaping @Sendable (LiveStream) async -> Void) -> Response {
        Response(
            status: 200, headers: [Request.Pair("Content-Type", "text/event-stream")] + PageAnswer.guards,
            body: .stream { sink in await body(LiveStream(sink: sink)) })
    }
}
