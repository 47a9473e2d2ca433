import SerinCrypto
import SerinModel

@testable import SerinIdentity

/// Tokens and the keys of those who sign them.
enum FuzzedCredentials {
    static let parsers: [(String, FuzzedParsers.Parser)] = [
        ("web-token", { webToken($0) }), ("web-token-text", { tokenText($0) }), ("key-set", { keySet($0) }),
    ]

    private static let settings: IssuerSettings = {
        let rule = ClaimRule(
            [ClaimRule.Condition("groups", "sre", "a**b*c"), ClaimRule.Condition("repository", "acme/*")],
            gives: Grant(roles: [.approver], isPerson: true))
        return IssuerSettings(
            name: "corp", issuer: "i", audiences: ["serin"], algorithms: [.edDSA], keys: .keys([]), rules: [rule])
    }()

    private static let publicKey: PublicKey? = {
        var seed = FuzzedParsers.key
        return (try? Ed25519.publicKey(ofSeed: Secret(wiping: &seed))).flatMap { try? PublicKey(ed25519: $0) }
    }()

    /// Header and claims, one a line, in the form of a token: so what is behind base64 is reached.
    private static func webToken(_ bytes: [UInt8]) {
        let lines = bytes.split(separator: 10, maxSplits: 2, omittingEmptySubsequences: false)
        let parts = (lines + [[], []]).prefix(3).map { Base64URL.text(of: Array($0)) }
        judge(parts.joined(separator: "."))
    }

    private static func tokenText(_ bytes: [UInt8]) { judge(String(decoding: bytes, as: UTF8.self)) }

    private static func judge(_ text: String) {
        let token: WebToken
        do throws(CredentialError) { token = try WebToken(text) } catch {
            precondition(error.description.utf8.count <= 2000, "what is wrong with a token repeats it")
            return
        }
        precondition(text.utf8.starts(with: token.signed) && text.utf8.count <= WebToken.byteLimit)
        // Nobody signed it.
        if let publicKey { precondition((try? publicKey.isValid(token.signature, of: token.signed)) != true) }
        _ = settings.rules[0].isMet(by: token.claims)
        guard let subject = try? token.subject(for: settings, at: FuzzedParsers.now) else { return }
        precondition((1...255).contains(subject.utf8.count) && token.issuer == settings.issuer)
        precondition(!subject.utf8.contains { $0 < 0x20 || $0 == 0x7F })
    }

    private static func keySet(_ bytes: [UInt8]) {
        guard let set = try? KeySet(parsing: bytes) else { return }
        precondition((1...KeySet.keyLimit).contains(set.keys.count))
        for key in set.keys {
            precondition(
                (try? key.key.isValid(FuzzedParsers.key + FuzzedParsers.key, of: bytes)) != true, "a guess is no signature")
            precondition(set.candidates(key.key.kind, named: key.id).allSatisfy { $0.kind == key.key.kind })
        }
    }
}
