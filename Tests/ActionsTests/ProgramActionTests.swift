import FoundationEssentials
import Glibc
import SerinActions
import SerinModel
import SerinPolicies
import SerinPorts
import SerinProcesses
import SerinRollouts
import SerinTransport
import Testbed
import Testing

/// Actions that run programs.
@Suite struct ProgramActionTests {
    private func actions(_ environment: [String: String] = [:]) throws -> CommandActions {
        CommandActions(transport: try Transport(), environment: environment) { _ throws(Failure) in
            throw Failure(.invalid, "no secrets here")
        }
    }

    private func shell(
        _ script: String, check: String? = nil, deadline: Duration = .seconds(20), environment: [String] = []
    ) -> ActionPolicy {
        ActionPolicy(
            call: .run(["sh", "-c", script]), check: check.map { .run(["sh", "-c", $0]) }, deadline: deadline,
            environment: environment)
    }

    @Test func whatAFormerControllerLeftRunningOfAnActionIsEndedAndNothingElse() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let log = scratch.file("log")
        func start(_ key: String, _ script: String) throws -> Int32 {
            try Program(
                "/bin/sh", ["-c", script], environment: ["SERIN_IDEMPOTENCY_KEY": key, "PATH": "/bin:/usr/bin"],
                deadline: .seconds(1)
            ).startDetached(log: log)
        }
        func runs(_ pid: Int32) -> Bool { kill(pid, 0) == 0 }
        // It ignores TERM; its child is in its group.
        let left = try start("key-1", "trap '' TERM; sleep 60 & wait; wait; sleep 60")
        let other = try start("key-12", "sleep 60")
        // What an action started in a session of its own serves on.
        let server = try start("key-1", "setsid sleep 60 & echo $!")
        defer { kill(-other, SIGKILL) }
        try await waitUntil("a server") { !runs(server) }
        let text = FileManager.default.contents(atPath: log).map { String(decoding: $0, as: UTF8.self) } ?? ""
        let served = try #require(Int32(text.split(separator: "\n").first.map(String.init) ?? ""))
        defer { kill(served, SIGKILL) }
        try await (try actions()).endLeftovers(of: .sample)
        try await waitUntil("the end of its group") { kill(-left, 0) != 0 }
        #expect(runs(other))
        #expect(runs(served))
    }

    @Test func theProgramSeesExactlyTheNamedVariables() async throws {
        let actions = try actions(
            ["HOME": "/root", "LANG": "C.UTF-8", "KUBECONFIG": "/k", "DATABASE_PASSWORD": "nope", "PATH": "/evil"])
        let policy = ActionPolicy(
            call: .run(["env"]), check: nil, deadline: .seconds(10), environment: ["KUBECONFIG", "ABSENT"])
        let outcome = await actions.run(policy, context: .sample)
        #expect(
            outcome
                == .done(
                    output: """
                        HOME=/root
                        KUBECONFIG=/k
                        LANG=C.UTF-8
                        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
                        SERIN_IDEMPOTENCY_KEY=key-1
                        SERIN_PREVIOUS=v1
                        SERIN_SERVICE=checkout
                        SERIN_VERSION=v2 "$(id)"

                        """))
    }

    @Test func placeholdersAreReplacedInEachArgumentAndNoShellReadsThem() async throws {
        let policy = ActionPolicy(
            call: .run(["printf", "%s|", "{{version}}", "a{{previous}}b", "{{other}}", "{{{version}}}"]), check: nil,
            deadline: .seconds(10))
        #expect(
            await (try actions()).run(policy, context: .sample)
                == .done(output: "v2 \"$(id)\"|av1b|{{other}}|{v2 \"$(id)\"}|"))
    }

    @Test func aValueThatLooksLikeAPlaceholderIsNotReplacedAgain() async throws {
        var context = ActionContext.sample
        context.version = "{{previous}}"
        let policy = ActionPolicy(call: .run(["printf", "%s", "{{version}}"]), check: nil, deadline: .seconds(10))
        #expect(await (try actions()).run(policy, context: context) == .done(output: "{{previous}}"))
    }

    @Test func anotherExitStatusIsAFailureWithItsOutput() async throws {
        guard case .failed(let failure, let output) = await (try actions()).run(shell("echo why; exit 3"), context: .sample)
        else {
            throw Failure(.invalid, "not failed")
        }
        #expect(failure.message == "sh ended with exit status 3, expected 0")
        #expect(output == "why\n")
    }

    @Test func aMissingProgramFailsBeforeAnythingHappened() async throws {
        let policy = ActionPolicy(call: .run(["no-such-program"]), check: .run(["true"]), deadline: .seconds(5))
        guard case .failed(let failure, _) = await (try actions()).run(policy, context: .sample) else {
            throw Failure(.invalid, "not failed")
        }
        #expect(failure.kind == .invalid)
    }

    @Test func secretsDoNotReachTheOutput() async throws {
        let actions = try actions(["DEPLOY_TOKEN": "tok-12345"])
        let script = "echo using $DEPLOY_TOKEN; echo psql postgresql://app:pw@db/shop"
        #expect(
            await actions.run(shell(script, environment: ["DEPLOY_TOKEN"]), context: .sample)
                == .done(output: "using [redacted]\npsql postgresql://app:[redacted]@db/shop\n"))
    }

    @Test func onlyTheEndOfALongOutputIsKept() async throws {
        guard case .done(let output) = await (try actions()).run(shell("seq 1 100000; echo last"), context: .sample) else {
            throw Failure(.invalid, "not done")
        }
        #expect(output.hasPrefix("[beginning left out] "))
        #expect(output.hasSuffix("100000\nlast\n"))
        #expect(output.utf8.count <= CommandActions.outputLimit + 30)
    }

    @Test func aCutOffProgramWithoutACheckIsUnknown() async throws {
        let outcome = await (try actions()).run(shell("echo begun; sleep 60", deadline: .milliseconds(300)), context: .sample)
        guard case .unknown(let failure) = outcome else { throw Failure(.invalid, "\(outcome)") }
        #expect(failure.kind == .unknown)
        #expect(failure.message == "sh took longer than its deadline of 300ms and was ended; its last words: begun\n")
    }

    @Test(arguments: [("true", true), ("false", false)])
    func theCheckDecidesAboutACutOffProgram(_ check: String, _ isDone: Bool) async throws {
        let outcome = await (try actions()).run(
            shell("sleep 60", check: check, deadline: .milliseconds(300)), context: .sample)
        switch outcome {
        case .done: #expect(isDone)
        case .failed(let failure, _):
            #expect(!isDone)
            #expect(failure.message.contains("the check says no"))
        case .unknown(let failure): Issue.record("\(failure)")
        }
    }

    @Test func aProgramKilledFromOutsideIsUnknown() async throws {
        let outcome = await (try actions()).run(shell("kill -KILL $$"), context: .sample)
        guard case .unknown = outcome else { throw Failure(.invalid, "\(outcome)") }
    }

    @Test func aSuccessThatItsCheckDoesNotSeeIsAFailure() async throws {
        guard case .failed(let failure, _) = await (try actions()).run(shell("true", check: "exit 4"), context: .sample) else {
            throw Failure(.invalid, "not failed")
        }
        #expect(failure.message == "the action succeeded, but the check says no: sh ended with exit status 4, expected 0")
    }

    @Test func aCheckThatCannotBeAskedLeavesTheOutcomeUnknown() async throws {
        let policy = ActionPolicy(call: .run(["true"]), check: .run(["no-such-program"]), deadline: .seconds(5))
        let outcome = await (try actions()).run(policy, context: .sample)
        guard case .unknown = outcome else { throw Failure(.invalid, "\(outcome)") }
        guard case .unknown = await (try actions()).check(policy, context: .sample) else { throw Failure(.invalid, "check") }
    }

    @Test func recoveryAsksOnlyTheCheck() async throws {
        let scratch = try Scratch("serin-action")
        defer { scratch.remove() }
        let mark = scratch.file("ran")
        let policy = shell("touch \(mark)", check: "test ! -e \(mark)")
        guard case .done = await (try actions()).check(policy, context: .sample) else { throw Failure(.invalid, "not done") }
        guard case .unknown = await (try actions()).check(shell("touch \(mark)"), context: .sample) else {
            throw Failure(.invalid, "a missing check must be unknown")
        }
        guard case .failed = await (try actions()).run(policy, context: .sample) else {
            throw Failure(.invalid, "it must have run")
        }
    }
}

extension ActionContext {
    /// A context whose version would do harm in a shell.
    static let sample = ActionContext(
        key: "key-1", service: ServiceName("checkout") ?? sampleName, version: "v2 \"$(id)\"", previous: "v1")
    // traps: this name is written here and valid
    private static var sampleName: ServiceName { preconditionFailure("checkout is a name") }
}
