internal import SerinCrypto
internal import SerinModel

/// What several kinds of senders are checked by.
extension InboundHook {
    /// Compares a token that stands in a header with all secrets, except those that begin with a prefix.
    func token(_ request: HookRequest, _ value: String, not excluded: String? = nil) throws(HookRefusal) -> VerifiedMessage {
        let bytes = Array(value.utf8)
        var isValid = false
        for secret in secrets where excluded.map({ !secret.hasPrefix($0) }) ?? true {
            let fits = secret.count > 0 && secret.isEqual(to: bytes)
            isValid = fits || isValid
        }
        guard isValid else { throw HookRefusal(.signature, "the token is not the right one") }
        return VerifiedMessage(request: request, isReplayProof: false, fingerprint: try fingerprint(of: request.body))
    }

    /// Compares codes that stand in headers with those of the message under every key.
    func signed(
        _ request: HookRequest, _ message: [UInt8], _ sent: [[UInt8]], keys: [Secret]? = nil, isReplayProof: Bool = false
    ) throws(HookRefusal) -> VerifiedMessage {
        var isValid = false
        for code in try codes(of: message, keys: keys ?? secrets) {
            for candidate in sent { isValid = areEqual(code, candidate) || isValid }
        }
        guard isValid else { throw HookRefusal(.signature, "the signature is not the right one") }
        return VerifiedMessage(request: request, isReplayProof: isReplayProof, fingerprint: try fingerprint(of: message))
    }

    /// HMAC-SHA-256 of a message under every key that is not empty.
    func codes(of message: [UInt8], keys: [Secret]) throws(HookRefusal) -> [[UInt8]] {
        var codes: [[UInt8]] = []
        for key in keys where key.count > 0 {
            codes.append(try computed { () throws(CryptoError) in try HMACSHA256.code(for: message, key: key) })
        }
        return codes
    }

    /// The code after a prefix, 32 bytes in hexadecimal.
    func mac(_ text: String, prefix: String) throws(HookRefusal) -> [UInt8] {
        guard text.hasPrefix(prefix), let code = Hexadecimal.bytes(of: text.dropFirst(prefix.count)),
            code.count == SHA256.byteCount
        else { throw HookRefusal(.malformed, "the signature is not '\(prefix)' and 64 hexadecimal digits") }
        return code
    }

    /// Seconds since 1970 in ASCII digits, not more than the window away from now.
    func checkTime(_ text: String, _ now: Instant) throws(HookRefusal) {
        guard (1...12).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let seconds = Int64(text)
        else { throw HookRefusal(.malformed, "the signed time is not a number of seconds") }
        // Compared in whole seconds, as it is signed.
        let difference = now.millisecondsSince1970 / 1000 - seconds
        guard abs(difference) <= signedTimeWindow.milliseconds / 1000 else {
            throw HookRefusal(.stale, "it was signed \(abs(difference)) s \(difference < 0 ? "after" : "before") now")
        }
    }

    /// The base64 text of a secret, after a prefix that may be left out.
    func decoded(_ secret: Secret, without prefix: String = "") -> Secret? {
        secret.withUnsafeBytes { raw in
            let text = String(decoding: raw, as: UTF8.self)
            guard var bytes = Base64.bytes(of: text.hasPrefix(prefix) ? text.dropFirst(prefix.count) : text[...]) else {
                return nil
            }
            return Secret(wiping: &bytes)
        }
    }

    /// The SHA-256 of what is signed, in hexadecimal.
    func fingerprint(of message: [UInt8]) throws(HookRefusal) -> String {
        let digest = try computed { () throws(CryptoError) in try SHA256.digest(message) }
        return "sha256:" + Hexadecimal.text(of: digest)
    }

    /// What the library computes; a message that cannot be checked is not believed.
    func computed<Value>(_ body: () throws(CryptoError) -> Value) throws(HookRefusal) -> Value {
        do throws(CryptoError) { return try body() } catch { throw HookRefusal(.signature, error.description) }
    }
}

extension Secret {
    /// Whether it begins with a text, which then is no secret.
    func hasPrefix(_ text: String) -> Bool { withUnsafeBytes { $0.starts(with: text.utf8) } }
}
