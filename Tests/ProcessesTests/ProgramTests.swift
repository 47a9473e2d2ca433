import Glibc
import SerinModel
import SerinProcesses
import Testing

/// The program runner against real programs.
@Suite struct ProgramTests {
    private func shell(
        _ script: String, deadline: Duration = .seconds(20), grace: Duration = .seconds(2), input: [UInt8]? = nil,
        limit: Int = 1 << 20, kept: KeptOutput = .beginning
    ) -> Program {
        Program(
            "/bin/sh", ["-c", script], environment: ["PATH": "/usr/bin:/bin"], input: input, deadline: deadline, grace: grace,
            outputLimit: limit, kept: kept)
    }

    @Test func outputAndErrorsComeInTheOrderWritten() async throws {
        let done = try await shell("echo one; echo two >&2; echo three").run()
        #expect(done == Completion(termination: .exited(0), output: Array("one\ntwo\nthree\n".utf8), isTruncated: false))
    }

    @Test(arguments: [0, 1, 42, 127, 255]) func theExitStatusIsReported(_ status: Int32) async throws {
        #expect(try await shell("exit \(status)").run().termination == .exited(status))
    }

    @Test func aSignalFromElsewhereIsReported() async throws {
        #expect(try await shell("kill -SEGV $$").run().termination == .signalled(SIGSEGV))
    }

    @Test func theInputIsReadToItsEnd() async throws {
        let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
        let done = try await Program(
            "cat", environment: ["PATH": "/usr/bin:/bin"], input: bytes, deadline: .seconds(20), outputLimit: 4_000_000
        ).run()
        #expect(done.termination == .exited(0))
        #expect(done.output == bytes)
    }

    @Test func aProgramThatDoesNotReadItsInputDoesNoHarm() async throws {
        let done = try await shell("exec <&-; sleep 0.1; echo done", input: [UInt8](repeating: 1, count: 1_000_000)).run()
        #expect(done.termination == .exited(0))
        #expect(done.text == "done\n")
    }

    @Test func withoutInputTheProgramReadsNothing() async throws {
        #expect(try await shell("cat; echo end").run().text == "end\n")
    }

    @Test func onlyTheBeginningOfAFloodIsKept() async throws {
        let done = try await shell("head -c 5000000 /dev/zero", limit: 1000).run()
        #expect(done.termination == .exited(0))
        #expect(done.output.count == 1000)
        #expect(done.isTruncated)
    }

    @Test func onlyTheEndOfAFloodIsKeptWhenAskedSo() async throws {
        let done = try await shell("seq 1 400000", limit: 1000, kept: .end).run()
        #expect(done.output.count == 1000)
        #expect(done.isTruncated)
        #expect(done.text.hasSuffix("399999\n400000\n"))
    }

    @Test func aFloodDoesNotOutrunTheDeadline() async throws {
        let clock = ContinuousClock()
        let start = clock.now
        let done = try await shell("yes", deadline: .milliseconds(300), grace: .milliseconds(300), limit: 10).run()
        #expect(done.termination == .timedOut)
        #expect(clock.now - start < .seconds(30))
    }

    @Test func theDeadlineEndsTheWholeGroup() async throws {
        let done = try await shell("sleep 61 & echo $!; sleep 61", deadline: .milliseconds(300), grace: .milliseconds(500)).run()
        #expect(done.termination == .timedOut)
        let child = try #require(Int32(done.text.prefix { $0.isNumber }))
        #expect(await isGone(child))
    }

    @Test func aProgramDeafToTermIsKilledAfterTheGracePeriod() async throws {
        let clock = ContinuousClock()
        let start = clock.now
        let script = "trap '' TERM; (trap '' TERM; exec >/dev/null; sleep 62) & echo $!; while :; do sleep 0.05; done"
        let done = try await shell(script, deadline: .milliseconds(300), grace: .milliseconds(300)).run()
        #expect(done.termination == .timedOut)
        #expect(clock.now - start >= .milliseconds(600))
        #expect(clock.now - start < .seconds(30))
        let child = try #require(Int32(done.text.prefix { $0.isNumber }))
        #expect(await isGone(child))
    }

    @Test func aStoppedProgramIsEndedToo() async throws {
        let done = try await shell("kill -STOP $$; echo never", deadline: .milliseconds(300), grace: .seconds(5)).run()
        #expect(done.termination == .timedOut)
    }

    @Test func aProgramMayCleanUpWhenAskedToEnd() async throws {
        let script = "trap 'echo cleaned; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
        let done = try await shell(script, deadline: .milliseconds(500)).run()
        #expect(done.termination == .timedOut)
        #expect(done.text.hasPrefix("ready\n"))
        #expect(done.text.hasSuffix("cleaned\n"))
    }

    @Test func aGrandchildThatHoldsTheOutputOpenDelaysAtMostByTheGracePeriodAndLivesOn() async throws {
        let clock = ContinuousClock()
        let start = clock.now
        let done = try await shell("sleep 63 & echo $!", grace: .milliseconds(300)).run()
        #expect(done.termination == .exited(0))
        #expect(clock.now - start < .seconds(30))
        let child = try #require(Int32(done.text.prefix { $0.isNumber }))
        #expect(kill(child, 0) == 0)
        kill(child, SIGKILL)
    }

    @Test func cancellationEndsTheProgram() async throws {
        let program = shell("echo $$ ; exec sleep 64", grace: .milliseconds(500))
        let clock = ContinuousClock()
        let start = clock.now
        let done = try await withThrowingTaskGroup(of: Completion?.self) { group in
            group.addTask { try await program.run() }
            group.addTask {
                // sleeps: the program has to be under way, which it says only at its end
                try await Task.sleep(for: .milliseconds(300))
                return nil
            }
            var result: Completion?
            for try await completion in group {
                if let completion { result = completion } else { group.cancelAll() }
            }
            return try #require(result)
        }
        #expect(done.termination == .timedOut)
        #expect(clock.now - start < .seconds(30))
        #expect(await isGone(try #require(Int32(done.text.prefix { $0.isNumber }))))
    }

    @Test func nothingIsStartedOnceTheTaskIsCancelled() async throws {
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            return try await shell("echo started").run()
        }
        await #expect(throws: Failure.self) { try await task.value }
    }

    @Test func onlyTheGivenEnvironmentReachesTheProgram() async throws {
        let done = try await Program("/usr/bin/env", environment: ["A": "1", "B": "two words"], deadline: .seconds(10)).run()
        #expect(done.text == "A=1\nB=two words\n")
    }

    @Test func onlyTheStandardDescriptorsAreOpen() async throws {
        let held = open("/etc/hostname", O_RDONLY)
        defer { close(held) }
        let done = try await shell("ls /proc/self/fd | tr '\\n' ' '").run()
        // The fourth is the folder that ls reads.
        #expect(done.text == "0 1 2 3 ")
    }

    @Test func theProgramIsLookedUpInItsOwnPath() async throws {
        let program = Program("echo", ["hello"], environment: ["PATH": "/nowhere:/bin"], deadline: .seconds(10))
        #expect(try await program.run().text == "hello\n")
        let failure = try await refusal(Program("echo", ["hello"], environment: ["PATH": "/nowhere"], deadline: .seconds(10)))
        #expect(failure.kind == .invalid)
        #expect(failure.message == "cannot start echo: no such program in /nowhere")
    }

    @Test(arguments: [
        (Program("/nowhere/program", deadline: .seconds(5)), "cannot start /nowhere/program: No such file or directory"),
        (Program("/etc/passwd", deadline: .seconds(5)), "cannot start /etc/passwd: it is not executable"),
        (Program("/etc", deadline: .seconds(5)), "cannot start /etc: it is a folder"),
        (Program("", deadline: .seconds(5)), "cannot start a program: its name is empty"),
        (
            Program("/bin/true", ["a\0b"], deadline: .seconds(5)),
            "cannot start /bin/true: an argument or variable holds a NUL byte"
        ),
        (
            Program("/bin/true", environment: ["A=B": "c"], deadline: .seconds(5)),
            "cannot start /bin/true: the name of a variable is empty or holds \"=\""
        ),
        (
            Program("/bin/true", directory: "/nowhere", deadline: .seconds(5)),
            "cannot start /bin/true in /nowhere: no such folder"
        ),
        (
            Program("/bin/true", [String(repeating: "x", count: 3_000_000)], deadline: .seconds(5)),
            "cannot start /bin/true: Argument list too long"
        ),
    ])
    func whatCannotBeStartedSaysWhy(_ program: Program, _ message: String) async throws {
        let failure = try await refusal(program)
        #expect(failure.kind == .invalid)
        #expect(failure.message == message)
    }

    @Test func manyProgramsRunAtOnce() async throws {
        let statuses = try await withThrowingTaskGroup(of: Termination.self) { group in
            for status in 0..<50 { group.addTask { try await shell("sleep 0.2; exit \(status)").run().termination } }
            var all: [Termination] = []
            for try await termination in group { all.append(termination) }
            return all
        }
        #expect(Set(statuses) == Set((0..<50).map { .exited($0) }))
    }

    private func refusal(_ program: Program) async throws -> Failure {
        do throws(Failure) {
            let done = try await program.run()
            throw Failure(.unknown, "it was started: \(done)")
        } catch { return error }
    }

    /// Whether the process is gone, or a zombie that nobody has waited for yet, within a few seconds.
    private func isGone(_ pid: Int32) async -> Bool {
        for _ in 0..<100 {
            if kill(pid, 0) != 0 { return true }
            let state = try? await shell("cut -d' ' -f3 /proc/\(pid)/stat").run().text
            if state?.hasPrefix("Z") ?? false { return true }
            // sleeps: between two looks at another process
            try? await Task.sleep(for: .milliseconds(30))
        }
        return false
    }
}
