import FoundationEssentials
import SerinLocks
import SerinModel
import SerinNotifications
import SerinPorts
import Testbed
import Testing

@Suite struct CommandNotifierTests {
    private let notification = Notification(
        .backupFailed, .warning, subject: "checkout: no backup", text: "dump: the server is \"gone\"",
        fields: [.init("target", "checkout"), .init("stage", "dump")], deduplicationKey: "backup checkout postgres_logical",
        at: Instant(millisecondsSince1970: 0))

    private func notify(_ command: [String], deadline: Duration = .seconds(5)) async -> [String] {
        let reports = Locked<[String]>([])
        await CommandNotifier(
            command, caller: ["PATH": "/usr/bin:/bin", "SECRET": "hunter2"], deadline: deadline,
            report: { text in reports.withLock { $0.append(text) } }
        ).notify(notification)
        return reports.withLock { $0 }
    }

    @Test func theProgramReadsOneDocumentAndSeesNoOtherVariables() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let reports = await notify(["/bin/sh", "-c", "cat > \(scratch.file("told")); env > \(scratch.file("env"))"])
        #expect(reports == [])
        let told = try #require(FileManager.default.contents(atPath: scratch.file("told")))
        let document = try JSONValue(parsing: Array(told.dropLast()))
        #expect(told.last == 0x0A)
        #expect(document == notification.document)
        #expect(document["kind"]?.text == "backup.failed")
        #expect(document["fields"]?["stage"]?.text == "dump")
        let environment = try #require(FileManager.default.contents(atPath: scratch.file("env")))
        #expect(!String(decoding: environment, as: UTF8.self).contains("SECRET"))
    }

    @Test func whatIsNotDeliveredIsReportedAndNothingIsThrown() async {
        let refused = await notify(["/bin/sh", "-c", "echo first; echo no such channel; exit 3"])
        #expect(
            refused == ["'checkout: no backup' was not passed on: /bin/sh ended with exit status 3: no such channel"])
        #expect(await notify(["/nowhere/at/all"]).count == 1)
        // It reads nothing and ends before its input is written.
        #expect(await notify(["/bin/true"]) == [])
    }

    @Test func aProgramThatHangsIsEndedAfterItsTime() async {
        let reports = await notify(["/bin/sleep", "60"], deadline: .milliseconds(200))
        #expect(reports == ["'checkout: no backup' was not passed on: /bin/sleep had not ended after 200ms"])
    }
}
