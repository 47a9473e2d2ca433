import FakeController
import Glibc
import SerinAPI
import SerinController
import SerinLocks
import SerinModel
import SerinPolicies
import SerinRollouts
import SerinServer
import Testbed
import Testing

@testable import SerinCommandLine

@Suite struct RunTests {
    private func run(_ program: TestProgram) async -> ExitCode {
        await program.run("run", program.policy(), "--version", "1.9.0", "--previous", "1.8.3")
    }

    private func hasStarted(_ program: TestProgram) -> Bool { !program.operations.state.withLock { $0.started.isEmpty } }

    @Test(arguments: [
        (Ending.promoted, ExitCode.ok), (.failed, .failed), (.halted, .halted), (.inconclusive, .inconclusive),
        (.refused, .refused),
    ])
    func runEndsWithTheRolloutsExitCode(_ ending: Ending, code: ExitCode) async throws {
        let program = try TestProgram()
        program.operations.state.withLock { $0.onStart = { $0 = .sample(state: "over", isFinal: true, ending: ending) } }
        #expect(await run(program) == code)
        #expect(program.operations.state.withLock { $0.author } == .uid(getuid()))
        #expect(program.output.withLock { $0 } == "over  checkout-01k5: step 2 entered\n")
        #expect(!UnixSocket.answers(at: program.state.socket(of: program.service)))
    }

    @Test(arguments: [(Ending.promoted, ExitCode.ok), (.halted, .halted)])
    func whatBecameOfARolloutIsToldByTheCodeWhenNoDataCanBeWritten(_ ending: Ending, code: ExitCode) async throws {
        let program = try TestProgram()
        program.operations.state.withLock { $0.onStart = { $0 = .sample(state: "over", isFinal: true, ending: ending) } }
        program.dataFailure.withLock { $0 = "No space left on device" }
        #expect(await run(program) == code)
        #expect(program.messages.withLock { $0 }.hasSuffix("serin: cannot write the output: No space left on device\n"))
        #expect(await program.run("version") == .unexpected)
        for verb in CommandLineProgram.acting { #expect(CommandLineProgram.table.verbs.contains { $0.name == verb }, "\(verb)") }
    }

    @Test func aRunWhoseSocketHasNoPlaceMakesNoFolder() async throws {
        let program = try TestProgram()
        let state = program.file(String(repeating: "long", count: 30))
        let code = await program.run(
            "run", program.policy(), "--version", "1.9.0", "--previous", "1.8.3", "--state", state)
        #expect(code == .usage)
        #expect(program.messages.withLock { $0 }.contains("cannot use the socket path"))
        #expect(access(state, F_OK) != 0)
    }

    @Test func aSecondSignalEndsWhatGoesOnAfterTheFirst() async throws {
        let program = try TestProgram()
        let session = try program.session()
        let work = Locked<CheckedContinuation<Void, Never>?>(nil)
        async let code = session.perform(
            { _ in
                await withCheckedContinuation { continuation in work.withLock { $0 = continuation } }
                return .ok
            }, interruption: .ends)
        try await waitUntil("it works") { work.withLock { $0 != nil } }
        program.interrupt(SIGINT)
        try await waitUntil("it says so") { program.messages.withLock { $0.contains("interrupted by SIGINT") } }
        #expect(program.endings.withLock { $0.isEmpty })
        program.interrupt(SIGTERM)
        try await waitUntil("the process is ended") { program.endings.withLock { $0 == [.interrupted] } }
        work.withLock { $0?.resume() }
        #expect(await code == .interrupted)
    }

    @Test func anotherProcessHaltsARunOverItsSocket() async throws {
        let program = try TestProgram()
        program.operations.state.withLock {
            $0.onCommand = { command, status in
                if command.verb == .halt { status = .sample(state: "rolled back", isFinal: true, ending: .halted) }
            }
        }
        async let code = run(program)
        try await waitUntil("the run has started") { hasStarted(program) }
        let other = try TestProgram()
        #expect(await other.run("halt", "checkout", "--state", program.state.path) == .ok)
        #expect(await code == .halted)
    }

    @Test(arguments: [SIGINT, SIGTERM])
    func theFirstSignalHaltsTheRollout(_ signal: Int32) async throws {
        let program = try TestProgram()
        program.operations.state.withLock {
            $0.onCommand = { _, status in status = .sample(state: "rolled back", isFinal: true, ending: .halted) }
        }
        async let code = run(program)
        try await waitUntil("the run has started") { hasStarted(program) }
        program.interrupt(signal)
        #expect(await code == .halted)
        let name = signal == SIGINT ? "SIGINT" : "SIGTERM"
        #expect(
            program.operations.state.withLock { $0.commands } == [
                Command(.halt, by: Principal(channel: "signal", identity: name), reason: "interrupted by \(name)")
            ])
        #expect(program.endings.withLock { $0.isEmpty })
    }

    @Test func aSignalBeforeTheRolloutIsDurableHaltsItAllTheSame() async throws {
        let program = try TestProgram()
        program.operations.state.withLock {
            // The service's last rollout is over: it refuses, as every finished rollout does.
            $0.refusedCommands = 3
            $0.onCommand = { _, status in status = .sample(state: "rolled back", isFinal: true, ending: .halted) }
        }
        program.onOpening.withLock { $0 = { [weak program] in program?.interrupt() } }
        #expect(await run(program) == .halted)
        #expect(program.operations.state.withLock { $0.refusedCommands } == 0)
    }

    @Test func aSocketGroupMayReachTheSocketAndNothingElse() async throws {
        let program = try TestProgram()
        let group = try #require(getgrgid(getegid()))
        async let code = program.run(
            "run", program.policy(), "--version", "1", "--socket-group", String(cString: group.pointee.gr_name))
        try await waitUntil("the run has started") { hasStarted(program) }
        for (path, mode) in [
            (program.state.path, 0o710), (program.state.folder(of: program.service), 0o710),
            (program.state.socket(of: program.service), 0o660),
        ] {
            var status = stat()
            #expect(lstat(path, &status) == 0)
            #expect(status.st_mode & 0o777 == UInt32(mode), "\(path)")
            #expect(status.st_gid == getegid())
        }
        program.operations.state.withLock { $0.status = .sample(state: "promoted", isFinal: true, ending: .promoted) }
        #expect(await code == .ok)
    }

    @Test func withoutASocketGroupTheFolderIsTheOwnersAlone() throws {
        let program = try TestProgram()
        let inner = StateRoot(path: program.state.path + "/checkout")
        try inner.create()
        var status = stat()
        #expect(lstat(inner.path, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o700)
    }

    @Test func anUnfinishedRolloutIsNotTakenOverByAnother() async throws {
        let program = try TestProgram(hasJournal: true)
        // Opening the controller would be refused in other words.
        program.isLocked.withLock { $0 = true }
        let policy = program.policy()
        #expect(await program.run("run", policy, "--version", "1") == .refused)
        #expect(
            program.messages.withLock { $0 }
                == "serin: refused: rollout checkout-01k5 of 'checkout' is not over (baking), and no controller is in charge of it; "
                + "nothing was changed\nhint: take it up: serin run \(policy) --continue\n")
        #expect(access(program.state.folder(of: program.service), F_OK) != 0)
    }

    @Test func theSecondSignalEndsTheProcessAtOnce() async throws {
        let program = try TestProgram()
        async let code = run(program)
        try await waitUntil("the run has started") { hasStarted(program) }
        program.interrupt()
        program.interrupt()
        try await waitUntil("the process is ended") { !program.endings.withLock { $0.isEmpty } }
        #expect(program.endings.withLock { $0 } == [.rollbackIncomplete])
        program.operations.state.withLock { $0.status = .sample(isFinal: true, ending: .halted) }
        #expect(await code == .halted)
    }

    @Test func l6ARolloutTakenOverByWhoeverCannotListenIsLeftToTheWatchdog() async throws {
        let program = try TestProgram()
        try program.state.create(for: program.service)
        // A socket's place that is taken by something else.
        let path = program.state.socket(of: program.service)
        close(open(path, O_WRONLY | O_CREAT, 0o600))
        #expect(await program.run("run", program.policy(), "--continue") == .refused)
        let controllers = program.controllers.withLock { $0 }
        #expect(controllers.count == 1 && controllers.allSatisfy { $0.abandoned.withLock { $0 } })
        #expect(program.messages.withLock { $0 }.contains("a file that is no socket is there"))
    }

    @Test func aSocketGroupThatDoesNotExistIsRefusedBeforeAnythingIsTakenOver() async throws {
        let program = try TestProgram()
        let code = await program.run("run", program.policy(), "--continue", "--socket-group", "no-such-group")
        #expect(code != .ok && program.controllers.withLock { $0.isEmpty })
        #expect(program.messages.withLock { $0 }.contains("there is no such group"))
    }

    @Test func aRollbackPastItsDeadlineIsExit6() async throws {
        let program = try TestProgram()
        async let code = run(program)
        try await waitUntil("the run has started") { hasStarted(program) }
        program.operations.state.withLock { $0.status.isRollbackIncomplete = true }
        #expect(await code == .rollbackIncomplete)
    }

    @Test func aContinuedRollbackPastItsDeadlineHasTimeToReachZero() async throws {
        let program = try TestProgram()
        program.operations.state.withLock {
            $0.status.isRollbackIncomplete = true
            $0.decisions = [LoggedDecision(sequence: 1, at: $0.status.since, decision: Decision(topic: "state", text: "before"))]
        }
        async let code = program.run("run", program.policy(), "--continue")
        try await waitUntil("the run has taken it up") { program.messages.withLock { $0.contains("took up checkout-01k5") } }
        program.operations.state.withLock { $0.status = .sample(state: "rolled back", isFinal: true, ending: .failed) }
        #expect(await code == .failed)
    }

    @Test func aSecondRunOfTheServiceIsRefused() async throws {
        let program = try TestProgram()
        program.isLocked.withLock { $0 = true }
        #expect(await run(program) == .refused)
        #expect(program.messages.withLock { $0 } == "serin: refused: another controller holds checkout\n")
    }

    @Test func aSocketThatAnswersRefusesASecondRunToo() async throws {
        let program = try TestProgram()
        try await program.serve { #expect(await run(program) == .refused) }
        #expect(program.messages.withLock { $0 }.contains("another process answers there"))
    }

    @Test func aDaemonThatAnswersDoesTheWork() async throws {
        let program = try TestProgram()
        program.isLocked.withLock { $0 = true }
        program.operations.state.withLock { $0.onStart = { $0 = .sample(state: "promoted", isFinal: true, ending: .promoted) } }
        try await program.serve(at: program.state.daemonSocket) { #expect(await run(program) == .ok) }
        #expect(program.messages.withLock { $0 }.contains("started checkout-01k5 in the daemon"))
    }

    @Test func aRunInTheDaemonGoesOnWhenItsClientIsInterrupted() async throws {
        let program = try TestProgram()
        try await program.serve(at: program.state.daemonSocket) {
            async let code = run(program)
            try await waitUntil("the run has started") { program.messages.withLock { $0 }.contains("baking") }
            program.interrupt()
            #expect(await code == .interrupted)
            #expect(program.operations.state.withLock { $0.commands.isEmpty })
        }
    }

    @Test func continueTakesUpTheLiveRollout() async throws {
        let program = try TestProgram()
        program.operations.state.withLock { $0.decisions = [.sample(1, "an old decision")] }
        async let code = program.run("run", program.policy(), "--continue")
        try await waitUntil("it was taken up") { program.messages.withLock { $0 }.contains("took up checkout-01k5") }
        program.operations.state.withLock { $0.decisions.append(.sample(2, "a new decision")) }
        program.operations.state.withLock { $0.status = .sample(state: "promoted", isFinal: true, ending: .promoted) }
        #expect(await code == .ok)
        #expect(program.operations.state.withLock { $0.started.isEmpty })
        #expect(program.messages.withLock { $0 }.contains("a new decision"))
        #expect(!program.messages.withLock { $0 }.contains("an old decision"))
    }

    @Test func continueIsRefusedWhenNothingIsUnfinished() async throws {
        let program = try TestProgram()
        program.operations.state.withLock { $0.status = .sample(state: "promoted", isFinal: true, ending: .promoted) }
        #expect(await program.run("run", program.policy(), "--continue") == .refused)
        #expect(program.messages.withLock { $0 }.contains("the last rollout of checkout is over: promoted"))
    }

    @Test func aTimeoutNeedsADaemon() async throws {
        let program = try TestProgram()
        #expect(await program.run("run", program.policy(), "--version", "1", "--timeout", "5m") == .usage)
        #expect(!hasStarted(program))
    }

    @Test func withoutATerminalEveryChangeIsALine() async throws {
        let program = try TestProgram()
        async let code = run(program)
        try await waitUntil("the first line is written") { program.messages.withLock { $0 }.contains("baking step 2 of 3") }
        program.operations.state.withLock {
            $0.decisions.append(.sample(1))
            $0.status.state = "held"
        }
        try await waitUntil("the decision is written") {
            program.messages.withLock { $0 }.contains("00:42:16Z step 25% FAIL errors")
        }
        program.operations.state.withLock { $0.status = .sample(state: "promoted", isFinal: true, ending: .promoted) }
        #expect(await code == .ok)
        #expect(!program.messages.withLock { $0 }.contains("\u{1B}"))
        #expect(program.messages.withLock { $0 }.split(separator: "\n").allSatisfy { !$0.hasPrefix("::") })
    }

    @Test func linesOfJSONCarryEveryChange() async throws {
        let program = try TestProgram()
        program.operations.state.withLock {
            $0.decisions = [.sample(1)]
            $0.onStart = { $0 = .sample(state: "promoted", isFinal: true, ending: .promoted) }
        }
        #expect(await program.run("run", program.policy(), "--version", "1", "-o", "jsonl", "-q") == .ok)
        let lines = program.output.withLock { $0 }.split(separator: "\n")
        #expect(
            try lines.map { try JSONValue(parsing: $0.utf8)["schema"]?.text } == [
                "serin.dev/decision/v1", "serin.dev/rollout/v1",
            ])
        #expect(program.messages.withLock { $0 }.isEmpty)
    }

    @Test func onATerminalOneBlockIsRedrawn() async throws {
        let program = try TestProgram()
        async let code = program.run("run", program.policy(), "--version", "1", terminal: true)
        try await waitUntil("the block is drawn") { program.messages.withLock { $0 }.contains("[########------------]") }
        program.operations.state.withLock { $0.status.baked = .minutes(15) }
        try await waitUntil("the block is redrawn") { program.messages.withLock { $0 }.contains("\u{1B}[7A\u{1B}[J") }
        program.operations.state.withLock { $0.status = .sample(state: "promoted", isFinal: true, ending: .promoted) }
        #expect(await code == .ok)
        #expect(program.messages.withLock { $0 }.contains("[##########----------]"))
    }

    @Test func theDaemonStopsInOrder() async throws {
        let program = try TestProgram()
        async let code = program.run("daemon")
        try await waitUntil("it listens") { UnixSocket.answers(at: program.state.daemonSocket) }
        let other = try TestProgram()
        #expect(await other.run("status", "checkout", "--state", program.state.path) == .ok)
        program.interrupt(SIGTERM)
        #expect(await code == .ok)
        #expect(!UnixSocket.answers(at: program.state.daemonSocket))
    }
}
