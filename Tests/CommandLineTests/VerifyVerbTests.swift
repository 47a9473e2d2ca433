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

    /// Whoever can write the file can hash all of it anew; the chain alone then holds.
    @Test func aSignedCheckpointFindsAJournalThatWasRewrittenBeforeIt() async throws {
        let program = try TestProgram()
        let first = try journal(200, from: 0)
        program.operations.state.withLock { $0.entries = first }
        let noted = program.state.path + "/noted.txt"
        try await program.serve {
            #expect(await program.run("checkpoint", "checkout") == .ok)
            try program.output.withLock { $0 }.write(to: noted)
            program.operations.state.withLock { $0.entries = first }
            #expect(await program.run("verify", "checkout", "--checkpoint", noted) == .ok)
            // It may grow.
            program.operations.state.withLock { $0.entries = (try? journal(230, from: 0)) ?? [] }
            #expect(await program.run("verify", "checkout", "--checkpoint", noted) == .ok)
            // One entry in the middle is another one, and everything after it hashed anew.
            let rewritten = try journal(230, from: 0, changing: 100)
            program.operations.state.withLock { $0.entries = rewritten }
            #expect(await program.run("verify", "checkout") == .ok, "the chain alone holds")
            #expect(await program.run("verify", "checkout", "--checkpoint", noted) == .verificationFailed)
            #expect(program.messages.withLock { $0 }.contains("the journal was rewritten before its entry 200"))
            program.operations.state.withLock { $0.entries = Array(first.dropLast()) }
            #expect(await program.run("verify", "checkout", "--checkpoint", noted) == .verificationFailed)
            #expect(program.messages.withLock { $0 }.contains("its end was cut off"))
        }
    }

    @Test func aCheckpointThatSomebodyElseSignedIsNotBelieved() async throws {
        let program = try TestProgram()
        let entries = try journal(9, from: 0)
        program.operations.state.withLock { $0.entries = entries }
        let noted = program.state.path + "/noted.txt"
        try await program.serve {
            #expect(await program.run("checkpoint", "checkout") == .ok)
            let note = program.output.withLock { $0 }
            let key = try #require(program.messages.withLock { $0 }.split(separator: " ").last).trimmed
            try note.write(to: noted)
            #expect(await program.run("verify", "checkout", "--checkpoint", noted, "--key", key) == .ok)
            let other = String(repeating: "0", count: 64)
            #expect(await program.run("verify", "checkout", "--checkpoint", noted, "--key", other) == .verificationFailed)
            #expect(program.messages.withLock { $0 }.contains("is not signed by this key"))
            // The signature goes with the size, and with the service.
            try note.replacing("\n9\n", with: "\n8\n").write(to: noted)
            #expect(await program.run("verify", "checkout", "--checkpoint", noted) == .verificationFailed)
            try note.replacing("journal/checkout", with: "journal/search").write(to: noted)
            #expect(await program.run("verify", "checkout", "--checkpoint", noted) == .usage)
            try "nothing".write(to: noted)
            #expect(await program.run("verify", "checkout", "--checkpoint", noted) == .usage)
            #expect(await program.run("verify", "--checkpoint", noted) == .usage)
            #expect(await program.run("checkpoint", "checkout", "--entry", "5") == .ok)
            #expect(program.output.withLock { $0 }.contains("serin.dev/proof/v1"))
            #expect(await program.run("checkpoint", "checkout", "--entry", "99") == .usage)
        }
    }

    private func journal(_ count: Int64, from: Int64, changing: Int64? = nil) throws -> [Entry] {
        let id = RolloutStatus.sample().id
        let opening = Draft(rollout: nil, at: Instant(millisecondsSince1970: 0), record: .opened(epoch: 1, engine: engineVersion))
        let drafts = (1..<count).map {
            Draft(
                rollout: id, at: Instant(millisecondsSince1970: $0 == changing ? $0 - 1 : $0),
                record: .clockJumped(milliseconds: $0))
        }
        return try Chain(digest: SHA256.digestOrEmpty).link([opening] + drafts, after: nil, epoch: 1)
    }
}

extension String {
    fileprivate func write(to path: String) throws {
        let file = try #require(fopen(path, "w"))
        fputs(self, file)
        fclose(file)
    }
}

extension Substring {
    fileprivate var trimmed: String { String(filter { $0.isHexDigit }) }
}
