import FoundationEssentials
import Glibc
import SerinModel
import SerinProcesses
import SerinRollouts
import Testbed
import Testing

extension Integration {
    /// The disk under the journal fills up while a canary has weight.
    @Suite(
        .serialized,
        .enabled("needs the right to make a mount namespace") {
            try await Program("unshare", ["-rm", "true"], environment: ["PATH": "/usr/bin:/bin"], deadline: .seconds(5)).run()
                .termination == .exited(0)
        })
    struct FullDisks {
        /// A file system of 18 MiB in a mount namespace of its own, filled when `go` appears, once or again and again until `stop`.
        private func script(_ scene: Scene, isRelentless: Bool) throws -> String {
            let fill = "dd if=/dev/zero of=$SERIN_STATE/ballast$i bs=4k 2>/dev/null"
            return """
                mkdir -p $SERIN_STATE && mount -t tmpfs -o size=18m,mode=0700 serin $SERIN_STATE || exit 99
                \(try Scene.program()) \(scene.release(Stage.good).joined(separator: " ")) &
                run=$!
                while [ ! -e \(scene.file("go")) ]; do sleep 0.05; done
                i=0; \(isRelentless ? "while [ ! -e \(scene.file("stop")) ]; do i=$((i+1)); \(fill); sleep 0.05; done; rm $SERIN_STATE/ballast*" : fill)
                wait $run; echo "ended with $?"
                \(try Scene.program()) verify; echo "verified with $?"
                """
        }

        private func start(_ scene: Scene, isRelentless: Bool) throws -> ServerProcess {
            try scene.run(["unshare", "-rm", "sh", "-c", script(scene, isRelentless: isRelentless)])
        }

        @Test(arguments: [false, true]) func s15AFullDiskLowersTheWeight(isRelentless: Bool) async throws {
            var policy = PolicyText()
            policy.times["bake"] = "10s"
            try await Scene.play(policy) { scene in
                let run = try start(scene, isRelentless: isRelentless)
                try await scene.awaitWeight(1000)
                close(open(scene.file("go"), O_WRONLY | O_CREAT, 0o644))
                try await scene.awaitWeight(0, within: .seconds(15))
                close(open(scene.file("stop"), O_WRONLY | O_CREAT, 0o644))
                _ = try await scene.end(of: run)
                #expect(scene.output().contains("ended with 5"), "\(scene.output())")
                #expect(scene.output().contains("verified with 0"), "\(scene.output())")
                #expect(scene.output().contains("the journal cannot be written"), "\(scene.output())")
                #expect(await scene.weight() == 0)
            }
        }

        @Test(arguments: ["cat /dev/zero > $SERIN_STATE/ballast", "while touch $SERIN_STATE/ballast$i; do i=$((i+1)); done"])
        func whoOnlyReadsNeedsNoRoom(fill: String) async throws {
            try await Scene.play { scene in
                for (name, text) in [("data", "orders"), ("key", String(repeating: "k", count: 44)), ("migrations/1_a.sql", "")] {
                    if let slash = name.firstIndex(of: "/") { mkdir(scene.file(String(name[..<slash])), 0o700) }
                    try Data(text.utf8).write(to: URL(filePath: scene.file(name)))
                }
                let plan = """
                    version: 1
                    target: shop
                    source: {files: {paths: ["\(scene.file("data"))"]}}
                    destinations: {local: {folder: {path: "\(scene.file("store"))"}}}
                    encryption: {key_file: "\(scene.file("key"))"}
                    retention: {keep_all: 14d}
                    """
                try Data(plan.utf8).write(to: URL(filePath: scene.file("plan.yaml")))
                chmod(scene.file("key"), 0o600)
                let program = try Scene.program()
                // Nobody listens there: that is what is said, and not that the catalogue has no room.
                let migrate = "migrate status --sql \(scene.file("migrations")) --url-env NOWHERE"
                let readers = [
                    "status", "status \(scene.service)", "log \(scene.service)", "why \(scene.service)", "verify",
                    "backup list", "backup show latest --target shop", "backup stats", "backup expiring",
                ]
                let script = """
                    export NOWHERE=postgresql://nobody@127.0.0.1:1/shop
                    mkdir -p $SERIN_STATE && mount -t tmpfs -o size=24m,nr_inodes=200,mode=0700 serin $SERIN_STATE || exit 99
                    \(program) \(scene.release(Stage.good).joined(separator: " ")); \(program) backup create \(scene.file("plan.yaml"))
                    i=0; { \(fill); } 2>/dev/null
                    \(readers.map { "\(program) \($0); echo \"'\($0)' ended with $?\"" }.joined(separator: "\n"))
                    \(program) \(migrate)
                    """
                _ = try await scene.end(of: try scene.run(["unshare", "-rm", "sh", "-c", script]))
                for reader in readers {
                    #expect(scene.output().contains("'\(reader)' ended with 0"), "\(reader): \(scene.output())")
                }
                #expect(!scene.output().contains("the catalogue"), "\(scene.output())")
                #expect(scene.output().contains("127.0.0.1:1"), "\(scene.output())")
            }
        }
    }
    /// The disk under the journal fails, so that nobody knows what was written.
    @Suite(.serialized) struct FailingDisks {
        @Test func s15ASyncThatFailsEndsTheRunAtZeroWithTheWayToGoOn() async throws {
            var policy = PolicyText()
            policy.times["bake"] = "30s"
            try await Scene.play(policy) { scene in
                let strace = [
                    "strace", "-D", "-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "-e",
                    "inject=fdatasync:error=EIO:when=40+",
                ]
                let run = try scene.start(scene.release(Stage.good), by: strace)
                try await scene.awaitWeight(1000)
                try await scene.awaitWeight(0, within: .seconds(30))
                #expect(try await scene.end(of: run) == 1, "\(scene.output())")
                #expect(scene.output().contains("the store must be opened again"), "\(scene.output())")
                #expect(scene.output().contains("--continue takes it up"), "\(scene.output())")
                let verified = try await scene.serin("verify", scene.service)
                #expect(verified.termination == .exited(0), "\(verified.text)")
            }
        }
    }
}
