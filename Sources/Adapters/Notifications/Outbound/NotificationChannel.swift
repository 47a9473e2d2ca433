internal import SerinCrypto
public import SerinModel
public import SerinPorts
public import SerinTransport

/// A notification on its way, the same at every try.
public struct OutboundMessage: Sendable, Hashable {
    /// Its identifier: 32 hexadecimal digits made of what it says, so that it is the same after a restart too.
    public let id: String
    /// What people are told.
    public let notification: Notification
    /// The alerts that are over with it, for channels that raise alerts.
    var endedAlerts: [String] = []
    /// Whether the channel is to tell it; else it ends alerts and no more.
    var isTold = true
}

/// One place where people are told. What it throws says no secret; whoever sends decides by its class whether to try again.
public protocol NotificationChannel: Sendable {
    /// Whether this notification means anything there.
    func takes(_ notification: Notification) -> Bool

    /// Whether it shows every step of a rollout, unless its settings say otherwise.
    var followsSteps: Bool { get }

    /// Whether it raises alerts that stay open until they are ended. Whatever ends one goes there, however little urgent.
    var raisesAlerts: Bool { get }

    /// Sends a message once. Returns when the other side says that it has taken it, by whatever it says that with: a status of 200
    /// alone proves nothing at many of them.
    ///
    /// - Parameter now: The time that is signed.
    func deliver(_ message: OutboundMessage, at now: Instant, through transport: Transport) async throws(Failure)
}

extension NotificationChannel {
    /// Everything, unless a channel says otherwise.
    public func takes(_ notification: Notification) -> Bool { true }

    /// People are told what they should know of, and not of each step.
    public var followsSteps: Bool { false }

    /// Messages stand for themselves.
    public var raisesAlerts: Bool { false }
}

/// The longest time that one exchange may take.
let exchangeTimeout = Duration.seconds(15)

/// One exchange in JSON with a service whose address or headers hold secrets.
struct JSONExchange {
    /// What people know the service by: `slack`, `github acme/api`.
    var name: String
    var method = "POST"
    var url: String
    var headers: [HTTPHeader] = []
    var body: JSONValue?
    /// What must not be seen, wherever the service repeats it.
    var secrets: [Secret] = []
    /// What is done with it, for messages.
    var deed = "notify"

    /// Performs it. Fails as the transport does, without the address.
    func answer(_ transport: Transport) async throws(Failure) -> HTTPResponse {
        var request = HTTPRequest(method: method, url: url, headers: headers, timeout: exchangeTimeout, bodyLimit: 256 << 10)
        request.publicName = name
        if let body {
            request.body = body.canonicalBytes
            if !headers.contains(where: { $0.name.lowercased() == "content-type" }) {
                request.headers.append(HTTPHeader("Content-Type", "application/json; charset=utf-8"))
            }
        }
        return try await transport.send(request)
    }

    /// The failure that an answer stands for, by its status or by a class that the service's own words mean.
    func failure(
        _ answer: HTTPResponse, _ kind: FailureClass? = nil, said words: String? = nil, retryAfter: Duration? = nil,
        hint: String? = nil
    ) -> Failure {
        // A repeated message is better than a lost one, so a 5xx of a write is simply tried again.
        let byStatus = answer.failureClass(ofWrite: false) ?? .transient
        // A place that is gone or has moved, an address with a wrong token in it, and what is too long for a proxy are for a person to
        // put right.
        let isMendable = (300..<400).contains(answer.status) || [404, 410, 413].contains(answer.status)
        let kind = kind ?? (isMendable ? .denied : byStatus)
        // A part of a secret is one, so it is hidden before anything is cut.
        let said = hidden(words ?? String(decoding: answer.body, as: UTF8.self))
        let shown = visible(String(said.prefix(1000)), lines: false).prefix(200)
        return Failure(
            kind, "cannot \(deed) \(name): \(answer.status)\(shown.isEmpty ? "" : " \(shown)")", hint: hint,
            retryAfter: retryAfter ?? answer.retryAfter)
    }

    private func hidden(_ text: String) -> String {
        secrets.flatMap { Self.pieces(of: $0.revealed) }.reduce(text) { $0.rewriting($1, as: "…") }
    }

    /// A secret and, of an address, what the other side may repeat of it: its path, and the long parts of that.
    private static func pieces(of secret: String) -> [String] {
        guard secret.utf8.count >= 4 else { return [] }
        let parts = secret.split(separator: "/")
        guard parts.count > 2, parts[0].hasSuffix(":") else { return [secret] }
        let path = parts.dropFirst(2)
        let values = path.flatMap { $0.split { "?&=;:@".contains($0) } }.filter { $0.utf8.count >= 8 }
        return [secret, "/" + path.joined(separator: "/")] + values.map(String.init)
    }
}

extension Secret {
    /// The text, for the one place that sends it.
    var revealed: String { withUnsafeBytes { String(decoding: $0, as: UTF8.self) } }
}

extension HTTPResponse {
    /// The body as JSON; nil when it is none.
    var json: JSONValue? {
        // What is no JSON is treated as an answer that says nothing.
        try? JSONValue(parsing: body, depthLimit: 32)
    }

    /// Whether the status is 2xx.
    var isSuccess: Bool { (200..<300).contains(status) }
}

extension Notification {
    /// The value of a fact.
    func field(_ name: String) -> String? { fields.first { $0.name == name }?.value }

    /// The rollout that it is about.
    var rollout: String? { isAboutRollout ? field("rollout") : nil }

    /// Whether it is about a rollout.
    var isAboutRollout: Bool { kind == .rolloutChanged || kind == .rolloutProgressed || kind == .rolloutEnded }

    /// The rollout that goes on and can be halted.
    var liveRollout: String? { kind == .rolloutEnded ? nil : rollout }

    /// Subject, text and facts as lines, for media without tables.
    var plainText: String {
        let call = severity == .critical ? "ACT NOW: " : ""
        let facts = fields.map { "\($0.name): \($0.value)" }.joined(separator: "\n")
        return call + [subject, text, facts].filter { !$0.isEmpty }.joined(separator: "\n")
    }
}
