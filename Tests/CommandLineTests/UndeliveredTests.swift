import Glibc
import SerinAPI
import SerinModel
import SerinPolicies
import SerinPorts
import Testbed
import Testing

@testable import SerinCommandLine

/// What people were not told, as those see it who ask how the daemon is.
@Suite struct UndeliveredTests {
    @Test func aChannelThatCannotBeReachedIsNamedWithWhatWaitsAndSinceWhen() async throws {
        // Nothing listens there.
        let program = try TestProgram(environment: ["ADDRESS": "http://127.0.0.1:9/hook"])
        let assembly = Assembly.daemon(environment: program.environment, output: Output { _, _ in })
        let settings = try assembly.readSettings(
            .init(
                file: "serin.yaml",
                text: "version: 1\nnotify: {team: {mattermost: {url_env: ADDRESS}}, calls: {mattermost: {url_env: ADDRESS}, "
                    + "at_least: critical}}")
        ).settings
        let messages = try await assembly.openMessages(program.state)
        try messages.prepare(settings, of: [])()
        #expect(await messages.readiness().map(\.name) == ["notifications to team", "notifications to calls"])
        #expect(await messages.readiness().allSatisfy { $0.complaint == nil && !$0.isFatal })
        let at = SystemClock().now()
        for number in 1...2 {
            await messages.notifier.notify(
                Notification(
                    .rolloutChanged, .warning, subject: "checkout: held \(number)", text: "", deduplicationKey: "x", at: at))
        }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await messages.run() }
            // What did not come is missed below.
            try? await waitUntil("a try has failed") { try await messages.undelivered().contains { $0.isLate } }
            group.cancelAll()
        }
        let found = try await messages.undelivered()
        #expect(found.map(\.channel) == ["team", "calls"])
        #expect(found.map(\.waiting) == [2, 0], "only one is told of warnings")
        // Two clocks that count whole milliseconds may differ by one.
        #expect(try #require(found.first?.oldest) >= at - .milliseconds(2))
        let complaint = try #require(await messages.readiness().first?.complaint)
        #expect(complaint.hasPrefix("2 notifications wait, the oldest since 20"), "\(complaint)")
        #expect(!complaint.contains("127.0.0.1"), "anybody may ask")
        await messages.close()
    }

    @Test func aFileOfMessagesThatCannotBeOpenedIsSaid() async throws {
        let program = try TestProgram()
        let folder = program.file("messages.db")
        try #require(mkdir(folder, 0o700) == 0)
        defer { rmdir(folder) }
        let messages = try await Assembly.daemon(environment: [:], output: Output { _, _ in }).openMessages(program.state)
        let check = try #require(await messages.readiness().first)
        #expect(check.complaint?.contains("could not be opened") == true && !check.isFatal)
        await messages.close()
    }
}
