import FakeController
import Glibc
import SerinAPI
import SerinController
import SerinLocks
import SerinModel
import SerinPolicies
import SerinRecords
import SerinRollouts
import Testbed
import Testing

@Suite struct RolloutAPITests {
    private let fake = FakeOperations()
    private var router: Router { Router([HealthAPI.alive] + RolloutAPI(fake).routes) }

    private func ask(
        _ method: String, _ path: String, query: [(String, String)] = [], headers: [(String, String)] = [], body: String = "",
        uid: UInt32? = geteuid(), router: Router? = nil
    ) async -> Response {
        await (router ?? self.router).respond(
            to: Request(
                method: method, path: path, query: query.map { Request.Pair($0.0, $0.1) },
                headers: headers.map { Request.Pair($0.0, $0.1) }, body: Array(body.utf8), peer: Peer(uid: uid)))
    }

    private func json(_ response: Response) throws -> JSONValue { try JSONValue(parsing: response.bytes ?? []) }

    @Test func whoeverFollowsFromBeyondTheEndIsToldSo() async throws {
        fake.state.withLock { state in
            state.entries = [
                Entry(
                    sequence: 7, epoch: 1, rollout: nil, at: Instant(millisecondsSince1970: 1), body: [], previous: Chain.genesis,
                    hash: Array(0..<32))
            ]
            state.status.isFinal = true
        }
        func follow(_ last: String) async -> Response {
            await ask(
                "GET", "/v1/rollouts/checkout/log", headers: [("Accept", "text/event-stream"), ("Last-Event-ID", last)])
        }
        let beyond = await follow("8")
        #expect(beyond.status == 400)
        #expect(try json(beyond)["detail"]?.text == "entry 8 is beyond the end of the journal, which has 7")
        #expect(await follow("7").status == 200)
    }

    @Test func theJournalIsReadInPagesAsItIsStored() async throws {
        let body = Array(repeating: UInt8(ascii: "x"), count: 200 << 10)
        let entries = (1...200).map { number in
            Entry(
                sequence: Int64(number), epoch: 7, rollout: number.isMultiple(of: 2) ? RolloutID("checkout-01k5") : nil,
                at: Instant(millisecondsSince1970: 1), body: number > 100 ? body : Array(#"{"no":"\u{e9}\"record"}"#.utf8),
                previous: Chain.genesis, hash: Array(0..<32))
        }
        fake.state.withLock { $0.entries = entries }
        let first = try json(await ask("GET", "/v1/services/checkout/journal"))
        #expect(try JournalDocument.decode(first) == Array(entries[..<64]))
        #expect(first["next"]?.integer == 64)
        let large = try JournalDocument.decode(
            try json(await ask("GET", "/v1/services/checkout/journal", query: [("after", "100"), ("limit", "10")])))
        #expect(large == Array(entries[100..<103]), "an answer ends once it is long")
        for query in [("limit", "65"), ("limit", "0"), ("after", "-1")] {
            #expect(await ask("GET", "/v1/services/checkout/journal", query: [query]).status == 400)
        }
        #expect(await ask("GET", "/v1/services/other/journal").status == 404)
        #expect(await ask("GET", "/v1/services/checkout/journal", uid: nil).status == 401)
    }

    @Test func healthNeedsNoIdentity() async {
        #expect(await ask("GET", "/healthz", uid: nil).status == 200)
    }

    @Test func everythingElseNeedsAnIdentity() async throws {
        for (method, path) in [("GET", "/v1/rollouts"), ("POST", "/v1/rollouts"), ("POST", "/v1/rollouts/checkout:halt")] {
            let response = await ask(method, path, uid: nil)
            #expect(response.status == 401)
            #expect(response.header("WWW-Authenticate") == "Bearer")
            #expect(response.header("Content-Type") == "application/problem+json")
        }
        #expect(fake.state.withLock { $0.commands.isEmpty && $0.started.isEmpty })
    }

    private let started = StartRequest(
        policyText: "x", policyFile: "p.yaml", version: "1.9.0", previous: "1.8.3", overrides: [])

    @Test func onlyTheControllersOwnUserAndRootMayStartUnlessAllMay() async throws {
        let body = StartDocument.encode(started).canonicalText
        let stranger = geteuid() + 1
        let refused = await ask("POST", "/v1/rollouts", body: body, uid: stranger)
        #expect(refused.status == 403)
        #expect(try json(refused)["hint"]?.text?.contains("--group-may-start") ?? false)
        #expect(fake.state.withLock { $0.started.isEmpty })
        // What makes a release safer stays open.
        for word in ["halt", "hold", "rollback", "resume", "promote", "approve"] {
            #expect(await ask("POST", "/v1/rollouts/checkout:\(word)", uid: stranger).status == 202)
        }
        for uid in [geteuid(), 0] {
            #expect(await ask("POST", "/v1/rollouts", body: body, uid: uid).status == 201)
        }
        let open = Router(RolloutAPI(fake).routes, authenticator: SocketPeers(othersMayStart: true))
        #expect(await ask("POST", "/v1/rollouts", body: body, uid: stranger, router: open).status == 201)
    }

    @Test func startIsCarriedOutForThePeer() async throws {
        let request = started
        let response = await ask(
            "POST", "/v1/rollouts", body: StartDocument.encode(request).canonicalText)
        #expect(response.status == 201)
        #expect(response.header("Location") == "/v1/rollouts/checkout-01k5")
        #expect(try StatusDocument.decode(json(response)) == .sample())
        #expect(fake.state.withLock { $0.started } == [request])
        #expect(fake.state.withLock { $0.author } == .uid(geteuid()))
    }

    @Test func aRolloutIsFoundByItsIdentifierAndItsService() async throws {
        for name in ["checkout", "checkout-01k5"] {
            let response = await ask("GET", "/v1/rollouts/\(name)")
            #expect(response.status == 200)
            #expect(response.header("ETag")?.hasSuffix("-\(StatusDocument.token(.sample()))\"") ?? false)
        }
        #expect(try StatusDocument.decodeList(json(await ask("GET", "/v1/rollouts"))) == [.sample()])
    }

    @Test(
        arguments: zip(
            ["halt", "hold", "resume", "promote", "rollback", "approve"],
            [Command.Verb.halt, .hold, .resume, .promote, .rollback, .approve]))
    func everyCommandCarriesItsPrincipalAndReason(_ word: String, verb: Command.Verb) async {
        let response = await ask("POST", "/v1/rollouts/checkout:\(word)", body: "{\"reason\":\"why\"}")
        #expect(response.status == 202)
        #expect(fake.state.withLock { $0.commands } == [Command(verb, by: .uid(geteuid()), reason: "why")])
    }

    @Test func aHaltNeedsNoBody() async {
        #expect(await ask("POST", "/v1/rollouts/checkout:halt").status == 202)
        #expect(fake.state.withLock { $0.commands.first?.verb } == .halt)
    }

    @Test func aHaltMayBeForSecurityAndNothingElseMay() async {
        #expect(await ask("POST", "/v1/rollouts/checkout:halt", body: "{\"security\":true}").status == 202)
        #expect(fake.state.withLock { $0.commands.first?.verb } == .haltForSecurity)
        #expect(await ask("POST", "/v1/rollouts/checkout:hold", body: "{\"security\":true}").status == 400)
        #expect(await ask("POST", "/v1/rollouts/checkout:haltForSecurity").status == 404)
    }

    @Test(arguments: ["{", "[]", "{\"reason\":1}", "{\"resaon\":\"x\"}", "{\"reason\":\"x\",\"reason\":\"y\"}", "\u{0}"])
    func aMalformedBodyIsAnsweredWith400(_ body: String) async throws {
        let response = await ask("POST", "/v1/rollouts/checkout:hold", body: body)
        #expect(response.status == 400)
        #expect(try json(response)["type"]?.text == "https://serin.dev/problems/malformed")
        #expect(fake.state.withLock { $0.commands.isEmpty })
    }

    @Test func operationErrorsBecomeProblems() async throws {
        let cases: [(OperationError, Int, Bool)] = [
            (.refused(Refusal("no")), 409, false), (.unavailable("full"), 503, true), (.notFound("x"), 404, false),
            (.invalid([Diagnostic(file: "p", mark: Mark(line: 1, column: 2), message: "bad")]), 422, false),
        ]
        for (error, status, isRetryable) in cases {
            fake.state.withLock { $0.failure = error }
            let response = await ask("POST", "/v1/rollouts/checkout:halt")
            #expect(response.status == status)
            #expect(try json(response)["retryable"] == .bool(isRetryable))
            #expect((response.header("Retry-After") != nil) == isRetryable)
        }
    }

    @Test func anotherMethodIsAnsweredWithThoseAllowed() async {
        let response = await ask("DELETE", "/v1/rollouts")
        #expect(response.status == 405)
        #expect(response.header("Allow") == "GET, HEAD, POST")
    }

    @Test(arguments: [
        "/", "/v1", "/v1/rollouts/", "/v1/rollouts/a/b", "/v1/rollouts/a:explode", "/v1/rollouts/:halt", "/v1/rollouts/a:b:halt",
        "",
    ])
    func anotherPathIsAnsweredWith404(_ path: String) async {
        #expect(await ask("POST", path).status == 404)
    }

    @Test func waitAnswersAtOnceWithoutAToken() async {
        #expect(await ask("GET", "/v1/rollouts/checkout/wait").status == 200)
    }

    @Test func waitReturnsTheChange() async throws {
        let token = StatusDocument.token(.sample())
        async let answer = ask("GET", "/v1/rollouts/checkout/wait", query: [("seen", token), ("timeout", "20s")])
        fake.state.withLock { $0.status.state = "held" }
        #expect(try StatusDocument.decode(json(await answer)).state == "held")
    }

    @Test func waitEndsWithItsTimeout() async throws {
        let token = StatusDocument.token(.sample())
        let response = await ask("GET", "/v1/rollouts/checkout/wait", query: [("seen", token), ("timeout", "30ms")])
        #expect(try StatusDocument.decode(json(response)) == .sample())
        #expect(await ask("GET", "/v1/rollouts/checkout/wait", query: [("timeout", "30")]).status == 400)
    }

    @Test func theLogIsPaged() async throws {
        fake.state.withLock { $0.decisions = (1...5).map { LoggedDecision.sample($0) } }
        let response = await ask("GET", "/v1/rollouts/checkout/log", query: [("after", "2"), ("limit", "2")])
        #expect(try DecisionDocument.decodeList(json(response)).map(\.sequence) == [3, 4])
        #expect(try json(response)["next"] == .number("4"))
        for (name, value) in [("limit", "0"), ("limit", "1001"), ("after", "-1"), ("after", "x"), ("format", "xml")] {
            #expect(await ask("GET", "/v1/rollouts/checkout/log", query: [(name, value)]).status == 400)
        }
    }

    @Test func theLogInLinesIsOneDocumentALine() async throws {
        fake.state.withLock { $0.decisions = (1...3).map { LoggedDecision.sample($0, "a\nb") } }
        let response = await ask("GET", "/v1/rollouts/checkout/log", query: [("format", "jsonl")])
        let lines = (response.bytes ?? []).split(separator: 0x0A)
        #expect(lines.count == 3)
        #expect(try lines.map { try DecisionDocument.decode(JSONValue(parsing: $0)).sequence } == [1, 2, 3])
    }

    @Test func aFollowedLogEndsWithTheRollout() async throws {
        fake.state.withLock { $0.decisions = [.sample(1), .sample(2)] }
        let response = await ask(
            "GET", "/v1/rollouts/checkout/log", headers: [("Accept", "text/event-stream"), ("Last-Event-ID", "1")])
        #expect(response.header("Content-Type") == "text/event-stream")
        guard case .stream(let write) = response.body else {
            Issue.record("the log is no stream")
            return
        }
        let sink = CollectingSink()
        async let ended: Void = write(sink)
        try await sink.wait(for: "id: 2\n")
        fake.state.withLock {
            $0.decisions.append(.sample(3))
            $0.status = .sample(state: "promoted", isFinal: true, ending: .promoted)
        }
        await ended
        let text = sink.text
        #expect(!text.contains("id: 1\n"))
        #expect(text.contains("id: 3\nevent: decision\ndata: {"))
    }

    @Test func aFollowedLogEndsWhenItsReaderMayNoLongerRead() async {
        fake.state.withLock { $0.decisions = [.sample(1), .sample(2)] }
        for end in [Passing.End.refused, .stranger, .roleless] {
            let passing = Passing(looks: 3, then: end)
            let router = Router(RolloutAPI(fake).routes, authenticator: passing, asksAgainAfter: .zero)
            let response = await router.respond(
                to: Request(method: "GET", path: "/v1/rollouts/checkout/log", query: [Request.Pair("format", "sse")]))
            guard case .stream(let write) = response.body else {
                Issue.record("the log is no stream")
                return
            }
            let sink = CollectingSink()
            // The rollout is not over: the stream ends for the reader's sake alone.
            await write(sink)
            #expect(sink.text.contains("id: 2\n") && !sink.text.contains("still here"), "\(end): \(sink.text)")
        }
    }

    @Test func aFollowedLogEndsWithItsReader() async {
        fake.state.withLock { $0.decisions = [.sample(1)] }
        let response = await ask("GET", "/v1/rollouts/checkout/log", query: [("follow", "true")])
        guard case .stream(let write) = response.body else {
            Issue.record("the log is no stream")
            return
        }
        await write(GoneSink())
    }
}

/// Lets somebody in for so many looks, and no more after.
private final class Passing: Authenticator {
    enum End: Sendable { case refused, stranger, roleless }

    private let looks: Locked<Int>
    private let end: End

    init(looks: Int, then end: End) {
        self.looks = Locked(looks)
        self.end = end
    }

    func identify(_ request: Request) async throws(Problem) -> Identity? {
        let isGood = looks.withLock { looks in
            looks -= 1
            return looks >= 0
        }
        if isGood { return Identity(.token("ada"), roles: [.viewer], isPerson: true, how: .token) }
        switch end {
        case .refused: throw Problem(.unidentified, "revoked")
        case .stranger: return nil
        case .roleless: return Identity(.token("ada"), roles: [], isPerson: true, how: .token)
        }
    }
}

private final class CollectingSink: ResponseSink {
    private let bytes = Locked<[UInt8]>([])
    var text: String { String(decoding: bytes.withLock { $0 }, as: UTF8.self) }

    func send(_ more: [UInt8]) async -> Bool {
        bytes.withLock { $0 += more }
        return true
    }

    func wait(for part: String) async throws {
        try await waitUntil(part) { text.contains(part) }
    }
}

private struct GoneSink: ResponseSink {
    func send(_: [UInt8]) async -> Bool { false }
}
