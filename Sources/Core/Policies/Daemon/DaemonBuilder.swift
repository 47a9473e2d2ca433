internal import SerinModel

/// Makes a daemon's settings from sections that have their shape, and checks what no single value shows.
struct DaemonBuilder {
    let file: String
    let hooks: [HookSchema]
    let channels: [ChannelSchema]
    private(set) var diagnostics: [Diagnostic] = []
    private(set) var warnings: [Diagnostic] = []

    init(file: String, hooks: [HookSchema], channels: [ChannelSchema]) {
        self.file = file
        self.hooks = hooks
        self.channels = channels
    }

    private mutating func complain(_ mark: Mark, _ message: String, hint: String? = nil) {
        diagnostics.append(Diagnostic(file: file, mark: mark, message: message, hint: hint))
    }

    private mutating func warn(_ mark: Mark, _ message: String, hint: String? = nil) {
        warnings.append(Diagnostic(file: file, mark: mark, message: message, hint: hint))
    }

    mutating func settings(from root: ReadSection) -> DaemonSettings {
        var settings = DaemonSettings()
        for item in root.list("listen") {
            guard case .section(let section) = item, let listener = listener(from: section) else { continue }
            if listener.port != 0, settings.listeners.contains(where: { $0.address == listener.address }) {
                complain(section.mark(of: "address"), "listen: \(listener.address) stands there twice", hint: "remove one")
            }
            settings.listeners.append(listener)
        }
        settings.socketGroup = root.section("socket")?.text("group")
        settings.groupMayStart = root.section("socket")?.flag("may_start") ?? false
        settings.pageHosts = texts(root.list("page_hosts"))
        settings.hooks = root.map("hooks").compactMap { hook(from: $0) }
        settings.routes = root.map("notify").compactMap { route(from: $0) }
        settings.identities = root.text("identities")
        settings.backups = texts(root.list("backups"))
        if let most = root.section("limits")?.number("connections") { settings.connections = Int(most) }
        settings.log = root.text("log").flatMap(DaemonSettings.LogFormat.init)
        if settings.listeners.isEmpty, let waiting = settings.hooks.first(where: { !$0.polls }) {
            warn(
                root.mark(of: "hooks"),
                "hooks.\(waiting.name): no address is listened at, so its messages can only come over the unix socket",
                hint: "add listen: [{address: \"127.0.0.1:8080\"}] behind your proxy")
        }
        return settings
    }

    private mutating func listener(from section: ReadSection) -> DaemonSettings.Listener? {
        guard let (host, port) = section.text("address").flatMap(hostAndPort) else { return nil }
        var tls: DaemonSettings.TLS?
        if let own = section.section("tls") {
            guard let certificate = own.text("certificate_file"), let key = secret("key", in: own) else { return nil }
            tls = DaemonSettings.TLS(certificate: certificate, key: key, clientAuthority: own.text("client_ca_file"))
        } else if !isOwnMachine(host) {
            complain(
                section.mark(of: "address"), "listen: \(host) is reached by others, and without tls they could read tokens",
                hint: "add tls: {certificate_file: …, key_file: …}, or listen at 127.0.0.1 behind a proxy that has it")
        }
        return DaemonSettings.Listener(host: host, port: port, tls: tls)
    }

    private mutating func hook(from entry: ReadSection.Entry) -> DaemonSettings.Hook? {
        guard case .section(let section) = entry.value, let kind = section.text("kind"),
            let schema = hooks.first(where: { $0.kind == kind })
        else { return nil }
        let path = "hooks.\(entry.key)"
        let hook = DaemonSettings.Hook(
            name: entry.key, kind: kind,
            secrets: [secret("secret", in: section), secret("other_secret", in: section)].compactMap { $0 },
            services: services(from: section["services"]?.value), people: pairs(section.map("people")),
            owner: section.text("owner"), places: Set(texts(section.list("places"))), alert: section.text("alert"),
            signatureHeader: section.text("signature_header"), timestampHeader: section.text("timestamp_header"),
            requiresTimestamp: section.flag("require_timestamp"), bot: secret("bot", in: section), polls: section.flag("poll"),
            api: section.text("api"))
        if hook.secrets.isEmpty, !hook.polls {
            complain(section.mark, "\(path): has no secret, so nobody could prove to be the sender", hint: "add secret_file: …")
        }
        if hook.polls, !schema.polls {
            complain(section.mark(of: "poll"), "\(path).poll: messages of \(kind) cannot be fetched", hint: "remove it")
        } else if hook.polls, hook.bot == nil {
            complain(section.mark(of: "poll"), "\(path).poll: messages are fetched with the bot's token", hint: "add bot_file: …")
        }
        if schema.needsPlaces, hook.places.isEmpty {
            complain(
                section.mark, "\(path): strangers reach \(kind) too, and no places are named that are listened to",
                hint: "add places: [\"the number of the chat or guild\"]")
        }
        refuse(["alert"], unless: schema.sendsAlerts, section, path, "sends no alerts")
        refuse(
            ["signature_header", "timestamp_header", "require_timestamp"], unless: schema.hasOwnHeaders, section, path,
            "has headers of its own")
        refuse(["people"], unless: schema.namesPeople, section, path, "names nobody; owner: is the person who holds the secret")
        refuse(["owner"], unless: !schema.namesPeople, section, path, "names people; say under people: who they are")
        return hook
    }

    private mutating func refuse(
        _ keys: [String], unless isMeant: Bool, _ section: ReadSection, _ path: String, _ why: String
    ) {
        guard !isMeant, let kind = section.text("kind") else { return }
        for key in keys where section.isGiven(key) {
            complain(section.mark(of: key), "\(path).\(key): \(kind) \(why)", hint: "remove it")
        }
    }

    private mutating func route(from entry: ReadSection.Entry) -> DaemonSettings.Route? {
        guard case .section(let section) = entry.value,
            let schema = channels.first(where: { section.section($0.driver.name) != nil }),
            let own = section.section(schema.driver.name),
            // What is missing or wrong was complained about.
            schema.driver.fields.allSatisfy({ !$0.isRequired || own[$0.key] != nil })
        else { return nil }
        var settings: [String: String] = [:]
        for entry in own.entries { if case .scalar(let scalar) = entry.value { settings[entry.key] = scalar.text } }
        let channel = DriverSettings(driver: schema.driver.name, settings: settings)
        do throws(Failure) { try schema.inspect(channel) } catch {
            complain(own.mark, "notify.\(entry.key).\(schema.driver.name): \(error.message)", hint: error.hint)
        }
        return DaemonSettings.Route(
            name: entry.key, channel: channel, atLeast: section.text("at_least") ?? "info", kinds: texts(section.list("on")))
    }

    // MARK: Values

    private func services(from value: ReadValue?) -> [String: ServiceName] {
        switch value {
        case .list(let items):
            return Dictionary(
                texts(items).compactMap { name in ServiceName(name).map { (name, $0) } }, uniquingKeysWith: { first, _ in first })
        case .map(let entries):
            return pairs(entries).compactMapValues { ServiceName($0) }
        case .scalar, .section, nil: return [:]
        }
    }

    private func pairs(_ entries: [ReadSection.Entry]) -> [String: String] {
        Dictionary(
            entries.compactMap { entry in
                if case .scalar(let scalar) = entry.value { (entry.key, scalar.text) } else { nil }
            }, uniquingKeysWith: { first, _ in first })
    }

    private func texts(_ items: [ReadValue]) -> [String] {
        items.compactMap { if case .scalar(let scalar) = $0 { scalar.text } else { nil } }
    }

    private func secret(_ key: String, in section: ReadSection) -> SecretReference? {
        if let name = section.text(key + "_env") { return .environment(name) }
        if let path = section.text(key + "_file") { return .file(path) }
        return section.text(key + "_cred").map(SecretReference.credential)
    }
}
