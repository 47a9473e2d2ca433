import SerinCrypto
import SerinModel
import SerinPorts
import SerinTransport
import Testbed
import Testing

@testable import SerinNotifications

@Suite struct PagerDutyChannelTests {
    private func channel(_ url: String) -> any NotificationChannel {
        PagerDutyChannel(routingKey: secret("R-hush-hush"), api: url)
    }
    private static let taken = #"{"status":"success","message":"Event processed","dedup_key":"x"}"#

    @Test func aCallRaisesAnAlertOfItsOwnAndTheGoodEndOfARolloutEndsItsWarnings() async throws {
        let call = try await Delivery(
            notification(.rolloutChanged, .critical), answer: { _ in .http(202, Self.taken) }, to: channel)
        #expect(call.failure == nil)
        let trigger = try call.body()
        #expect(trigger["event_action"]?.text == "trigger" && trigger.at(pointer: "/payload/severity")?.text == "critical")
        let good = try await Delivery(
            notification(.rolloutEnded, .info, state: "promoted"), answer: { _ in .http(202, Self.taken) }, to: channel)
        #expect(good.server.requests.map(\.target) == ["/v2/enqueue", "/v2/change/enqueue"])
        let resolve = try good.body()
        #expect(resolve["event_action"]?.text == "resolve" && resolve["dedup_key"]?.text == "serin rollout api-01J")
        #expect(trigger["dedup_key"]?.text?.hasPrefix("serin rollout api-01J ") ?? false)
        #expect(try good.body(1).at(pointer: "/payload/severity") == nil)
    }

    @Test func aLongKeyIsShortenedAndStaysTheSame() async throws {
        var long = notification(.backupFailed, .critical)
        long.deduplicationKey = String(repeating: "k", count: 400)
        let keys = try await [
            Delivery(long, answer: { _ in .http(202, Self.taken) }, to: channel).body()["dedup_key"]?.text,
            Delivery(long, answer: { _ in .http(202, Self.taken) }, to: channel).body()["dedup_key"]?.text,
        ]
        #expect(keys[0] == keys[1] && keys[0]?.count == 64)
    }

    @Test(arguments: [
        (200, taken, FailureClass.transient), (202, "{}", .transient),
        (400, #"{"status":"invalid event","errors":["'routing_key' R-hush-hush is invalid"]}"#, .invalid), (429, "", .throttled),
        (500, "", .transient),
    ])
    func onlyAnEventThatWasProcessedCounts(_ status: Int, _ body: String, _ kind: FailureClass) async throws {
        let delivery = try await Delivery(
            notification(.rolloutChanged, .critical), answer: { _ in .http(status, body) }, to: channel)
        #expect(delivery.failure?.kind == kind)
        #expect(!(delivery.failure?.description.contains("R-hush") ?? true))
    }
}

@Suite struct GitHubChannelTests {
    private func channel(_ url: String) -> any NotificationChannel {
        var channel = GitHubChannel(repository: "acme/api", token: secret("ghp_hush"), environment: "production")
        channel.api = url
        channel.tagPrefix = "v"
        channel.pages = "https://serin.example/rollouts/"
        return channel
    }

    @Test func aRolloutIsOneDeploymentHoweverOftenItIsTold() async throws {
        for (exists, count) in [(false, 3), (true, 2)] {
            let delivery = try await Delivery(
                notification(.rolloutEnded, .info, state: "promoted"),
                answer: { request in
                    if request.method == "GET" { return .http(200, exists ? #"[{"id":42}]"# : "[]") }
                    return .http(201, #"{"id":42}"#)
                }, to: channel)
            #expect(delivery.failure == nil)
            #expect(delivery.server.requests.count == count)
            #expect(
                delivery.server.requests.first?.target
                    == "/repos/acme/api/deployments?per_page=1&task=deploy%3Aapi-01J&environment=production")
            let status = try delivery.body(count - 1)
            #expect(delivery.server.requests.last?.target == "/repos/acme/api/deployments/42/statuses")
            #expect(status["state"]?.text == "success" && status["log_url"]?.text == "https://serin.example/rollouts/api-01J")
            guard !exists else { continue }
            let made = try delivery.body(1)
            #expect(
                made["ref"]?.text == "v2.4.0" && made["auto_merge"] == .bool(false) && made["required_contexts"] == .array([]))
        }
    }

    @Test(arguments: [
        ("baking", false, "in_progress"), ("preflight", false, "queued"), ("rolled back", true, "failure"),
        ("refused", true, "error"),
    ])
    func statesAreThoseOfDeployments(_ state: String, _ isOver: Bool, _ word: String) async throws {
        let delivery = try await Delivery(
            notification(isOver ? .rolloutEnded : .rolloutChanged, .info, state: state),
            answer: { $0.method == "GET" ? .http(200, #"[{"id":42}]"#) : .http(201, "{}") }, to: channel)
        #expect(try delivery.body(1)["state"]?.text == word)
        #expect((try delivery.body(1)["description"]?.text ?? "").utf8.count <= 140)
    }

    @Test func itsLimitsAreKnownThoughItSays403() async throws {
        for (headers, kind) in [
            (["x-ratelimit-remaining: 0"], FailureClass.throttled), (["Retry-After: 60"], .throttled), ([], .denied),
        ] {
            let delivery = try await Delivery(answer: { _ in .http(403, #"{"message":"no"}"#, headers: headers) }, to: channel)
            #expect(delivery.failure?.kind == kind)
        }
    }

    @Test func backupsAreNoDeployments() throws {
        #expect(!channel("http://x").takes(notification(.backupMade)))
        #expect(channel("http://x").takes(notification()))
    }
}

@Suite struct GitLabChannelTests {
    private func channel(_ url: String) -> any NotificationChannel {
        var channel = GitLabChannel(project: "acme/api", token: secret("glpat-hush"))
        channel.server = url
        channel.tagPrefix = "v"
        return channel
    }

    @Test func theCommitOfTheTagGetsAStatus() async throws {
        let delivery = try await Delivery(
            answer: { $0.method == "GET" ? .http(200, #"{"id":"abc123"}"#) : .http(201, #"{"id":7,"status":"running"}"#) },
            to: channel)
        #expect(delivery.failure == nil)
        #expect(
            delivery.server.requests.map(\.target) == [
                "/api/v4/projects/acme%2Fapi/repository/commits/v2.4.0", "/api/v4/projects/acme%2Fapi/statuses/abc123",
            ])
        let status = try delivery.body(1)
        #expect(status["state"]?.text == "running" && status["name"]?.text == "serin/api")
    }

    @Test func aStatusThatStandsAlreadyIsNoFailure() async throws {
        let delivery = try await Delivery(
            answer: {
                $0.method == "GET"
                    ? .http(200, #"{"id":"abc123"}"#)
                    : .http(400, #"{"message":{"state":["Cannot transition status via :run from :running (Reason(s): ...)"]}}"#)
            }, to: channel)
        #expect(delivery.failure == nil)
    }

    @Test func aTagThatIsNotThereYetIsWaitedFor() async throws {
        let delivery = try await Delivery(answer: { _ in .http(404, #"{"message":"404 Commit Not Found"}"#) }, to: channel)
        #expect(delivery.failure?.kind == .conflict)
        #expect(delivery.failure?.message.contains("the tag v2.4.0") ?? false)
    }
}

@Suite struct EventChannelTests {
    private static let key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

    private func channel(_ url: String) -> any NotificationChannel {
        EventChannel(
            address: url + "/events?token=hush",
            secrets: [secret(Self.key), secret("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")])
    }

    @Test func whatIsSentIsTakenByAReceiverOfStandardWebhooks() async throws {
        let delivery = try await Delivery(answer: { _ in .http(204, "") }, to: channel)
        #expect(delivery.failure == nil)
        let sent = try #require(delivery.server.requests.first)
        let headers = ["webhook-id", "webhook-timestamp", "webhook-signature"].map { HTTPHeader($0, sent.header($0) ?? "") }
        let receiver = InboundHook(name: "r", kind: .standard, secrets: [secret(Self.key)])
        let message = try receiver.verify(HookRequest(headers: headers, body: sent.body), at: now)
        #expect(message.isReplayProof)
        #expect(headers[2].value.split(separator: " ").count == 2)
        #expect(sent.header("content-type") == "application/cloudevents+json; charset=utf-8")
    }

    @Test func theIdentifierIsTheSameAtEveryTry() async throws {
        let identifiers = try await [
            Delivery(answer: { _ in .http(500, "") }, to: channel).server.requests.first?.header("webhook-id"),
            Delivery(answer: { _ in .http(204, "") }, to: channel).server.requests.first?.header("webhook-id"),
        ]
        #expect(identifiers[0] != nil && identifiers[0] == identifiers[1])
    }

    @Test(arguments: [
        (Notification.Kind.rolloutEnded, Notification.Severity.info, "promoted", "dev.cdevents.service.upgraded.0.3.0"),
        (.rolloutEnded, .warning, "rolled back", "dev.cdevents.service.rolledback.0.3.0"),
        (.rolloutChanged, .critical, "rollback incomplete", "dev.cdevents.incident.detected.0.3.0"),
        (.rolloutChanged, .info, "baking", "dev.serin.rollout.changed"),
        (.rolloutEnded, .info, "passed", "dev.serin.rollout.ended"),
        (.backupFailed, .critical, "", "dev.serin.backup.failed"),
    ])
    func eventsHaveTheNameOfCDEventsWhereThereIsOne(
        _ kind: Notification.Kind, _ severity: Notification.Severity, _ state: String, _ type: String
    ) throws {
        let channel = EventChannel(address: "http://x", secrets: [])
        let event = channel.event(try OutboundMessage(notification(kind, severity, state: state)))
        #expect(event["type"]?.text == type && event["specversion"]?.text == "1.0")
        guard type.hasPrefix("dev.cdevents") else { return }
        #expect(event.at(pointer: "/data/context/type")?.text == type)
        #expect(event.at(pointer: "/data/context/id") == event["id"])
        #expect(event.at(pointer: "/data/subject/content/environment/id")?.text == "production")
        #expect(event.at(pointer: "/data/subject/content/artifactId")?.text == "pkg:generic/api@2.4.0")
    }

    @Test(arguments: [(301, FailureClass.denied), (410, .denied), (400, .invalid), (429, .throttled), (503, .transient)])
    func anythingButSuccessIsAFailureWithoutSecrets(_ status: Int, _ kind: FailureClass) async throws {
        let delivery = try await Delivery(answer: { _ in .http(status, Self.key) }, to: channel)
        #expect(delivery.failure?.kind == kind)
        let words = delivery.failure?.description ?? "hush"
        #expect(!words.contains("hush") && !words.contains("MfKQ9r8"), "\(words)")
    }

    @Test func nothingIsSentUnsigned() async throws {
        for secrets in [[], [secret("whsec_!!")]] {
            let delivery = try await Delivery(answer: { _ in .http(204, "") }) { EventChannel(address: $0, secrets: secrets) }
            #expect(delivery.failure?.kind == .denied && delivery.server.requests.isEmpty)
        }
    }
}
