internal import SerinLocks
internal import SerinModel
internal import SerinRollouts

extension Session {
    /// Silence longer than this looks like standing still.
    private static let patience = Swift.Duration.seconds(1)

    /// Does what may take a while, and says on standard error what is waited for once that has taken a moment: counted on a terminal,
    /// elsewhere one line. What it says on a terminal is gone before anything else is written.
    func showingWaits<Value: Sendable>(from first: Wait, _ body: (@escaping Wait.Note) async throws -> Value) async rethrows
        -> Value
    {
        let present = Locked((wait: first, since: ContinuousClock().now))
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await show(present) }
            defer { group.cancelAll() }
            return try await body { next in present.withLock { $0 = (next, ContinuousClock().now) } }
        }
    }

    /// Shows the present wait until it is cancelled.
    private func show(_ present: Locked<(wait: Wait, since: ContinuousClock.Instant)>) async {
        let block = mayRedraw && !globals.isQuiet ? LiveBlock(console.writeMessage) : nil
        defer { block?.clear() }
        while true {
            do { try await Task.sleep(for: Self.patience) } catch { return }
            let (wait, since) = present.withLock { $0 }
            guard let block else { return note(plain(wait.words + (wait.limit.map { ", at most \(Numbers.time($0))" } ?? ""))) }
            let passed = Duration.seconds((ContinuousClock().now - since).components.seconds)
            block.draw([plain("\(wait.words) (\(Numbers.time(passed))\(wait.limit.map { " of \(Numbers.time($0))" } ?? ""))")])
        }
    }
}
