public import SerinCrypto
public import SerinModel
public import SerinPolicies

/// One kind of channel: what its settings may be, and how it is made from them.
public struct ChannelDefinition: Sendable {
    /// Reads a secret where a reference points to.
    public typealias SecretReader = @Sendable (SecretReference) throws(Failure) -> Secret

    /// Its name and settings.
    public var schema: DriverSchema
    /// Makes the channel. Contacts nothing, but reads the secrets.
    var make: @Sendable (DriverValues, SecretReader) throws(Failure) -> any NotificationChannel
    /// The stems of the secrets without which it cannot work.
    var needs: [String]
}

/// The channels by which people can be told. A new one is one line in `all`.
public enum NotificationChannels {
    /// What each declares, for those who read configurations.
    public static var schemas: [ChannelSchema] {
        all.map { definition in
            ChannelSchema(driver: definition.schema) { settings throws(Failure) in
                let values = try DriverValues(settings, schema: definition.schema)
                for stem in definition.needs where try values.secret(stem) == nil {
                    throw Failure(.invalid, "needs one of \(stem)_env, \(stem)_file and \(stem)_cred")
                }
                // With any secret whatever, so that only the settings can be at fault.
                _ = try definition.make(values) { _ in noSecret }
            }
        }
    }

    /// Makes the channel that settings name.
    public static func make(
        _ settings: DriverSettings, secret: ChannelDefinition.SecretReader
    ) throws(Failure) -> any NotificationChannel {
        guard let definition = all.first(where: { $0.schema.name == settings.driver }) else {
            throw Failure(.invalid, "there is no channel '\(settings.driver)'")
        }
        return try definition.make(try DriverValues(settings, schema: definition.schema), secret)
    }

    private static var noSecret: Secret {
        var bytes: [UInt8] = Array("none".utf8)
        return Secret(wiping: &bytes)
    }

    static let all: [ChannelDefinition] = [
        addressed(
            "slack", "Slack, by an incoming webhook or as a bot", optional: true,
            [
                .init("channel", .text, help: "the channel that the bot writes to", isRequired: false),
                .init("api", .url, help: "the Web API", isRequired: false, fallback: "https://slack.com/api"),
            ] + DriverValues.secretFields("bot", help: "the bot's token")
        ) { values, secret throws(Failure) in
            let api = try values.required("api")
            if let address = try values.secret("url") { return SlackChannel(.webhook(address: try secret(address)), api: api) }
            guard let bot = try values.secret("bot"), let channel = values["channel"] else {
                throw Failure(.invalid, "needs the webhook's url_file, or bot_file and channel")
            }
            return SlackChannel(.bot(token: try secret(bot), channel: channel), api: api)
        },
        definition(
            "telegram", "a chat of Telegram, by a bot", needs: ["token"],
            [
                .init("chat", .text, help: "the chat's number or @name"),
                .init("api", .url, help: "the Bot API", isRequired: false, fallback: "https://api.telegram.org"),
            ], secrets: ["token": "the bot's token"]
        ) { values, secret throws(Failure) in
            TelegramChannel(
                token: try required("token", values, secret), chat: try values.required("chat"), api: try values.required("api"))
        },
        addressed("discord", "a channel of Discord, by a webhook") { values, secret throws(Failure) in
            DiscordChannel(address: try required("url", values, secret))
        },
        addressed("teams", "a channel of Microsoft Teams, by a workflow") { values, secret throws(Failure) in
            TeamsChannel(address: try required("url", values, secret))
        },
        addressed("mattermost", "a channel of Mattermost, by an incoming webhook") { values, secret throws(Failure) in
            MattermostChannel(address: try required("url", values, secret))
        },
        definition(
            "pagerduty", "a service of PagerDuty, by Events v2", needs: ["routing_key"],
            [
                .init("api", .url, help: "the Events API", isRequired: false, fallback: "https://events.pagerduty.com")
            ], secrets: ["routing_key": "the integration's key"]
        ) { values, secret throws(Failure) in
            PagerDutyChannel(routingKey: try required("routing_key", values, secret), api: try values.required("api"))
        },
        mail,
        definition(
            "webhook", "an address of your own that gets signed CloudEvents", needs: ["secret"],
            [
                .init("url", .url, help: "the address"),
                .init("source", .text, help: "what events say that they come from", isRequired: false, fallback: "/serin"),
                .init(
                    "environment", .text, help: "the environment that is deployed to", isRequired: false, fallback: "production"),
            ], secrets: ["secret": "the signing secret (whsec_…)"]
        ) { values, secret throws(Failure) in
            EventChannel(
                address: try values.required("url"), secrets: [try required("secret", values, secret)],
                source: try values.required("source"), environment: try values.required("environment"))
        },
        definition(
            "github", "deployments of a repository at GitHub", needs: ["token"],
            forge(
                .init("repository", .text, help: "owner/name"), api: "https://api.github.com") + [
                    .init("environment", .text, help: "the environment", isRequired: false, fallback: "production")
                ], secrets: ["token": "a token that may write deployments"]
        ) { values, secret throws(Failure) in
            var channel = GitHubChannel(
                repository: try values.required("repository"), token: try required("token", values, secret),
                environment: try values.required("environment"))
            channel.tagPrefix = values["tag_prefix"] ?? ""
            channel.pages = values["pages"]
            channel.api = try values.required("api")
            return channel
        },
        definition(
            "gitlab", "statuses of commits at GitLab", needs: ["token"],
            forge(
                .init("project", .text, help: "the project's number or path"), api: "https://gitlab.com"),
            secrets: ["token": "a token with the scope api"]
        ) { values, secret throws(Failure) in
            var channel = GitLabChannel(project: try values.required("project"), token: try required("token", values, secret))
            channel.tagPrefix = values["tag_prefix"] ?? ""
            channel.pages = values["pages"]
            channel.server = try values.required("api")
            return channel
        },
    ]

    private static let mail = definition(
        "mail", "mail, by a server that passes it on", needs: [],
        [
            .init("server", .text, help: "smtp://host:587 or smtps://host:465"),
            .init("from", .text, help: "the sender's address"),
            .init("to", .text, help: "the recipients' addresses, separated by commas"),
            .init("user", .text, help: "the user at the server", isRequired: false),
            .init(
                "encryption", .oneOf(["required", "where_offered"]), help: "whether a server without TLS is refused",
                isRequired: false, fallback: "required"),
            .init("ca_file", .path, help: "certificates to trust instead of the system's", isRequired: false),
        ], secrets: ["password": "the user's password"]
    ) { values, secret throws(Failure) in
        let (server, sender) = (try values.required("server"), try values.required("from"))
        let recipients = try values.required("to").split(separator: ",").map { String($0.drop { $0 == " " }) }
        guard server.hasPrefix("smtp://") || server.hasPrefix("smtps://"), !server.contains("@") else {
            throw Failure(.invalid, "setting 'server': expected smtp://host:587 or smtps://host:465, without user and password")
        }
        for address in recipients + [sender] {
            guard address.split(separator: "@").count == 2,
                address.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != 0x3C && $0 != 0x3E })
            else { throw Failure(.invalid, "'\(visible(address, lines: false))' is no mail address") }
        }
        var channel = MailChannel(server: server, sender: sender, recipients: recipients)
        switch (values["user"], try values.secret("password")) {
        case (let user?, let password?): channel.account = (user, try secret(password))
        case (nil, nil): break
        default: throw Failure(.invalid, "user and password belong together")
        }
        channel.requiresEncryption = values["encryption"] != "where_offered"
        channel.certificateAuthorityFile = values["ca_file"]
        return channel
    }

    // MARK: Parts

    private typealias Maker = @Sendable (DriverValues, ChannelDefinition.SecretReader) throws(Failure) -> any NotificationChannel

    private static func definition(
        _ name: String, _ help: String, needs: [String], _ fields: [DriverSchema.Field], secrets: [String: String],
        make: @escaping Maker
    ) -> ChannelDefinition {
        let secretFields = secrets.sorted { $0.key < $1.key }.flatMap { DriverValues.secretFields($0.key, help: $0.value) }
        return ChannelDefinition(
            schema: DriverSchema(name: name, help: help, fields: fields + secretFields), make: make, needs: needs)
    }

    /// A channel whose address is the secret.
    private static func addressed(
        _ name: String, _ help: String, optional: Bool = false, _ fields: [DriverSchema.Field] = [], make: @escaping Maker
    ) -> ChannelDefinition {
        definition(
            name, help, needs: optional ? [] : ["url"], fields, secrets: ["url": "the webhook's address, a secret itself"],
            make: make)
    }

    private static func forge(_ place: DriverSchema.Field, api: String) -> [DriverSchema.Field] {
        [
            place, .init("tag_prefix", .text, help: "what stands before a version in its tag, such as v", isRequired: false),
            .init("pages", .url, help: "the page of a rollout, to which its identifier is put", isRequired: false),
            .init("api", .url, help: "the server's address", isRequired: false, fallback: api),
        ]
    }

    private static func required(
        _ stem: String, _ values: DriverValues, _ secret: ChannelDefinition.SecretReader
    ) throws(Failure) -> Secret {
        guard let reference = try values.secret(stem) else {
            throw Failure(.invalid, "needs one of \(stem)_env, \(stem)_file and \(stem)_cred")
        }
        return try secret(reference)
    }
}
