/// The name of a service: a folder name, a label and a key of the balancer, so 1…63 of `a-z A-Z 0-9 . _ -`, starting with a letter or digit.
public struct ServiceName: Sendable, Hashable, Comparable, Codable, CustomStringConvertible {
    /// The name itself.
    public let description: String

    /// A service name; nil when a character, the first one or the length is not allowed.
    public init?(_ text: String) {
        guard isPlainName(text, limit: 63) else { return nil }
        description = text
    }

    /// Reads the name, refusing one that is not allowed.
    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let name = ServiceName(text) else {
            throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: "not a service name"))
        }
        self = name
    }

    /// Writes the name.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    /// In the order of the alphabet.
    public static func < (left: ServiceName, right: ServiceName) -> Bool { left.description < right.description }
}

/// Identifies one rollout: `<service>-<time in base 32>`, made outside the core, sortable by age within a service.
public struct RolloutID: Sendable, Hashable, Comparable, Codable, CustomStringConvertible {
    /// The identifier itself.
    public let description: String

    /// A rollout identifier; nil when a character, the first one or the length (1…100) is not allowed.
    public init?(_ text: String) {
        guard isPlainName(text, limit: 100) else { return nil }
        description = text
    }

    /// Reads the identifier, refusing one that is not allowed.
    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let name = RolloutID(text) else {
            throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: "not a rollout"))
        }
        self = name
    }

    /// Writes the identifier.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    /// In the order of the alphabet.
    public static func < (left: RolloutID, right: RolloutID) -> Bool { left.description < right.description }
}

/// Who asked: a person or machine identified by the channel it came through.
public struct Principal: Sendable, Hashable, Comparable, Codable, CustomStringConvertible {
    /// How it was identified: `uid` (peer of the unix socket), `token`, `oidc`, `mtls` (client certificate), the name of a chat or
    /// alert channel, `signal` (Ctrl-C), `serin` itself.
    public var channel: String
    /// The identity within the channel, such as a user id.
    public var identity: String

    /// A principal of a channel.
    public init(channel: String, identity: String) {
        self.channel = channel
        self.identity = identity
    }

    /// The person behind a unix socket peer.
    public static func uid(_ number: UInt32) -> Principal { Principal(channel: "uid", identity: "\(number)") }
    /// The bearer of a token, by the token's name, which is no secret.
    public static func token(_ name: String) -> Principal { Principal(channel: "token", identity: name) }
    /// The subject of an identity token, as its issuer names it.
    public static func oidc(issuer: String, subject: String) -> Principal {
        Principal(channel: "oidc", identity: "\(issuer)#\(subject)")
    }
    /// The holder of a client certificate, by its subject.
    public static func certificate(subject: String) -> Principal { Principal(channel: "mtls", identity: subject) }
    /// The controller itself.
    public static let serin = Principal(channel: "serin", identity: "controller")

    /// `channel:identity`.
    public var description: String { "\(channel):\(identity)" }

    /// By channel, then identity.
    public static func < (left: Principal, right: Principal) -> Bool {
        (left.channel, left.identity) < (right.channel, right.identity)
    }
}

private func isPlainName(_ text: String, limit: Int) -> Bool {
    let bytes = text.utf8
    guard (1...limit).contains(bytes.count), let first = bytes.first, isLetterOrDigit(first) else { return false }
    return bytes.allSatisfy { isLetterOrDigit($0) || $0 == 0x2E || $0 == 0x5F || $0 == 0x2D }
}

private func isLetterOrDigit(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
}
