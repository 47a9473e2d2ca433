import FakeController
import SerinAPI
import SerinController
import SerinLocks
import SerinModel
import SerinRollouts
import Testbed
import Testing

@testable import SerinCommandLine

/// What pipelines ask of the daemon: to do it with its rights, to take up what is live, to halt their own release alone, and to wait
/// while it is away.
@Suite struct PipelineVerbTests {
    @Test func aStartOfWhatIsLiveAlreadyIsTakenUpWhenItIsOfTheSameVersions() async throws {
        let program = try TestProgram()
        program.operations.state.withLock { $0.startRefusal = Refusal("rollout checkout-01k5 is live") }
        let start = ["start", program.policy(), "--version", "1.9.0", "--previous", "1.8.3"]
        try await program.serve(at: program.state.daemonSocket) {
            #expect(await program.run(start) == .refused)
            #expect(await program.run(start + ["--join"]) == .ok)
            #expect(program.takeOutput() == "checkout-01k5\n")
            #expect(program.messages.withLock { $0 }.contains("is live already with the same versions"))
            #expect(await program.run(["start", program.policy(), "--version", "2.0.0", "--join"]) == .refused)
            // What is being taken back is no release to wait for.
            program.operations.state.withLock { $0.status.ending = .failed }
            #expect(await program.run(start + ["--join"]) == .refused)
        }
    }

    @Test func aHaltOfOneVersionHaltsNoOther() async throws {
        let program = try TestProgram()
        try await program.serve(at: program.state.daemonSocket) {
            #expect(await program.run("halt", "checkout", "--if-version", "2.0.0") == .ok)
            #expect(program.messages.withLock { $0 }.contains("nothing to halt: checkout-01k5 is of version 1.9.0"))
            #expect(await program.run("halt", "other", "--if-version", "1.9.0") == .ok)
            #expect(program.operations.state.withLock { $0.commands }.isEmpty)
            #expect(await program.run("halt", "checkout", "--if-version", "1.9.0", "--reason", "cancelled") == .ok)
            #expect(program.operations.state.withLock { $0.commands.map(\.verb) } == [.halt])
            program.operations.state.withLock { $0.status = .sample(state: "rolled back", isFinal: true, ending: .halted) }
            #expect(await program.run("halt", "checkout-01k5", "--if-version", "1.9.0") == .ok)
            #expect(program.messages.withLock { $0 }.contains("checkout-01k5 is over (rolled back)"))
        }
        #expect(await program.run("halt", "checkout", "--if-version", "1.9.0") == .unreachable)
        #expect(!HaltFile(path: program.state.haltFile(of: program.service)).exists, "it would halt any version")
    }

    @Test func aDaemonThatIsAwayIsWaitedFor() async throws {
        let program = try TestProgram()
        program.operations.state.withLock { $0.status = .sample(state: "rolled back", isFinal: true, ending: .failed) }
        try await withThrowingTaskGroup(of: ExitCode.self) { group in
            group.addTask { await program.run("wait", "checkout", "--away", "60s") }
            try await program.serve(at: program.state.daemonSocket) {
                let code = try await group.next()
                #expect(code == .failed)
            }
        }
    }

    @Test func whenNobodyAnswersEveryReportSaysSo() async throws {
        let folder = try TestProgram()
        let program = try TestProgram(environment: [
            "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": folder.file("summary.md"), "GITHUB_OUTPUT": folder.file("outputs"),
        ])
        #expect(await program.run("wait", "checkout", "--junit", folder.file("junit.xml")) == .unreachable)
        #expect(folder.contents("junit.xml").contains("<failure message=\"nobody answers, exit 75\">"))
        #expect(folder.contents("summary.md").contains("nobody answers"))
        #expect(folder.contents("outputs") == "exit_code=75\n")
        #expect(program.messages.withLock { $0 }.contains("::error title=serin checkout::nobody answers"))
    }

    @Test func whatIsOldIsNotCalledWatched() {
        let status = RolloutStatus.sample()
        let summary = GitHubReport.summary(status, code: .unreachable, isAnswered: false)
        #expect(summary.contains("nobody answers, baking was known last") && !summary.contains("is watched"), "\(summary)")
        #expect(summary.contains("UNKNOWN, no controller is in charge") && summary.contains("The rollout may go on"))
        #expect(JUnitReport.text(status, code: .unreachable, isAnswered: false).contains("nobody answers, baking was known last"))
        let late = GitHubReport.summary(status, code: .timedOut)
        #expect(late.contains("The rollout goes on without this pipeline: step 3"), "\(late)")
        #expect(
            GitHubReport.annotation(status, code: .timedOut).hasPrefix("::warning title=serin checkout 1.9.0::not over in time"))
    }

    @Test func aBackupIsMadeByTheDaemonAndItsFailureIsTheExitCode() async throws {
        let home = try TestProgram()
        home.write("version: 1\nbackups: [\(home.policy())]", to: "serin.yaml")
        let asking = try TestProgram(environment: ["SERIN_STATE": home.state.path])
        try await RunningDaemon.run(home) { _ in
            #expect(await asking.run("backup", "request", "shop") == .unexpected)
            #expect(asking.messages.withLock { $0 }.contains("the backup failed: the disk is full"))
            #expect(home.backups.made.withLock { $0 }.contains(.logical))
            #expect(await asking.run("backup", "request", "other") == .refused)
            #expect(await asking.run("backup", "request", "../shop") == .usage)
        }
    }
}
