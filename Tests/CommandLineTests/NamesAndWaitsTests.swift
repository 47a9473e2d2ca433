import FakeController
import Glibc
import SerinAPI
import SerinController
import SerinLocks
import SerinModel
import SerinRollouts
import SerinServer
import Testing

@testable import SerinCommandLine

/// What is said of names that nothing has, and of what takes a while.
@Suite struct NamesAndWaitsTests {
    @Test(arguments: ["why", "status", "log"]) func whoLooksOnceWaitsNotLongForADaemonThatStandsStill(verb: String) async throws {
        let program = try TestProgram()
        let silent = try UnixSocket(listeningAt: program.state.daemonSocket)
        let start = ContinuousClock.now
        #expect(await program.run(verb, "checkout") == .unreachable)
        // Twenty seconds is the limit of the other verbs.
        #expect(start.duration(to: .now) < .seconds(15))
        _ = silent
    }

    @Test func anExplicitTimeoutIsTheLimitOfALook() async throws {
        let program = try TestProgram()
        let silent = try UnixSocket(listeningAt: program.state.daemonSocket)
        #expect(await program.run("why", "checkout", "--timeout", "5s") == .unreachable)
        let message = program.messages.withLock { $0 }
        #expect(message.contains("waiting 5"), "\(message)")
        _ = silent
    }

    @Test(arguments: ["halt", "hold", "resume", "promote", "rollback", "approve", "status", "why", "log", "wait"])
    func aMistypedNameIsExit2WithTheNearestAndAllKnownNames(_ verb: String) async throws {
        let program = try TestProgram()
        // Nobody answers: the state folder alone knows the names.
        try program.state.create(for: program.service)
        try program.state.create(for: try #require(ServiceName("other")))
        #expect(await program.run(verb, "chekout") == .usage)
        #expect(await program.run(verb, "chekout-01k5") == .usage)
        // A daemon answers, and knows the rollout as well.
        rmdir(program.state.folder(of: program.service))
        try await program.serve(at: program.state.daemonSocket) {
            rmdir(program.state.folder(of: program.service))
            #expect(await program.run(verb, "chekout") == .usage)
            #expect(await program.run(verb, "checkout-01k6") == .usage)
        }
        #expect(program.operations.state.withLock { $0.commands }.isEmpty)
        let messages = program.messages.withLock { $0 }
        #expect(messages.matches(of: /did you mean checkout\? known here: checkout, other;/).count == 3, "\(messages)")
        #expect(messages.contains("did you mean checkout-01k5? known here: checkout, other;"), "\(messages)")
        #expect(!messages.contains("no controller answers"))
        if verb == "halt" { #expect(messages.matches(of: /'che[a-z0-9-]*'[^:]*: nothing was done/).count == 4, "\(messages)") }
    }

    @Test func verifyOfAMistypedNameTellsTheNearest() async throws {
        let program = try TestProgram()
        try program.state.create(for: program.service)
        #expect(await program.run("verify", "chekout") == .usage)
        #expect(program.messages.withLock { $0 }.contains("\nhint: did you mean checkout? known here: checkout;"))
    }

    @Test func aRolloutThatTheJournalDoesNotHaveIsExit2() async throws {
        let program = try TestProgram(hasJournal: true)
        try program.state.create(for: program.service)
        #expect(await program.run("halt", "checkout-01k6") == .usage)
        #expect(program.messages.withLock { $0 }.contains("known here: checkout;"))
    }

    @Test func anEmptyStateFolderIsNoProofThatANameIsWrong() async throws {
        let program = try TestProgram()
        #expect(await program.run("halt", "checkout") == .unreachable)
        #expect(await program.run("halt", "not a name") == .usage)
    }

    @Test func whatTakesAWhileSaysWhatItWaitsFor() async throws {
        let program = try TestProgram()
        program.isSlow.withLock { $0 = true }
        #expect(await program.run("plan", program.policy()) == .ok)
        #expect(
            program.messages.withLock { $0 }.hasPrefix(
                "asking Prometheus at http://127.0.0.1:9090, at most 20s\nwarning: thin traffic\n"))
        program.messages.withLock { $0 = "" }
        #expect(await program.run("check", program.policy()) == .ok)
        let said = program.messages.withLock { $0 }
        #expect(said.hasPrefix("trying what the policy names: haproxy, Prometheus at http://127.0.0.1:9090\n"), "\(said)")
        program.messages.withLock { $0 = "" }
        #expect(await program.run("plan", program.policy(), terminal: true) == .ok)
        let drawn = program.messages.withLock { $0 }
        #expect(drawn.hasPrefix("asking Prometheus at http://127.0.0.1:9090 (1s of 20s)\n\u{1B}[1A\u{1B}[J"), "\(drawn)")
        program.messages.withLock { $0 = "" }
        program.isSlow.withLock { $0 = false }
        #expect(await program.run("check", program.policy(), "--quiet") == .ok)
        #expect(program.messages.withLock { $0 }.isEmpty)
    }
}
