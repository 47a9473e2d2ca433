public import SerinCrypto
internal import SerinLocks
public import SerinModel
internal import SerinPorts
public import SerinTransport

/// Sends mail by a server that passes it on.
public struct MailChannel: NotificationChannel {
    /// The server, `smtp://host:587` or `smtps://host:465`.
    public var server: String
    /// Who it is from, an address alone.
    public var sender: String
    /// Whom it goes to.
    public var recipients: [String]
    /// User and password at the server.
    public var account: (user: String, password: Secret)?
    /// Whether a server without TLS is refused.
    public var requiresEncryption = true
    /// A file of certificates to trust instead of the system's.
    public var certificateAuthorityFile: String?

    /// Who has a message already that others were refused for, until it is settled for all or the process ends.
    private let holders = Locked<[String: Set<String>]>([:])

    /// A way to send mail.
    public init(server: String, sender: String, recipients: [String]) {
        self.server = server
        self.sender = sender
        self.recipients = recipients
    }

    /// Sends the mail to those who do not have it. When some are refused the others get it all the same, and this fails in the names of
    /// the former: to be tried again while the server may take one of them later. The `Message-ID` is the same at every try, by which
    /// mailboxes know a repetition.
    public func deliver(_ message: OutboundMessage, at now: Instant, through transport: Transport) async throws(Failure) {
        let having = holders.withLock { $0[message.id] ?? [] }
        let lacking = recipients.filter { !having.contains($0) }
        var mail = MailRequest(
            server: server, sender: sender, recipients: lacking, content: content(of: message), timeout: .seconds(30))
        mail.basic = account.map { ($0.user, $0.password.revealed) }
        mail.requiresEncryption = requiresEncryption
        mail.certificateAuthorityFile = certificateAuthorityFile
        let refusals = try await transport.send(mail)
        let refused = Set(refusals.map(\.recipient))
        holders.withLock { holders in
            // Those of messages that were given up are not worth keeping.
            if holders.count > 1000 { holders = [:] }
            holders[message.id] = refused.isEmpty ? nil : having.union(lacking.filter { !refused.contains($0) })
        }
        guard !refusals.isEmpty else { return }
        let words = refusals.map { "\($0.recipient) (\($0.reply))" }.joined(separator: ", ")
        throw Failure(
            refusals.contains(where: \.isPassing) ? .transient : .invalid,
            "cannot MAIL \(server): it refused \(words); all others have it",
            hint: "see to these addresses, or take them out of the configuration")
    }

    /// RFC 5322 with MIME; the text is base64, so no line of it can be taken for a header or the mail's end.
    func content(of message: OutboundMessage) -> [UInt8] {
        let notification = message.notification
        let domain = sender.split(separator: "@").last.map(String.init) ?? "serin"
        let call = notification.severity == .critical ? "ACT NOW: " : ""
        var lines = [
            "From: Serin <\(sender)>", "To: \(recipients.joined(separator: ",\r\n "))",
            "Subject: \(encodedWords(visible(call + notification.subject, lines: false)))", "Date: \(mailDate(notification.at))",
            "Message-ID: <\(message.id)@\(domain)>",
            // Mail about one rollout is one conversation.
            "References: <\(threadName(notification.deduplicationKey))@\(domain)>",
            "Auto-Submitted: auto-generated", "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8",
            "Content-Transfer-Encoding: base64",
        ]
        if notification.severity == .critical { lines.append("Importance: high") }
        lines.append("")
        let text = Medium.plain.text(notification.plainText).rewriting("\n", as: "\r\n") + "\r\n"
        let encoded = Array(Base64.text(of: Array(text.utf8)).utf8)
        for start in stride(from: 0, to: encoded.count, by: 76) {
            lines.append(String(decoding: encoded[start..<min(start + 76, encoded.count)], as: UTF8.self))
        }
        return Array((lines.joined(separator: "\r\n") + "\r\n").utf8)
    }

    /// Letters, digits and dots of a key, which is what an identifier of a mail may hold.
    private func threadName(_ key: String) -> String {
        String(key.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "." }.prefix(150))
    }
}

/// A header's text as it is when that is short ASCII, else as encoded words (RFC 2047) of at most 75 characters a line.
func encodedWords(_ text: String) -> String {
    let isPlain = text.utf8.count <= 60 && text.utf8.allSatisfy { (0x20..<0x7F).contains($0) } && !text.contains("=?")
    if isPlain { return text }
    var words: [String] = []
    var part: [UInt8] = []
    for scalar in text.unicodeScalars.prefix(300) {
        let bytes = Array(String(Character(scalar)).utf8)
        // 45 bytes are 60 characters of base64; a word never ends inside a character.
        if part.count + bytes.count > 45 {
            words.append("=?utf-8?B?\(Base64.text(of: part))?=")
            part = []
        }
        part += bytes
    }
    if !part.isEmpty { words.append("=?utf-8?B?\(Base64.text(of: part))?=") }
    return words.joined(separator: "\r\n ")
}

/// A moment in the form of mail: `Sat, 21 Nov 2026 15:51:36 +0000`.
func mailDate(_ moment: Instant) -> String {
    let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    let date = moment.date
    return "\(days[date.weekday]), \(date.day) \(months[Int(date.month) - 1]) \(date.year) \(moment.timeOfDay.dropLast()) +0000"
}
