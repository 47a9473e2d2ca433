internal import SerinModel

/// The declaration of a daemon's whole configuration. The channels declare their own part.
func daemonShape(hooks: [HookSchema], channels: [DriverSchema]) -> Section {
    Section(fields: [
        Field("version", .integer(1...1), .required, "the version of this format"),
        Field(
            "listen", .list(.section(listenerShape), least: 1), .optional,
            "addresses beside the unix socket in the state folder, which is always there"),
        Field(
            "identities", .path, .optional,
            "the file of people, issuers of identity tokens, client certificates and local users (docs/identities.md)"),
        Field("socket", .section(socketShape), .optional, "who may ask at the unix socket besides the daemon's own user"),
        Field(
            "page_hosts", .list(.scalar(.text), least: 1), .optional,
            "names by which browsers may reach the pages, beside those of this computer itself; read at the start alone"),
        Field(
            "hooks", .map(keys: .name, .section(senderShape(hooks)), least: 1), .optional,
            "who may send messages in, each under the name that ends its address: /hooks/KIND/NAME"),
        Field(
            "notify", .map(keys: .name, .section(routeShape(channels)), least: 1), .optional,
            "who is told of rollouts, and of the backups of the plans below, each under a name"),
        Field("backups", .list(.scalar(.path), least: 1), .optional, "the files of backup plans that it carries out"),
        Field(
            "limits",
            .section(
                Section(fields: [
                    Field(
                        "connections", .integer(16...10_000), .fallback("512"),
                        "the most connections at once to each address that is listened at: three quarters of them from one client's address, "
                            + "five eighths for answers that stay open")
                ])), .optional, "what is accepted from outside"),
        Field(
            "log", .word(DaemonSettings.LogFormat.allCases.map(\.rawValue)), .derived("text, or what --log-format says"),
            "how the log is written"),
    ])
}

private let listenerShape = Section(fields: [
    Field("address", .address, .required, "the host's number and the port"),
    Field(
        "tls",
        .section(
            Section(
                fields: [
                    Field(
                        "certificate_file", .path, .required, "the server's certificate, and behind it those that lead to a root")
                ] + secretFields("key", "the certificate's private key") + [
                    Field("client_ca_file", .path, .optional, "authorities whose clients' certificates are asked for")
                ], exactlyOne: [secretKeys("key")])), .optional, "how connections are encrypted"),
])

private let socketShape = Section(fields: [
    Field("group", .name, .required, "a group whose members may see everything, halt, hold, resume, promote and approve"),
    Field(
        "may_start", .flag, .fallback("false"),
        "whether they may start rollouts too; a policy's programs run as the daemon's user, so they then can do what it can"),
])

private func senderShape(_ hooks: [HookSchema]) -> Section {
    var section = Section(
        fields: [Field("kind", .word(hooks.map(\.kind)), .required, "the kind of sender")]
            + secretFields("secret", "what proves the sender: signing secret, token or public key")
            + secretFields("other_secret", "another one that is accepted too, while one is exchanged for the next") + [
                Field(
                    "services",
                    .either([
                        .init("a list of services", .list(.scalar(.name), least: 1)),
                        .init("the sender's names of services", .map(keys: .text, .scalar(.name), least: 1)),
                    ]), .derived("all, by their own names"), "the services that it may reach"),
                Field(
                    "people", .map(keys: .text, .scalar(.text), least: 1), .optional,
                    "the person behind an identity of the channel; two channels may lead to one person"),
                Field("owner", .text, .optional, "the person who alone holds the secret of a sender that names nobody"),
                Field(
                    "places", .list(.scalar(.text), least: 1), .optional,
                    "the chats, guilds, teams or projects that are listened to; strangers reach telegram and discord"),
                Field("alert", .word(["halt", "hold"]), .optional, "what an alert asks for that says nothing itself"),
                Field("signature_header", .name, .optional, "the header that carries the signature"),
                Field("timestamp_header", .name, .optional, "the header that carries the signed time"),
                Field("require_timestamp", .flag, .fallback("false"), "whether a message without a signed time is refused"),
                Field(
                    "poll", .flag, .fallback("false"), "whether messages are fetched, for a host that nobody outside can reach"),
            ] + secretFields("bot", "the bot's token, to fetch messages (telegram) or post answers to events (slack)") + [
                Field("api", .url, .optional, "the channel's own API, where it is not the usual one")
            ])
    section.atMostOne = [secretKeys("secret"), secretKeys("other_secret"), secretKeys("bot")]
    return section
}

private func routeShape(_ channels: [DriverSchema]) -> Section {
    let places = channels.map { driver in
        Field(driver.name, .section(Section(fields: driver.fields.map(driverField))), .optional, driver.help)
    }
    return Section(
        fields: places + [
            Field("at_least", .word(["info", "warning", "critical"]), .fallback("info"), "what is less urgent is not told"),
            Field(
                "on", .list(.scalar(.word(notificationKinds)), least: 1),
                .derived("all but the steps of rollouts, which github, gitlab and webhook are told too"),
                "what it is told of; rollout.progressed is each step and each going on"),
        ], exactlyOne: [places.map(\.key)])
}

/// What people can be told of, as notifications call it.
let notificationKinds = [
    "rollout.changed", "rollout.progressed", "rollout.ended", "backup.begun", "backup.made", "backup.failed",
    "verification.failed", "backup.expiring",
    "prune.failed", "drill.passed", "drill.failed",
    "configuration.changed",
]
