import Glibc
import SerinLocks
import Testbed
import Testing

@Suite struct KeptThreadsTests {
    /// The thread it ran on, as the kernel shows it.
    private func run(on threads: KeptThreads) async -> String {
        await withCheckedContinuation { continuation in
            let code = threads.run({ presentThread() }, finish: { continuation.resume(returning: $0) })
            if code != 0 { continuation.resume(returning: "") }
        }
    }

    private func isAlive(_ thread: String) -> Bool { access("/proc/\(thread)", F_OK) == 0 }

    @Test func whoeverAsksAgainAtOnceGetsTheSameThread() async {
        let threads = KeptThreads(limit: 1)
        let first = await run(on: threads)
        #expect(!first.isEmpty)
        for _ in 0..<200 { #expect(await run(on: threads) == first) }
    }

    @Test func workNeverWaitsForOtherWorkAndNoMoreThreadsAreKeptThanWanted() async throws {
        let threads = KeptThreads(limit: 1)
        let gate = Semaphore()
        let blocked = Locked<String?>(nil)
        let isDone = Locked(false)
        let code = threads.run(
            {
                blocked.withLock { $0 = presentThread() }
                gate.wait()
            }, finish: { isDone.withLock { $0 = true } })
        #expect(code == 0)
        let other = await run(on: threads)
        try await waitUntil("the first has begun") { blocked.withLock { $0 } != nil }
        let first = try #require(blocked.withLock { $0 })
        #expect(other != first)
        gate.signal()
        try await waitUntil("the first is done") { isDone.withLock { $0 } }
        try await waitUntil("one thread is let go") { !isAlive(first) }
        #expect(await run(on: threads) == other)
    }

    @Test func threadsEndWithThoseWhoHoldThem() async throws {
        let held = Locked<KeptThreads?>(KeptThreads(limit: 2))
        let thread = await run(on: try #require(held.withLock { $0 }))
        #expect(isAlive(thread))
        held.withLock { $0 = nil }
        try await waitUntil("the thread has ended") { !isAlive(thread) }
    }
}

/// The present thread's folder in `/proc`.
private func presentThread() -> String {
    var buffer = [CChar](repeating: 0, count: 64)
    let count = readlink("/proc/thread-self", &buffer, buffer.count)
    return String(decoding: buffer.prefix(max(0, count)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
}
