import Glibc
import SerinCrypto
import SerinLocks
import SerinModel
import SerinPorts
import SerinProcesses
import SerinRecords
import SerinSQLite
import Testing

/// What is left after a process ends in the middle of a write, a disk refuses one, or a write takes long.
@Suite struct CrashTests {
    /// The writer under strace, which does something to its n-th call of a kind.
    private func inject(_ fault: String, into folder: Folder, pairs: Int = 30, size: Int = 200) async throws -> Completion {
        let call = fault.prefix { $0 != ":" }
        // A sanitizer cannot look for leaks in what is traced.
        return try await run(
            "strace",
            [
                "-f", "-qq", "-o", "/dev/null", "-E", "LSAN_OPTIONS=detect_leaks=0", "-e", "trace=\(call)", "-e",
                "inject=\(fault)",
                try journalWriter(), "write", folder.root, "\(pairs)", "\(size)",
            ])
    }

    /// Opens what a dead writer left and checks it against what it had acknowledged.
    private func checkRecovery(_ folder: Folder, acknowledged output: String, _ comment: Comment) async throws {
        let acknowledged = numbers(after: "acked", in: output).max() ?? (numbers(after: "opened", in: output).isEmpty ? 0 : 1)
        let store = try await SQLiteStore.open(folder.state, purpose: "serin tests", at: .start, reserve: 0)
        let entries = try await store.entries(after: 0, rollout: nil, limit: 10_000)
        let faults = try await store.verifyChain(digest: SHA256.digestOrEmpty).faults
        await store.close()
        #expect(faults.isEmpty, comment)
        let recovered = try #require(entries.last).sequence - 1
        #expect(recovered >= acknowledged, "acknowledged entries are lost: \(comment)")
        #expect(recovered <= acknowledged + 2, "more than the one open transaction came to light: \(comment)")
        #expect(recovered == 0 || !recovered.isMultiple(of: 2), "half a transaction came to light: \(comment)")
    }

    /// An opening makes about 12 writes, each pair 4 or more; 48 points reach from the new file to the tenth pair and beyond.
    @Test(arguments: Array(1...36) + stride(from: 40, through: 150, by: 10))
    func s7WhatWasAcknowledgedSurvivesAKillAtAnyWrite(number: Int) async throws {
        let folder = try Folder()
        let completion = try await inject("pwrite64:signal=SIGKILL:when=\(number)", into: folder)
        try #require(!completion.text.contains("done"), "the writer was not killed: \(completion.text)")
        try await checkRecovery(folder, acknowledged: completion.text, "killed at write \(number)")
    }

    @Test(arguments: 1...16) func s7WhatWasAcknowledgedSurvivesAKillAtAnySync(number: Int) async throws {
        let folder = try Folder()
        let completion = try await inject("fdatasync:signal=SIGKILL:when=\(number)", into: folder)
        try #require(!completion.text.contains("done"), "the writer was not killed: \(completion.text)")
        try await checkRecovery(folder, acknowledged: completion.text, "killed at sync \(number)")
    }

    /// The record may have reached the disk although its sync failed, so nothing more is written until the store is opened anew.
    @Test func aFailedSyncEndsWritingUntilTheStoreIsOpenedAgain() async throws {
        let folder = try Folder()
        let output = try await inject("fdatasync:error=EIO:when=14", into: folder).text
        let lines = output.split(separator: "\n")
        let failure = try #require(lines.firstIndex { $0.hasPrefix("failed") }, "\(output)")
        #expect(lines[failure].contains("disk I/O error"))
        #expect(lines[(failure + 1)...].allSatisfy { !$0.hasPrefix("acked") }, "\(output)")
        #expect(lines[failure + 1].contains("the store must be opened again"), "\(output)")
        try await checkRecovery(folder, acknowledged: output, "failed sync")
    }

    /// Among the first syncs are those of the new file's schema and of its change to write-ahead logging. (SQLite itself overlooks
    /// a folder that cannot be synced.)
    @Test(arguments: 1...20) func aFailedSyncNeverLeavesAStoreThatOnlySeemsToWork(number: Int) async throws {
        let folder = try Folder()
        let output = try await inject("fdatasync:error=EIO:when=\(number)", into: folder).text
        let lines = output.split(separator: "\n")
        if let failure = lines.firstIndex(where: { $0.hasPrefix("failed") }) {
            #expect(lines[(failure + 1)...].allSatisfy { !$0.hasPrefix("acked") }, "\(output)")
        } else {
            #expect(output.hasSuffix("done\n"), "\(output)")
            #expect(try await run("sqlite3", [folder.state.journal, "PRAGMA journal_mode"]).text == "wal\n")
        }
        try await checkRecovery(folder, acknowledged: output, "failed sync \(number)")
    }

    @Test func aFailedWriteLeavesNothingOfItsTransaction() async throws {
        let folder = try Folder()
        let output = try await inject("pwrite64:error=EIO:when=40", into: folder).text
        #expect(output.contains("failed"), "\(output)")
        try await checkRecovery(folder, acknowledged: output, "failed write")
    }

    @Test func aWriteRefusedForLackOfSpaceIsReportedAndTheNextOneWorks() async throws {
        let folder = try Folder()
        let output = try await inject("pwrite64:error=ENOSPC:when=40", into: folder).text
        let lines = output.split(separator: "\n")
        let failure = try #require(lines.firstIndex { $0.hasPrefix("failed") }, "\(output)")
        #expect(lines[failure].contains("the reserve of 1024 KiB was released, so that a rollback can be journaled"), "\(output)")
        #expect(lines[failure + 1].hasPrefix("acked"), "\(output)")
        #expect(output.contains("done"))
        try await checkRecovery(folder, acknowledged: output, "no space once")
    }

    @Test func aFileSizeLimitIsAnErrorAndNotADeath() async throws {
        let folder = try Folder()
        let output = try await run(
            "prlimit", ["--fsize=600000", "--", try journalWriter(), "write", folder.root, "400", "5000"]
        ).text
        #expect(output.contains("failed cannot append to the journal"), "\(output)")
        #expect(output.contains("done"), "\(output)")
        try await checkRecovery(folder, acknowledged: output, "file-size limit")
    }

    /// A file system of 4 MiB in a mount namespace of its own.
    @Test(
        .enabled("needs the right to make a mount namespace") {
            try await run("unshare", ["-rm", "true"]).termination == .exited(0)
        })
    func s15AFullDiskStillTakesTheRollback() async throws {
        let folder = try Folder()
        let writer = try journalWriter()
        let script = """
            mount -t tmpfs -o size=4m,mode=0777 serin \(folder.root) &&
            \(writer) write \(folder.root) 4000 8000; \(writer) verify \(folder.root); \(writer) write \(folder.root) 1 10
            """
        let output = try await run("unshare", ["-rm", "sh", "-c", script]).text
        let lines = output.split(separator: "\n").map(String.init)
        let failure = try #require(lines.firstIndex { $0.hasPrefix("failed") }, "\(output)")
        #expect(lines[failure].contains("full") && lines[failure].contains("was released"), "\(lines[failure])")
        let after = lines[(failure + 1)...].prefix { $0 != "done" }
        #expect(after.count == 5 && after.allSatisfy { $0.hasPrefix("acked") }, "\(after)")
        let acknowledged = numbers(after: "acked", in: lines[..<(failure + 6)].joined(separator: "\n")).max()
        #expect(numbers(after: "verified", in: output).first == acknowledged, "\(lines.suffix(6))")
        #expect(!output.contains("fault"), "\(lines.suffix(6))")
        #expect(lines.contains("opened 2") && lines.last == "done", "\(lines.suffix(6))")
    }

    @Test func s3AStalledDiskHoldsUpItsOwnStoreAlone() async throws {
        let folder = try Folder()
        let other = try Folder()
        let stall = Stall()
        let store = try await SQLiteStore.open(
            folder.state, purpose: "serin tests", at: .start, reserve: 0, beforeCommit: { stall.passes() })
        let free = try await SQLiteStore.open(other.state, purpose: "serin tests", at: .start, reserve: 0)
        stall.begin()
        async let stalled = store.append([draft("stalled")])
        // More waiting calls than the pool has threads: were they to block it, nothing below could go on.
        let waiting = (0..<32).map { number in Task { try await store.append([draft("waiting \(number)")]) } }
        for number in 0..<20 { _ = try await free.append([draft("free \(number)")]) }
        #expect(try await free.head()?.sequence == 21)
        stall.end()
        #expect(try await stalled.count == 1)
        for task in waiting { #expect(try await task.value.count == 1) }
        #expect(try await store.verifyChain(digest: SHA256.digestOrEmpty).faults.isEmpty)
        await store.close()
        await free.close()
    }
}

/// A disk that takes no commits between `begin` and `end`.
private final class Stall: Sendable {
    private let isStalled = Locked(false)

    func begin() { isStalled.withLock { $0 = true } }
    func end() { isStalled.withLock { $0 = false } }

    /// Blocks the store's own thread, as a stalled disk does.
    func passes() {
        // sleeps: the disk that is simulated
        while isStalled.withLock({ $0 }) { usleep(1000) }
    }
}
