import SerinCrypto
import SerinModel
import SerinNotifications
import SerinPrometheus
import SerinTransport

/// Everything that reads bytes from the network, each as a function of bytes.
enum FuzzedParsers {
    /// Reads bytes, and traps when what must hold does not.
    typealias Parser = @Sendable ([UInt8]) -> Void

    /// The parsers by their names.
    static let all: [(name: String, parse: Parser)] = {
        let hooks: [(String, Parser)] = HookKind.allCases.map { kind in ("hook-\(kind.rawValue)", { signed(kind, $0) }) }
        let others: [(String, Parser)] = [
            ("hook-headers", { headers($0) }), ("json", { json($0) }), ("prometheus", { prometheus($0) }),
            ("encodings", { encodings($0) }),
        ]
        return hooks + others + FuzzedCredentials.parsers + FuzzedAnswers.parsers + FuzzedRequests.parsers
    }()

    /// A moment that signed examples are near to.
    static let now = Instant(millisecondsSince1970: 1_795_230_000_000)
    static let key = Array("0123456789abcdef0123456789abcdef".utf8)

    private static func secret(_ text: String) -> Secret {
        var bytes = Array(text.utf8)
        return Secret(wiping: &bytes)
    }

    private static func hook(_ kind: HookKind) -> InboundHook {
        // The same key in the notation of each kind; the seed's public key for Discord.
        var seed = key
        let publicKey = (try? Ed25519.publicKey(ofSeed: Secret(wiping: &seed))).map { Hexadecimal.text(of: $0) } ?? ""
        let text: String =
            switch kind {
            case .discord: publicKey
            case .teams: Base64.text(of: key)
            case .standard: "whsec_" + Base64.text(of: key)
            default: String(decoding: key, as: UTF8.self)
            }
        var hook = InboundHook(name: "fuzz", kind: kind, secrets: [secret(text)])
        hook.services = ServiceName("api").map { ["api": $0] } ?? [:]
        hook.people = ["T1/U1": "ada", "7": "ada"]
        hook.places = ["-100", "g1", "T1"]
        hook.alertVerb = .halt
        return hook
    }

    private static func code(_ bytes: [UInt8]) -> [UInt8] { (try? HMACSHA256.code(for: bytes, key: key)) ?? [] }

    /// Headers that make a body the sender's own, so that the reader behind the check is reached.
    private static func proof(_ kind: HookKind, _ body: [UInt8]) -> [HTTPHeader] {
        let time = "\(now.millisecondsSince1970 / 1000)"
        func hexadecimal(_ prefix: String) -> String { Hexadecimal.text(of: code(Array(prefix.utf8) + body)) }
        let token = String(decoding: key, as: UTF8.self)
        switch kind {
        case .slack:
            return [
                HTTPHeader("X-Slack-Request-Timestamp", time),
                HTTPHeader("X-Slack-Signature", "v0=" + hexadecimal("v0:\(time):")),
            ]
        case .telegram: return [HTTPHeader("X-Telegram-Bot-Api-Secret-Token", token)]
        case .discord:
            var seed = key
            let signature = (try? Ed25519.signature(of: Array(time.utf8) + body, seed: Secret(wiping: &seed))) ?? []
            return [
                HTTPHeader("X-Signature-Timestamp", time), HTTPHeader("X-Signature-Ed25519", Hexadecimal.text(of: signature)),
            ]
        case .teams: return [HTTPHeader("Authorization", "HMAC " + Base64.text(of: code(body)))]
        case .mattermost: return [HTTPHeader("Authorization", "Token " + token)]
        case .alertmanager: return [HTTPHeader("Authorization", "Bearer " + token)]
        case .grafana: return [HTTPHeader("X-Grafana-Alerting-Signature", hexadecimal(""))]
        case .pagerduty: return [HTTPHeader("X-PagerDuty-Signature", "v1=" + hexadecimal(""))]
        case .github: return [HTTPHeader("X-Hub-Signature-256", "sha256=" + hexadecimal(""))]
        case .gitlab: return [HTTPHeader("X-Gitlab-Token", token)]
        case .standard:
            return [
                HTTPHeader("webhook-id", "m"), HTTPHeader("webhook-timestamp", time),
                HTTPHeader("webhook-signature", "v1," + Base64.text(of: code(Array("m.\(time).".utf8) + body))),
            ]
        case .hmac: return [HTTPHeader("X-Serin-Timestamp", time), HTTPHeader("X-Serin-Signature", hexadecimal("\(time)."))]
        }
    }

    /// A body whose signature is right: read, and answered in every way.
    private static func signed(_ kind: HookKind, _ body: [UInt8]) {
        let hook = hook(kind)
        guard let message = try? hook.verify(HookRequest(headers: proof(kind, body), body: body), at: now) else {
            precondition(body.count > kind.bodyLimit || kind == .discord, "a request that is signed rightly was refused")
            return
        }
        guard case .commands(let commands, unclear: _) = hook.read(message, at: now) else { return }
        precondition(!commands.isEmpty, "a message that asks for nothing was read as commands")
        for command in commands {
            // What must hold of every command, whatever was sent.
            precondition(command.reason.count <= 500 && !command.reason.utf8.contains { $0 < 0x20 })
            precondition(command.target.description.hasPrefix("api"))
            precondition(
                command.refusal != nil || command.verb.isSafeToRepeat || (command.isReplayProof && command.person != nil))
            let answer = command.reply.answer(command.reason)
            precondition(answer.body.isEmpty || (try? JSONValue(parsing: answer.body)) != nil)
            _ = command.reply.unavailable(command.reason)
            _ = command.reply.later(command.reason)
        }
    }

    /// Header values from outside, one a line, for every kind; the rest is the body. Nothing of it can be signed rightly.
    private static func headers(_ bytes: [UInt8]) {
        let lines = bytes.split(separator: 10, maxSplits: 3, omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        for kind in HookKind.allCases {
            let names = proof(kind, []).map(\.name)
            let sent = zip(names, lines).map { HTTPHeader($0, $1) }
            let request = HookRequest(headers: sent, body: Array((lines.last ?? "").utf8))
            do throws(HookRefusal) {
                let message = try hook(kind).verify(request, at: now)
                _ = hook(kind).read(message, at: now)
                // Only a token can be guessed, for it stands in the source above.
                precondition(lines.contains { $0.contains("0123456789abcdef") || $0.contains("MDEyMzQ1Njc4") })
            } catch {
                precondition(!error.description.contains("0123456789abcdef"))
            }
        }
    }

    /// What is read and written is read again as the same.
    private static func json(_ bytes: [UInt8]) {
        guard let value = try? JSONValue(parsing: bytes) else { return }
        precondition((try? JSONValue(parsing: value.canonicalBytes)) == value)
    }

    private static func prometheus(_ bytes: [UInt8]) { _ = try? AnswerParser.parse(bytes) }

    private static func encodings(_ bytes: [UInt8]) {
        let text = String(decoding: bytes, as: UTF8.self)
        precondition(Base64.bytes(of: Base64.text(of: bytes)) == bytes)
        precondition(Hexadecimal.bytes(of: Hexadecimal.text(of: bytes)) == bytes)
        _ = Base64.bytes(of: text)
        _ = Hexadecimal.bytes(of: text)
        for medium in Medium.allCases {
            let shown = medium.text(text, limit: 100)
            precondition(shown.utf16.count <= 100)
        }
    }
}
