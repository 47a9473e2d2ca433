import FakeController
import Glibc
import SerinAPI
import SerinController
import SerinLocks
import SerinModel
import SerinRecords
import SerinRollouts
import SerinVerdicts
import Testing

/// Ada, if anything is borne.
private struct Bearers: Authenticator {
    func identify(_ request: Request) -> Identity? {
        guard request.header("Authorization") != nil else { return nil }
        return Identity(.token("ada"), roles: [.operator], isPerson: true, how: .token)
    }
}

/// Whoever the test says.
private struct Someone: Authenticator {
    var roles: Set<Role>
    var scopes: Set<Scope> = []
    var isPerson = true

    func identify(_: Request) -> Identity? {
        Identity(.token("test"), roles: roles, scopes: scopes, isPerson: isPerson, how: .token)
    }
}

@Suite struct RouteTests {
    private let fake = FakeOperations()

    private func ask(
        _ method: String, _ path: String, query: [(String, String)] = [], headers: [(String, String)] = [], body: String = "",
        by someone: Someone = Someone(roles: Set(Role.allCases))
    ) async -> Response {
        await Router(RolloutAPI(fake).routes, authenticator: someone).respond(
            to: Request(
                method: method, path: path, query: query.map { Request.Pair($0.0, $0.1) },
                headers: headers.map { Request.Pair($0.0, $0.1) }, body: Array(body.utf8)))
    }

    private func json(_ response: Response) throws -> JSONValue { try JSONValue(parsing: response.bytes ?? []) }

    // MARK: who may

    @Test func whatMakesAReleaseSaferNeedsLessThanWhatMakesItGoOn() async {
        let needs: [(String, Set<Role>)] = [
            ("halt", [.operator, .releaser, .approver, .admin]), ("hold", [.operator, .releaser, .approver, .admin]),
            ("rollback", [.operator, .releaser, .approver, .admin]), ("resume", [.releaser, .approver]),
            ("promote", [.releaser, .approver]), ("approve", [.approver]),
        ]
        for (word, roles) in needs {
            for role in Role.allCases {
                let status = await ask("POST", "/v1/rollouts/checkout:\(word)", by: Someone(roles: [role])).status
                #expect(status == (roles.contains(role) ? 202 : 403), "\(word) by \(role)")
            }
        }
    }

    @Test func machinesHaltAndNeverPromote() async throws {
        let machine = Someone(roles: Set(Role.allCases), isPerson: false)
        for word in ["halt", "hold", "rollback"] {
            #expect(await ask("POST", "/v1/rollouts/checkout:\(word)", by: machine).status == 202)
        }
        for word in ["resume", "promote", "approve"] {
            let refused = await ask("POST", "/v1/rollouts/checkout:\(word)", by: machine)
            #expect(refused.status == 403)
            #expect(try json(refused)["type"]?.text == "https://serin.dev/problems/forbidden")
        }
    }

    @Test func aScopeOfBackupsOpensNoRollout() async {
        let backups = Someone(roles: [], scopes: Set(Scope.allCases), isPerson: false)
        for route in RolloutAPI(fake).routes {
            let path = route.pattern.replacing("{name}", with: "checkout").replacing("{sequence}", with: "1")
            #expect(await ask(route.method, path, by: backups).status == 403, "\(route.pattern)")
        }
    }

    @Test func aCertificateOfNobodyIsNamedToWhoShowsIt() async throws {
        struct Nobody: Authenticator {
            func identify(_: Request) -> Identity? { nil }
        }
        let peer = Peer(address: "127.0.0.1", certificate: Peer.Certificate(subject: "CN=deploy,O=Acme", fingerprint: "00"))
        let router = Router(RolloutAPI(fake).routes, authenticator: Nobody())
        let refused = await router.respond(to: Request(method: "GET", path: "/v1/rollouts", peer: peer))
        #expect(refused.status == 401)
        let problem = try json(refused)
        #expect(problem["detail"]?.text?.contains("client certificate of CN=deploy,O=Acme") == true)
        #expect(problem["hint"]?.text?.contains("'certificates'") == true)
    }

    @Test func aCookieIsFoundAmongOthers() {
        let request = Request(
            method: "GET", path: "/", headers: [Request.Pair("cookie", "a=1; __Host-serin=x=y;  b=2")])
        #expect(request.cookie("__Host-serin") == "x=y")
        #expect(request.cookie("b") == "2")
        #expect(request.cookie("c") == nil)
    }

    // MARK: what comes back

    @Test func theGateSaysPromoteUndecidedOrStop() async throws {
        let cases: [(RolloutStatus, Int, String)] = [
            (.sample(), 202, "undecided"), (.sample(state: "promoting", ending: .promoted), 202, "undecided"),
            (.sample(state: "promoted", isFinal: true, ending: .promoted), 200, "promote"),
            (.sample(state: "rolling back", ending: .halted), 409, "stop"),
            (.sample(state: "refused", isFinal: true, ending: .refused), 409, "stop"),
        ]
        for (status, code, word) in cases {
            fake.state.withLock { $0.status = status }
            let response = await ask("GET", "/v1/rollouts/checkout/gate")
            #expect(response.status == code)
            #expect(try json(response)["decision"]?.text == word)
        }
        #expect(await ask("GET", "/v1/rollouts/checkout/gate", query: [("wait", "soon")]).status == 400)
        #expect(await ask("GET", "/v1/rollouts/other/gate").status == 404)
        // Nothing is released upon what is not recorded, and nobody waits for it.
        fake.state.withLock { $0.status.isRecorded = false }
        #expect(await ask("GET", "/v1/rollouts/checkout/gate", query: [("wait", "20s")]).status == 503)
    }

    @Test func theGateOfAnotherVersionIsNotOpen() async throws {
        fake.state.withLock { $0.status = .sample(state: "promoted", isFinal: true, ending: .promoted) }
        let version = fake.state.withLock { $0.status.version }
        #expect(await ask("GET", "/v1/rollouts/checkout/gate", query: [("version", version)]).status == 200)
        let other = await ask("GET", "/v1/rollouts/checkout/gate", query: [("version", "9.9")])
        #expect(other.status == 409)
        #expect(try json(other)["detail"]?.text?.contains("9.9 was asked for") == true)
    }

    @Test func theGateWaitsForADecision() async throws {
        async let answer = ask("GET", "/v1/rollouts/checkout/gate", query: [("wait", "20s")])
        fake.state.withLock { $0.status = .sample(state: "rolling back", ending: .failed) }
        #expect(await answer.status == 409)
    }

    @Test func aCommandIsHeldBackByAChangeAndNotByAMeasurement() async throws {
        let seen = try #require(await ask("GET", "/v1/rollouts/checkout").header("ETag"))
        #expect(await ask("GET", "/v1/rollouts/checkout", headers: [("If-None-Match", seen)]).status == 304)
        fake.state.withLock { $0.status.baked = $0.status.baked + .seconds(1) }
        #expect(await ask("GET", "/v1/rollouts/checkout", headers: [("If-None-Match", seen)]).status == 200)
        #expect(await ask("POST", "/v1/rollouts/checkout:promote", headers: [("If-Match", seen)]).status == 202)
        let weak = await ask("POST", "/v1/rollouts/checkout:promote", headers: [("If-Match", "W/" + seen)])
        #expect(weak.status == 412, "a weak tag says nothing that a command could depend on")
        fake.state.withLock { $0.status.step = 3 }
        let refused = await ask("POST", "/v1/rollouts/checkout:promote", headers: [("If-Match", seen)])
        #expect(refused.status == 412)
        #expect(try json(refused)["retryable"] == .bool(false))
        #expect(await ask("POST", "/v1/rollouts/checkout:promote", headers: [("If-Match", "*")]).status == 202)
        #expect(
            await ask("POST", "/v1/rollouts/checkout:halt", headers: [("If-Match", seen)]).status == 202, "never a halt")
    }

    @Test func rolloutsAreFilteredAndPaged() async throws {
        let all = try json(await ask("GET", "/v1/rollouts", query: [("service", "checkout"), ("state", "baking")]))
        #expect(try StatusDocument.decodeList(all).count == 1)
        #expect(all["next"] == .null)
        for query in [("service", "other"), ("state", "held"), ("cursor", "checkout:checkout-01k5")] {
            #expect(try StatusDocument.decodeList(json(await ask("GET", "/v1/rollouts", query: [query]))).isEmpty)
        }
        for query in [("service", "/"), ("limit", "0"), ("limit", "501"), ("cursor", "x"), ("state", "bakign"), ("sate", "held")]
        {
            let response = await ask("GET", "/v1/rollouts", query: [query])
            #expect(response.status == 400)
            #expect(try json(response)["detail"]?.text?.contains("'\(query.0)'") ?? (query.0 == "cursor"), "\(query)")
        }
        #expect(await ask("GET", "/v1/rollouts", query: [("limit", "1"), ("limit", "2")]).status == 400)
    }

    @Test func aHaltIsNotKeptOutByWhatNobodyReads() async {
        #expect(await ask("POST", "/v1/rollouts/checkout:halt", query: [("reason", "x")]).status == 202)
        #expect(await ask("POST", "/v1/rollouts/checkout:hold", query: [("reason", "x")]).status == 400)
    }

    @Test func aHeaderIsAskedForAsTheWholeWouldBe() async {
        #expect(await ask("HEAD", "/v1/rollouts/checkout").status == 200)
        #expect(await ask("HEAD", "/v1/rollouts/checkout:halt").status == 405)
        #expect(fake.state.withLock { $0.commands.isEmpty })
    }

    @Test(arguments: ["/v1/rollouts/check\u{1}out", "/v1/rollouts/checkout\n", "/v1/rollouts/a\u{7F}"])
    func aControlCharacterInAnAddressIsMalformed(path: String) async {
        #expect(await ask("GET", path).status == 400)
    }

    @Test func theKeyOfARequestReachesTheController() async {
        let body = StartDocument.encode(
            StartRequest(policyText: "x", policyFile: "p", version: "2", previous: nil, overrides: [])
        ).canonicalText
        #expect(await ask("POST", "/v1/rollouts", headers: [("idempotency-key", "k1")], body: body).status == 201)
        #expect(fake.state.withLock { $0.started.last?.requestKey } == "k1")
        for key in ["", "a b", String(repeating: "k", count: 201)] {
            #expect(await ask("POST", "/v1/rollouts", headers: [("Idempotency-Key", key)], body: body).status == 400)
        }
    }

    @Test func evidenceIsTheDecisionWithItsEntry() async throws {
        let entry = Entry(
            sequence: 3, epoch: 2, rollout: RolloutID("checkout-01k5"), at: Instant(millisecondsSince1970: 1),
            body: [0x7B, 0x7D],
            previous: Chain.genesis, hash: Chain.genesis)
        fake.state.withLock {
            $0.decisions = [.sample(3)]
            $0.entries = [entry]
        }
        let evidence = try json(await ask("GET", "/v1/rollouts/checkout/evidence/3"))
        #expect(try evidence["decision"].map(DecisionDocument.decode) == LoggedDecision.sample(3))
        #expect(evidence["entry"]?["sequence"]?.integer == 3)
        for number in ["2", "4", "x", "-1"] {
            #expect(await ask("GET", "/v1/rollouts/checkout/evidence/\(number)").status == 404)
        }
        let checkpoint = try json(await ask("GET", "/v1/services/checkout/checkpoint"))
        #expect(checkpoint["head"]?.text == "\(Checkpoint(entry))")
        #expect(try json(await ask("GET", "/v1/services"))["services"]?.items?.first?["rollout"]?.text == "checkout-01k5")
        let why = try json(await ask("GET", "/v1/rollouts/checkout/explanation"))
        #expect(why["safe_now"]?.text == "the canary receives 25% and is watched")
    }

    // MARK: floods

    @Test func aFloodOfOneSenderKeepsOutNeitherItsHaltsNorOthers() async {
        var limits = RateLimits()
        limits.usual = RateLimits.Allowance(burst: 3, rate: 0.5)
        let instant = ContinuousClock().now
        let router = Router(
            RolloutAPI(fake).routes, authenticator: SocketPeers(othersMayStart: true),
            limiter: RateLimiter(limits, now: { instant }))
        func status(_ method: String, _ path: String, uid: UInt32) async -> Response {
            await router.respond(to: Request(method: method, path: path, peer: Peer(uid: uid)))
        }
        for _ in 0..<3 { #expect(await status("GET", "/v1/rollouts", uid: 1).status == 200) }
        let refused = await status("GET", "/v1/rollouts", uid: 1)
        #expect(refused.status == 429)
        #expect(refused.header("Retry-After") == "2")
        #expect(await status("POST", "/v1/rollouts/checkout:halt", uid: 1).status == 202)
        #expect(await status("GET", "/v1/rollouts", uid: 2).status == 200)
    }

    /// Behind a proxy strangers and people have one address.
    @Test func aFloodOfStrangersKeepsNobodysHaltOut() async {
        var limits = RateLimits()
        limits.halting = RateLimits.Allowance(burst: 3, rate: 0.5)
        let instant = ContinuousClock().now
        let router = Router(
            RolloutAPI(fake).routes, authenticator: Bearers(), limiter: RateLimiter(limits, now: { instant }))
        func halt(_ headers: [Request.Pair] = []) async -> Int {
            let request = Request(
                method: "POST", path: "/v1/rollouts/checkout:halt", headers: headers, peer: Peer(address: "192.0.2.1"))
            return await router.respond(to: request).status
        }
        for _ in 0..<3 { #expect(await halt() == 401) }
        for _ in 0..<20 { #expect(await halt() == 429) }
        for _ in 0..<3 { #expect(await halt([Request.Pair("Authorization", "Bearer x")]) == 202) }
        #expect(await halt([Request.Pair("Authorization", "Bearer x")]) == 429)
    }

    @Test func allowancesFillAgainAndStrangersAreForgotten() async {
        var limits = RateLimits()
        limits.usual = RateLimits.Allowance(burst: 1, rate: 1)
        limits.senders = 10
        let time = Time()
        let router = Router([HealthAPI.alive, open], limiter: RateLimiter(limits, now: { time.now }))
        func status(_ address: String) async -> Int {
            await router.respond(to: Request(method: "GET", path: "/open", peer: Peer(address: address))).status
        }
        #expect(await status("192.0.2.1") == 200)
        #expect(await status("192.0.2.1") == 429)
        time.pass(.seconds(1))
        #expect(await status("192.0.2.1") == 200)
        // One network of IPv6 is one sender.
        #expect(await status("2001:db8:1:2:3::1") == 200)
        #expect(await status("2001:db8:1:2:4::1") == 429)
        #expect(await status("2001:db8::1:0:0:1") == 200)
        #expect(await status("2001:db8::2:0:0:1") == 429)
        for number in 0..<100 { #expect(await status("198.51.100.\(number)") == 200) }
        #expect(await router.respond(to: Request(method: "GET", path: "/healthz")).status == 200)
    }

    private let open = Route("GET", "/open", summary: "", access: .open) { _, _ in .text(200, "") }

    // MARK: description and metrics

    @Test func everyRouteIsDescribedOnce() throws {
        let routes = RolloutAPI(fake).routes
        let document = OpenAPI.document(of: routes, version: "1")
        var identifiers: Set<String> = []
        for route in routes {
            let operation = try #require(
                document.at(pointer: "/paths/\(route.pattern.replacing("/", with: "~1"))/\(route.method.lowercased())"))
            let isNew = identifiers.insert(operation["operationId"]?.text ?? "").inserted
            #expect(isNew, "\(route.pattern)")
            let named = operation["parameters"]?.items?.filter { $0["in"]?.text == "path" }.compactMap { $0["name"]?.text } ?? []
            #expect(named.count == route.pattern.count { $0 == "{" }, "\(route.pattern)")
        }
        let references = document.canonicalText.split(separator: "#/components/schemas/").dropFirst()
            .map { String($0.prefix { $0 != "\"" }) }
        for name in Set(references) { #expect(document.at(pointer: "/components/schemas/\(name)") != nil, "\(name)") }
    }

    @Test func metricsAreEscapedAndHoldNoIdentifier() async throws {
        fake.state.withLock { $0.status.signals[0].name = "a\"b\\c\nd" }
        let traffic = RequestMetrics()
        let health = HealthAPI(
            fake, version: "1.2", checks: { [ReadinessCheck("journal", complaint: "the disk is full")] }, traffic: traffic,
            limiter: RateLimiter())
        let router = Router(health.routes + RolloutAPI(fake).routes, traffic: traffic)
        _ = await router.respond(to: Request(method: "GET", path: "/v1/rollouts/checkout-01k5", peer: Peer(uid: geteuid())))
        let response = await router.respond(to: Request(method: "GET", path: "/metrics"))
        let text = String(decoding: response.bytes ?? [], as: UTF8.self)
        #expect(text.contains("serin_build_info{version=\"1.2\"} 1\n"))
        #expect(text.contains("serin_canary_weight_ratio{service=\"checkout\",kind=\"observed\"} 0.25\n"))
        #expect(text.contains("serin_signal_ratio{service=\"checkout\",signal=\"a\\\"b\\\\c\\nd\"} 2.0605\n"))
        #expect(text.contains("serin_http_requests_total{route=\"/v1/rollouts/{name}\",method=\"GET\",status=\"200\"} 1\n"))
        #expect(!text.contains("checkout-01k5"))
        let ready = await router.respond(to: Request(method: "GET", path: "/readyz"))
        #expect(ready.status == 503)
        #expect(try json(ready)["checks"]?.items?.first?["complaint"]?.text == "the disk is full")
    }
}

/// A time that passes when it is told.
private final class Time: Sendable {
    private let state = Locked(ContinuousClock().now)
    var now: ContinuousClock.Instant { state.withLock { $0 } }
    func pass(_ time: Swift.Duration) { state.withLock { $0 = $0 + time } }
}
