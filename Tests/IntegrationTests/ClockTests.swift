import Glibc
import SerinModel
import SerinProcesses
import SerinRollouts
import Testbed
import Testing

extension Integration {
    /// The computer's clock is set in the middle of a rollout, as the program sees it.
    @Suite(
        .serialized,
        .enabled("needs clang, which comes with Swift") {
            try await Program("clang", ["--version"], deadline: .seconds(10)).run().termination == .exited(0)
        })
    struct Clocks {
        /// Answers for the wall clock once a file is there; monotonic clocks go on as they are.
        private static let source = """
            #define _GNU_SOURCE
            #include <dlfcn.h>
            #include <stdlib.h>
            #include <time.h>
            #include <unistd.h>
            int clock_gettime(clockid_t clock, struct timespec *time) {
                int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
                int code = real(clock, time);
                const char *file = getenv("CLOCK_JUMP_FILE"), *seconds = getenv("CLOCK_JUMP_SECONDS");
                if (clock == CLOCK_REALTIME && file && seconds && access(file, F_OK) == 0) time->tv_sec += atoi(seconds);
                return code;
            }
            """

        @Test(arguments: [3600, -3600]) func s8AClockThatJumpsAnHourChangesNoBake(seconds: Int) async throws {
            let scratch = try Scratch()
            defer { scratch.remove() }
            let library = scratch.file("clock.so")
            let built = try await Program(
                "clang", ["-shared", "-fPIC", "-o", library, try scratch.write("clock.c", Self.source)],
                environment: ["PATH": getenv("PATH").map { String(cString: $0) } ?? "/usr/bin:/bin"], deadline: .seconds(60)
            ).run()
            try #require(built.termination == .exited(0), "\(built.text)")
            let environment = [
                "LD_PRELOAD": library, "CLOCK_JUMP_FILE": scratch.file("jump"), "CLOCK_JUMP_SECONDS": "\(seconds)",
            ]
            try await Scene.play(environment: environment) { scene in
                let run = try scene.start(scene.release(Stage.good))
                try await scene.awaitWeight(1000)
                let begin = ContinuousClock().now
                close(open(scratch.file("jump"), O_WRONLY | O_CREAT, 0o644))
                #expect(try await scene.end(of: run) == 0, "\(scene.output())")
                #expect(ContinuousClock().now - begin > .milliseconds(1500), "the bake was cut short")
                let proof = try await JournalProof(of: scene)
                #expect(proof.raises == [1000, 1200])
                let jumps = try await Program(
                    "sqlite3", [scene.journal, "SELECT count(*) FROM entry WHERE body LIKE '%clockJumped%'"],
                    environment: ["PATH": "/usr/bin:/bin"], deadline: .seconds(10)
                ).run()
                #expect(jumps.text == "1\n", "\(jumps.text)")
                try await proof.check(scene)
            }
        }
    }
}
