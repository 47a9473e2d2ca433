import FakeController
import SerinAPI
import SerinLocks
import SerinModel
import SerinPages
import SerinRecords
import SerinRollouts
import SerinVerdicts
import Testing

/// The pages as routes, without a browser.
@Suite struct RouteTests {
    private func request(
        _ method: String, _ path: String, body: String = "", host: String = "127.0.0.1:8080", _ headers: [Request.Pair] = []
    ) -> Request {
        Request(
            method: method, path: path,
            headers: [Request.Pair("Host", host), Request.Pair("Accept", "text/html")] + headers, body: Array(body.utf8),
            peer: Peer(address: "127.0.0.1"))
    }

    /// The form token in a page.
    private func token(_ response: Response) throws -> String {
        let text = String(decoding: try #require(response.bytes), as: UTF8.self)
        let start = try #require(text.firstRange(of: "name=\"form_token\" value=\"")).upperBound
        return String(text[start...].prefix(64))
    }

    /// A session's cookie.
    private func signIn(_ site: TestSite, _ token: String = TestTokens.operating) async throws -> Request.Pair {
        let form = try self.token(await site.router.respond(to: request("GET", "/sign-in")))
        let answer = await site.router.respond(
            to: request("POST", "/sign-in", body: "form_token=\(form)&token=\(token)&to=%2F%2Fevil"))
        #expect(answer.status == 303 && answer.header("Location") == "/")
        let cookie = try #require(answer.header("Set-Cookie"))
        #expect(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"))
        return Request.Pair("Cookie", String(cookie.prefix { $0 != ";" }))
    }

    @Test func whoeverIsNotKnownIsLedToTheSignIn() async throws {
        let site = try TestSite(try SampleRollout.make())
        let answer = await site.router.respond(to: request("GET", "/audit"))
        #expect(answer.status == 303 && answer.header("Location") == "/sign-in?to=%2Faudit")
    }

    @Test func whoeverAsksAfterTheSessionEndedIsToldThatNothingWasDone() async throws {
        let site = try TestSite(try SampleRollout.make())
        let answer = await site.router.respond(to: request("POST", "/rollouts/checkout/halt", body: "reason=now"))
        let place = try #require(answer.header("Location"))
        #expect(answer.status == 303 && place == "/sign-in?to=%2Frollouts%2Fcheckout&undone=halt")
        let form = await site.router.respond(
            to: Request(
                method: "GET", path: "/sign-in", query: [.init("to", "/rollouts/checkout"), .init("undone", "halt")],
                headers: [.init("Host", "127.0.0.1"), .init("Accept", "text/html")], peer: Peer(address: "127.0.0.1")))
        #expect(String(decoding: form.bytes ?? [], as: UTF8.self).contains("Not done: the halt."))
        #expect(site.operations.state.withLock { $0.commands.isEmpty })
    }

    @Test func whatGoesWrongIsAPageForABrowser() async throws {
        let site = try TestSite(try SampleRollout.make())
        let cookie = try await signIn(site)
        let answers = [
            (404, request("GET", "/no/such/page", [cookie])), (404, request("GET", "/favicon.ico")),
            (405, request("POST", "/backups", [cookie])), (404, request("GET", "/rollouts/other", [cookie])),
            (403, request("POST", "/rollouts/checkout/halt", body: "form_token=old", [cookie])),
            (403, request("POST", "/sign-in", body: "form_token=old&token=x")),
        ]
        for (status, request) in answers {
            let answer = await site.router.respond(to: request)
            #expect(answer.status == status, "\(request.path)")
            #expect(answer.header("Content-Type")?.hasPrefix("text/html") == true, "\(request.path)")
            #expect(String(decoding: answer.bytes ?? [], as: UTF8.self).contains("<h1"), "\(request.path)")
        }
        // Programs read the problem document, and below /v1/ everyone does.
        var program = request("GET", "/no/such/page")
        program.headers = [Request.Pair("Host", "127.0.0.1"), Request.Pair("Accept", "*/*")]
        for request in [program, request("GET", "/v1/no-such-thing", [cookie])] {
            #expect(await site.router.respond(to: request).header("Content-Type") == "application/problem+json")
        }
    }

    @Test func whatIsToBeActedUponLooksWorseThanWhatIsSafe() throws {
        var pressing = RolloutStatus.sample()
        (pressing.state, pressing.ending, pressing.wantedWeight) = ("rolling back", .failed, .zero)
        #expect(pressing.tone == .warn && pressing.safetyTone == .warn, "it is being lowered")
        let at = pressing.since
        pressing.unconfirmedZero = UnconfirmedZero(since: at, tries: 9, failedAt: at, reason: "connection refused")
        #expect(pressing.tone == .bad && pressing.safetyTone == .bad)
        var stranded = RolloutStatus.sample(state: "rollback incomplete", ending: .failed)
        (stranded.isRollbackIncomplete, stranded.observedWeight) = (true, .zero)
        #expect(stranded.tone == .bad && stranded.safetyTone == .warn, "the canary has no traffic")
        var safe = RolloutStatus.sample(state: "rolled back", isFinal: true, ending: .halted)
        safe.observedWeight = .zero
        #expect(safe.tone == .warn && safe.safetyTone == .good)
    }

    @Test func whatWouldBeRefusedIsNotOffered() async throws {
        let site = try TestSite(try SampleRollout.make(halt: .underWay))
        let cookie = try await signIn(site)
        func page() async -> String {
            String(
                decoding: await site.router.respond(to: request("GET", "/rollouts/checkout", [cookie])).bytes ?? [], as: UTF8.self
            )
        }
        #expect(await !page().contains("Other actions"))
        site.status { $0.isRollbackIncomplete = true }
        #expect(await page().contains("Other actions: resume, roll back"))
    }

    @Test func theRatioOfThePollStandsAboveTheOlderIntervalAndItsBase() async throws {
        let site = try TestSite(try SampleRollout.make())
        let cookie = try await signIn(site)
        site.status { status in
            var counts = CohortCounts()
            (counts.canaryEvents, counts.canaryExposure) = (9, 899)
            for index in status.signals.indices { status.signals[index].interval = nil }
            status.intervals = [
                ComputedInterval(
                    signal: "errors", at: SampleRollout.begin + .minutes(41) - .seconds(42), ratio: 1.1,
                    interval: Interval(low: 0.14, high: 3.49), counts: counts)
            ]
        }
        let answer = await site.router.respond(to: request("GET", "/rollouts/checkout", [cookie]))
        let page = String(decoding: answer.bytes ?? [], as: UTF8.self)
        #expect(page.contains("1.00<span class=\"base quiet\">1.10 [0.14–3.49] of 9/899, <span class=\"ago\""))
        #expect(page.contains(">42s ago<"))
    }

    @Test func aWrongTokenOpensNoSession() async throws {
        let site = try TestSite(try SampleRollout.make())
        let form = try token(await site.router.respond(to: request("GET", "/sign-in")))
        let answer = await site.router.respond(to: request("POST", "/sign-in", body: "form_token=\(form)&token=guess"))
        #expect(answer.status == 401 && answer.header("Set-Cookie") == nil)
    }

    @Test func everyPageComesWithItsGuards() async throws {
        let site = try TestSite(try SampleRollout.make())
        let cookie = try await signIn(site)
        for path in ["/", "/rollouts/checkout", "/rollouts/checkout/policy", "/backups", "/migrations", "/audit", "/health"] {
            let answer = await site.router.respond(to: request("GET", path, [cookie]))
            #expect(answer.status == 200, "\(path)")
            let policy = try #require(answer.header("Content-Security-Policy"))
            #expect(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "\(path)")
            #expect(!policy.contains("unsafe"))
            let again = await site.router.respond(to: request("GET", path, [cookie]))
            #expect(again.header("Content-Security-Policy") != policy, "a nonce is new for each answer")
        }
    }

    @Test func whatIsWrongWithSerinItselfStandsAboveTheServices() async throws {
        let site = try TestSite(
            try SampleRollout.make(),
            checks: [
                HealthPage.Check("running", .good, "as it should be"),
                HealthPage.Check("journal of billing", .bad, "the journal is <damaged>"),
            ])
        let answer = await site.router.respond(to: request("GET", "/", [try await signIn(site)]))
        let text = String(decoding: try #require(answer.bytes), as: UTF8.self)
        #expect(text.contains("Journal of billing") && text.contains("the journal is &lt;damaged&gt;"), "\(text)")
        #expect(!text.contains("as it should be"))
    }

    @Test func anAuditThatCannotBeReadWholeSaysWhatIsMissing() async throws {
        let site = try TestSite(try SampleRollout.make()) { () throws(Failure) in
            throw Failure(.transient, "serin.db: disk I/O error")
        }
        let answer = await site.router.respond(to: request("GET", "/audit", [try await signIn(site)]))
        #expect(answer.status == 200)
        let text = String(decoding: try #require(answer.bytes), as: UTF8.self)
        #expect(text.contains("cannot be read: serin.db: disk I/O error"), "\(text)")
        // The journals are told all the same.
        #expect(text.contains("started by"), "\(text)")
    }

    /// A journal of months is not read for one page.
    @Test func theAuditIsReadFromTheEndOfTheJournals() async throws {
        let site = try TestSite(try SampleRollout.make())
        let cookie = try await signIn(site)
        let id = RolloutStatus.sample().id
        let entries = try (1...5000).map { number -> Entry in
            let command = Command(.hold, by: .uid(UInt32(number)), reason: "number \(number)")
            let isCommand = [10, 4000, 4990].contains(number)
            return try SampleRollout.entry(
                Int64(number), id, SampleRollout.begin, isCommand ? .event(.commanded(command)) : .clockJumped(milliseconds: 1))
        }
        site.operations.state.withLock { $0.entries = Array(entries.prefix(4990)) }
        func audit(_ query: [Request.Pair] = []) async throws -> String {
            var asked = request("GET", "/audit", [cookie])
            asked.query = query
            let answer = await site.router.respond(to: asked)
            #expect(answer.status == 200)
            return String(decoding: try #require(answer.bytes), as: UTF8.self)
        }
        let newest = try await audit()
        #expect(newest.contains("number 4990") && newest.contains("number 4000") && !newest.contains("number 10"))
        #expect(newest.contains("entries=20000") && newest.contains("Look further back"))
        site.operations.state.withLock { $0.entries = entries }
        let whole = try await audit([.init("entries", "20000")])
        for number in [10, 4000, 4990] {
            #expect(whole.split(separator: "number \(number)<").count == 2, "once: \(number)")
        }
        #expect(!whole.contains("Look further back"))
        var wrong = request("GET", "/audit", [cookie])
        wrong.query = [.init("entries", "all")]
        #expect(await site.router.respond(to: wrong).status == 400)
    }

    @Test func aFormFromElsewhereChangesNothing() async throws {
        let site = try TestSite(try SampleRollout.make())
        let cookie = try await signIn(site)
        let form = try token(await site.router.respond(to: request("GET", "/rollouts/checkout", [cookie])))
        let elsewhere = [
            request("POST", "/rollouts/checkout/halt", [cookie]),
            request("POST", "/rollouts/checkout/halt", body: "form_token=\(String(repeating: "0", count: 64))", [cookie]),
            request(
                "POST", "/rollouts/checkout/halt", body: "form_token=\(form)",
                [cookie, Request.Pair("Sec-Fetch-Site", "cross-site")]),
            request(
                "POST", "/rollouts/checkout/halt", body: "form_token=\(form)", [cookie, Request.Pair("Origin", "https://evil")]),
            request("POST", "/v1/rollouts/checkout:halt", [cookie]),
        ]
        for one in elsewhere { #expect(await site.router.respond(to: one).status == 403, "\(one.path) \(one.headers)") }
        #expect(site.operations.state.withLock { $0.commands.isEmpty })
        let own = await site.router.respond(
            to: request("POST", "/rollouts/checkout/halt", body: "form_token=\(form)&reason=a+b%21&security=yes", [cookie]))
        #expect(own.status == 303)
        let command = site.operations.state.withLock { $0.commands.first }
        #expect(command?.verb == .haltForSecurity && command?.reason == "a b!")
        let long = String(repeating: "x", count: 2000)
        #expect(
            await site.router.respond(
                to: request("POST", "/rollouts/checkout/halt", body: "form_token=\(form)&reason=\(long)", [cookie])
            ).status == 303)
        #expect(site.operations.state.withLock { $0.commands.last?.reason.count } == 1000)
    }

    @Test func whoMayOnlyLookIsOfferedNothingAndRefused() async throws {
        let site = try TestSite(try SampleRollout.make())
        let cookie = try await signIn(site, TestTokens.viewing)
        let page = await site.router.respond(to: request("GET", "/rollouts/checkout", [cookie]))
        #expect(!String(decoding: page.bytes ?? [], as: UTF8.self).contains("action=\"/rollouts/checkout-01k5/halt\""))
        let answer = await site.router.respond(
            to: request("POST", "/rollouts/checkout/halt", body: "form_token=\(try token(page))", [cookie]))
        #expect(answer.status == 403 && site.operations.state.withLock { $0.commands.isEmpty })
    }

    @Test func anotherSitesNameIsNotServed() async throws {
        let site = try TestSite(try SampleRollout.make())
        let cookie = try await signIn(site)
        #expect(await site.router.respond(to: request("GET", "/", host: "evil.example:8080", [cookie])).status == 403)
    }

    @Test func aHistoryIsTheSameInPartsAndShowsWhatWasReadBack() throws {
        let sample = try SampleRollout.make(failing: true)
        let history = sample.history
        #expect(history.observed.map(\.weight.basisPoints) == [0, 500, 2500])
        #expect(history.marks.map(\.source) == [.person, .webhook, .person])
        #expect(history.decidedBy == "the evidence: errors")
        #expect(history.head?.size == sample.entries.last?.sequence)
    }

    @Test func theLineOfWhatWasReadBackEndsWhereNobodyCouldReadIt() throws {
        let sample = try SampleRollout.make()
        var history = sample.history
        var sequence = try #require(sample.entries.last).sequence
        func poll(_ minute: Int64, _ traffic: TrafficReading) throws {
            sequence += 1
            let at = SampleRollout.begin + .minutes(minute)
            let observation = Observation(at: at, telemetry: nil, database: nil, traffic: traffic)
            history.take(try SampleRollout.entry(sequence, sample.status.id, at, .event(.observed(observation))))
        }
        #expect(history.unreadSince == nil)
        let silence = TrafficReading(reading: nil, failure: Failure(.transient, "no answer"))
        try poll(41, silence)
        try poll(42, silence)
        #expect(history.unreadSince == SampleRollout.begin + .minutes(41))
        try poll(43, TrafficReading(reading: WeightReading(weight: .zero, raw: "0")))
        #expect(history.unreadSince == nil && history.observed.last?.weight == .zero)
    }

    /// What is read back afterwards, and polls on the way, only say that it was done.
    @Test(arguments: ["watchdog", "slack"]) func anEndWasDecidedByWhoeverAskedForItAndNotByTheReadBack(channel: String) throws {
        let sample = try SampleRollout.make()
        var history = sample.history
        var sequence = try #require(sample.entries.last).sequence
        func take(_ record: Record) throws {
            sequence += 1
            history.take(try SampleRollout.entry(sequence, sample.status.id, SampleRollout.begin + .minutes(41), record))
        }
        func decide(_ text: String) throws { try take(.effect(.record(Decision(topic: "state", text: text)))) }
        let command = Command(.halt, by: Principal(channel: channel, identity: "T1/U2"), reason: "payments fail")
        try take(.event(.commanded(command)))
        try decide("baking step 2 → rolling back: payments fail; weight 0 is asked for until it is read back")
        try take(.event(.weightReported(IntentID(41), .confirmed(WeightReading(weight: .zero, raw: "canary 0")))))
        try decide("rolling back → confirming 0: payments fail; weight 0 is read back once more")
        try take(.event(.ticked))
        try decide("confirming 0 → rolled back (halted): payments fail; nothing more to do")
        #expect(history.decidedBy == "halt by \(channel):T1/U2")
    }
}
