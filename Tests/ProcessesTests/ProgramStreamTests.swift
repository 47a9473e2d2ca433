import Glibc
import SerinModel
import SerinProcesses
import Testing

/// Streaming to and from real programs.
@Suite struct ProgramStreamTests {
    private struct Outcome: Sendable {
        var bytes: [UInt8] = []
        var failure: Failure?
        var end: StreamEnd?
    }

    private func shell(_ script: String, deadline: Duration = .seconds(20), grace: Duration = .milliseconds(300)) -> Program {
        Program(
            "/bin/sh", ["-c", script], environment: ["PATH": "/usr/bin:/bin"], deadline: deadline, grace: grace,
            outputLimit: 4096, kept: .end)
    }

    /// Reads to the end on a thread of its own; `bytes` holds at most the first million.
    private func readAll(
        _ program: Program, stall: Duration? = .seconds(10), redaction: Redaction = Redaction()
    ) async throws -> Outcome {
        try await onOwnThread { (stop) throws(Failure) in
            let stream = try ProgramStream(program, .reading, stall: stall, redaction: redaction, stop: stop)
            var outcome = Outcome()
            do throws(Failure) {
                try stream.readAll { (bytes) throws(Failure) in
                    if outcome.bytes.count < 1_000_000 { outcome.bytes += bytes }
                }
            } catch { outcome.failure = error }
            outcome.end = stream.end
            return outcome
        }
    }

    private func writeAll(_ program: Program, _ pieces: Int, stall: Duration? = .seconds(10)) async throws -> Outcome {
        try await onOwnThread { (stop) throws(Failure) in
            let stream = try ProgramStream(program, .writing, stall: stall, stop: stop)
            var outcome = Outcome()
            let piece = [UInt8](repeating: 0x61, count: 100_000)
            do throws(Failure) {
                for _ in 0..<pieces {
                    try piece.span.withUnsafeBytes { (raw) throws(Failure) in try stream.write(raw) }
                }
                try stream.finish()
            } catch { outcome.failure = error }
            outcome.end = stream.end
            return outcome
        }
    }

    @Test func theOutputComesWholeAndApartFromTheErrors() async throws {
        let outcome = try await readAll(shell("echo warned >&2; seq 1 100000"))
        #expect(outcome.failure == nil)
        #expect(outcome.bytes == Array((1...100_000).map { "\($0)\n" }.joined().utf8))
        #expect(
            outcome.end
                == StreamEnd(termination: .exited(0), cause: .itself, bytes: outcome.bytes.count, diagnostics: "warned\n"))
        #expect(outcome.end?.isComplete == true)
    }

    @Test func aProgramThatDiesMidStreamIsNeverAnEnd() async throws {
        let outcome = try await readAll(shell("echo part; echo 'server closed the connection' >&2; exit 3"))
        #expect(outcome.bytes == Array("part\n".utf8))
        #expect(outcome.failure?.message == "/bin/sh ended with status 3 after 5 bytes of output: server closed the connection\n")
        #expect(outcome.end?.termination == .exited(3))
        let killed = try await readAll(shell("echo part; kill -KILL $$"))
        #expect(killed.failure?.message == "/bin/sh was ended by signal 9 after 5 bytes of output")
        #expect(killed.end?.termination == .signalled(SIGKILL))
    }

    @Test func aProgramThatStallsIsEndedWithItsGroup() async throws {
        let outcome = try await readAll(shell("sleep 71 & echo $!; sleep 71"), stall: .milliseconds(300))
        #expect(outcome.end?.cause == .stall)
        #expect(outcome.end?.termination == .timedOut)
        #expect(outcome.failure?.message.contains("moved no byte for 300ms") == true)
        #expect(await isGone(try #require(Int32(String(decoding: outcome.bytes.prefix { $0 != 10 }, as: UTF8.self)))))
    }

    @Test func aTricklingProgramMeetsItsDeadline() async throws {
        let outcome = try await readAll(
            shell("while :; do echo x; sleep 0.02; done", deadline: .milliseconds(500)), stall: .seconds(10))
        #expect(outcome.end?.cause == .deadline)
        #expect(outcome.failure?.message.contains("took longer than 500ms") == true)
    }

    @Test func aFloodOfErrorsNeitherBlocksNorFillsMemory() async throws {
        let outcome = try await readAll(shell("head -c 3000000 /dev/zero | tr '\\0' e >&2; echo done"))
        #expect(outcome.bytes == Array("done\n".utf8))
        #expect((outcome.end?.diagnostics.utf8.count ?? .max) < 5000)
    }

    @Test func secretsAreTakenOutOfTheErrors() async throws {
        let outcome = try await readAll(
            shell("echo 'password=hunter2 and s3cr3tvalue' >&2; exit 1"), redaction: Redaction(secrets: ["s3cr3tvalue"]))
        #expect(outcome.failure?.message.hasSuffix("password=[redacted] and [redacted]\n") == true)
    }

    @Test func outputHeldOpenByOthersIsNoEnd() async throws {
        let outcome = try await readAll(shell("echo part; sleep 72 & echo $! >&2; exit 0"))
        #expect(outcome.end?.cause == .outputHeldOpen)
        #expect(outcome.failure != nil)
        let child = try #require(Int32((outcome.end?.diagnostics ?? "").prefix { $0.isNumber }))
        #expect(await isGone(child))
    }

    @Test func whatIsLeftRunningInTheGroupIsEnded() async throws {
        let outcome = try await readAll(shell("sleep 73 >/dev/null 2>&1 & echo $!"))
        #expect(outcome.failure == nil)
        #expect(await isGone(try #require(Int32(String(decoding: outcome.bytes.prefix { $0 != 10 }, as: UTF8.self)))))
    }

    @Test func aSlowCallerLosesNothingAfterTheProgramHasEnded() async throws {
        let outcome = try await onOwnThread { (stop) throws(Failure) in
            let program = shell("head -c 60000 /dev/zero", grace: .milliseconds(100))
            let stream = try ProgramStream(program, .reading, stall: .milliseconds(100), stop: stop)
            var buffer = [UInt8](repeating: 0, count: 1000)
            var outcome = Outcome()
            while true {
                let count = try read(stream, into: &buffer)
                if count == 0 { break }
                if outcome.bytes.isEmpty {
                    // sleeps: the time that a slow disk takes is what this is about
                    usleep(400_000)
                }
                outcome.bytes += buffer.prefix(count)
            }
            return outcome
        }
        #expect(outcome.bytes.count == 60_000)
    }

    @Test func theInputArrivesWholeAndItsEndToo() async throws {
        let outcome = try await writeAll(shell("wc -c"), 50)
        #expect(outcome.failure == nil)
        #expect(outcome.end == StreamEnd(termination: .exited(0), cause: .itself, bytes: 5_000_000, diagnostics: "5000000\n"))
    }

    @Test func aProgramThatStopsReadingIsAFailureEvenWithStatusZero() async throws {
        let outcome = try await writeAll(shell("head -c 10 >/dev/null; exit 0"), 50)
        #expect(outcome.end?.cause == .inputRefused)
        #expect(outcome.failure?.kind == .unknown)
        let failed = try await writeAll(shell("cat >/dev/null; echo bad archive >&2; exit 2"), 2)
        #expect(failed.failure?.message == "/bin/sh ended with status 2 after it was given 200000 bytes: bad archive\n")
    }

    @Test func aProgramThatTakesNothingStalls() async throws {
        let outcome = try await writeAll(shell("sleep 74"), 50, stall: .milliseconds(300))
        #expect(outcome.end?.cause == .stall)
    }

    @Test func cancellationEndsTheProgram() async throws {
        let program = shell("echo $$; sleep 75")
        let (started, continuation) = AsyncStream.makeStream(of: Int32.self)
        let task = Task {
            try await onOwnThread { (stop) throws(Failure) in
                let stream = try ProgramStream(program, .reading, stall: nil, stop: stop)
                var buffer = [UInt8](repeating: 0, count: 100)
                var count = 1
                while count > 0 {
                    count = try read(stream, into: &buffer)
                    continuation.yield(Int32(String(decoding: buffer.prefix { $0 != 10 }, as: UTF8.self)) ?? 0)
                }
            }
        }
        var iterator = started.makeAsyncIterator()
        let pid = try #require(await iterator.next())
        task.cancel()
        let result = await task.result
        #expect(throws: Failure.self) { try result.get() }
        #expect(await isGone(pid))
    }

    @Test func aStreamThatIsLetGoEndsItsProgram() async throws {
        let pid = try await onOwnThread { (stop) throws(Failure) in
            let stream = try ProgramStream(shell("echo $$; sleep 76"), .reading, stall: nil, stop: stop)
            var buffer = [UInt8](repeating: 0, count: 100)
            _ = try read(stream, into: &buffer)
            return Int32(String(decoding: buffer.prefix { $0 != 10 }, as: UTF8.self)) ?? 0
        }
        #expect(await isGone(pid))
    }

    @Test func whatCannotBeStartedSaysWhy() async throws {
        await #expect(throws: Failure(.invalid, "cannot start /nowhere/tool: No such file or directory")) {
            try await onOwnThread { (stop) throws(Failure) in
                _ = try ProgramStream(Program("/nowhere/tool", deadline: .seconds(5)), .reading, stall: nil, stop: stop)
            }
        }
    }

    private func read(_ stream: ProgramStream, into buffer: inout [UInt8]) throws(Failure) -> Int {
        var span = buffer.mutableSpan
        return try span.withUnsafeMutableBytes { (raw) throws(Failure) in try stream.read(into: raw) }
    }

    private func isGone(_ pid: Int32) async -> Bool {
        for _ in 0..<200 {
            if pid > 0, kill(pid, 0) != 0 { return true }
            let state = try? await shell("cut -d' ' -f3 /proc/\(pid)/stat").run().text
            if state?.hasPrefix("Z") ?? false { return true }
            // sleeps: between two looks at another process
            try? await Task.sleep(for: .milliseconds(30))
        }
        return false
    }
}
