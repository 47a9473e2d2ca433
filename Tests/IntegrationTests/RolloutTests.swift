import FoundationEssentials
import Glibc
import SerinModel
import SerinProcesses
import SerinRollouts
import Testbed
import Testing

extension Integration {
    /// Whole rollouts by `serin run`, with no daemon.
    @Suite(.serialized) struct WholeRollouts {
        @Test func aGoodReleaseIsPromoted() async throws {
            try await Scene.play { scene in
                let watch = WeightWatch(scene)
                let completion = try await scene.serin("run", scene.policy, "--version", Stage.good, "--previous", Stage.old)
                #expect(completion.termination == .exited(0), "\(completion.text)")
                let proof = try await JournalProof(of: scene)
                #expect(proof.raises == [1000, 1200], "\(completion.text)")
                watch.check(proof)
                #expect(watch.changes.map(\.basisPoints) == [0, 1000, 1200, 0])
                try await proof.check(scene)
            }
        }

        @Test func aReleaseOfWhichFourPerCentFailIsRolledBack() async throws {
            try await Scene.play { scene in
                let completion = try await scene.serin("run", scene.policy, "--version", Stage.bad, "--previous", Stage.old)
                #expect(completion.termination == .exited(3), "\(completion.text)")
                #expect(completion.text.contains("FAIL errors"), "\(completion.text)")
                try await JournalProof(of: scene).check(scene)
                let why = try await scene.serin("why", scene.service)
                #expect(why.termination == .exited(0))
                #expect(why.text.contains("errors"), "\(why.text)")
            }
        }

        @Test(arguments: [true, false]) func promotedMeansThatControlWasSeenOnTheNewVersion(isReal: Bool) async throws {
            let service = Stage.services[0]
            let mark = try #require(Stage.current).promotionMark(of: service)
            defer { unlink(mark) }
            var policy = PolicyText()
            policy.times["loss_for"] = "6s"
            policy.more = """
                promote: {run: [touch, \(isReal ? mark : "\(mark).elsewhere")]}
                rollback: {run: ["true"]}
                """
            try await Scene.play(service, policy) { scene in
                let completion = try await scene.serin(scene.release(Stage.good))
                let proof = try await JournalProof(of: scene)
                if isReal {
                    #expect(completion.termination == .exited(0), "\(completion.text)")
                    #expect(completion.text.contains("the new version is seen healthy on control"), "\(completion.text)")
                } else {
                    #expect(completion.termination == .exited(3), "\(completion.text)")
                    #expect(proof.status?.cause.contains("2.0 was not seen healthy on control within 6s") == true)
                }
                try await proof.check(scene)
            }
        }

        @Test func s13AMissingPreviousVersionIsRefusedBeforeAnythingHappens() async throws {
            var policy = PolicyText()
            policy.more = "rollback: {run: [touch, \"{{previous}}\"]}"
            try await Scene.play(policy) { scene in
                let completion = try await scene.serin("run", scene.policy, "--version", Stage.good)
                #expect(completion.termination == .exited(2), "\(completion.text)")
                #expect(completion.text.contains("give --previous VERSION"), "\(completion.text)")
                #expect(access(scene.state, F_OK) != 0, "it began")
            }
        }

        @Test func aPromotionThatOutlivesItsControllerIsEndedBeforeItsCheckIsBelieved() async throws {
            let service = Stage.services[0]
            let mark = try #require(Stage.current).promotionMark(of: service)
            defer { unlink(mark) }
            let scratch = try Scratch()
            defer { scratch.remove() }
            let (begun, log) = (scratch.file("begun"), scratch.file("log"))
            var policy = PolicyText()
            policy.more = """
                promote:
                  run: [sh, -c, "echo $$ > \(begun); sleep 20; echo done > \(log); touch \(mark)"]
                  check: {run: [test, -e, "\(mark)"]}
                  deadline: 60s
                rollback: {run: [rm, -f, "\(mark)"], deadline: 10s}
                """
            try await Scene.play(service, policy) { scene in
                let run = try scene.start(scene.release(Stage.good))
                func number() -> Int32? {
                    FileManager.default.contents(atPath: begun).flatMap {
                        Int32(String(decoding: $0, as: UTF8.self).filter(\.isNumber))
                    }
                }
                // The file is there a moment before its number is.
                try await waitUntil("the promotion", within: .seconds(60)) { number() != nil }
                let pid = try #require(number())
                run.signal(SIGKILL)
                #expect(try await scene.end(of: run) == 128 + SIGKILL)
                #expect(kill(pid, 0) == 0, "it did not outlive its controller")
                let continued = try scene.start(scene.continuation, log: "continued.log")
                #expect(try await scene.end(of: continued) == 3, "\(scene.output("continued.log"))")
                // Where nobody collects orphans, their remains keep the group's number.
                let alive = try await Program(
                    "pgrep", ["-g", "\(pid)", "-r", "R,S,D,T"], environment: ["PATH": "/usr/bin:/bin"], deadline: .seconds(5)
                ).run()
                #expect(alive.termination == .exited(1), "it still runs: \(alive.text)")
                #expect(access(log, F_OK) != 0 && access(mark, F_OK) != 0)
                let proof = try await JournalProof(of: scene)
                #expect(proof.status?.cause.hasPrefix("the promote action was not done: the check says no") == true)
                try await proof.check(scene)
            }
        }

        @Test func aHaltFromASecondProcessEndsItAtZero() async throws {
            try await Scene.play { scene in
                let run = try scene.start(scene.release(Stage.good))
                try await scene.awaitWeight(1000)
                let halt = try await scene.serin("halt", scene.service, "--reason", "payments fail in the app")
                #expect(halt.termination == .exited(0), "\(halt.text)")
                #expect(try await scene.end(of: run) == 4, "\(scene.output())")
                #expect(scene.output().contains("payments fail in the app"))
                let proof = try await JournalProof(of: scene)
                #expect(proof.halts.count == 1)
                try await proof.check(scene)
                let late = try await scene.serin("halt", scene.service)
                #expect(late.termination == .exited(7), "\(late.text)")
            }
        }

        @Test(arguments: [SIGINT, SIGTERM]) func aSignalEndsItAtZero(signal: Int32) async throws {
            try await Scene.play { scene in
                let run = try scene.start(scene.release(Stage.good))
                try await scene.awaitWeight(1000)
                run.signal(signal)
                #expect(try await scene.end(of: run) == 4, "\(scene.output())")
                try await JournalProof(of: scene).check(scene)
            }
        }

        @Test func aHaltFileEndsItAtZero() async throws {
            try await Scene.play { scene in
                let run = try scene.start(scene.release(Stage.good))
                try await scene.awaitWeight(1000)
                close(open("\(scene.state)/\(scene.service)/halt", O_WRONLY | O_CREAT, 0o600))
                #expect(try await scene.end(of: run) == 4, "\(scene.output())")
                try await JournalProof(of: scene).check(scene)
            }
        }

        @Test func s19AHaltFileWorksWithoutTheSocketAndSaysWhoAndWhy() async throws {
            try await Scene.play { scene in
                let run = try scene.start(scene.release(Stage.good))
                try await scene.awaitWeight(1000)
                let folder = "\(scene.state)/\(scene.service)"
                #expect(unlink("\(folder)/serin.sock") == 0)
                let file = open("\(folder)/halt", O_WRONLY | O_CREAT, 0o600)
                let reason = "payments fail\n"
                #expect(write(file, reason, reason.utf8.count) == reason.utf8.count)
                close(file)
                #expect(try await scene.end(of: run) == 4, "\(scene.output())")
                #expect(access("\(folder)/halt", F_OK) != 0, "the file is still there")
                #expect(scene.output().contains("halt by uid:\(geteuid()): payments fail"), "\(scene.output())")
                let proof = try await JournalProof(of: scene)
                #expect(proof.halts.count == 1)
                try await proof.check(scene)
            }
        }

        @Test func s17ASecondRunOfTheSameServiceIsRefused() async throws {
            try await Scene.play { scene in
                let run = try scene.start(scene.release(Stage.good))
                try await scene.awaitWeight(1000)
                let second = try await scene.serin("run", scene.policy, "--version", Stage.good, "--previous", Stage.old)
                #expect(second.termination == .exited(7), "\(second.text)")
                #expect(second.text.contains("process \(run.pid)"), "\(second.text)")
                #expect(try await scene.end(of: run) == 0, "\(scene.output())")
                try await JournalProof(of: scene).check(scene)
            }
        }

        @Test func twoServicesRunSideBySide() async throws {
            try await Scene.play { scene in
                try await Scene.play(Stage.services[1]) { other in
                    let first = try scene.start(scene.release(Stage.good))
                    let second = try other.start(other.release(Stage.bad))
                    #expect(try await scene.end(of: first) == 0, "\(scene.output())")
                    #expect(try await other.end(of: second) == 3, "\(other.output())")
                    try await JournalProof(of: scene).check(scene)
                    try await JournalProof(of: other).check(other)
                }
            }
        }

        @Test func s13AWeightThatIsNotZeroRefusesTheRolloutAndNothingIsWritten() async throws {
            try await Scene.play { scene in
                await scene.stage.move(scene.service, to: 700)
                let completion = try await scene.serin("run", scene.policy, "--version", Stage.good, "--previous", Stage.old)
                #expect(completion.termination == .exited(7), "\(completion.text)")
                #expect(await scene.weight() == 700)
                let proof = try await JournalProof(of: scene)
                #expect(proof.status?.ending == .refused)
                #expect(proof.status?.cause.contains("7%") == true, "\(proof.status?.cause ?? "")")
            }
        }

        @Test func aRunThatIsOverCannotBeContinued() async throws {
            try await Scene.play { scene in
                let nothing = try await scene.serin("run", scene.policy, "--continue")
                #expect(nothing.termination == .exited(7) || nothing.termination == .exited(2), "\(nothing.text)")
                let completion = try await scene.serin("run", scene.policy, "--version", Stage.bad, "--previous", Stage.old)
                #expect(completion.termination == .exited(3), "\(completion.text)")
                let continued = try await scene.serin("run", scene.policy, "--continue")
                #expect(continued.termination == .exited(7), "\(continued.text)")
                #expect(continued.text.contains("is over"), "\(continued.text)")
            }
        }
    }
}
