public import SerinModel

/// One mail for one server that passes it on (SMTP, RFC 5321), with all its limits.
public struct MailRequest: Sendable {
    /// `smtp://host:587` (STARTTLS) or `smtps://host:465` (TLS from the start).
    public var server: String
    /// The address that a failed delivery is reported to.
    public var sender: String
    /// The addresses that it goes to. When the server refuses some, the others get it all the same.
    public var recipients: [String]
    /// The whole mail, headers and body, its lines ending in CR LF; at most 1 MiB is sensible.
    public var content: [UInt8]
    /// User and password, only sent encrypted unless `requiresEncryption` is off.
    public var basic: (user: String, password: String)?
    /// Whether a server that offers no TLS is refused.
    public var requiresEncryption = true
    /// A file of certificates to trust instead of the system's.
    public var certificateAuthorityFile: String?
    /// For the whole exchange.
    public var timeout: Duration

    /// A mail.
    public init(server: String, sender: String, recipients: [String], content: [UInt8], timeout: Duration) {
        self.server = server
        self.sender = sender
        self.recipients = recipients
        self.content = content
        self.timeout = timeout
    }

    /// The same as an exchange of the loop.
    var request: HTTPRequest {
        var request = HTTPRequest(method: "MAIL", url: server, timeout: timeout)
        request.upload = [.bytes(content)]
        request.basic = basic
        request.certificateAuthorityFile = certificateAuthorityFile
        request.envelope = MailEnvelope(sender: sender, recipients: recipients, requiresEncryption: requiresEncryption)
        return request
    }
}

/// A recipient that a mail server refused.
public struct MailRefusal: Sendable, Hashable {
    /// The recipient's address.
    public var recipient: String
    /// What the server said, its code first.
    public var reply: String
    /// Whether the server may take it later (a code of 4xx).
    public var isPassing: Bool { reply.hasPrefix("4") }
}

/// Who sends a mail to whom.
struct MailEnvelope: Sendable {
    var sender: String
    var recipients: [String]
    var requiresEncryption: Bool

    /// Why it can never be sent as it is; nil when nothing is wrong with it.
    func defect(url: String) -> String? {
        if !url.hasPrefix("smtp://"), !url.hasPrefix("smtps://") { return "the server is not named by smtp:// or smtps://" }
        if recipients.isEmpty { return "the mail has no recipient" }
        // A line break would be a command of its own to the server.
        let isStrange = (recipients + [sender]).contains { address in
            !address.contains("@") || address.utf8.contains { $0 <= 0x20 || $0 == 0x7F || $0 == 0x3C || $0 == 0x3E }
        }
        return isStrange ? "a mail address holds no '@', or a character that addresses cannot hold" : nil
    }
}

extension Transport {
    /// Sends one mail. Success says that the server took it over for all but those returned; failures are classified.
    public func send(_ mail: MailRequest) async throws(Failure) -> [MailRefusal] {
        try await send(mail.request).headers.map { MailRefusal(recipient: $0.name, reply: $0.value) }
    }
}
