import SerinCrypto
import SerinLocks
import SerinModel
import SerinPorts
import SerinSQLite
import SerinTransport
import Testbed
import Testing

@testable import SerinNotifications

/// What a controller would do, noted.
final class Deeds: HookOrders {
    private let state = Locked<(commands: [ChannelCommand], failures: Int)>(([], 0))
    /// The live rollout; nil: nothing is live.
    let live = Locked<RolloutID?>(RolloutID("api-1"))
    /// Services that nobody here has.
    let strangers = Locked<Set<String>>([])

    var commands: [ChannelCommand] { state.withLock { $0.commands } }

    /// Lets the next commands fail.
    func fail(_ count: Int) { state.withLock { $0.failures = count } }

    func reached(by command: ChannelCommand) async -> RolloutID? { live.withLock { $0 } }

    func perform(_ command: ChannelCommand) async throws(Failure) -> Deed {
        let name = command.target.description
        if strangers.withLock({ $0.contains(name) }) { return Deed(.unknown, "nothing was done: there is no service '\(name)'") }
        if live.withLock({ $0 }) == nil { return Deed(.nothing, "nothing was done: no rollout") }
        let isDone = state.withLock { state in
            if state.failures > 0 {
                state.failures -= 1
                return false
            }
            state.commands.append(command)
            return true
        }
        guard isDone else { throw Failure(.transient, "the journal cannot be written") }
        return Deed(command.verb == .status ? .told : .done, "\(command.verb.rawValue): done")
    }
}

/// An inbox that cannot be reached.
struct BrokenInbox: Inbox {
    func claim(_ key: ReplayKey, isSafeToRepeat: Bool, at now: Instant) async throws(Failure) -> InboxEntry.Claim {
        throw Failure(.transient, "disk full")
    }
    func settle(_ key: ReplayKey, answer: [UInt8]) async throws(Failure) { throw Failure(.transient, "disk full") }
    func release(_ key: ReplayKey) async throws(Failure) { throw Failure(.transient, "disk full") }
}

@Suite struct ReceptionTests {
    let deeds = Deeds()

    private func receive(
        _ request: HookRequest, _ hook: InboundHook, _ inbox: any Inbox, at moment: Instant = now
    ) async -> HookReception.Receipt {
        await HookReception(inbox: inbox).receive(request, by: hook, at: moment, orders: deeds)
    }

    @Test func aMessageDeliveredOftenActsOnceAndIsAnsweredTheSame() async throws {
        let inbox = MemoryMessages()
        let (request, hook) = (try slackRequest(slashCommand("halt api")), try hook(.slack))
        let first = await receive(request, hook, inbox)
        #expect(first.result == "accepted")
        for _ in 0..<5 {
            let again = await receive(request, hook, inbox)
            #expect(again.result == "duplicate" && again.answer == first.answer)
        }
        #expect(deeds.commands.count == 1)
    }

    @Test func deliveriesSideBySideActOnce() async throws {
        let inbox = MemoryMessages()
        let (request, hook) = (try slackRequest(slashCommand("promote api")), try hook(.slack))
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<20 { group.addTask { _ = await receive(request, hook, inbox) } }
        }
        #expect(deeds.commands.count == 1)
    }

    @Test func aMentionInSlackIsToldInItsThreadBecauseItsAnswerIsNotShown() async throws {
        for (text, words) in [("halt api", "halt: done"), ("stop api", "none of the words I know")] {
            let body = #"""
                {"type":"event_callback","team_id":"T1","event_id":"\#(text)","event":{"type":"app_mention","user":"U1","channel":"C1",
                 "ts":"1.2","text":"<@B> \#(text)"}}
                """#
            let receipt = await receive(try slackRequest(body), try hook(.slack), MemoryMessages())
            #expect(receipt.answer.body.isEmpty)
            guard case .slackMessage(let message)? = receipt.later else {
                Issue.record("nothing is said about \(text)")
                continue
            }
            #expect(message["text"]?.text?.contains(words) ?? false)
        }
    }

    @Test func aMessageIsKnownAfterARestart() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let (request, hook) = (try slackRequest(slashCommand("promote api")), try hook(.slack))
        for turn in 0..<3 {
            let inbox = try await SQLiteMessages.open(SQLiteMessages.path(under: scratch.path))
            let receipt = await receive(request, hook, inbox)
            #expect(receipt.result == (turn == 0 ? "accepted" : "duplicate"))
            await inbox.close()
        }
        #expect(deeds.commands.count == 1)
    }

    @Test(arguments: try WebhookVector.all().filter { $0.expectation == "duplicate" })
    func vectorsOfReplaysAreDuplicates(_ vector: WebhookVector) async throws {
        var hook = try #require(vector.hook)
        hook.places = ["-1001234567890"]
        // The reference example of Standard Webhooks carries no command, so only its key is compared.
        let keys = try (0..<2).map { _ in try hook.verify(vector.request, at: vector.now).fingerprint }
        #expect(keys[0] == keys[1])
        guard hook.kind == .telegram else { return }
        let inbox = MemoryMessages()
        #expect(await receive(vector.request, hook, inbox, at: vector.now).result == "accepted")
        #expect(await receive(vector.request, hook, inbox, at: vector.now).result == "duplicate")
    }

    @Test func anotherMessageUnderAUsedIdentifierIsNoRepetition() async throws {
        let key = "hush+hush+hush+hush+hush+hush+AA"
        let hook = try hook(.standard, secret: key)
        let inbox = MemoryMessages()
        func request(_ body: String) throws -> HookRequest {
            let seconds = "\(now.millisecondsSince1970 / 1000)"
            let bytes = try #require(Base64.bytes(of: key))
            let code = try HMACSHA256.code(for: Array("m1.\(seconds).\(body)".utf8), key: bytes)
            return HookRequest(
                headers: [
                    HTTPHeader("webhook-id", "m1"), HTTPHeader("webhook-timestamp", seconds),
                    HTTPHeader("webhook-signature", "v1," + Base64.text(of: code)),
                ], body: Array(body.utf8))
        }
        let hold = try request(#"{"verb":"hold","service":"api"}"#)
        #expect(await receive(hold, hook, inbox).result == "accepted")
        #expect(await receive(hold, hook, inbox).result == "duplicate")
        #expect(await receive(try request(#"{"verb":"halt","service":"api"}"#), hook, inbox).result == "accepted")
        #expect(deeds.commands.map(\.verb) == [.hold, .halt])
    }

    @Test func whatCouldNotBeRecordedIsAskedForAgainAndThenActsOnce() async throws {
        let inbox = MemoryMessages()
        let hook = try hook(.hmac)
        let request = try hmacRequest(#"{"verb":"halt","service":"api"}"#)
        deeds.fail(1)
        let first = await receive(request, hook, inbox)
        #expect(first.result == "unavailable" && first.answer.status == 503)
        #expect(await receive(request, hook, inbox).result == "accepted")
        #expect(await receive(request, hook, inbox).result == "duplicate")
        #expect(deeds.commands.count == 1)
    }

    @Test func peopleAreToldInWordsWhatCouldNotBeRecorded() async throws {
        deeds.fail(1)
        let receipt = await receive(try slackRequest(slashCommand("halt api")), try hook(.slack), MemoryMessages())
        #expect(
            receipt.answer.status == 200
                && receipt.answer.text.contains("not recorded, try again: halt api: the journal cannot be written"))
    }

    @Test func aBrokenInboxKeepsNobodyFromHaltingAndEverybodyFromPromoting() async throws {
        let hook = try hook(.slack)
        #expect(await receive(try slackRequest(slashCommand("halt api")), hook, BrokenInbox()).result == "accepted")
        #expect(await receive(try slackRequest(slashCommand("promote api")), hook, BrokenInbox()).result == "unavailable")
        #expect(deeds.commands.map(\.verb) == [.halt])
    }

    @Test func aHaltWhoseProcessDiedIsTakenAgainAndAPromotionIsNot() async throws {
        let hook = try hook(.slack)
        for (word, result) in [("halt api", "accepted"), ("promote api", "duplicate")] {
            let inbox = MemoryMessages()
            let request = try slackRequest(slashCommand(word))
            let command = try #require(try hook.reading(request).commands.first)
            // Claimed and never settled, as by a process that ended in between.
            _ = try await inbox.claim(command.replay, isSafeToRepeat: true, at: now)
            #expect(await receive(request, hook, inbox, at: now + .seconds(10)).result == "duplicate")
            #expect(await receive(request, hook, inbox, at: now + .seconds(31)).result == result)
        }
    }

    @Test func whatMayNotBeDoneIsToldAndNotRemembered() async throws {
        let hook = try hook(.telegram) { $0.places = ["-100"] }
        let receipt = await receive(telegramMessage("/promote api"), hook, MemoryMessages())
        #expect(receipt.result == "forbidden" && receipt.answer.text.contains("is not taken from this channel"))
        #expect(deeds.commands.isEmpty)
    }

    @Test func aGroupOfAlertsOfWhichOneFailedIsAskedForAgainAndTheOtherActsOnce() async throws {
        let inbox = MemoryMessages()
        let body = #"""
            {"status":"firing","alerts":[{"status":"firing","labels":{"service":"api","serin_action":"halt"}},
             {"status":"firing","labels":{"service":"web","serin_action":"halt"}}]}
            """#
        deeds.fail(1)
        let first = await receive(bearerRequest(body), try hook(.alertmanager), inbox)
        #expect(first.answer.status == 503 && first.carriedOut.map(\.target.description) == ["web"])
        let second = await receive(bearerRequest(body), try hook(.alertmanager), inbox)
        #expect(second.answer.status == 200 && second.carriedOut.map(\.target.description) == ["api"])
        #expect(deeds.commands.count == 2)
    }

    @Test func anAlertThatStillFiresHaltsTheNextRolloutToo() async throws {
        let inbox = MemoryMessages()
        let body = #"{"status":"firing","alerts":[{"status":"firing","labels":{"service":"api","serin_action":"halt"}}]}"#
        let hook = try hook(.alertmanager)
        #expect(await receive(bearerRequest(body), hook, inbox).result == "accepted")
        #expect(await receive(bearerRequest(body), hook, inbox, at: now + .minutes(9)).result == "duplicate")
        #expect(await receive(bearerRequest(body), hook, inbox, at: now + .hours(4)).result == "accepted")
    }

    private static let haltAPI = #"{"verb":"halt","service":"api"}"#

    @Test(arguments: [false, true]) func s22AHaltThatFoundNothingToHaltActsWhenItComesAgainAndARolloutIsLive(isTimed: Bool)
        async throws
    {
        let inbox = MemoryMessages()
        let hook = try hook(.hmac)
        let request = try hmacRequest(Self.haltAPI, at: isTimed ? now : nil)
        deeds.live.withLock { $0 = nil }
        let first = await receive(request, hook, inbox)
        #expect(first.result == "nothing" && first.answer.status == 200 && first.carriedOut.isEmpty)
        #expect(first.detail.contains("halt api: nothing was done"))
        deeds.live.withLock { $0 = RolloutID("api-2") }
        #expect(await receive(request, hook, inbox, at: now + .minutes(3)).result == "accepted")
        #expect(await receive(request, hook, inbox, at: now + .minutes(3)).result == "duplicate")
        #expect(deeds.commands.count == 1)
    }

    @Test func s22AnAlertThatStillFiresHaltsARolloutThatBeganAfterTheOneItHalted() async throws {
        let inbox = MemoryMessages()
        let body = #"{"status":"firing","alerts":[{"status":"firing","labels":{"service":"api","serin_action":"halt"}}]}"#
        let hook = try hook(.alertmanager)
        for (rollout, result) in [("api-1", "accepted"), ("api-1", "duplicate"), ("api-2", "accepted"), ("api-2", "duplicate")] {
            deeds.live.withLock { $0 = RolloutID(rollout) }
            #expect(await receive(bearerRequest(body), hook, inbox, at: now + .minutes(2)).result == result, "\(rollout)")
        }
        #expect(deeds.commands.count == 2)
    }

    @Test func s22AMessageThatIsNeverSentTwiceOnPurposeHaltsOneRolloutAlone() async throws {
        let inbox = MemoryMessages()
        let (request, hook) = (try slackRequest(slashCommand("halt api")), try hook(.slack))
        #expect(await receive(request, hook, inbox).result == "accepted")
        deeds.live.withLock { $0 = RolloutID("api-2") }
        #expect(await receive(request, hook, inbox).result == "duplicate")
        #expect(deeds.commands.count == 1)
    }

    @Test(arguments: ["promote", "resume", "approve"]) func whatLetsAReleaseGoOnIsDecidedUponOnceWhateverCameOfIt(_ verb: String)
        async throws
    {
        let inbox = MemoryMessages()
        let (request, hook) = (try slackRequest(slashCommand("\(verb) api")), try hook(.slack))
        deeds.live.withLock { $0 = nil }
        #expect(await receive(request, hook, inbox).result == "nothing")
        deeds.live.withLock { $0 = RolloutID("api-2") }
        #expect(await receive(request, hook, inbox).result == "duplicate")
        #expect(deeds.commands.isEmpty)
    }

    @Test func howThingsStandIsToldAnewEachTime() async throws {
        let inbox = MemoryMessages()
        let request = try hmacRequest(#"{"verb":"status","service":"api"}"#, at: nil)
        for _ in 0..<2 { #expect(await receive(request, try hook(.hmac), inbox).result == "accepted") }
        #expect(deeds.commands.count == 2)
    }

    /// A group of alerts that halt these services.
    private func group(_ services: [String]) -> HookRequest {
        let alerts = services.map { #"{"status":"firing","labels":{"service":"\#($0)","serin_action":"halt"}}"# }
        return bearerRequest(#"{"status":"firing","alerts":[\#(alerts.joined(separator: ","))]}"#)
    }

    @Test func anAlertForAServiceThatNobodyHasIsComplainedOf() async throws {
        deeds.strangers.withLock { $0 = ["billing"] }
        let open = try hook(.alertmanager) { $0.services = [:] }
        let alone = await receive(group(["billing"]), open, MemoryMessages())
        #expect(alone.answer.status == 422 && alone.result == "unclear" && alone.answer.text.contains("'billing'"))
        // What is listed is known before its first rollout.
        let billing = try service("billing")
        let listed = try hook(.alertmanager) { $0.services = ["billing": billing] }
        let first = await receive(group(["billing"]), listed, MemoryMessages())
        #expect(first.answer.status == 200 && first.result == "nothing")
        // A forge is told in words: its people do not see the status, and it would stop sending.
        let comment =
            #"{"action":"created","comment":{"id":1,"body":"/serin halt billing","user":{"id":7},"author_association":"MEMBER"}}"#
        let code = try HMACSHA256.code(for: Array(comment.utf8), key: Array("hush-hush".utf8))
        let forge = HookRequest(
            headers: [HTTPHeader("X-Hub-Signature-256", "sha256=" + Hexadecimal.text(of: code))], body: Array(comment.utf8))
        let told = await receive(forge, try hook(.github) { $0.services = [:] }, MemoryMessages())
        #expect(told.answer.status == 200 && told.result == "unclear")
    }

    @Test func aGroupWithOneUnknownServiceHaltsTheOtherAndNamesBoth() async throws {
        deeds.strangers.withLock { $0 = ["billing"] }
        for open in [true, false] {
            let hook = try hook(.alertmanager) { if open { $0.services = [:] } }
            let receipt = await receive(group(["billing", "web"]), hook, MemoryMessages())
            #expect(receipt.answer.status == 422 && receipt.result == "unclear", "\(open)")
            #expect(
                receipt.answer.text.contains("'billing'") && receipt.answer.text.contains("halt: done"), "\(receipt.answer.text)")
            #expect(receipt.detail.contains("'billing'") && receipt.detail.contains("halt web: halt: done"), "\(receipt.detail)")
            #expect(receipt.carriedOut.map(\.target.description) == ["web"])
        }
    }

    @Test(arguments: HookKind.allCases) func aStrangerIsToldTheSameWhetherOrNotThereIsAHook(_ kind: HookKind) throws {
        for request in [
            bearerRequest("{}"), HookRequest(headers: [], body: []),
            HookRequest(headers: [HTTPHeader("Content-Encoding", "gzip")], body: [1]),
            HookRequest(headers: [], body: Array(repeating: 0, count: kind.bodyLimit + 1)),
        ] {
            var answer: HookAnswer?
            do throws(HookRefusal) {
                _ = try InboundHook(name: "ops", kind: kind, secrets: [secret("another")]).verify(request, at: now)
            } catch { answer = error.answer }
            #expect(answer == InboundHook.answer(toStranger: request, kind: kind.rawValue, at: now))
        }
    }
}
