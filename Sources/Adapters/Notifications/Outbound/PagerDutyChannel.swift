public import SerinCrypto
public import SerinModel
internal import SerinPorts
public import SerinTransport

/// Raises and ends alerts at PagerDuty by its Events API v2.
///
/// Every call of a rollout raises an alert of its own, however often it is sent, so that it pages although an earlier one is known;
/// warnings, and calls about anything else, raise one a deduplication key. Whatever is over is ended. Good news of rollouts is also a
/// change event, which pages nobody and stands beside later incidents.
public struct PagerDutyChannel: NotificationChannel {
    private let routingKey: Secret
    private let api: String

    /// A service's integration key.
    public init(routingKey: Secret, api: String = "https://events.pagerduty.com") {
        self.routingKey = routingKey
        self.api = api
    }

    /// An incident stays open until it is resolved.
    public var raisesAlerts: Bool { true }

    /// Sends the events.
    public func deliver(_ message: OutboundMessage, at now: Instant, through transport: Transport) async throws(Failure) {
        let notification = message.notification
        let isAlert = message.isTold && notification.severity != .info
        if isAlert { try await send("/v2/enqueue", try event("trigger", message.alert, notification), transport) }
        // Ending can be repeated without harm, so it comes before what cannot.
        for alert in message.endedAlerts { try await send("/v2/enqueue", try event("resolve", alert), transport) }
        guard message.isTold, !isAlert, notification.isAboutRollout else { return }
        let change: JSONValue = .object([
            "routing_key": .string(routingKey.revealed), "payload": payload(notification, severity: nil),
        ])
        try await send("/v2/change/enqueue", change, transport)
    }

    private func send(_ path: String, _ body: JSONValue, _ transport: Transport) async throws(Failure) {
        let exchange = JSONExchange(name: "pagerduty", url: api + path, body: body, secrets: [routingKey])
        let answer = try await exchange.answer(transport)
        guard answer.status == 202, answer.json?["status"]?.text == "success" else {
            let errors = answer.json?["errors"]?.items?.compactMap(\.text).joined(separator: "; ")
            throw exchange.failure(answer, said: errors ?? answer.json?["message"]?.text)
        }
    }

    private func event(_ action: String, _ alert: String, _ notification: Notification? = nil) throws(Failure) -> JSONValue {
        var members: [JSONValue.Member] = [
            .init("routing_key", .string(routingKey.revealed)), .init("event_action", .string(action)),
            .init("dedup_key", .string(try key(alert))),
        ]
        if let notification {
            let severity = notification.severity == .critical ? "critical" : "warning"
            members.append(.init("payload", payload(notification, severity: severity)))
        }
        return .sortedObject(members)
    }

    private func payload(_ notification: Notification, severity: String?) -> JSONValue {
        let facts = notification.fields.map { JSONValue.Member($0.name, .string(Medium.plain.text($0.value))) }
        var members: [JSONValue.Member] = [
            .init("summary", .string(Medium.plain.text(notification.subject, limit: 1000))),
            .init("source", .string(notification.field("service") ?? "serin")), .init("timestamp", .string("\(notification.at)")),
            .init("custom_details", .sortedObject(facts + [.init("text", .string(Medium.plain.text(notification.text)))])),
        ]
        if let severity { members.append(.init("severity", .string(severity))) }
        return .sortedObject(members)
    }

    /// At most 255 characters: a longer key is replaced by its hash.
    private func key(_ alert: String) throws(Failure) -> String {
        let key = "serin \(alert)"
        return key.utf16.count <= 255 ? key : try sha256Text(Array(key.utf8))
    }
}

/// SHA-256 in hexadecimal.
func sha256Text(_ bytes: [UInt8]) throws(Failure) -> String {
    do throws(CryptoError) { return Hexadecimal.text(of: try SHA256.digest(bytes)) } catch {
        throw Failure(.transient, error.description)
    }
}
