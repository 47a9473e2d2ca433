internal import SerinCrypto
public import SerinModel
internal import SerinPorts
public import SerinTransport

extension InboundHook {
    /// A message as its sender would send it, proven by the first secret, that asks for nothing but an answer: it tries address,
    /// secret and reading at once.
    ///
    /// - Throws: For `discord`, whose private key only Discord has.
    public func sample(at now: Instant) throws(Failure) -> HookRequest {
        guard let secret = secrets.first else {
            throw Failure(.invalid, "the hook \(name) has no secret: its messages are fetched")
        }
        let seconds = "\(now.millisecondsSince1970 / 1000)"
        let service = services.keys.sorted().first ?? "example"
        let text = "status \(service)"
        var request = HookRequest(headers: [HTTPHeader("Content-Type", "application/json")], body: [])
        func form(_ fields: String) {
            request.headers[0].value = "application/x-www-form-urlencoded"
            request.body = Array(fields.utf8)
        }
        let place = places.sorted().first ?? "T0"
        switch kind {
        case .slack:
            form("command=%2Fserin&text=\(percentEncoded(text))&user_id=U0&team_id=\(percentEncoded(place))")
            let code = try code(of: Array("v0:\(seconds):".utf8) + request.body, secret)
            request.headers += [HTTPHeader("X-Slack-Request-Timestamp", seconds), HTTPHeader("X-Slack-Signature", "v0=\(code)")]
        case .telegram:
            request.body = telegramSample(text, chat: Int64(place) ?? 0, at: now)
            request.headers.append(HTTPHeader("X-Telegram-Bot-Api-Secret-Token", secret.revealed))
        case .discord:
            throw Failure(.invalid, "only Discord can sign its messages", hint: "save the address there: Discord then tries it")
        case .teams:
            request.body = Array(
                #"{"type":"message","text":"\#(text)","timestamp":"\#(now)","from":{"aadObjectId":"test"},"conversation":{"id":"\#(place)"}}"#
                    .utf8)
            guard let key = decoded(secret) else { throw Failure(.invalid, "the secret of teams is no base64") }
            request.headers.append(HTTPHeader("Authorization", "HMAC " + Base64.text(of: try bytes(of: request.body, key))))
        case .mattermost:
            form("command=%2Fserin&text=\(percentEncoded(text))&user_id=test&team_id=\(percentEncoded(place))&channel_id=test")
            request.headers.append(HTTPHeader("Authorization", "Token \(secret.revealed)"))
        case .alertmanager:
            request.body = alertSample
            request.headers.append(HTTPHeader("Authorization", "Bearer \(secret.revealed)"))
        case .grafana:
            request.body = alertSample
            request.headers += try signedSample("X-Grafana-Alerting-Signature", ":", seconds, request.body, secret)
        case .pagerduty:
            request.body = Array(#"{"event":{"id":"test","event_type":"pagey.ping"}}"#.utf8)
            request.headers.append(HTTPHeader("X-PagerDuty-Signature", "v1=\(try code(of: request.body, secret))"))
        case .github:
            request.body = Array(#"{"zen":"Approachable is better than simple.","hook_id":1}"#.utf8)
            request.headers.append(HTTPHeader("X-Hub-Signature-256", "sha256=\(try code(of: request.body, secret))"))
        case .gitlab where !secret.hasPrefix("whsec_"):
            request.body = Array(#"{"object_kind":"push"}"#.utf8)
            request.headers.append(HTTPHeader("X-Gitlab-Token", secret.revealed))
        case .gitlab, .standard:
            request.body = kind == .gitlab ? Array(#"{"object_kind":"push"}"#.utf8) : documentSample(service)
            guard !secret.hasPrefix("whpk_"), let key = decoded(secret, without: "whsec_") else {
                throw Failure(.invalid, "only the holder of the private key can sign")
            }
            let identifier = "test-\(now.millisecondsSince1970)"
            let code = try bytes(of: Array("\(identifier).\(seconds).".utf8) + request.body, key)
            request.headers += [
                HTTPHeader("webhook-id", identifier), HTTPHeader("webhook-timestamp", seconds),
                HTTPHeader("webhook-signature", "v1," + Base64.text(of: code)),
            ]
        case .hmac:
            request.body = documentSample(service)
            request.headers += try signedSample("X-Serin-Signature", ".", seconds, request.body, secret)
        }
        return request
    }

    private func documentSample(_ service: String) -> [UInt8] {
        JSONValue.object(["verb": .string("status"), "service": .string(service)]).canonicalBytes
    }

    /// A group of alerts that fires and asks for nothing.
    private var alertSample: [UInt8] {
        Array(
            #"{"version":"4","status":"resolved","receiver":"serin","truncatedAlerts":0,"alerts":[{"status":"resolved","labels":{"alertname":"SerinHookTest"}}]}"#
                .utf8)
    }

    private func telegramSample(_ text: String, chat: Int64, at now: Instant) -> [UInt8] {
        JSONValue.object([
            "update_id": .integer(now.millisecondsSince1970),
            "message": .object([
                "message_id": .integer(1), "date": .integer(now.millisecondsSince1970 / 1000), "text": .string("/" + text),
                "from": .object(["id": .integer(1), "is_bot": .bool(false)]),
                "chat": .object(["id": .integer(chat), "type": .string("group")]),
            ]),
        ]).canonicalBytes
    }

    private func signedSample(
        _ signature: String, _ separator: String, _ seconds: String, _ body: [UInt8], _ secret: Secret
    ) throws(Failure) -> [HTTPHeader] {
        let usual = kind == .grafana ? "X-Grafana-Alerting-Signature-Timestamp" : "X-Serin-Timestamp"
        let code = try code(of: Array((seconds + separator).utf8) + body, secret)
        return [HTTPHeader(timestampHeader ?? usual, seconds), HTTPHeader(signatureHeader ?? signature, code)]
    }

    private func code(of message: [UInt8], _ key: Secret) throws(Failure) -> String {
        Hexadecimal.text(of: try bytes(of: message, key))
    }

    private func bytes(of message: [UInt8], _ key: Secret) throws(Failure) -> [UInt8] {
        do throws(CryptoError) { return try HMACSHA256.code(for: message, key: key) } catch {
            throw Failure(.transient, error.description)
        }
    }
}

extension NotificationChannel {
    /// Sends a notification that says that it is a trial, and returns when the other side has it.
    public func sendTrial(at now: Instant, through transport: Transport) async throws(Failure) {
        let message = try OutboundMessage(
            Notification(
                .rolloutChanged, .info, subject: "Serin: a trial", text: "This channel works. Nothing happened.",
                deduplicationKey: "serin trial", at: now))
        guard takes(message.notification) else {
            throw Failure(
                .invalid, "this channel shows rollouts alone, and a trial is none", hint: "it is told of the next rollout")
        }
        try await deliver(message, at: now, through: transport)
    }
}
