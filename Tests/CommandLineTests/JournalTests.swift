import FakeController
import Glibc
import SerinAPI
import SerinController
import SerinLocks
import SerinModel
import SerinPolicies
import SerinPorts
import SerinProcesses
import SerinRecords
import SerinRollouts
import SerinSQLite
import Testbed
import Testing

@testable import SerinCommandLine

/// A journal whose controller died in the middle of a rollout.
@Suite struct JournalTests {
    private func journal(_ scratch: Scratch) async throws -> StateFolder {
        let folder = StateFolder(under: scratch.path, service: RolloutStatus.sample().service)
        let now = Instant(millisecondsSince1970: 1_795_217_000_000)
        let store = try await SQLiteStore.open(folder, at: now, reserve: 0)
        let id = try #require(RolloutID("checkout-01k5"))
        let charter = Charter(
            id: id, policy: .sample(), policyHash: "00", version: "2", previous: "1", author: .uid(1), overrides: [])
        _ = try await store.append([Draft(rollout: id, at: now, record: .created(charter))])
        await store.close()
        return folder
    }

    @Test func whoReadsAJournalKeepsNobodyOut() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let folder = try await journal(scratch)
        let operations = JournalOperations(service: RolloutStatus.sample().service, folder: folder)
        #expect(try await operations.statuses().map(\.isFinal) == [false])
        #expect(try await operations.status(of: "checkout").id.description == "checkout-01k5")
        // A controller takes the journal while the reader is still about.
        let store = try await SQLiteStore.open(folder, at: Instant(millisecondsSince1970: 1_795_217_001_000), reserve: 0)
        await #expect(throws: OperationError.self) { try await operations.statuses() }
        await store.close()
        #expect(try await operations.decisions(of: "checkout", after: 0, limit: 10).count <= 10)
    }

    @Test(arguments: [["wait", "checkout"], ["status", "checkout", "--watch"], ["log", "checkout", "-f"]])
    func waitingForARolloutThatNobodyControlsEndsAtOnceAndSaysSo(_ arguments: [String]) async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        _ = try await journal(scratch)
        let messages = Locked("")
        let console = Console(
            writeData: { _ in }, writeMessage: { text in messages.withLock { $0 += text } }, isDataTerminal: false,
            isMessageTerminal: false, width: { 80 })
        let program = CommandLineProgram(
            assembly: .production(environment: [:], output: Output()), console: console,
            environment: ["SERIN_STATE": scratch.path],
            interruptions: AsyncStream { _ in }, endNow: { _ in })
        #expect(await program.run(arguments) == .unreachable)
        let said = messages.withLock { $0 }
        #expect(said.contains("no controller is in charge of checkout-01k5") && said.contains("--continue"), "\(said)")
    }

    /// What may have become of a journal's file.
    enum Crime: String, CaseIterable, Sendable {
        case droppedTable = "DROP TABLE entry"
        case renamedColumn = "ALTER TABLE entry RENAME COLUMN body TO words"
        case noEntries = "DELETE FROM entry"
        case anotherSchema = "PRAGMA user_version = 0"
        case anotherApplication = "PRAGMA application_id = 7"
        case text, nothing, middle

        func commit(on path: String) async throws {
            let descriptor = open(path, O_WRONLY | O_CLOEXEC)
            try #require(descriptor >= 0)
            defer { close(descriptor) }
            let bytes = [UInt8](repeating: UInt8(ascii: "x"), count: 4096)
            switch self {
            case .text:
                ftruncate(descriptor, 0)
                write(descriptor, bytes, bytes.count)
            case .nothing: ftruncate(descriptor, 0)
            // Its first page of entries, whichever that is.
            case .middle: pwrite(descriptor, bytes, bytes.count, 4096)
            case .droppedTable, .renamedColumn, .noEntries, .anotherSchema, .anotherApplication:
                let edited = try await Program(
                    "sqlite3", ["-bail", path, rawValue], environment: ["PATH": "/usr/bin:/bin"], deadline: .seconds(20)
                ).run()
                try #require(edited.termination == .exited(0), "\(edited.text)")
            }
        }
    }

    @Test(arguments: Crime.allCases) func aDestroyedJournalIsAFaultAndNothingToTryAgain(_ crime: Crime) async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let folder = try await journal(scratch)
        try await crime.commit(on: folder.journal)
        let (output, messages) = (Locked(""), Locked(""))
        let program = CommandLineProgram(
            assembly: .production(environment: [:], output: Output()),
            console: Console(
                writeData: { text in output.withLock { $0 += text } }, writeMessage: { text in messages.withLock { $0 += text } }),
            environment: ["SERIN_STATE": scratch.path], interruptions: AsyncStream { _ in }, endNow: { _ in })
        for arguments in [["verify", "checkout"], ["verify"]] {
            #expect(await program.run(arguments) == .verificationFailed, "\(messages.withLock { $0 })")
        }
        #expect(output.withLock { $0 }.contains("FAILED (1)"))
        // Who asks about the rollout learns the same words.
        guard crime != .noEntries else { return }
        for arguments in [["status", "checkout"], ["why", "checkout"]] {
            messages.withLock { $0 = "" }
            #expect(await program.run(arguments) == .unreachable)
            #expect(messages.withLock { $0 }.contains("the journal \(folder.journal)"), "\(messages.withLock { $0 })")
        }
    }
}
