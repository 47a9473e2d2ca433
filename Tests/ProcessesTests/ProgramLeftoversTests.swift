import SerinModel
import SerinProcesses
import Testing

/// Programs whose starter was killed, by the mark that they bear.
@Suite struct ProgramLeftoversTests {
    /// How a program of this mark ends while orphans are looked for again and again.
    private func end(of program: Program) async throws -> Termination? {
        try await withThrowingTaskGroup(of: Termination?.self) { group in
            group.addTask { try await program.run().termination }
            group.addTask {
                while !Task.isCancelled {
                    _ = await ProgramLeftovers.endOrphans(grace: .seconds(5))
                    // sleeps: between two looks, until the program has ended; nothing is lost by being cancelled.
                    try? await Task.sleep(for: .milliseconds(20))
                }
                return nil
            }
            let first = try await group.next() ?? nil
            group.cancelAll()
            return first
        }
    }

    @Test func aProgramIsEndedOnlyWhenItsStarterIsGone() async throws {
        let own = try #require(StarterMark.current)
        let parts = own.split(separator: ".")
        #expect(parts.count == 3 && !StarterMark.isGone(own))
        // The number of this process, given to another that began at another time; and one of a namespace that is not ours.
        let gone = "\(parts[0]).\(parts[1]).1"
        let foreign = "1.\(parts[1]).1"
        #expect(StarterMark.isGone(gone) && !StarterMark.isGone(foreign) && !StarterMark.isGone("nonsense"))
        func idle(_ time: String, _ mark: String) -> Program {
            Program("/bin/sleep", [time], environment: ["SERIN_STARTER": mark], deadline: .seconds(30))
        }
        #expect(try await end(of: idle("60", gone)) == .signalled(15))
        #expect(try await end(of: idle("0.4", own)) == .exited(0))
        #expect(try await end(of: idle("0.4", foreign)) == .exited(0))
    }

    @Test func aStreamedProgramKnowsItsStarter() async throws {
        let text = try await onOwnThread { (stop) throws(Failure) in
            let stream = try ProgramStream(
                Program("/bin/sh", ["-c", "echo $SERIN_STARTER"], environment: ["PATH": "/bin"], deadline: .seconds(10)),
                .reading,
                stall: nil, stop: stop)
            var bytes: [UInt8] = []
            try stream.readAll { (piece) throws(Failure) in bytes += piece }
            return String(decoding: bytes, as: UTF8.self)
        }
        #expect(text == "\(StarterMark.current ?? "")\n")
    }
}
