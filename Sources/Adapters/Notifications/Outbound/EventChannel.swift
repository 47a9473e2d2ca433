public import SerinCrypto
public import SerinModel
internal import SerinPorts
public import SerinTransport

/// Sends signed events to a program's address: CloudEvents 1.0 in structured JSON, signed as Standard Webhooks 1.0, and in the
/// vocabulary of CDEvents (0.5) where it has a word.
public struct EventChannel: NotificationChannel {
    /// The address, `https://` outside this machine.
    public var address: String
    /// Signing secrets (`whsec_` and base64 of 24…64 bytes). All of them sign, so that a receiver can exchange one for the next.
    public var secrets: [Secret]
    /// What events say that they come from, a URI reference such as `/serin/production`.
    public var source: String
    /// The environment that is deployed to.
    public var environment: String

    /// An address of a program.
    public init(address: String, secrets: [Secret], source: String = "/serin", environment: String = "production") {
        self.address = address
        self.secrets = secrets
        self.source = source
        self.environment = environment
    }

    /// A program sorts out itself what it needs.
    public var followsSteps: Bool { true }

    /// Sends the event. Anything but 2xx, also a redirection, is a failure.
    public func deliver(_ message: OutboundMessage, at now: Instant, through transport: Transport) async throws(Failure) {
        let body = event(message)
        let time = now.millisecondsSince1970 / 1000
        let signed = Array("\(message.id).\(time).".utf8) + body.canonicalBytes
        let signatures = try signatures(of: signed)
        let exchange = JSONExchange(
            name: "the receiver of events at \(HTTPRequest(url: address, timeout: exchangeTimeout).publicURL)", url: address,
            headers: [
                HTTPHeader("Content-Type", "application/cloudevents+json; charset=utf-8"), HTTPHeader("webhook-id", message.id),
                HTTPHeader("webhook-timestamp", "\(time)"),
                HTTPHeader("webhook-signature", signatures.joined(separator: " ")),
            ], body: body, secrets: secrets)
        let answer = try await exchange.answer(transport)
        guard answer.isSuccess else { throw exchange.failure(answer, (300..<400).contains(answer.status) ? .denied : nil) }
    }

    private func signatures(of message: [UInt8]) throws(Failure) -> [String] {
        var signatures: [String] = []
        for secret in secrets {
            let text = secret.revealed
            guard let key = Base64.bytes(of: text.hasPrefix("whsec_") ? text.dropFirst(6) : text[...]), !key.isEmpty else {
                throw Failure(.denied, "cannot sign events: a secret is not 'whsec_' and base64")
            }
            do throws(CryptoError) {
                signatures.append("v1," + Base64.text(of: try HMACSHA256.code(for: message, key: key)))
            } catch { throw Failure(.transient, error.description) }
        }
        guard !signatures.isEmpty else { throw Failure(.denied, "cannot sign events: no secret is configured") }
        return signatures
    }

    /// The event as it is sent.
    func event(_ message: OutboundMessage) -> JSONValue {
        let notification = message.notification
        let (type, data) = cdEvent(message) ?? ("dev.serin.\(notification.kind.rawValue)", notification.document)
        return .object([
            "specversion": .string("1.0"), "id": .string(message.id), "source": .string(source), "type": .string(type),
            "time": .string("\(notification.at)"), "datacontenttype": .string("application/json"),
            "subject": .string(notification.rollout ?? notification.deduplicationKey), "data": data,
        ])
    }

    /// Type and document of CDEvents: a service that was upgraded or rolled back, or an incident for a call. The notification itself
    /// is the document's custom data.
    private func cdEvent(_ message: OutboundMessage) -> (String, JSONValue)? {
        let notification = message.notification
        guard let service = notification.field("service"), notification.isAboutRollout else { return nil }
        let isIncident = notification.severity == .critical
        let predicate: String
        switch (notification.kind, notification.field("state")) {
        case _ where isIncident: predicate = "incident.detected"
        case (.rolloutEnded, "promoted"): predicate = "service.upgraded"
        case (.rolloutEnded, "rolled back"): predicate = "service.rolledback"
        default: return nil
        }
        let type = "dev.cdevents.\(predicate).0.3.0"
        let artifact = notification.field("version").map { "pkg:generic/\(percentEncoded(service))@\(percentEncoded($0))" }
        let place: JSONValue = .object(["id": .string(environment)])
        var content: [JSONValue.Member] = [.init("environment", place)]
        if let artifact { content.append(.init("artifactId", .string(artifact))) }
        if isIncident {
            content.append(.init("service", .object(["id": .string(service)])))
            content.append(.init("description", .string(Medium.plain.text(notification.text))))
        }
        let subject: JSONValue = .object([
            "id": .string(isIncident ? notification.deduplicationKey : service), "source": .string(source),
            "content": .sortedObject(content),
        ])
        let context: JSONValue = .object([
            "specversion": .string("0.5.0"), "id": .string(message.id), "source": .string(source), "type": .string(type),
            "timestamp": .string("\(notification.at)"),
        ])
        let data: JSONValue = .object([
            "context": context, "subject": subject, "customData": notification.document,
            "customDataContentType": .string("application/json"),
        ])
        return (type, data)
    }
}
