import SerinAccess
import SerinCrypto
import SerinModel
import SerinProcesses
import SerinSQLite
import Testbed
import Testing

@testable import SerinIdentity

private let now = Instant(millisecondsSince1970: 1_795_000_000_000)
private let anna = Principal.person("anna")

/// A desk over a store in a folder of its own.
private func withDesk(_ body: (TokenDesk, SQLiteAccess, String) async throws -> Void) async throws {
    let scratch = try Scratch("tokens")
    defer { scratch.remove() }
    let path = SQLiteAccess.path(under: scratch.path)
    let store = try await SQLiteAccess.open(path)
    try await body(TokenDesk(store: store), store, path)
    await store.close()
}

private func order(_ name: String, life: Duration = .hours(1)) -> TokenDesk.Order {
    TokenDesk.Order(
        name: name, owner: .uid(1000),
        grant: Grant(roles: [.releaser], scopes: [.backupRead], projects: ["shop"], isPerson: true),
        life: life)
}

private func reveal(_ text: TokenText) -> String {
    text.secret.withUnsafeBytes { String(decoding: $0, as: UTF8.self) }
}

private func refusal(_ desk: TokenDesk, _ text: String, at moment: Instant = now) async throws -> CredentialError {
    try await #require(throws: CredentialError.self) {
        try await desk.caller(bearing: text, people: try People([]), at: moment)
    }
}

@Suite struct TokenTests {
    @Test func aTokenGivesWhatItWasMadeForOnBehalfOfItsOwner() async throws {
        try await withDesk { desk, store, _ in
            let made = try await desk.create(order("ci"), by: .uid(0), at: now)
            let text = reveal(made.text)
            #expect(text.hasPrefix("serin_\(made.record.id)_") && text.utf8.count == 87)
            let people = try People([Person("anna", identities: [.uid(1000)])])
            let caller = try await desk.caller(bearing: text, people: people, at: now + .minutes(5))
            #expect(caller.principal == anna, "the owner's user is known to be anna's")
            #expect(caller.grant == order("ci").grant)
            #expect(try await store.uses() == [made.record.id: now + .minutes(5)])
        }
    }

    @Test func onlyTheHashOfATokenIsStored() async throws {
        try await withDesk { desk, store, path in
            let made = try await desk.create(order("ci"), by: anna, at: now)
            let secret = Array(reveal(made.text).utf8.dropFirst(15).prefix(64))
            await store.close()
            #expect(try Array(contentsOf(path)).firstRange(of: secret) == nil)
            #expect(try Array(contentsOf(path)).firstRange(of: Array(made.record.hash.utf8)) != nil)
        }
    }

    @Test func aMistypedTokenIsToldFromAnUnknownOne() async throws {
        try await withDesk { desk, _, _ in
            let text = reveal(try await desk.create(order("ci"), by: anna, at: now).text)
            var typo = Array(text.utf8)
            typo[30] = typo[30] == 0x61 ? 0x62 : 0x61
            for wrong in [
                String(decoding: typo, as: UTF8.self), String(text.dropLast()), "serin_", text.uppercased(), text + "0",
            ] {
                guard case .refused(let told, _) = try await refusal(desk, wrong) else { throw Wrong() }
                #expect(told.contains("mistyped"))
            }
            let stranger = reveal(try TokenText.random())
            guard case .refused(let told, let detail) = try await refusal(desk, stranger) else { throw Wrong() }
            #expect(told == "these credentials are not accepted" && !detail.contains(stranger.suffix(70)))
        }
    }

    @Test func anotherSecretUnderAKnownNumberIsRefused() async throws {
        try await withDesk { desk, _, _ in
            let made = try await desk.create(order("ci"), by: anna, at: now)
            let body = "serin_\(made.record.id)_" + String(repeating: "0", count: 64)
            let forged = body + String(Hexadecimal.text(of: try SHA256.digest(Array(body.utf8))).prefix(8))
            guard case .refused(let told, _) = try await refusal(desk, forged) else { throw Wrong() }
            #expect(told == "these credentials are not accepted")
        }
    }

    @Test func aTokenEndsAtItsTime() async throws {
        try await withDesk { desk, _, _ in
            let text = reveal(try await desk.create(order("ci"), by: anna, at: now).text)
            _ = try await desk.caller(bearing: text, people: try People([]), at: now + .minutes(59))
            guard case .refused(let told, _) = try await refusal(desk, text, at: now + .hours(1)) else { throw Wrong() }
            #expect(told.contains("ended at"))
        }
    }

    @Test func aTokenThatAnotherProcessRevokesIsRefusedAtTheNextRequest() async throws {
        try await withDesk { desk, _, path in
            let made = try await desk.create(order("ci"), by: anna, at: now)
            _ = try await desk.caller(bearing: reveal(made.text), people: try People([]), at: now)
            let other = try await SQLiteAccess.open(path)
            let ended = try await TokenDesk(store: other).revoke(
                "ci", reason: "leaked", by: .person("ben"), at: now + .seconds(1))
            #expect(ended.id == made.record.id)
            guard case .refused(let told, _) = try await refusal(desk, reveal(made.text), at: now + .seconds(2)) else {
                throw Wrong()
            }
            #expect(told.contains("was revoked"))
            await #expect(throws: Failure.self) { try await desk.revoke("ci", reason: "", by: anna, at: now + .seconds(3)) }
            await other.close()
        }
    }

    @Test func makingAndRevokingAreInAChainedLog() async throws {
        try await withDesk { desk, store, _ in
            let made = try await desk.create(order("ci"), by: anna, at: now)
            _ = try await desk.revoke(made.record.id, reason: "done", by: .uid(7), at: now + .seconds(9))
            let entries = try await store.entries(after: 0, limit: 10)
            #expect(entries.map(\.sequence) == [1, 2] && entries.map(\.line.by) == [anna, .uid(7)])
            #expect(entries[1].line.event == .tokenRevoked(id: made.record.id, reason: "done"))
        }
    }

    @Test func aLogThatWasChangedIsRefused() async throws {
        let scratch = try Scratch("tokens")
        defer { scratch.remove() }
        let path = SQLiteAccess.path(under: scratch.path)
        let store = try await SQLiteAccess.open(path)
        _ = try await TokenDesk(store: store).create(order("ci"), by: anna, at: now)
        await store.close()
        let change = "DROP TRIGGER entry_is_not_changed; UPDATE entry SET body = replace(body, 'releaser', 'admin');"
        let program = Program("/usr/bin/sqlite3", [path, change], deadline: .seconds(20))
        #expect(try await program.run().termination == .exited(0))
        let failure = await #expect(throws: Failure.self) { try await SQLiteAccess.open(path) }
        #expect(failure?.message.contains("do not hold together") == true)
    }

    @Test func whatWasNotedIsWrittenAtTheEnd() async throws {
        try await withDesk { desk, store, path in
            let made = try await desk.create(order("ci"), by: anna, at: now)
            for minute: Int64 in 0..<3 {
                _ = try await desk.caller(bearing: reveal(made.text), people: try People([]), at: now + .minutes(minute))
            }
            await store.close()
            let other = try await SQLiteAccess.open(path)
            #expect(try await other.uses() == [made.record.id: now + .minutes(2)])
            await other.close()
            await #expect(throws: Failure.self) { try await store.state() }
        }
    }

    @Test(arguments: ["", "two words", String(repeating: "a", count: 101)])
    func aNameThatCannotBeShownIsRefused(_ name: String) async throws {
        try await withDesk { desk, _, _ in
            await #expect(throws: Failure.self) { try await desk.create(order(name), by: anna, at: now) }
        }
    }

    @Test func twoLivingTokensCannotHaveOneName() async throws {
        try await withDesk { desk, _, _ in
            _ = try await desk.create(order("ci"), by: anna, at: now)
            await #expect(throws: Failure.self) { try await desk.create(order("ci"), by: anna, at: now) }
            _ = try await desk.create(order("ci"), by: anna, at: now + .hours(2))
            await #expect(throws: Failure.self) { try await desk.create(order("long", life: .hours(9000)), by: anna, at: now) }
        }
    }
}

/// What a test did not expect.
struct Wrong: Error {}
