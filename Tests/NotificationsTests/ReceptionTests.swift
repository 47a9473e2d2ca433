import SerinLocks
import SerinModel
import SerinPorts
import SerinSQLite
import SerinTransport
import Testbed
import Testing

@testable import SerinNotifications

/// What a controller would do, noted.
final class Deeds: Sendable {
    private let state = Locked<(commands: [ChannelCommand], failures: Int)>(([], 0))

    var commands: [ChannelCommand] { state.withLock { $0.commands } }

    /// Lets the next commands fail.
    func fail(_ count: Int) { state.withLock { $0.failures = count } }

    func perform(_ command: ChannelCommand) throws(Failure) -> String {
        let isDone = state.withLock { state in
            if state.failures > 0 {
                state.failures -= 1
                return false
            }
            state.commands.append(command)
            return true
        }
        guard isDone else { throw Failure(.transient, "the journal cannot be written") }
        return "\(command.verb.rawValue): done"
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
        await HookReception(inbox: inbox).receive(request, by: hook, at: moment) { command throws(Failure) in
            try deeds.perform(command)
        }
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
        #expect(receipt.answer.status == 200 && receipt.answer.text.contains("not done: halt api could not be recorded"))
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
}
