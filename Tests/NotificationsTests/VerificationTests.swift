import SerinCrypto
import SerinModel
import SerinTransport
import Testing

@testable import SerinNotifications

@Suite struct VerificationTests {
    private func reason(_ hook: InboundHook, _ request: HookRequest, at moment: Instant = now) -> HookRefusal.Reason? {
        do {
            _ = try hook.verify(request, at: moment)
            return nil
        } catch { return error.reason }
    }

    @Test(arguments: HookKind.allCases) func aRequestWithoutAnythingIsNotBelieved(_ kind: HookKind) throws {
        let hook = try hook(kind)
        #expect(reason(hook, HookRequest(headers: [], body: Array("{}".utf8))) == .malformed)
        #expect(reason(hook, HookRequest(method: "GET", headers: [], body: [])) == .method)
        #expect(reason(hook, HookRequest(headers: [], body: [UInt8](repeating: 0x20, count: kind.bodyLimit + 1))) == .tooLarge)
        #expect(reason(hook, HookRequest(headers: [HTTPHeader("Content-Encoding", "gzip")], body: [])) == .encoding)
    }

    @Test(arguments: HookKind.allCases) func anEmptySecretLetsNobodyIn(_ kind: HookKind) throws {
        let empty = try hook(kind, secret: "")
        let requests = [
            bearerRequest("{}"), HookRequest(headers: [HTTPHeader("Authorization", "Bearer ")], body: []),
            HookRequest(headers: [HTTPHeader("Authorization", "Token ")], body: []), try slackRequest("x=1", secret: ""),
            try hmacRequest("{}", secret: ""), HookRequest(headers: [], body: Array("token=".utf8)),
        ]
        for request in requests { #expect(reason(empty, request) != nil) }
    }

    @Test func twoHeadersOfOneNameAreRefused() throws {
        var request = try slackRequest("a=1")
        request.headers.append(HTTPHeader("x-slack-signature", "v0=00"))
        #expect(reason(try hook(.slack), request) == .malformed)
    }

    @Test(arguments: ["", " 1795230000", "1_795_230_000", "+1795230000", "1795230000.0", "１７９５２３００００", "9999999999999"])
    func aTimeThatIsNoNumberOfSecondsIsRefused(_ time: String) throws {
        let body = "a=1"
        let code = try HMACSHA256.code(for: Array("v0:\(time):\(body)".utf8), key: Array("hush-hush".utf8))
        let request = HookRequest(
            headers: [
                HTTPHeader("X-Slack-Request-Timestamp", time),
                HTTPHeader("X-Slack-Signature", "v0=" + Hexadecimal.text(of: code)),
            ], body: Array(body.utf8))
        #expect(reason(try hook(.slack), request) == .malformed)
    }

    @Test func anAnswerTellsAStrangerNothing() {
        let answers = [HookRefusal.Reason.malformed, .stale, .signature].map { HookRefusal($0, "detail").answer }
        #expect(Set(answers).count == 1)
        #expect(answers.first?.status == 401)
        #expect(HookRefusal.Reason.allCases.allSatisfy { (400..<500).contains(HookRefusal($0, "").answer.status) })
    }

    @Test func aMessageWithSignedTimeCannotBePassedOffAsOneWithout() throws {
        // The code of "time:body" is also that of a body which begins with "time:".
        let signed = try WebhookVector.all().first { $0.description == "grafana with timestamp" }
        let vector = try #require(signed)
        var request = vector.request
        let time = try #require(try request.header("X-Grafana-Alerting-Signature-Timestamp"))
        request.headers.removeAll { $0.name == "X-Grafana-Alerting-Signature-Timestamp" }
        request.body = Array("\(time):".utf8) + request.body
        var hook = try #require(vector.hook)
        let message = try hook.verify(request, at: now)
        #expect(!message.isReplayProof)
        #expect(hook.read(message, at: now).isIgnored)
        hook.requiresTimestamp = true
        #expect(reason(hook, request) == .malformed)
    }

    @Test func aSigningKeyOfGitLabIsNoToken() throws {
        let key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
        let hook = try hook(.gitlab, secret: key)
        #expect(reason(hook, HookRequest(headers: [HTTPHeader("X-Gitlab-Token", key)], body: Array("{}".utf8))) == .signature)
    }

    @Test func basicAuthenticationOfAnAlertmanagerIsTakenByItsPassword() throws {
        let right = HTTPHeader("Authorization", "Basic " + basicCredentials(user: "am", password: "hush-hush"))
        let wrong = HTTPHeader("Authorization", "Basic " + basicCredentials(user: "hush-hush", password: "x"))
        #expect(reason(try hook(.alertmanager), HookRequest(headers: [right], body: [])) == nil)
        #expect(reason(try hook(.alertmanager), HookRequest(headers: [wrong], body: [])) == .signature)
    }

    @Test func whatIsLoggedOfARefusalHoldsNothingThatWasSent() throws {
        for kind in HookKind.allCases {
            for request in [bearerRequest("hush-hush"), try slackRequest("hush-hush", secret: "x"), telegramRequest("hush-hush")]
            {
                do { _ = try hook(kind, secret: "s3cr3t-other").verify(request, at: now) } catch let error as HookRefusal {
                    #expect(!error.description.contains("hush") && !error.description.contains("s3cr3t"), "\(error)")
                }
            }
        }
    }
}
