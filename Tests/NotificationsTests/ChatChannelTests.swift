import SerinCrypto
import SerinModel
import SerinPorts
import SerinTransport
import Testbed
import Testing

@testable import SerinNotifications

@Suite struct SlackChannelTests {
    private func bot(_ url: String) -> any NotificationChannel {
        SlackChannel(.bot(token: secret("xoxb-hush"), channel: "C1"), api: url + "/api")
    }

    @Test func aMessageIsTextThatNothingInItCanChange() async throws {
        let delivery = try await Delivery(answer: { _ in .http(200, #"{"ok":true}"#) }, to: bot)
        #expect(delivery.failure == nil)
        #expect(delivery.server.requests.first?.target == "/api/chat.postMessage")
        #expect(delivery.server.requests.first?.header("authorization") == "Bearer xoxb-hush")
        let body = try delivery.body()
        #expect(body["channel"]?.text == "C1" && body["mrkdwn"] == .bool(false))
        let types = (body["blocks"]?.items ?? []).flatMap { block in
            [block["text"]].compactMap { $0 } + (block["fields"]?.items ?? [])
        }.map { $0["type"]?.text }
        #expect(types.count > 3 && types.allSatisfy { $0 == "plain_text" })
        #expect(!body.canonicalText.contains("\\u001b"))
    }

    @Test func aRolloutThatGoesOnCanBeHaltedByAButtonAndOneThatIsOverCannot() async throws {
        for (kind, hasButton) in [(Notification.Kind.rolloutChanged, true), (.rolloutEnded, false), (.backupMade, false)] {
            let delivery = try await Delivery(notification(kind), answer: { _ in .http(200, #"{"ok":true}"#) }, to: bot)
            let actions = try delivery.body()["blocks"]?.items?.first { $0["type"]?.text == "actions" }
            #expect((actions != nil) == hasButton)
            if hasButton {
                #expect(actions?.at(pointer: "/elements/0/action_id")?.text == "serin_halt")
                #expect(actions?.at(pointer: "/elements/0/value")?.text == "api-01J")
            }
        }
    }

    @Test(arguments: [
        (#"{"ok":false,"error":"ratelimited"}"#, FailureClass.throttled), (#"{"ok":false,"error":"channel_not_found"}"#, .denied),
        (#"{"ok":false,"error":"msg_too_long"}"#, .invalid), (#"{"ok":false,"error":"internal_error"}"#, .transient),
        ("<html>", .transient), ("", .transient), (#"{"ok":"true"}"#, .transient),
    ])
    func aStatusOf200IsNoEvidence(_ body: String, _ kind: FailureClass) async throws {
        let delivery = try await Delivery(answer: { _ in .http(200, body) }, to: bot)
        #expect(delivery.failure?.kind == kind)
    }

    @Test func theWaitThatSlackAsksForIsKept() async throws {
        let delivery = try await Delivery(
            answer: { _ in .http(429, #"{"ok":false,"error":"ratelimited"}"#, headers: ["Retry-After: 30"]) }, to: bot)
        #expect(delivery.failure?.kind == .throttled && delivery.failure?.retryAfter == .seconds(30))
    }

    @Test func anIncomingWebhookMustSayOkAndIsNeverNamed() async throws {
        for (answer, kind) in [
            (ScriptedServer.Step.http(200, "ok", type: "text/plain"), nil),
            (.http(200, "hm", type: "text/plain"), FailureClass.transient),
            (.http(404, "no_service at /services/T1/B1/hush"), .denied), (.http(400, "invalid_payload"), .invalid),
            (.close(reset: true), .unknown),
        ] {
            let delivery = try await Delivery(answer: { _ in answer }) { url in
                SlackChannel(.webhook(address: secret(url + "/services/T1/B1/hush")))
            }
            #expect(delivery.failure?.kind == kind)
            let said = delivery.failure?.description ?? ""
            #expect(!said.contains("/services") && !said.contains("hush"), "\(said)")
            #expect(delivery.server.requests.first?.target == "/services/T1/B1/hush")
        }
    }
}

@Suite struct TelegramChannelTests {
    private func chat(_ url: String) -> any NotificationChannel {
        TelegramChannel(token: secret("123:hush"), chat: "-100", api: url)
    }

    @Test func aMessageIsTextWithoutParseModeAndMentionsNobody() async throws {
        let delivery = try await Delivery(answer: { _ in .http(200, #"{"ok":true,"result":{"message_id":1}}"#) }, to: chat)
        #expect(delivery.failure == nil)
        #expect(delivery.server.requests.first?.target == "/bot123:hush/sendMessage")
        let body = try delivery.body()
        #expect(body["parse_mode"] == nil && body["chat_id"]?.text == "-100")
        #expect(!(body["text"]?.text?.contains("@everyone") ?? true))
        #expect(body.at(pointer: "/reply_markup/inline_keyboard/0/0/callback_data")?.text == "halt:api-01J")
    }

    @Test func aLongMessageIsCutToWhatTelegramTakes() async throws {
        let long = notification(text: String(repeating: "👩‍👩‍👧‍👦@", count: 5000))
        let delivery = try await Delivery(long, answer: { _ in .http(200, #"{"ok":true,"result":{}}"#) }, to: chat)
        #expect(try delivery.body()["text"]?.text?.utf16.count ?? 9999 <= 4096)
    }

    @Test(arguments: [
        (
            429,
            #"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 7","parameters":{"retry_after":7}}"#,
            FailureClass.throttled
        ),
        (200, #"{"ok":false,"error_code":403,"description":"Forbidden: bot was blocked"}"#, .denied),
        (400, #"{"ok":false,"error_code":400,"description":"Bad Request: message text is empty"}"#, .invalid),
        (404, #"{"ok":false,"error_code":404,"description":"Not Found"}"#, .denied),
        (502, "<html>bot123:hush</html>", .transient),
        (200, "{}", .transient),
    ])
    func answersAreClassifiedByWhatTheySay(_ status: Int, _ body: String, _ kind: FailureClass) async throws {
        let delivery = try await Delivery(answer: { _ in .http(status, body) }, to: chat)
        #expect(delivery.failure?.kind == kind)
        if status == 429 { #expect(delivery.failure?.retryAfter == .seconds(7)) }
        #expect(!(delivery.failure?.description.contains("hush") ?? true))
    }

    @Test func aGroupThatMovedIsFoundAtItsNewNumber() async throws {
        let delivery = try await Delivery(
            answer: { request in
                request.text.contains("-100999")
                    ? .http(200, #"{"ok":true,"result":{}}"#)
                    : .http(
                        400,
                        #"{"ok":false,"error_code":400,"description":"group chat was upgraded","parameters":{"migrate_to_chat_id":-100999}}"#
                    )
            }, to: chat)
        #expect(delivery.failure == nil && delivery.server.requests.count == 2)
    }

    @Test func theTokenIsInNoFailure() async throws {
        let transport = try Transport()
        let message = try OutboundMessage(notification())
        for api in ["http://127.0.0.1:1", "http://no such host", "gopher://x", "http://[::1"] {
            do throws(Failure) {
                try await TelegramChannel(token: secret("123:hush"), chat: "1", api: api).deliver(
                    message, at: now, through: transport)
                Issue.record("delivered to \(api)")
            } catch { #expect(!error.description.contains("hush") && error.description.contains("telegram"), "\(error)") }
        }
        transport.shutdown()
    }
}

@Suite struct WebhookChannelTests {
    @Test func discordMentionsNobodyAndHasTheMessageBeforeItCounts() async throws {
        let delivery = try await Delivery(answer: { _ in .http(200, #"{"id":"1"}"#) }) {
            DiscordChannel(address: secret($0 + "/api/webhooks/1/hush"))
        }
        #expect(delivery.failure == nil)
        #expect(delivery.server.requests.first?.target == "/api/webhooks/1/hush?wait=true")
        let body = try delivery.body()
        #expect(body.at(pointer: "/allowed_mentions/parse") == .array([]))
        #expect(body.at(pointer: "/embeds/0/description")?.text?.contains(#"\*bold\*"#) ?? false)
    }

    @Test(arguments: [
        (429, #"{"message":"You are being rate limited.","retry_after":0.64,"global":false}"#, FailureClass.throttled),
        (404, #"{"message":"Unknown Webhook","code":10015}"#, .denied), (204, "", .transient), (500, "", .transient),
    ])
    func discordsAnswersAreClassified(_ status: Int, _ body: String, _ kind: FailureClass) async throws {
        let delivery = try await Delivery(answer: { _ in .http(status, body) }) {
            DiscordChannel(address: secret($0 + "/api/webhooks/1/hush"))
        }
        #expect(delivery.failure?.kind == kind)
        if status == 429 { #expect(delivery.failure?.retryAfter == .milliseconds(641)) }
        #expect(!(delivery.failure?.description.contains("hush") ?? true))
    }

    @Test func mattermostMustSayOk() async throws {
        for (status, body, kind) in [
            (200, "ok", nil), (200, "<html>sign in</html>", FailureClass.transient),
            (400, #"{"id":"web.incoming_webhook.disabled.app_error","message":"disabled","status_code":400}"#, .invalid),
        ] {
            let delivery = try await Delivery(answer: { _ in .http(status, body) }) {
                MattermostChannel(address: secret($0 + "/hooks/hush"))
            }
            #expect(delivery.failure?.kind == kind)
            let text = try delivery.body()["text"]?.text ?? ""
            #expect(!text.contains("@all") && text.contains(#"\*bold\*"#) && !text.contains("[x]"))
        }
    }

    @Test func teamsGetsACardOfTextRunsAndARefusalInA200IsSeen() async throws {
        for (status, body, kind) in [
            (202, "", nil), (200, "1", nil),
            (
                200, "Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429",
                FailureClass.throttled
            ), (400, "bad", .invalid), (500, "", .transient), (200, "<html>sign in</html>", .transient),
            (200, #"{"ok":false}"#, .transient), (301, "", .denied), (413, "", .denied),
            (500, "Cannot POST /workflows/x?sig=hushhush, sig hushhush is unknown", .transient),
        ] {
            let delivery = try await Delivery(answer: { _ in .http(status, body) }) {
                TeamsChannel(address: secret($0 + "/workflows/x?sig=hushhush"))
            }
            #expect(delivery.failure?.kind == kind)
            #expect(!(delivery.failure?.description.contains("hush") ?? false))
            let card = try delivery.body().at(pointer: "/attachments/0/content")
            #expect(card?["body"]?.items?.allSatisfy { $0["type"]?.text == "RichTextBlock" } ?? false)
        }
    }
}
