internal import SerinCrypto
internal import SerinModel
internal import SerinPorts

extension OutboundMessage {
    /// The message of a notification.
    init(_ notification: Notification) throws(Failure) {
        self.notification = notification
        id = String(try sha256Text(OutboundMessage.bytes(of: notification)).prefix(32))
        endedAlerts = endedAlerts(among: [])
    }

    /// The message that a store kept; nil when the bytes are of another form.
    init?(_ entry: OutboxEntry) {
        // What cannot be read is given up by the caller, with words.
        guard let value = try? JSONValue(parsing: entry.payload), let notification = OutboundMessage.notification(value) else {
            return nil
        }
        self.notification = notification
        id = entry.id
        endedAlerts = endedAlerts(among: [])
    }

    /// The canonical bytes that a store keeps. Unlike a notification's document they keep the order of the facts.
    static func bytes(of notification: Notification) -> [UInt8] {
        JSONValue.object([
            "kind": .string(notification.kind.rawValue), "severity": .string(notification.severity.rawValue),
            "subject": .string(notification.subject), "text": .string(notification.text),
            "fields": .array(notification.fields.map { .array([.string($0.name), .string($0.value)]) }),
            "key": .string(notification.deduplicationKey), "at": .integer(notification.at.millisecondsSince1970),
        ]).canonicalBytes
    }

    private static func notification(_ value: JSONValue) -> Notification? {
        guard let kind = value["kind"]?.text.flatMap(Notification.Kind.init), let subject = value["subject"]?.text,
            let severity = value["severity"]?.text.flatMap(Notification.Severity.init), let text = value["text"]?.text,
            let key = value["key"]?.text, let at = value["at"]?.integer, let fields = value["fields"]?.items
        else { return nil }
        return Notification(
            kind, severity, subject: subject, text: text,
            fields: fields.compactMap { field in
                guard let pair = field.items, pair.count == 2, let name = pair[0].text, let value = pair[1].text else {
                    return nil
                }
                return Notification.Field(name, value)
            }, deduplicationKey: key, at: Instant(millisecondsSince1970: at))
    }
}
