internal import SerinAPI
internal import SerinController
internal import SerinModel
internal import SerinPolicies
internal import SerinRecords
internal import SerinRollouts

// The pages beside those of rollouts.
extension Pages {
    func backups(_ request: Request, _: [String]) async throws -> Response {
        let visit = try visit(request)
        return PageAnswer.page(BackupsPage(try await sources.backups(), visit: visit).markup, nonce: visit.nonce)
    }

    func migrations(_ request: Request, _: [String]) async throws -> Response {
        let visit = try visit(request)
        var views: [RolloutView] = []
        for status in try await sources.operations.statuses() { views.append(try await view(status)) }
        return PageAnswer.page(MigrationsPage(views, visit: visit).markup, nonce: visit.nonce)
    }

    func audit(_ request: Request, _: [String]) async throws -> Response {
        let visit = try visit(request)
        let text = request.parameter("entries") ?? "\(AuditPage.reach)"
        guard let reach = Int64(text), reach > 0 else { throw Problem(.malformed, "'entries' is a number of entries") }
        var lines: [AuditPage.Line] = []
        var hasOlder = false
        for service in Set(try await sources.operations.statuses().map(\.service)).sorted() {
            let found = try await trail.lines(of: service, newest: reach)
            lines += found.lines
            hasOlder = hasOlder || found.hasOlder
        }
        var unread: String?
        do throws(Failure) { lines += try await sources.decided() } catch {
            unread = "Who may do what, and who agreed to the configuration, cannot be read: \(error.message)."
        }
        let page = AuditPage(
            lines, unread: unread, search: request.parameter("q") ?? "", reach: hasOlder ? reach : nil, visit: visit)
        return PageAnswer.page(page.markup, nonce: visit.nonce)
    }

    func changes(_ request: Request, _: [String]) async throws -> Response {
        guard let desk = sources.desk else { throw Problem(.notFound, "nothing is decided by two people here") }
        let visit = try visit(request)
        let mayAgree = request.identity.flatMap { identity in agreement.map { $0.refusal(of: identity) == nil } } ?? false
        return PageAnswer.page(
            ChangesPage(try await desk.standing(), mayAgree: mayAgree, visit: visit).markup, nonce: visit.nonce)
    }

    /// Agrees by a form, and leads back to what waits.
    func agree(
        _ request: Request, _ body: (FormBody, Principal) async throws -> Void
    ) async throws -> Response {
        guard sessions.isOwnForm(request) else {
            throw Problem(
                .forbidden, "this was not sent by a form of these pages", hint: "open the page again and send the form from there"
            )
        }
        try await body(FormBody(request.body), try request.identified().principal)
        return PageAnswer.redirect(to: Link("changes").text)
    }

    func health(_ request: Request, _: [String]) async throws -> Response {
        let visit = try visit(request)
        var checks: [HealthPage.Check] = []
        do throws(OperationError) {
            for status in try await sources.operations.statuses() {
                let history = try await chronicles.history(of: status)
                checks.append(check(status, history, at: visit.now))
            }
        } catch {
            checks.append(HealthPage.Check("controller", .bad, "\(error)"))
        }
        if checks.isEmpty { checks.append(HealthPage.Check("controller", .good, "answers; no rollout yet")) }
        return PageAnswer.page(HealthPage(checks + (await sources.checks()), visit: visit).markup, nonce: visit.nonce)
    }

    private func check(_ status: RolloutStatus, _ history: RolloutHistory, at now: Instant) -> HealthPage.Check {
        let journal = history.head.map { "journal at entry \($0.size)" } ?? "journal not read yet"
        let name = "controller of \(status.service)"
        if status.isFinal { return HealthPage.Check(name, .good, "no live rollout, \(journal)") }
        let polled = history.polledAt.map { "last poll \(Numbers.time(now - $0)) ago" } ?? "no poll yet"
        // Three polls that did not come are more than a slow one.
        let isLate = history.polledAt.map { now - $0 > (history.charter?.policy.timing.poll ?? .seconds(15)) * 3 } ?? false
        let tone: Tone = isLate || !status.isWatched ? .warn : .good
        return HealthPage.Check(
            name, tone, "\(status.id) is live, \(polled), \(journal)" + (status.isWatched ? "" : ", not watched"))
    }
}
