import SerinCrypto
import SerinLocks
import SerinModel
import SerinPorts
import SerinTransport
import Testbed
import Testing

@testable import SerinNotifications

@Suite struct MailChannelTests {
    private func deliver(_ notification: Notification = notification(), to channel: MailChannel) async throws -> Failure? {
        let transport = try Transport()
        defer { transport.shutdown() }
        do throws(Failure) {
            try await channel.deliver(try OutboundMessage(notification), at: now, through: transport)
            return nil
        } catch { return error }
    }

    private func channel(_ server: MailServer) -> MailChannel {
        var channel = MailChannel(
            server: server.url, sender: "serin@example.org", recipients: ["ada@example.org", "bob@example.org"])
        channel.requiresEncryption = false
        return channel
    }

    /// The text of a mail, decoded.
    private func text(_ content: String) -> String {
        let parts = content.split(separator: "\r\n\r\n", maxSplits: 1)
        let body = (parts.last ?? "").replacing("\r\n", with: "")
        return String(decoding: Base64.bytes(of: body) ?? [], as: UTF8.self)
    }

    @Test func aMailReachesEverybodyWithTheWholeText() async throws {
        let server = try MailServer()
        defer { server.stop() }
        var mail = channel(server)
        mail.account = ("serin", secret("hush"))
        #expect(try await deliver(notification(.rolloutChanged, .critical), to: mail) == nil)
        let received = try #require(server.received.first)
        #expect(received.sender == "serin@example.org")
        #expect(received.recipients == ["ada@example.org", "bob@example.org"])
        #expect(received.credentials == Base64.text(of: Array("\0serin\0hush".utf8)))
        #expect(received.content.contains("Subject: ACT NOW: api 2.4.0: baking\r\n"))
        #expect(received.content.contains("Date: Sat, 21 Nov 2026 03:00:00 +0000\r\n"))
        #expect(text(received.content).contains("@everyone @all *bold*"))
        #expect(received.content.split(separator: "\r\n").allSatisfy { $0.utf8.count <= 78 })
    }

    @Test func noTextBecomesAHeaderOrTheEndOfTheMail() async throws {
        let server = try MailServer()
        defer { server.stop() }
        var evil = notification(text: "first\r\n.\r\nMAIL FROM:<x@y>\r\n.")
        evil.subject = "über\r\nBcc: eve@example.org\r\n\r\nbody"
        #expect(try await deliver(evil, to: channel(server)) == nil)
        let received = try #require(server.received.first)
        #expect(server.received.count == 1 && received.recipients.count == 2)
        #expect(!received.content.contains("\r\nBcc:"))
        #expect(text(received.content).contains(".\r\nMAIL FROM:<x@y>"))
    }

    @Test func theIdentifierIsTheSameAtEveryTry() async throws {
        let server = try MailServer()
        defer { server.stop() }
        for _ in 0..<2 { #expect(try await deliver(to: channel(server)) == nil) }
        let identifiers = server.received.map { $0.content.split(separator: "\r\n").first { $0.hasPrefix("Message-ID") } }
        #expect(identifiers.count == 2 && identifiers[0] != nil && identifiers[0] == identifiers[1])
    }

    @Test(arguments: [
        ("MAIL", "450 4.7.1 try later", FailureClass.transient), ("MAIL", "550 5.7.1 no", .invalid),
        ("AUTH", "535 5.7.8 wrong", .denied),
        (".", "554 5.6.0 spam", .invalid), (".", "451 4.3.0 disk", .transient), ("RCPT", "550 5.1.1 nobody", .invalid),
    ])
    func refusalsAreClassifiedByTheirCode(_ command: String, _ reply: String, _ kind: FailureClass) async throws {
        let server = try MailServer { $0.hasPrefix(command) ? reply : nil }
        defer { server.stop() }
        var mail = channel(server)
        mail.account = ("serin", secret("hush"))
        let failure = try await deliver(to: mail)
        #expect(failure?.kind == kind, "\(String(describing: failure))")
        #expect(!(failure?.description.contains("hush") ?? true))
        #expect(server.received.isEmpty)
    }

    @Test func oneAddressThatIsRefusedKeepsNobodyElseFromTheMail() async throws {
        let server = try MailServer { $0 == "RCPT TO:<ada@example.org>" ? "550 nobody" : nil }
        defer { server.stop() }
        let failure = try await deliver(to: channel(server))
        #expect(server.received.first?.recipients == ["bob@example.org"])
        #expect(failure?.kind == .invalid && failure?.message.contains("ada@example.org (550 nobody)") ?? false)
    }

    @Test func whoIsTakenLaterGetsTheMailAndNobodyGetsItTwice() async throws {
        let isReady = Locked(false)
        let server = try MailServer { line in
            line == "RCPT TO:<bob@example.org>" && !isReady.withLock { $0 } ? "450 4.7.1 grey list" : nil
        }
        defer { server.stop() }
        let mail = channel(server)
        let failure = try await deliver(to: mail)
        #expect(failure?.kind == .transient && failure?.message.contains("bob@example.org (450 4.7.1 grey list)") ?? false)
        isReady.withLock { $0 = true }
        #expect(try await deliver(to: mail) == nil)
        #expect(server.received.map(\.recipients) == [["ada@example.org"], ["bob@example.org"]])
    }

    @Test(arguments: [
        ("550 5.1.1 no such user", "550 5.1.1 no such user", FailureClass.invalid),
        ("450 4.2.1 later", "550 5.1.1 no such user", .transient),
    ])
    func whenAllAreRefusedTheServersWordsAreSaid(_ ada: String, _ bob: String, _ kind: FailureClass) async throws {
        let server = try MailServer { $0.hasPrefix("RCPT TO:<ada") ? ada : $0.hasPrefix("RCPT TO:<bob") ? bob : nil }
        defer { server.stop() }
        let failure = try await deliver(to: channel(server))
        #expect(failure?.kind == kind && failure?.message.contains(bob) ?? false, "\(String(describing: failure))")
    }

    @Test func aServerThatHangsUpIsTriedAgain() async throws {
        let server = try MailServer { $0 == "." ? "" : nil }
        defer { server.stop() }
        let failure = try await deliver(to: channel(server))
        #expect(failure != nil && failure?.kind != .invalid && failure?.kind != .denied)
    }

    @Test func withoutEncryptionNothingIsSentUnlessThatIsAllowed() async throws {
        let server = try MailServer()
        defer { server.stop() }
        var mail = channel(server)
        mail.requiresEncryption = true
        let failure = try await deliver(to: mail)
        #expect(failure?.kind == .denied && failure?.message.contains("no encryption") ?? false, "\(String(describing: failure))")
        #expect(server.received.isEmpty)
    }

    @Test(arguments: ["no-at", "a@b>\r\nRCPT TO:<eve@x", "a b@c", ""]) func strangeAddressesNeverReachAServer(_ address: String)
        async throws
    {
        let server = try MailServer()
        defer { server.stop() }
        var mail = channel(server)
        mail.recipients = [address]
        #expect(try await deliver(to: mail)?.kind == .invalid)
        #expect(server.received.isEmpty)
    }
}
