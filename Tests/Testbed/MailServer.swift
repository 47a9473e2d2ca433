internal import Glibc
internal import SerinLocks
public import SerinModel

/// A mail server (SMTP, RFC 5321) that keeps what it is given and refuses what a test says.
public final class MailServer: Sendable {
    /// One mail as it arrived.
    public struct Mail: Sendable, Hashable {
        /// From `MAIL FROM`.
        public var sender: String
        /// From `RCPT TO`, those that were taken.
        public var recipients: [String]
        /// What `AUTH PLAIN` carried, in base64.
        public var credentials: String
        /// The mail, its doubled dots undone.
        public var content: String
    }

    private let listener = LoopbackListener()
    private let mails = Locked<[Mail]>([])
    /// The port on the loopback interface.
    public let port: Int

    /// Starts listening.
    ///
    /// - Parameter reply: Answers a command line (`RCPT TO:<x@y>`, or `.` for a whole mail) in place of the usual reply; nil: the
    ///   usual one, empty: none, and the connection is closed.
    public init(reply: @escaping @Sendable (String) -> String? = { _ in nil }) throws(Failure) {
        let mails = self.mails
        port = try listener.start(port: 0) { connection in
            var session = Session(connection: connection)
            session.serve(reply) { mail in mails.withLock { $0.append(mail) } }
        }
    }

    /// `smtp://127.0.0.1:port`.
    public var url: String { "smtp://127.0.0.1:\(port)" }

    /// Everything that was taken so far.
    public var received: [Mail] { mails.withLock { $0 } }

    /// Stops listening and cuts every connection.
    public func stop() { listener.stop() }
}

private struct Session {
    let connection: Int32
    var pending: [UInt8] = []
    var mail = MailServer.Mail(sender: "", recipients: [], credentials: "", content: "")

    init(connection: Int32) { self.connection = connection }

    mutating func serve(_ reply: (String) -> String?, keep: (MailServer.Mail) -> Void) {
        guard say("220 stand-in ESMTP") else { return }
        while let line = readLine() {
            let special = reply(line)
            if special == "" { return }
            let usual = takeIn(line, isRefused: special.map { !$0.hasPrefix("2") } ?? false)
            guard say(special ?? usual) else { return }
            if line == "QUIT" { return }
            guard line == "DATA", special == nil else { continue }
            readContent()
            let verdict = reply(".")
            if verdict == "" { return }
            if verdict == nil { keep(mail) }
            guard say(verdict ?? "250 taken") else { return }
        }
    }

    private mutating func takeIn(_ line: String, isRefused: Bool) -> String {
        let address = line.split { $0 == "<" || $0 == ">" }.dropFirst().first.map(String.init) ?? ""
        if line.hasPrefix("EHLO") { return "250-stand-in\r\n250 AUTH PLAIN" }
        if line.hasPrefix("AUTH PLAIN ") {
            mail.credentials = String(line.dropFirst(11))
            return "235 welcome"
        }
        if line == "AUTH PLAIN" {
            guard say("334 ") else { return "" }
            mail.credentials = readLine() ?? ""
            return "235 welcome"
        }
        if line.hasPrefix("MAIL FROM:") { mail.sender = address }
        if line.hasPrefix("RCPT TO:"), !isRefused { mail.recipients.append(address) }
        return line == "DATA" ? "354 go on" : line == "QUIT" ? "221 bye" : "250 ok"
    }

    private mutating func readContent() {
        var lines: [String] = []
        while let line = readLine(), line != "." { lines.append(line.hasPrefix(".") ? String(line.dropFirst()) : line) }
        mail.content = lines.joined(separator: "\r\n")
    }

    private func say(_ text: String) -> Bool { sendAll(Array((text + "\r\n").utf8), to: connection) }

    private mutating func readLine() -> String? {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            if let end = pending.firstIndex(of: 10) {
                let line = pending[..<end].filter { $0 != 13 }
                pending.removeFirst(end + 1)
                return String(decoding: line, as: UTF8.self)
            }
            let count = read(connection, &buffer, buffer.count)
            guard count > 0 else { return nil }
            pending += buffer[0..<count]
        }
    }
}
