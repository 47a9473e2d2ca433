internal import SerinLocks

/// Bodies that run side by side, each under a key, and can be exchanged while the others go on.
final class RunningParts<Key: Hashable & Sendable>: Sendable {
    /// What runs until its task is cancelled.
    typealias Body = @Sendable () async -> Void

    private struct Launch: Sendable {
        var body: Body
        var ends: AsyncStream<Void>
    }

    private let launches = AsyncStream.makeStream(of: Launch.self)
    private let running = Locked<[Key: AsyncStream<Void>.Continuation]>([:])

    /// Lets exactly these run from now on: one that runs under the same key goes on, one whose key is missing is cancelled.
    func replace(by parts: [(key: Key, body: Body)]) {
        running.withLock { running in
            let wanted = Set(parts.map(\.key))
            for (key, end) in running where !wanted.contains(key) {
                end.finish()
                running[key] = nil
            }
            for part in parts where running[part.key] == nil {
                let (ends, end) = AsyncStream.makeStream(of: Void.self)
                running[part.key] = end
                launches.continuation.yield(Launch(body: part.body, ends: ends))
            }
        }
    }

    /// Runs them until the task is cancelled; returns when all have ended.
    func run() async {
        await withDiscardingTaskGroup { group in
            for await launch in launches.stream {
                group.addTask {
                    await withTaskGroup(of: Void.self) { pair in
                        pair.addTask { await launch.body() }
                        pair.addTask { for await _ in launch.ends {} }
                        await pair.next()
                        pair.cancelAll()
                    }
                }
            }
            group.cancelAll()
        }
    }
}
