import FoundationEssentials
import SerinModel
import SerinPolicies
import SerinPorts
import SerinProcesses
import Testing

@testable import SerinCommandLine

/// The alert rules and the dashboard for a daemon, by Prometheus' own tool.
@Suite struct SerinRulesTests {
    private let folder = "\(RequirementsTests.root)/examples/monitoring"

    @Test func theAlertRulesDoWhatTheirTestsSay() async throws {
        for arguments in [
            ["check", "rules", "\(folder)/serin-rules.yaml"], ["test", "rules", "\(folder)/serin-rules.test.yaml"],
        ] {
            let done = try await Program("/usr/bin/promtool", arguments, deadline: .minutes(2)).run()
            #expect(done.termination == .exited(0), "\(done.text)")
        }
    }

    @Test func theDashboardIsOneAndItsQueriesAreUnderstood() async throws {
        let dashboard = try JSONValue(parsing: Array(try RequirementsTests.text("examples/monitoring/serin-dashboard.json").utf8))
        let panels = try #require(dashboard["panels"]?.items)
        #expect(panels.count == 17)
        let queries = panels.flatMap { $0["targets"]?.items ?? [] }.compactMap { $0["expr"]?.text }
        // Rules of them, so that the tool reads each.
        let rules = queries.enumerated().map { index, query in
            "      - {record: \"q\(index)\", expr: '\(query.replacing("$service", with: ".*"))'}"
        }
        let file = FileManager.default.temporaryDirectory.path + "/serin-dashboard-\(UUID()).yaml"
        try ("groups:\n  - name: dashboard\n    rules:\n" + rules.joined(separator: "\n") + "\n").write(
            toFile: file, atomically: true, encoding: .utf8)
        defer { _ = try? FileManager.default.removeItem(atPath: file) }
        let done = try await Program("/usr/bin/promtool", ["check", "rules", file], deadline: .minutes(2)).run()
        #expect(done.termination == .exited(0), "\(done.text)")
    }

    @Test func whatMessagesCountIsWrittenUnderTheNamesOfTheRules() async throws {
        let program = try TestProgram(environment: ["ADDRESS": "http://127.0.0.1:9/hook"])
        let assembly = Assembly.daemon(environment: program.environment, output: Output { _, _ in })
        let settings = try assembly.readSettings(
            .init(file: "serin.yaml", text: "version: 1\nnotify: {team: {mattermost: {url_env: ADDRESS}}}")
        ).settings
        let messages = try await assembly.openMessages(program.state)
        try messages.prepare(settings, of: [])()
        let written = await messages.metrics()
        await messages.close()
        for name in ["serin_webhook_requests_total", "serin_notifications_total", "serin_notifications_waiting"] {
            #expect(written.contains("# TYPE \(name) "))
        }
        #expect(written.contains("serin_notifications_waiting{channel=\"team\"} 0\n"))
    }

    @Test func theConfigurationKnowsEveryKindOfNotification() throws {
        let assembly = Assembly.daemon(environment: [:], output: Output { _, _ in })
        let kinds = SerinPorts.Notification.Kind.allCases.map(\.rawValue).joined(separator: ", ")
        let text = "version: 1\nnotify: {team: {mattermost: {url_env: A}, on: [\(kinds)]}}"
        let settings = try assembly.readSettings(.init(file: "serin.yaml", text: text)).settings
        #expect(settings.routes.first?.kinds.count == SerinPorts.Notification.Kind.allCases.count)
    }
}
