import Glibc
import SerinModel
import SerinProcesses
import Testbed
import Testing

extension Integration {
    /// A controller whose output nobody reads: a terminal that was stopped, an agent that hangs.
    @Suite(.serialized) struct Outputs {
        @Test func s19AFullPipeThatNobodyReadsKeepsNoHaltFromReachingZero() async throws {
            try await Scene.play { scene in
                let full = [
                    "/bin/sh", "-c",
                    #"mkfifo "$0" && exec 3<>"$0" && dd if=/dev/zero bs=4096 count=16 2>/dev/null >&3 && exec "$@" >&3 2>&3"#,
                    scene.file("full"),
                ]
                let run = try scene.start(scene.release(Stage.good), by: full)
                try await scene.awaitWeight(1000)
                let halt = try await scene.serin("halt", scene.service, "--reason", "nobody reads")
                #expect(halt.termination == .exited(0), "\(halt.text)")
                try await scene.awaitWeight(0, within: .seconds(15))
                #expect(try await scene.end(of: run) == 4)
                try await JournalProof(of: scene).check(scene)
            }
        }
    }
}
