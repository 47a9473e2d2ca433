public import SerinModel

/// The configuration of one daemon: where it listens, who may halt by which channel, and who is told.
public struct DaemonSettings: Sendable, Hashable {
    /// One address that it listens at.
    public struct Listener: Sendable, Hashable {
        /// The host's number, `127.0.0.1` or `::1`.
        public var host: String
        /// The port; 0 takes a free one.
        public var port: UInt16
        /// How connections are encrypted; nil only at the machine's own addresses.
        public var tls: TLS?

        /// An address.
        public init(host: String, port: UInt16, tls: TLS? = nil) {
            self.host = host
            self.port = port
            self.tls = tls
        }

        /// `127.0.0.1:8080`.
        public var address: String { host.utf8.contains(0x3A) ? "[\(host)]:\(port)" : "\(host):\(port)" }
    }

    /// What a server needs to encrypt.
    public struct TLS: Sendable, Hashable {
        /// The file of its certificate and those that lead to a root.
        public var certificate: String
        /// The certificate's private key.
        public var key: SecretReference
        /// The file of the authorities whose clients' certificates are asked for; nil: none are.
        public var clientAuthority: String?

        /// Certificate and key.
        public init(certificate: String, key: SecretReference, clientAuthority: String? = nil) {
            self.certificate = certificate
            self.key = key
            self.clientAuthority = clientAuthority
        }
    }

    /// One sender of messages.
    public struct Hook: Sendable, Hashable {
        /// Its name, the last part of its address.
        public var name: String
        /// The kind of sender.
        public var kind: String
        /// The secrets of which any is accepted; empty where messages are fetched alone.
        public var secrets: [SecretReference]
        /// How the sender calls the services that it may reach; empty: every service by its own name.
        public var services: [String: ServiceName]
        /// The person behind an identity of the channel.
        public var people: [String: String]
        /// The person who alone holds the secret.
        public var owner: String?
        /// The chats, guilds, teams or projects that are listened to.
        public var places: Set<String>
        /// What a firing alert asks for that says nothing itself: `halt` or `hold`.
        public var alert: String?
        /// The header with the signature, where it is not the usual one.
        public var signatureHeader: String?
        /// The header with the signed time, where it is not the usual one.
        public var timestampHeader: String?
        /// Whether a message without a signed time is refused.
        public var requiresTimestamp: Bool
        /// The bot's token, by which updates are fetched (`telegram`) or answers posted (`slack`).
        public var bot: SecretReference?
        /// Whether updates are fetched by long polling.
        public var polls: Bool
        /// The address of the channel's own API, where it is not the usual one.
        public var api: String?
    }

    /// One place where people are told.
    public struct Route: Sendable, Hashable {
        /// Its name in the outbox and in logs.
        public var name: String
        /// The channel.
        public var channel: DriverSettings
        /// What is less urgent is not told: `info`, `warning` or `critical`.
        public var atLeast: String
        /// What it is told of; empty: everything.
        public var kinds: [String]
    }

    /// In which form the log is written.
    public enum LogFormat: String, Sendable, Hashable, CaseIterable {
        /// Lines for people.
        case text
        /// One JSON document a line.
        case json
    }

    /// Where it listens beside its unix socket.
    public var listeners: [Listener] = []
    /// A group whose members may ask at the unix socket.
    public var socketGroup: String?
    /// Whether that group may start rollouts, and so run programs as the daemon's user.
    public var groupMayStart = false
    /// The file of people, issuers of identity tokens, client certificates and local users; nil: tokens and local users alone.
    public var identities: String?
    /// The names by which browsers may reach the pages, beside those of the computer itself.
    public var pageHosts: [String] = []
    /// Who may send messages in.
    public var hooks: [Hook] = []
    /// Who is told.
    public var routes: [Route] = []
    /// The files of the backup plans that it carries out.
    public var backups: [String] = []
    /// The most connections at once to one address that is listened at.
    public var connections = 512
    /// How the log is written; nil: as the command line says.
    public var log: LogFormat?

    /// A daemon that nobody reaches but over its unix socket.
    public init() {}
}

/// What is asked of a kind of sender's settings.
public struct HookSchema: Sendable, Hashable {
    /// Its word.
    public var kind: String
    /// Whether strangers reach it, so that the places that are listened to must be named.
    public var needsPlaces: Bool
    /// Whether it vouches for the person that it names.
    public var namesPeople: Bool
    /// Whether it sends alerts or incidents.
    public var sendsAlerts: Bool
    /// Whether the names of its headers can be set.
    public var hasOwnHeaders: Bool
    /// Whether its messages can be fetched.
    public var polls: Bool

    /// A kind of sender.
    public init(
        kind: String, needsPlaces: Bool, namesPeople: Bool, sendsAlerts: Bool, hasOwnHeaders: Bool, polls: Bool
    ) {
        self.kind = kind
        self.needsPlaces = needsPlaces
        self.namesPeople = namesPeople
        self.sendsAlerts = sendsAlerts
        self.hasOwnHeaders = hasOwnHeaders
        self.polls = polls
    }
}

/// What a kind of channel declares of itself.
public struct ChannelSchema: Sendable {
    /// Its name, which is the key in a configuration, and its settings.
    public var driver: DriverSchema
    /// Says why settings can never work. Contacts nothing.
    public var inspect: @Sendable (DriverSettings) throws(Failure) -> Void

    /// A kind of channel.
    public init(driver: DriverSchema, inspect: @escaping @Sendable (DriverSettings) throws(Failure) -> Void) {
        self.driver = driver
        self.inspect = inspect
    }
}
