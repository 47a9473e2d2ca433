import SerinLocks
import SerinModel
import SerinPorts
import SerinSQLite
import SerinTransport
import Testbed
import Testing

@testable import SerinNotifications

@Suite struct OutboxEntryTests {
    private func entry() -> OutboxEntry { OutboxEntry(id: "i", destination: "d", isCall: false, payload: [1], at: now) }

    @Test func pausesDoubleUpToFiveMinutesAndADayEndsThem() {
        var entry = entry()
        var moment = now
        var pauses: [Int64] = []
        while entry.state == .waiting {
            entry.failed(Failure(.transient, "503"), at: moment, unit: 1)
            guard entry.state == .waiting else { break }
            pauses.append((entry.nextAt - moment).milliseconds / 1000)
            moment = entry.nextAt
        }
        #expect(pauses.prefix(9) == [2, 4, 8, 16, 32, 64, 128, 256, 300])
        #expect(moment - now <= .hours(24) && moment - now > .hours(23))
        #expect(entry.state == .dead && entry.failure == "503" && entry.attempts == pauses.count + 1)
    }

    @Test(arguments: [0.0, 0.5, 1, 7, -3, .nan]) func theUpperHalfOfAPauseIsChance(_ unit: Double) {
        var entry = entry()
        entry.failed(Failure(.transient, "x"), at: now, unit: unit)
        #expect((1000...2000).contains((entry.nextAt - now).milliseconds))
    }

    @Test func whatTheOtherSideAsksForIsKeptAndARefusalEndsIt() {
        var throttled = entry()
        throttled.failed(Failure(.throttled, "429", retryAfter: .minutes(20)), at: now, unit: 0)
        #expect(throttled.nextAt == now + .minutes(20))
        for (isCall, pause) in [(true, Duration.minutes(5)), (false, .hours(1))] {
            var entry = OutboxEntry(id: "i", destination: "d", isCall: isCall, payload: [1], at: now)
            entry.failed(Failure(.throttled, "429", retryAfter: .hours(25)), at: now, unit: 0)
            #expect(entry.state == .waiting && entry.nextAt == now + pause)
        }
        var denied = entry()
        denied.failed(Failure(.denied, "401"), at: now, unit: 1)
        #expect(denied.state == .waiting && denied.nextAt == now + .minutes(5))
        var refused = entry()
        refused.failed(Failure(.invalid, "400"), at: now, unit: 1)
        #expect(refused.state == .dead && refused.failure == "400")
    }

    @Test func aMessageThatDoesNotFitYetHoldsOthersUpForTenMinutesAtMost() {
        var entry = entry()
        while entry.state == .waiting {
            let moment = entry.nextAt
            #expect(moment - now <= .minutes(10))
            entry.failed(Failure(.conflict, "422"), at: moment, unit: 1)
        }
        #expect(entry.state == .dead && entry.attempts > 5)
    }

    @Test func finalStatesAbsorbEverything() {
        var delivered = entry()
        delivered.delivered(at: now)
        var dead = entry()
        dead.dropped(at: now)
        for var final in [delivered, dead] {
            let before = final
            final.delivered(at: now + .seconds(1))
            final.failed(Failure(.transient, "x"), at: now + .seconds(1), unit: 1)
            final.dropped(at: now + .seconds(1))
            #expect(final == before)
        }
    }

    @Test func aNotificationIsTheSameAfterItWasKept() throws {
        let original = notification(.backupFailed, .critical)
        let message = try OutboundMessage(original)
        let entry = OutboxEntry(
            id: message.id, destination: "d", isCall: true, payload: OutboundMessage.bytes(of: original), at: now)
        #expect(OutboundMessage(entry) == message)
        var other = original
        other.at = original.at + .seconds(1)
        #expect(try OutboundMessage(other).id != message.id)
    }
}

@Suite struct MessageStoreTests {
    enum Kind: CaseIterable { case memory, file }

    /// Runs the body with a store; for a file, also with what is left of it after it was closed.
    private func each(
        _ kind: Kind, _ body: (any Inbox & Outbox) async throws -> Void, then after: (any Inbox & Outbox) async throws -> Void
    )
        async throws
    {
        switch kind {
        case .memory:
            let store = MemoryMessages()
            try await body(store)
            try await after(store)
        case .file:
            let scratch = try Scratch()
            defer { scratch.remove() }
            let path = SQLiteMessages.path(under: scratch.path)
            let first = try await SQLiteMessages.open(path)
            try await body(first)
            await first.close()
            let second = try await SQLiteMessages.open(path)
            try await after(second)
            await second.close()
        }
    }

    @Test(arguments: Kind.allCases) func callsComeFirstThenTheOldestAndOnceEach(_ kind: Kind) async throws {
        func entry(_ id: String, _ isCall: Bool = false) -> OutboxEntry {
            OutboxEntry(id: id, destination: "d", isCall: isCall, payload: Array(id.utf8), at: now)
        }
        try await each(kind) { store in
            try await store.add([entry("a"), entry("b"), entry("c", true)])
            try await store.add([
                entry("a"), entry("e", true), OutboxEntry(id: "a", destination: "x", isCall: false, payload: [], at: now),
            ])
        } then: { store async throws in
            #expect(try await store.waiting(for: "d", limit: 10).map(\.id) == ["c", "e", "a", "b"])
            #expect(try await store.waiting(for: "d", limit: 1).map(\.payload) == [Array("c".utf8)])
            #expect(try await store.waitingCount(for: "d") == 4)
            #expect(try await store.waitingCount(for: "x") == 1)
            #expect(try await store.destinations() == ["d", "x"])
        }
    }

    @Test(arguments: Kind.allCases) func whatWasGivenUpIsSeenAndKnownUntilItIsForgotten(_ kind: Kind) async throws {
        var dead = OutboxEntry(id: "a", destination: "d", isCall: false, payload: [], at: now)
        var later = OutboxEntry(id: "b", destination: "d", isCall: false, payload: [], at: now)
        var sent = OutboxEntry(id: "c", destination: "d", isCall: false, payload: [], at: now)
        try await each(kind) { store in
            try await store.add([dead, later, sent])
            dead.failed(Failure(.invalid, "no such chat"), at: now, unit: 1)
            later.failed(Failure(.transient, "503"), at: now, unit: 1)
            sent.delivered(at: now)
            for entry in [dead, later, sent] { try await store.put(entry) }
            try await store.add([OutboxEntry(id: "c", destination: "d", isCall: false, payload: [], at: now)])
        } then: { store async throws in
            #expect(try await store.dead(limit: 5) == [dead])
            #expect(try await store.waiting(for: "d", limit: 5) == [later])
            try await store.forget(before: now)
            #expect(try await store.dead(limit: 5).count == 1)
            try await store.forget(before: now + .seconds(1))
            #expect(try await store.dead(limit: 5).isEmpty)
            #expect(try await store.waitingCount(for: "d") == 1)
        }
    }

    @Test(arguments: Kind.allCases) func theCallsThatADestinationTookAreKnown(_ kind: Kind) async throws {
        let entries = [("a", "d", true), ("b", "d", false), ("c", "e", true), ("f", "d", true), ("g", "d", true)].map {
            OutboxEntry(id: $0.0, destination: $0.1, isCall: $0.2, payload: [], at: now)
        }
        try await each(kind) { store in
            try await store.add(entries)
            for var entry in entries.dropLast() {
                entry.delivered(at: now)
                try await store.put(entry)
            }
        } then: { store async throws in
            #expect(try await store.deliveredCalls(to: "d", limit: 5).map(\.id) == ["f", "a"])
            #expect(try await store.deliveredCalls(to: "d", limit: 1).map(\.id) == ["f"])
        }
    }

    @Test(arguments: Kind.allCases) func aClaimIsHeldSettledReleasedAndForgotten(_ kind: Kind) async throws {
        let key = ReplayKey(hook: "h", message: "m", keptFor: .minutes(10))
        let other = ReplayKey(hook: "g", message: "m", keptFor: .minutes(10))
        try await each(kind) { store in
            #expect(try await store.claim(key, isSafeToRepeat: true, at: now) == .taken)
            #expect(try await store.claim(other, isSafeToRepeat: true, at: now) == .taken)
            #expect(try await store.claim(key, isSafeToRepeat: true, at: now + .seconds(29)) == .underWay)
            try await store.release(key)
            #expect(try await store.claim(key, isSafeToRepeat: false, at: now) == .taken)
        } then: { store async throws in
            #expect(try await store.claim(key, isSafeToRepeat: false, at: now + .seconds(40)) == .underWay)
            #expect(try await store.claim(key, isSafeToRepeat: true, at: now + .seconds(40)) == .taken)
            try await store.settle(key, answer: Array("done".utf8))
            try await store.release(key)
            #expect(try await store.claim(key, isSafeToRepeat: true, at: now + .minutes(9)) == .settled(Array("done".utf8)))
            #expect(try await store.claim(key, isSafeToRepeat: true, at: now + .minutes(12)) == .taken)
        }
    }

    @Test func anotherDatabaseIsNotTakenForTheMessages() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let path = try scratch.write(
            "messages.db", "this is no database, and longer than a header of one hundred bytes is …………………………………")
        await #expect(throws: Failure.self) { try await SQLiteMessages.open(path) }
    }
}
