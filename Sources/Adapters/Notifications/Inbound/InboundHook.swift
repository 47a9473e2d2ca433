public import SerinCrypto
public import SerinModel

/// One configured way in: who may send, how it is proven, and what its words may reach.
public struct InboundHook: Sendable {
    /// Its name, the last part of its address. Replay keys and identities carry it.
    public var name: String
    /// The kind of sender.
    public var kind: HookKind
    /// Secrets of which any is accepted, so that one can be exchanged for the next without a gap. For `discord` the application's
    /// public key in hexadecimal; for `standard` and `gitlab` with their prefixes (`whsec_`, `whpk_`); for `teams` in base64.
    public var secrets: [Secret]
    /// How the sender calls the services that it may reach; empty: it may name any service by its own name.
    public var services: [String: ServiceName] = [:]
    /// The person behind an identity in the channel (`T1/U2` at Slack, a number elsewhere). Two channels may lead to one person.
    public var people: [String: String] = [:]
    /// What each person's words may do; of whom it says nothing, they let releases go on and agree to them.
    public var roles: [String: Set<Role>] = [:]
    /// The person who alone holds the secret, for senders that vouch for nobody.
    public var owner: String?
    /// The chats, guilds, teams or projects that are listened to; empty: all, and none where strangers reach the sender.
    public var places: Set<String> = []
    /// What a firing alert or an incident asks for when it does not say so itself, `halt` or `hold`; nil, and any other: nothing.
    public var alertVerb: ChannelCommand.Verb?
    /// The header that carries the signature, for `grafana` and `hmac`; nil: the usual one.
    public var signatureHeader: String?
    /// The header that carries the signed time, for `grafana` and `hmac`; nil: the usual one.
    public var timestampHeader: String?
    /// Whether a message of `grafana` or `hmac` without a signed time is refused.
    public var requiresTimestamp = false

    /// A hook that accepts any of these secrets.
    public init(name: String, kind: HookKind, secrets: [Secret]) {
        self.name = name
        self.kind = kind
        self.secrets = secrets
    }
}

/// What is known of a message once its signature or token was found right.
public struct VerifiedMessage: Sendable {
    /// The request.
    public let request: HookRequest
    /// Whether a signature covers the time it was made, so that an old message cannot be sent again.
    public let isReplayProof: Bool
    /// What tells this message from all others, made of what is signed.
    let fingerprint: String
}
