internal import SerinCrypto
public import SerinModel

extension InboundHook {
    /// Decides whether a request was sent by who it says. Pure but for the library's arithmetic: reads no clock and keeps nothing.
    ///
    /// All secrets are tried, whether or not one has fitted, and compared in constant time.
    ///
    /// - Parameter now: The time that signed times are compared with.
    public func verify(_ request: HookRequest, at now: Instant) throws(HookRefusal) -> VerifiedMessage {
        guard request.method == "POST" else { throw HookRefusal(.method, "the method is not POST") }
        guard request.body.count <= kind.bodyLimit else {
            throw HookRefusal(.tooLarge, "the body has \(request.body.count) bytes, and \(kind.bodyLimit) are read at most")
        }
        let encoding = try request.header("Content-Encoding") ?? "identity"
        guard encoding.lowercased() == "identity" else { throw HookRefusal(.encoding, "the body is encoded") }
        switch kind {
        case .slack: return try slack(request, now)
        case .telegram: return try token(request, try request.required("X-Telegram-Bot-Api-Secret-Token"))
        case .discord: return try discord(request, now)
        case .teams: return try teams(request)
        case .mattermost: return try mattermost(request)
        case .alertmanager: return try authorization(request)
        case .grafana:
            let header = timestampHeader ?? "X-Grafana-Alerting-Signature-Timestamp"
            return try body(request, signatureHeader ?? "X-Grafana-Alerting-Signature", header, separator: ":", now)
        case .pagerduty: return try pagerDuty(request)
        case .github:
            return try signed(request, request.body, [try mac(try request.required("X-Hub-Signature-256"), prefix: "sha256=")])
        case .gitlab:
            if try request.header("webhook-signature") != nil { return try standard(request, now) }
            return try token(request, try request.required("X-Gitlab-Token"), not: "whsec_")
        case .standard: return try standard(request, now)
        case .hmac:
            let header = timestampHeader ?? "X-Serin-Timestamp"
            return try body(request, signatureHeader ?? "X-Serin-Signature", header, separator: ".", now)
        }
    }

    /// What a stranger is told at an address where there is no hook: the same as where there is one.
    ///
    /// - Parameter kind: The kind of hook that the address names.
    public static func answer(toStranger request: HookRequest, kind: String, at now: Instant) -> HookAnswer {
        let hook = InboundHook(name: "", kind: HookKind(rawValue: kind) ?? .hmac, secrets: [])
        do throws(HookRefusal) { _ = try hook.verify(request, at: now) } catch { return error.answer }
        // No secret fits where there is none.
        return HookRefusal(.signature, "").answer
    }

    // MARK: Kinds

    /// `v0=` and HMAC-SHA-256 of `v0:time:body` (Slack, "Verifying requests from Slack").
    private func slack(_ request: HookRequest, _ now: Instant) throws(HookRefusal) -> VerifiedMessage {
        let time = try request.required("X-Slack-Request-Timestamp")
        let code = try mac(try request.required("X-Slack-Signature"), prefix: "v0=")
        try checkTime(time, now)
        return try signed(request, Array("v0:\(time):".utf8) + request.body, [code], isReplayProof: true)
    }

    /// Ed25519 over time and body (Discord, "Security and Authorization" of interactions).
    private func discord(_ request: HookRequest, _ now: Instant) throws(HookRefusal) -> VerifiedMessage {
        let time = try request.required("X-Signature-Timestamp")
        guard let signature = Hexadecimal.bytes(of: try request.required("X-Signature-Ed25519")),
            signature.count == Ed25519.signatureByteCount
        else { throw HookRefusal(.malformed, "the signature is not 128 hexadecimal digits") }
        try checkTime(time, now)
        let message = Array(time.utf8) + request.body
        var isValid = false
        for secret in secrets {
            let key = secret.withUnsafeBytes { Hexadecimal.bytes(of: String(decoding: $0, as: UTF8.self)) } ?? []
            let fits = try computed { () throws(CryptoError) in try Ed25519.isValid(signature, of: message, publicKey: key) }
            isValid = fits || isValid
        }
        guard isValid else { throw HookRefusal(.signature, "the signature is not the application's") }
        return VerifiedMessage(request: request, isReplayProof: true, fingerprint: try fingerprint(of: message))
    }

    /// `HMAC ` and base64 of HMAC-SHA-256 of the body, under the base64-decoded token (Microsoft, "Create an outgoing webhook").
    private func teams(_ request: HookRequest) throws(HookRefusal) -> VerifiedMessage {
        let value = try request.required("Authorization")
        guard value.hasPrefix("HMAC "), let code = Base64.bytes(of: value.dropFirst(5)), code.count == SHA256.byteCount else {
            throw HookRefusal(.malformed, "Authorization is not 'HMAC' with 32 bytes in base64")
        }
        return try signed(request, request.body, [code], keys: secrets.compactMap { decoded($0) })
    }

    /// `Authorization: Token …`, or the form's `token` of older servers.
    private func mattermost(_ request: HookRequest) throws(HookRefusal) -> VerifiedMessage {
        if let value = try request.header("Authorization") {
            guard value.hasPrefix("Token ") else { throw HookRefusal(.malformed, "Authorization is not 'Token'") }
            return try token(request, String(value.dropFirst(6)))
        }
        guard let value = request.form["token"], !value.isEmpty else { throw HookRefusal(.malformed, "there is no token") }
        return try token(request, value)
    }

    /// `Authorization: Bearer …`, or the password of basic authentication.
    private func authorization(_ request: HookRequest) throws(HookRefusal) -> VerifiedMessage {
        let value = try request.required("Authorization")
        if value.hasPrefix("Bearer ") { return try token(request, String(value.dropFirst(7))) }
        guard value.hasPrefix("Basic "), let pair = Base64.bytes(of: value.dropFirst(6)), let colon = pair.firstIndex(of: 0x3A)
        else { throw HookRefusal(.malformed, "Authorization is neither 'Bearer' nor 'Basic'") }
        return try token(request, String(decoding: pair[(colon + 1)...], as: UTF8.self))
    }

    /// One or more `v1=` codes of the body, of which one must fit (PagerDuty, "Verifying Signatures").
    private func pagerDuty(_ request: HookRequest) throws(HookRefusal) -> VerifiedMessage {
        let parts = try request.required("X-PagerDuty-Signature").split(separator: ",").prefix(16)
        var codes: [[UInt8]] = []
        for part in parts {
            let text = part.drop { $0 == " " }
            if text.hasPrefix("v1="), let code = Hexadecimal.bytes(of: text.dropFirst(3)) { codes.append(code) }
        }
        guard !codes.isEmpty else { throw HookRefusal(.malformed, "there is no signature of version v1") }
        return try signed(request, request.body, codes)
    }

    /// `identifier.time.body` under `whsec_` secrets (`v1`) or `whpk_` keys (`v1a`); other versions are passed over.
    private func standard(_ request: HookRequest, _ now: Instant) throws(HookRefusal) -> VerifiedMessage {
        let identifier = try request.required("webhook-id")
        let time = try request.required("webhook-timestamp")
        let signatures = try request.required("webhook-signature").split(separator: " ").prefix(16)
        guard !identifier.contains("."), identifier.utf8.count <= 256 else {
            throw HookRefusal(.malformed, "webhook-id holds a '.' or more than 256 bytes")
        }
        try checkTime(time, now)
        let message = Array("\(identifier).\(time).".utf8) + request.body
        let keys = secrets.compactMap { secret in secret.hasPrefix("whpk_") ? nil : decoded(secret, without: "whsec_") }
        let expected = try codes(of: message, keys: keys)
        let publicKeys = secrets.compactMap { $0.hasPrefix("whpk_") ? decoded($0, without: "whpk_") : nil }
        var isValid = false
        for entry in signatures {
            let parts = entry.split(separator: ",", maxSplits: 1)
            guard parts.count == 2, let signature = Base64.bytes(of: parts[1]) else { continue }
            if parts[0] == "v1" { for code in expected { isValid = areEqual(code, signature) || isValid } }
            guard parts[0] == "v1a" else { continue }
            for key in publicKeys {
                let bytes = key.withUnsafeBytes { Array($0) }
                let fits = try computed { () throws(CryptoError) in try Ed25519.isValid(signature, of: message, publicKey: bytes)
                }
                isValid = fits || isValid
            }
        }
        guard isValid else { throw HookRefusal(.signature, "no signature fits") }
        // A message that is sent again is the same to the byte. Another one under a used identifier is none that was dealt with.
        return VerifiedMessage(
            request: request, isReplayProof: true, fingerprint: "id:\(identifier) \(try fingerprint(of: request.body))")
    }

    /// Hexadecimal HMAC-SHA-256 of the body, or of `time` + separator + `body` when a time is sent.
    private func body(
        _ request: HookRequest, _ signature: String, _ timestamp: String, separator: String, _ now: Instant
    ) throws(HookRefusal) -> VerifiedMessage {
        let text = try request.required(signature)
        let code = try mac(text, prefix: text.hasPrefix("sha256=") ? "sha256=" : "")
        guard let time = try request.header(timestamp) else {
            if requiresTimestamp { throw HookRefusal(.malformed, "the header \(timestamp) is missing") }
            return try signed(request, request.body, [code])
        }
        try checkTime(time, now)
        return try signed(request, Array((time + separator).utf8) + request.body, [code], isReplayProof: true)
    }
}
