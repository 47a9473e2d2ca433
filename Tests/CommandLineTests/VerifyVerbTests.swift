import FakeController
import Glibc
import SerinAPI
import SerinController
import SerinCrypto
import SerinLocks
import SerinModel
import SerinPolicies
import SerinRecords
import SerinRollouts
import SerinServer
import Testbed
import Testing

@testable import SerinCommandLine

/// `serin verify`, on a file and over the socket of whoever writes it.
@Suite struct VerifyVerbTests {
    @Test func verifyIsExit8WhenSomethingDoesNotHold() async throws {
        let program = try TestProgram()
        try program.state.create(for: program.service)
        #expect(await program.run("verify") == .ok)
        #expect(await program.run("verify", "checkout-01k5", "--head", "9:" + String(repeating: "0", count: 64)) == .ok)
        program.verification.withLock { $0.faults = ["entry 7: its hash does not match"] }
        #expect(await program.run("verify", "checkout") == .verificationFailed)
        #expect(program.messages.withLock { $0 } == "serin: checkout: entry 7: its hash does not match\n")
        #expect(await program.run("verify", "nothing") == .usage)
    }

    @Test func whatAnotherVersionWroteIsNoTamperingAndYetNotVerified() async throws {
        let program = try TestProgram()
        try program.state.create(for: program.service)
        program.verification.withLock { $0.unread = ["entry 1: written by another version of Serin (engine 1, this is 2)"] }
        #expect(await program.run("verify", "checkout") == .verificationFailed)
        #expect(program.output.withLock { $0 }.contains("another version (1)"))
        let messages = program.messages.withLock { $0 }
        #expect(messages.contains("engine 1, this is 2") && messages.contains("nothing was tampered with"), "\(messages)")
    }

    /// The controller's word is not taken: its entries are asked for over the socket and checked here.
    @Test func aJournalInUseIsReadOverItsControllersSocketAndCheckedHere() async throws {
        let program = try TestProgram()
        let drafts = (1..<200).map {
            Draft(rollout: nil, at: Instant(millisecondsSince1970: $0), record: .clockJumped(milliseconds: $0))
        }
        let opening = Draft(rollout: nil, at: .init(millisecondsSince1970: 0), record: .opened(epoch: 1, engine: engineVersion))
        let entries = try Chain(digest: SHA256.digestOrEmpty).link([opening] + drafts, after: nil, epoch: 1)
        program.operations.state.withLock { $0.entries = entries }
        let head = Checkpoint(entries.last).description
        try await program.serve {
            #expect(await program.run("verify", "checkout", "--head", head) == .ok)
            #expect(program.output.withLock { $0 }.contains("200      0         \(head)"))
            #expect(await program.run("verify") == .ok)
            program.operations.state.withLock { _ = $0.entries.removeLast() }
            #expect(await program.run("verify", "checkout") == .ok)
            #expect(await program.run("verify", "checkout", "--head", head) == .verificationFailed)
            #expect(program.messages.withLock { $0 }.contains("its end was cut off"))
            program.operations.state.withLock { $0.entries[70].at = Instant(millisecondsSince1970: 1) }
            #expect(await program.run("verify", "checkout-01k5") == .verificationFailed)
            #expect(program.messages.withLock { $0 }.contains("entry 71: its contents were changed after it was written"))
        }
    }
}
