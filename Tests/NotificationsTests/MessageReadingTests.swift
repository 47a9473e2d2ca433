import SerinCrypto
import SerinModel
import SerinPorts
import SerinTransport
import Testing

@testable import SerinNotifications

@Suite struct ChatReadingTests {
    @Test func aSlashCommandOfSlackNamesTeamAndUserAndIsAnsweredInTheChannel() throws {
        let command = try #require(
            try hook(.slack).reading(try slackRequest(slashCommand("halt api <!channel> bad"))).commands.first)
        #expect(command.verb == .halt)
        #expect(command.target == .service(try service("api")))
        #expect(command.by == Principal(channel: "slack", identity: "T1/U1"))
        #expect(command.person == "ada")
        #expect(command.reason == "<!channel> bad")
        #expect(command.isReplayProof)
        #expect(command.replay.keptFor == .hours(24 * 30))
        let answer = command.reply.answer("halted api: <!channel> & more")
        #expect(answer.status == 200)
        #expect(answer.text.contains("halted api: &lt;!channel&gt; &amp; more"))
        #expect(answer.headers == [HTTPHeader("Content-Type", "application/json")])
        guard case .url(let address, _)? = command.reply.later("done") else { throw Failure(.invalid, "no address") }
        #expect(address == "https://hooks.slack.com/commands/1")
    }

    @Test(arguments: [
        "https://evil.example/", "http://hooks.slack.com/x", "https://hooks.slack.com.evil.example/",
        "https://hooks.slack.com@evil/",
    ])
    func noAddressButSlacksOwnIsEverAnswered(_ address: String) throws {
        let body = "command=%2Fserin&team_id=T1&user_id=U1&text=halt+api&response_url=\(percentEncoded(address))"
        let command = try #require(try hook(.slack).reading(try slackRequest(body)).commands.first)
        #expect(command.reply == .slack(later: nil))
    }

    @Test func aSlashCommandMayBeTheVerbItself() throws {
        let body = "command=%2Fhalt&team_id=T1&user_id=U1&text=api+5xx"
        let command = try #require(try hook(.slack).reading(try slackRequest(body)).commands.first)
        #expect(command.verb == .halt && command.reason == "5xx")
    }

    @Test func aButtonOfSlackCarriesTheRollout() throws {
        let payload = #"""
            {"type":"block_actions","user":{"id":"U1","team_id":"T1"},"response_url":"https://hooks.slack.com/actions/1",
             "actions":[{"action_id":"serin_halt","value":"api-01J"}]}
            """#
        let command = try #require(
            try hook(.slack).reading(try slackRequest("payload=\(percentEncoded(payload))")).commands.first)
        #expect(command.verb == .halt && command.target.description == "api-01J")
        let other = payload.replacing("serin_halt", with: "vote")
        #expect(try hook(.slack).reading(try slackRequest("payload=\(percentEncoded(other))")).isIgnored)
    }

    private func event(_ fields: String) -> String {
        #"{"type":"event_callback","team_id":"T1","event_id":"Ev1","event":{"channel":"C1","ts":"1.2",\#(fields)}}"#
    }

    @Test func aMentionInSlackIsACommandAndNamedByItsEventAtEveryRetry() throws {
        let body = event(#""type":"app_mention","user":"U1","text":"<@UBOT> halt api now""#)
        let first = try #require(try hook(.slack).reading(try slackRequest(body)).commands.first)
        let second = try #require(
            try hook(.slack).reading(try slackRequest(body, at: now + .seconds(60)), at: now + .seconds(60)).commands.first)
        #expect(first.reason == "now")
        #expect(first.replay == second.replay)
        #expect(first.reply.answer("words").body.isEmpty)
        guard case .slackMessage(let message)? = first.reply.later("words") else { throw Failure(.invalid, "no message") }
        #expect(message["channel"]?.text == "C1" && message["thread_ts"]?.text == "1.2")
    }

    @Test(arguments: [
        #""type":"app_mention","user":"U1","bot_id":"B1","text":"<@U> halt api""#,
        #""type":"app_mention","user":"U1","subtype":"message_changed","text":"<@U> halt api""#,
        #""type":"message","channel_type":"channel","user":"U1","text":"halt api""#, #""type":"reaction_added","user":"U1""#,
    ])
    func otherEventsOfSlackAskForNothing(_ fields: String) throws {
        #expect(try hook(.slack).reading(try slackRequest(event(fields))).isIgnored)
    }

    @Test func theHandshakesAreAnsweredAsDocumented() throws {
        for vector in try WebhookVector.all()
        where vector.description.contains("handshake") || vector.description.contains("PING") {
            let hook = try #require(vector.hook)
            guard vector.expectation == "accept",
                case .handshake(let answer) = hook.read(try hook.verify(vector.request, at: vector.now), at: vector.now)
            else {
                Issue.record("\(vector) is no handshake")
                continue
            }
            let challenge = #"{"challenge":"3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P"}"#
            #expect(answer.text == (hook.kind == .slack ? challenge : #"{"type":1}"#))
        }
    }

    @Test func anotherTeamOfSlackIsNotListenedToWhenTeamsAreNamed() throws {
        let hook = try hook(.slack) { $0.places = ["T2"] }
        #expect(try hook.reading(try slackRequest(slashCommand("halt api"))).isIgnored)
    }

    @Test func aMessageOfTeamsIsReadWithoutItsMentionAndOnlyWhileItIsFresh() throws {
        let vector = try #require(try WebhookVector.of("teams-outgoing").first)
        var hook = try #require(vector.hook)
        hook.services = ["api": try service("api")]
        let command = try #require(try hook.reading(vector.request, at: vector.now).commands.first)
        #expect(command.verb == .halt && command.by.identity == "11111111-2222-3333-4444-555555555555")
        #expect(!command.isReplayProof)
        #expect(command.reply.answer("a <b>").text == #"{"text":"a <b>","textFormat":"plain","type":"message"}"#)
        #expect(try hook.reading(vector.request, at: vector.now + .seconds(301)).isIgnored)
    }

    @Test func aCommandOfMattermostIsReadAndItsAnswerMentionsNobody() throws {
        let vector = try #require(try WebhookVector.of("mattermost-token").first)
        let hook = try #require(vector.hook)
        let command = try #require(try hook.reading(vector.request).commands.first)
        #expect(command.verb == .halt && command.by.identity == "u1")
        #expect(!command.reply.answer("@all *x*").text.contains("@all"))
        var form = vector.request
        form.headers.removeAll { $0.name == "Authorization" }
        #expect(throws: Never.self) { try hook.verify(form, at: now) }
    }
}

@Suite struct BotReadingTests {
    @Test func aMessageToTheBotIsACommandInListedChatsAlone() throws {
        let listed = try hook(.telegram) { $0.places = ["-100"] }
        let command = try #require(try listed.reading(telegramMessage("/halt@serin_bot api canary bad")).commands.first)
        #expect(command.verb == .halt && command.reason == "canary bad" && command.person == "ada")
        #expect(command.replay.message == "update:1")
        #expect(try listed.reading(telegramMessage("/halt api", chat: -200)).isIgnored)
        #expect(try hook(.telegram).reading(telegramMessage("/halt api")).isIgnored)
        let answer = try JSONValue(parsing: command.reply.answer("halted @all").body)
        #expect(answer["method"]?.text == "sendMessage" && answer["chat_id"]?.integer == -100)
        #expect(answer.at(pointer: "/reply_parameters/message_id")?.integer == 5)
        #expect(answer["text"]?.text == "halted @\u{2060}all")
    }

    @Test func editsForwardsBotsAndTalkAskForNothingAndOldMessagesAreToldSo() throws {
        let hook = try hook(.telegram) { $0.places = ["-100"] }
        #expect(try hook.reading(telegramMessage("halt api, I think")).isIgnored)
        #expect(try hook.reading(telegramMessage("/halt api", extra: #","forward_date":1"#)).isIgnored)
        #expect(try hook.reading(telegramMessage("/halt api", extra: #","forward_origin":{}"#)).isIgnored)
        let text = telegramMessage("/halt api").body
        for (from, to) in [(#""is_bot":false"#, #""is_bot":true"#), (#""message":"#, #""edited_message":"#)] {
            let changed = String(decoding: text, as: UTF8.self).replacing(from, with: to)
            #expect(try hook.reading(telegramRequest(changed)).isIgnored, "\(to)")
        }
        #expect(try !hook.reading(telegramMessage("/halt api", age: 300)).commands.isEmpty)
        #expect(
            try hook.reading(telegramMessage("/halt api", age: 301)).unclearAnswer?.contains("older than five minutes") ?? false)
    }

    @Test func aButtonOfTelegramIsAnsweredByANotice() throws {
        let body = #"""
            {"update_id":2,"callback_query":{"id":"q1","from":{"id":7},"message":{"chat":{"id":-100}},"data":"halt:api-01J"}}
            """#
        let command = try #require(
            try hook(.telegram) { $0.places = ["-100"] }.reading(telegramRequest(body)).commands.first)
        #expect(command.target.description == "api-01J")
        #expect(command.reply.answer(String(repeating: "x", count: 900)).text.utf8.count < 400)
    }

    @Test(arguments: [
        #"{"name":"halt","options":[{"name":"service","value":"api"},{"name":"reason","value":"bad"}]}"#,
        #"{"name":"serin","options":[{"type":1,"name":"halt","options":[{"name":"service","value":"api"},{"name":"reason","value":"bad"}]}]}"#,
        #"{"custom_id":"halt:api bad"}"#,
    ])
    func interactionsOfDiscordAreCommands(_ data: String) throws {
        var seed = [UInt8](repeating: 7, count: 32)
        let key = Secret(wiping: &seed)
        let type = data.contains("custom_id") ? 3 : 2
        let body = #"{"id":"9","type":\#(type),"guild_id":"g1","member":{"user":{"id":"u7"}},"data":\#(data)}"#
        let time = "\(now.millisecondsSince1970 / 1000)"
        let signature = try Ed25519.signature(of: Array((time + body).utf8), seed: key)
        let request = HookRequest(
            headers: [
                HTTPHeader("X-Signature-Timestamp", time), HTTPHeader("X-Signature-Ed25519", Hexadecimal.text(of: signature)),
            ], body: Array(body.utf8))
        let publicKey = Hexadecimal.text(of: try Ed25519.publicKey(ofSeed: key))
        let listed = try hook(.discord, secret: publicKey) { $0.places = ["g1"] }
        let command = try #require(try listed.reading(request).commands.first)
        #expect(command.verb == .halt && command.reason == "bad" && command.isReplayProof && command.person == "ada")
        #expect(command.reply.answer("**@everyone**").text.contains(#""allowed_mentions":{"parse":[]}"#))
        #expect(try hook(.discord, secret: publicKey).reading(request).isIgnored)
        #expect(throws: HookRefusal.self) { try listed.verify(request, at: now + .seconds(301)) }
    }
}

@Suite struct AlertReadingTests {
    private func captured(_ name: String) throws -> HookReading {
        let vector = try #require(try WebhookVector.of("bearer").first { $0.description.contains(name) })
        var hook = try #require(vector.hook)
        hook.services = ["api": try service("api"), "web": try service("web")]
        return try hook.reading(vector.request, at: vector.now)
    }

    @Test func aFiringAlertHaltsTheServiceOfItsLabel() throws {
        let command = try #require(try captured("firing").commands.first)
        #expect(command.verb == .halt && command.target.description == "api")
        #expect(command.reason == "CanaryAuthFailures: auth failures 4x control")
        #expect(command.replay.keptFor == .minutes(10))
    }

    @Test func aResolvedAlertAsksForNothing() throws { #expect(try captured("resolved").isIgnored) }

    @Test func aGroupThatWasCutHaltsTheServiceItIsAbout() throws {
        let commands = try captured("truncation").commands
        #expect(commands.map(\.target) == [.service(try service("api"))])
        #expect(commands.first?.reason.contains("was cut") ?? false)
    }

    private func group(_ alerts: [String], truncated: Int = 0, extra: String = "") -> HookRequest {
        bearerRequest(
            #"{"status":"firing","alerts":[\#(alerts.joined(separator: ","))],"truncatedAlerts":\#(truncated)\#(extra)}"#)
    }

    private func alert(_ labels: String, status: String = "firing") -> String {
        #"{"status":"\#(status)","labels":{"alertname":"A",\#(labels)}}"#
    }

    @Test func aCutGroupOfNoKnownServiceHaltsAllThatTheHookReaches() throws {
        let request = group([alert(#""x":"y""#)], truncated: 3)
        #expect(try hook(.alertmanager).reading(request).commands.map(\.target.description) == ["api", "web"])
        // Where nothing says which services there are, every live rollout is.
        for alerts in [[], [alert(#""x":"y""#)], [alert(#""service":"api""#, status: "resolved")]] {
            let commands = try hook(.alertmanager) { $0.services = [:] }.reading(group(alerts, truncated: 3)).commands
            #expect(commands.map(\.target) == [.every] && commands.map(\.verb) == [.halt])
            #expect(commands[0].reason.contains("cannot be told of which service"))
        }
    }

    @Test func aCutGroupOfOneServiceHaltsThatOne() throws {
        let request = group([], truncated: 3, extra: #","groupLabels":{"service":"web"}"#)
        #expect(try hook(.alertmanager).reading(request).commands.map(\.target.description) == ["web"])
    }

    @Test func severalServicesAreSeveralCommandsWithKeysOfTheirOwnAndHaltOutweighsHold() throws {
        let request = group([
            alert(#""service":"api","serin_action":"hold""#), alert(#""service":"web","serin_action":"hold""#),
            alert(#""service":"api","serin_action":"halt""#),
            alert(#""service":"web","serin_action":"halt""#, status: "resolved"),
        ])
        let commands = try hook(.alertmanager).reading(request).commands
        #expect(commands.map(\.target.description) == ["api", "web"])
        #expect(commands.map(\.verb) == [.halt, .hold])
        #expect(Set(commands.map(\.replay)).count == 2)
    }

    @Test(arguments: ["promote", "resume", "approve", "status", "HALT", ""]) func anAlertOnlyStops(_ action: String) throws {
        let request = group([alert(#""service":"api","serin_action":"\#(action)""#)])
        #expect(try hook(.alertmanager) { $0.alertVerb = .halt }.reading(request).isIgnored)
        let unlabelled = group([alert(#""service":"api""#)])
        #expect(try hook(.alertmanager).reading(unlabelled).isIgnored)
        #expect(try hook(.alertmanager) { $0.alertVerb = .promote }.reading(unlabelled).isIgnored)
        #expect(try hook(.alertmanager) { $0.alertVerb = .hold }.reading(unlabelled).commands.first?.verb == .hold)
    }

    @Test func anAlertThatHaltsAnUnknownServiceIsNotTakenInSilence() throws {
        let reading = try hook(.alertmanager).reading(group([alert(#""service":"billing","serin_action":"halt""#)]))
        guard case .unclear(_, let answer, _) = reading else { throw Failure(.invalid, "\(reading)") }
        #expect(answer.status == 422)
    }

    @Test func anIncidentOfPagerDutyHaltsItsServiceByNameOnce() throws {
        func request(_ type: String) throws -> HookRequest {
            let body = #"""
                {"event":{"id":"01E","event_type":"\#(type)","data":{"title":"down","service":{"id":"P1","summary":"Checkout API"}}}}
                """#
            let code = try HMACSHA256.code(for: Array(body.utf8), key: Array("hush-hush".utf8))
            return HookRequest(
                headers: [HTTPHeader("X-PagerDuty-Signature", "v1=00,v1=" + Hexadecimal.text(of: code))], body: Array(body.utf8))
        }
        let halting = try hook(.pagerduty) { $0.alertVerb = .halt }
        let command = try #require(try halting.reading(try request("incident.triggered")).commands.first)
        #expect(command.target.description == "api" && command.reason == "PagerDuty: down")
        #expect(command.replay.message == "event:01E")
        #expect(try halting.reading(try request("incident.resolved")).isIgnored)
        #expect(try hook(.pagerduty).reading(try request("incident.triggered")).isIgnored)
    }
}

@Suite struct ForgeReadingTests {
    private func gitHub(_ body: String) throws -> HookReading {
        let code = try HMACSHA256.code(for: Array(body.utf8), key: Array("hush-hush".utf8))
        let request = HookRequest(
            headers: [HTTPHeader("X-Hub-Signature-256", "sha256=" + Hexadecimal.text(of: code))], body: Array(body.utf8))
        return try hook(.github).reading(request)
    }

    private func comment(_ text: String, by association: String, action: String = "created") -> String {
        #"""
        {"action":"\#(action)","repository":{"full_name":"acme/api"},
         "comment":{"id":3,"body":\#(JSONValue.string(text).canonicalText),"user":{"id":9},"author_association":"\#(association)"}}
        """#
    }

    @Test func aCommentOfAMemberIsACommandAndOfAStrangerIsNot() throws {
        let command = try #require(try gitHub(comment("/serin halt api\nplease", by: "MEMBER")).commands.first)
        #expect(command.verb == .halt && command.reason.isEmpty && command.replay.message == "comment:3")
        for association in ["NONE", "CONTRIBUTOR", "FIRST_TIME_CONTRIBUTOR", ""] {
            #expect(try gitHub(comment("/serin halt api", by: association)).isOfStranger)
        }
        #expect(try gitHub(comment("let us /serin halt api", by: "OWNER")).isIgnored)
        #expect(try gitHub(comment("/serin halt api", by: "OWNER", action: "edited")).isIgnored)
        #expect(try gitHub(#"{"zen":"Design for failure."}"#) == .handshake(HookAnswer(status: 200)))
    }

    @Test func aNoteAtGitLabIsACommandOfKnownPeopleAlone() throws {
        func reading(_ user: Int) throws -> HookReading {
            let body = #"""
                {"object_kind":"note","user":{"id":\#(user)},"object_attributes":{"id":4,"note":"/serin hold web","action":"create"}}
                """#
            return try hook(.gitlab).reading(
                HookRequest(headers: [HTTPHeader("X-Gitlab-Token", "hush-hush")], body: Array(body.utf8)))
        }
        #expect(try reading(7).commands.first?.verb == .hold)
        #expect(try reading(8).isOfStranger)
    }

    @Test func aDocumentOfOnesOwnProgramIsRememberedLongOnlyWhenItsTimeIsSigned() throws {
        let body = #"{"verb":"halt","service":"api","reason":"smoke test"}"#
        let signed = try #require(try hook(.hmac).reading(try hmacRequest(body)).commands.first)
        let bare = try #require(try hook(.hmac).reading(try hmacRequest(body, at: nil)).commands.first)
        #expect(signed.replay.keptFor == .hours(24 * 30) && bare.replay.keptFor == .minutes(10))
        for text in [#"{"verb":"stop","service":"api"}"#, #"{"verb":"halt"}"#, #"{"verb":"halt","service":"nope"}"#] {
            guard case .unclear(_, let answer, _) = try hook(.hmac).reading(try hmacRequest(text)) else {
                Issue.record("\(text) was understood")
                continue
            }
            #expect(answer.status == 422)
        }
        for text in ["[]", "{", "null", #"{"verb":3}"#] { #expect(try hook(.hmac).reading(try hmacRequest(text)).isIgnored) }
    }
}
