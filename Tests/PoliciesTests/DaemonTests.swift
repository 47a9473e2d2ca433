import FoundationEssentials
import SerinModel
import SerinNotifications
import SerinPolicies
import SerinYAML
import Testing

@Suite struct DaemonTests {
    private let drivers = NotificationChannels.schemas.map(\.driver)

    private func read(_ text: String) -> DaemonReading {
        let document = readYAML(Array(text.utf8), file: "serin.yaml")
        return DaemonReading(
            of: document.node, file: "serin.yaml", earlier: document.diagnostics, hooks: HookKind.schemas,
            channels: NotificationChannels.schemas)
    }

    private func violations(_ text: String) throws -> [String] {
        let node = try #require(readYAML(Array(text.utf8), file: "serin.yaml").node)
        return try MiniSchema(schema: daemonSchema(hooks: HookKind.schemas, channels: drivers)).violations(of: node.json)
    }

    @Test func theExampleIsValidUnderParserAndSchemaAndMeansWhatItSays() throws {
        let text = try packageFile("examples/daemon/serin.yaml")
        let reading = read(text)
        #expect(reading.diagnostics.map(\.description) == [])
        #expect(try violations(text) == [])
        let settings = try #require(reading.settings)
        #expect(settings.listeners.map(\.address) == ["127.0.0.1:8080", "0.0.0.0:8443"])
        #expect(settings.listeners[1].tls?.key == .credential("tls-key"))
        #expect(settings.pageHosts == ["serin.example.com"])
        #expect(settings.hooks.map(\.kind) == ["slack", "telegram", "alertmanager", "pagerduty", "standard"])
        #expect(settings.hooks[0].services.count == 2 && settings.hooks[0].people["T0123/U0456"] == "anna")
        #expect(settings.hooks[1].polls && settings.hooks[1].secrets.isEmpty)
        #expect(settings.hooks[2].secrets.count == 2)
        #expect(settings.hooks[3].services["PSERVICE1"]?.description == "checkout")
        #expect(settings.routes.map(\.channel.driver) == ["slack", "pagerduty", "telegram", "mail", "github", "webhook"])
        #expect(settings.routes[1].atLeast == "critical" && settings.routes[3].kinds == ["rollout.ended"])
        #expect(settings.log == .json && settings.socketGroup == "deploy" && !settings.groupMayStart)
    }

    @Test func aConfigurationOfNothingIsAllowed() throws {
        let settings = try #require(read("version: 1").settings)
        #expect(settings == DaemonSettings())
    }

    /// What is wrong, and a part of what is said about it.
    @Test(arguments: [
        ("lisen: []", "3:1: unknown key 'lisen'"),
        ("listen: [{address: \"0.0.0.0:80\"}]", "listen: 0.0.0.0 is reached by others"),
        ("listen: [{address: localhost}]", "expected a host's number and a port"),
        ("hooks: {a: {kind: slack}}", "hooks.a: has no secret"),
        ("hooks: {a: {kind: slak, secret_env: S}}", "did you mean 'slack'?"),
        ("hooks: {a: {kind: slack, secret: hunter2}}", "a secret is never written into a configuration"),
        ("hooks: {a: {kind: telegram, secret_env: S}}", "no places are named"),
        ("hooks: {a: {kind: telegram, poll: true, places: [\"1\"]}}", "fetched with the bot's token"),
        ("hooks: {a: {kind: github, secret_env: S, poll: true}}", "cannot be fetched"),
        ("hooks: {a: {kind: slack, secret_env: S, alert: halt}}", "slack sends no alerts"),
        ("hooks: {a: {kind: hmac, secret_env: S, people: {a: b}}}", "hmac names nobody"),
        ("hooks: {a: {kind: slack, secret_env: S, owner: anna}}", "slack names people"),
        ("hooks: {a: {kind: slack, secret_env: S, signature_header: X}}", "has headers of its own"),
        ("notify: {a: {slack: {}}}", "notify.a.slack: needs the webhook's url_file"),
        ("notify: {a: {telegram: {chat: \"1\"}}}", "needs one of token_env"),
        ("notify: {a: {mail: {server: mail, from: a@b, to: c@d}}}", "expected smtp://host:587"),
        ("notify: {a: {mail: {server: \"smtp://h:25\", from: a@b, to: cd}}}", "'cd' is no mail address"),
        ("notify: {a: {at_least: info}}", "one of"),
    ])
    func whatIsWrongIsSaidWithItsPlace(text: String, words: String) throws {
        let reading = read("version: 1\n# a line\n" + text)
        #expect(reading.settings == nil)
        let said = reading.diagnostics.map(\.description).joined(separator: "\n")
        #expect(said.contains(words), "\(said)")
        #expect(said.contains("serin.yaml:3:"))
    }

    @Test func everythingThatIsWrongIsSaidAtOnce() {
        let reading = read("version: 2\nlisen: []\nhooks: {a: {kind: slack}}\nlimits: {connections: 1}")
        #expect(reading.diagnostics.count == 4, "\(reading.diagnostics)")
    }

    @Test func hooksWithoutAnAddressAreWarnedOf() {
        let reading = read("version: 1\nhooks: {a: {kind: slack, secret_env: S}}")
        #expect(reading.settings != nil && reading.warnings.count == 1)
        #expect(read("version: 1\nhooks: {a: {kind: telegram, poll: true, bot_env: S, places: [\"1\"]}}").warnings.isEmpty)
    }

    /// Each is refused by the parser and by the schema.
    @Test(arguments: [
        "listen: [{address: localhost}]", "listen: [{address: \"127.0.0.1\"}]", "listen: []", "limits: {connections: 1}",
        "hooks: {a: {kind: slack, secret_env: S, secret_file: /s}}", "hooks: {a: {kind: other, secret_env: S}}",
        "notify: {a: {at_least: info}}", "notify: {a: {slack: {url_env: U}, discord: {url_env: U}}}", "backups: [relative]",
        "log: xml", "socket: {may_start: true}",
    ])
    func theSchemaRefusesWhatTheParserRefuses(text: String) throws {
        let whole = "version: 1\n" + text
        #expect(read(whole).settings == nil)
        #expect(try violations(whole) != [])
    }

    /// `SERIN_WRITE_DOCS=1 swift test --filter DaemonTests` writes it anew.
    @Test func theReferenceInTheDocumentsIsThatOfTheParser() throws {
        let start = "<!-- reference: written from the declarations, do not edit by hand -->\n\n"
        let document = try packageFile("docs/daemon.md")
        let parts = document.components(separatedBy: start)
        try #require(parts.count == 2)
        let reference = daemonReference(hooks: HookKind.schemas, channels: drivers)
        if ProcessInfo.processInfo.environment["SERIN_WRITE_DOCS"] != nil {
            let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
            try (parts[0] + start + reference).write(toFile: "/\(root)/docs/daemon.md", atomically: true, encoding: .utf8)
            return
        }
        #expect(parts[1] == reference)
    }
}
