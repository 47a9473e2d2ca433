import SerinLocks
import SerinModel
import SerinPorts
import SerinTransport
import Testbed
import Testing

@testable import SerinNotifications

@Suite struct TelegramPollingTests {
    let deeds = Deeds()

    /// A stand-in for the Bot API: gives the updates from the offset on, and takes everything else.
    private func api(_ updates: [String]) throws -> ScriptedServer {
        try ScriptedServer { request in
            guard request.target.hasSuffix("/getUpdates") else { return [.http(200, #"{"ok":true,"result":true}"#)] }
            let offset = (try? JSONValue(parsing: request.body))?["offset"]?.integer ?? 0
            let due = updates.filter { ((try? JSONValue(parsing: Array($0.utf8)))?["update_id"]?.integer ?? 0) >= offset }
            return [.http(200, #"{"ok":true,"result":[\#(due.joined(separator: ","))]}"#)]
        }
    }

    private func polling(_ url: String, _ transport: Transport, _ inbox: any Inbox = MemoryMessages()) throws -> TelegramPolling {
        TelegramPolling(
            hook: try hook(.telegram) { $0.places = ["-100"] }, token: secret("1:hush"), api: url, patience: 0,
            reception: HookReception(inbox: inbox), transport: transport, clock: HandClock())
    }

    private func update(_ number: Int, _ text: String) -> String {
        String(decoding: telegramMessage(text, update: number).body, as: UTF8.self)
    }

    @Test func updatesAreDealtWithInOrderAnsweredAndNotAskedForAgain() async throws {
        let server = try api([update(11, "/halt api bad"), update(12, "/nonsense"), update(13, "/hold web")])
        defer { server.stop() }
        let transport = try Transport()
        let polling = try polling(server.url, transport)
        let next = try await polling.poll(from: nil, orders: deeds) { _ in }
        #expect(next == 14)
        #expect(deeds.commands.map(\.verb) == [.halt, .hold])
        let said = server.requests.filter { $0.target.hasSuffix("/sendMessage") }.map(\.text)
        #expect(said.count == 3 && said[0].contains("halt: done") && said[1].contains("none of the words I know"))
        #expect(said.allSatisfy { !$0.contains(#""method""#) })
        // Once nothing waits any more, the next number may be any.
        #expect(
            try await polling.poll(from: next, orders: deeds) { _ in } == nil)
        transport.shutdown()
    }

    @Test func anUpdateThatCouldNotBeRecordedIsAskedForAgain() async throws {
        let server = try api([update(11, "/hold web"), update(12, "/halt api")])
        defer { server.stop() }
        let transport = try Transport()
        let inbox = MemoryMessages()
        let polling = try polling(server.url, transport, inbox)
        deeds.fail(1)
        await #expect(throws: Failure.self) {
            try await polling.poll(from: nil, orders: deeds) { _ in }
        }
        #expect(deeds.commands.isEmpty)
        // A process that starts anew asks from the beginning and acts once.
        for _ in 0..<2 {
            _ = try await polling.poll(from: nil, orders: deeds) { _ in }
        }
        #expect(deeds.commands.map(\.verb) == [.hold, .halt])
        transport.shutdown()
    }

    @Test func failuresAreReportedWithoutTheTokenAndWaitedFor() async throws {
        let server = try ScriptedServer { _ in
            [.http(409, #"{"ok":false,"error_code":409,"description":"Conflict: terminated by other getUpdates request"}"#)]
        }
        defer { server.stop() }
        let transport = try Transport()
        let polling = try polling(server.url, transport)
        let failures = Locked<[Failure]>([])
        let running = Task {
            await polling.run(orders: deeds) { report in
                if case .failure(let failure) = report { failures.withLock { $0.append(failure) } }
            }
        }
        try await waitUntil("a failure is reported") { failures.withLock { !$0.isEmpty } }
        running.cancel()
        await running.value
        let failure = try #require(failures.withLock { $0.first })
        #expect(failure.kind == .conflict && failure.hint != nil && !failure.description.contains("hush"))
        #expect(server.requests.count == 1)
        transport.shutdown()
    }
}
