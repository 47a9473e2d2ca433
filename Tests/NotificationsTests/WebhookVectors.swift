import FoundationEssentials
import SerinCrypto
import SerinModel
import SerinTransport
import Testing

@testable import SerinNotifications

/// One published or recomputed example of a signed request.
struct WebhookVector: Sendable, CustomStringConvertible {
    let document: JSONValue

    var scheme: String { document["scheme"]?.text ?? "" }
    var description: String { document["name"]?.text ?? "" }
    var expectation: String { document["expect"]?.text ?? "" }

    /// Schemes that authenticate requests on hooks; the others belong to tokens of the API and to the log.
    static let kinds: [String: HookKind] = [
        "slack-v0": .slack, "standard-webhooks": .standard, "github": .github, "gitlab-token": .gitlab,
        "pagerduty-v3": .pagerduty,
        "grafana": .grafana, "teams-outgoing": .teams, "discord-ed25519": .discord, "mattermost-token": .mattermost,
        "telegram": .telegram, "bearer": .alertmanager,
    ]

    static func all() throws -> [WebhookVector] {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Vectors/webhook_vectors.json")
        let document = try JSONValue(parsing: Array(Data(contentsOf: file)))
        return (document["vectors"]?.items ?? []).map(WebhookVector.init)
    }

    static func of(_ scheme: String) throws -> [WebhookVector] { try all().filter { $0.scheme == scheme } }

    var request: HookRequest {
        var headers: [HTTPHeader] = []
        if case .object(let members)? = document["headers"] {
            headers = members.map { HTTPHeader($0.key, $0.value.text ?? "") }
        }
        return HookRequest(headers: headers, body: Array((document["body"]?.text ?? "").utf8))
    }

    /// The hook that the vector's secrets configure.
    var hook: InboundHook? {
        guard let kind = WebhookVector.kinds[scheme] else { return nil }
        let names = ["secret", "secret_utf8", "secret_alt", "secret_b64", "public_key_hex", "public_key"]
        // Where a secret is given in another notation, that one is what is tried.
        let texts = document["secret_alt"] == nil ? names.compactMap { document[$0]?.text } : [document["secret_alt"]?.text ?? ""]
        return InboundHook(name: "h", kind: kind, secrets: texts.map(secret))
    }

    /// The vector's time; where it has none, the time in its body.
    var now: Instant {
        if let seconds = document["now"]?.integer { return Instant(millisecondsSince1970: seconds * 1000) }
        let body = request.json
        if let seconds = body?.at(pointer: "/message/date")?.integer { return Instant(millisecondsSince1970: seconds * 1000) }
        return body?["timestamp"]?.text.flatMap(instant(rfc3339:)) ?? Instant(millisecondsSince1970: 1_795_218_000_000)
    }
}

/// A secret of a text.
func secret(_ text: String) -> Secret {
    var bytes = Array(text.utf8)
    return Secret(wiping: &bytes)
}

@Suite struct WebhookVectorTests {
    @Test func everyVectorBelongsToATestOrToAnotherPart() throws {
        var counts: [String: Int] = [:]
        for vector in try WebhookVector.all() { counts[vector.scheme, default: 0] += 1 }
        let hooks = WebhookVector.kinds.keys.reduce(0) { $0 + (counts[$1] ?? 0) }
        #expect(hooks == 35)
        #expect(counts["hmac-sha256"] == 6 && counts["ed25519"] == 3)
        let elsewhere = ["jwt", "jws", "merkle-rfc6962", "signed-note"].reduce(0) { $0 + (counts[$1] ?? 0) }
        #expect(elsewhere == 11)
        #expect(hooks + 9 + elsewhere == counts.values.reduce(0, +))
    }

    @Test(arguments: try WebhookVector.all().filter { $0.hook != nil })
    func requestsAreTakenAndRefusedAsTheVectorSays(_ vector: WebhookVector) throws {
        let hook = try #require(vector.hook)
        let result = Result { () throws(HookRefusal) in try hook.verify(vector.request, at: vector.now) }
        switch (vector.expectation, result) {
        case ("accept", .success), ("duplicate", .success): break
        case (let expected, .failure(let refusal)): #expect(expected == "reject:\(refusal.reason.rawValue)", "\(refusal)")
        case (let expected, .success): Issue.record("expected \(expected)")
        }
    }

    @Test(arguments: try WebhookVector.all().filter { $0.expectation == "accept" && $0.hook != nil })
    func anotherSecretOrAChangedByteIsRefused(_ vector: WebhookVector) throws {
        var hook = try #require(vector.hook)
        if vector.scheme == "standard-webhooks", vector.document["public_key"] == nil {
            hook.secrets = [secret("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")]
        } else {
            hook.secrets = [secret(vector.scheme == "discord-ed25519" ? String(repeating: "0", count: 64) : "another")]
        }
        #expect(throws: HookRefusal.self) { try hook.verify(vector.request, at: vector.now) }
        hook = try #require(vector.hook)
        let signsBody = !["telegram", "bearer", "gitlab-token", "mattermost-token"].contains(vector.scheme)
        guard signsBody else { return }
        for index in stride(from: 0, to: vector.request.body.count, by: max(1, vector.request.body.count / 16)) {
            var request = vector.request
            request.body[index] ^= 1
            #expect(throws: HookRefusal.self, "byte \(index)") { try hook.verify(request, at: vector.now) }
        }
    }

    @Test(arguments: try WebhookVector.all().filter { $0.expectation == "accept" && $0.hook != nil })
    func theOldSecretIsTakenBesideTheNewOneWhicheverIsFirst(_ vector: WebhookVector) throws {
        var hook = try #require(vector.hook)
        let right = hook.secrets
        let other = secret("whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
        for secrets in [right + [other], [other] + right] {
            hook.secrets = secrets
            #expect(throws: Never.self) { try hook.verify(vector.request, at: vector.now) }
        }
        hook.secrets = []
        #expect(throws: HookRefusal.self) { try hook.verify(vector.request, at: vector.now) }
    }

    @Test(arguments: try WebhookVector.of("hmac-sha256")) func codesAreThoseOfRFC4231(_ vector: WebhookVector) throws {
        func bytes(_ name: String) -> [UInt8] { Hexadecimal.bytes(of: vector.document[name]?.text ?? "") ?? [] }
        #expect(try HMACSHA256.code(for: bytes("data_hex"), key: bytes("key_hex")) == bytes("mac_hex"))
    }

    @Test(arguments: try WebhookVector.of("ed25519")) func signaturesAreThoseOfRFC8032(_ vector: WebhookVector) throws {
        func bytes(_ name: String) -> [UInt8] { Hexadecimal.bytes(of: vector.document[name]?.text ?? "") ?? [] }
        var seed = bytes("seed_hex")
        let key = Secret(wiping: &seed)
        #expect(try Ed25519.publicKey(ofSeed: key) == bytes("public_hex"))
        let signature = try Ed25519.signature(of: bytes("msg_hex"), seed: key)
        #expect(signature == bytes("sig_hex"))
        #expect(try Ed25519.isValid(signature, of: bytes("msg_hex"), publicKey: bytes("public_hex")))
        #expect(try !Ed25519.isValid(signature, of: bytes("msg_hex") + [0], publicKey: bytes("public_hex")))
        #expect(try !Ed25519.isValid(Array(signature.dropLast()), of: bytes("msg_hex"), publicKey: bytes("public_hex")))
    }
}
