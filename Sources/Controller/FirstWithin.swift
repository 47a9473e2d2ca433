public import SerinModel

/// The value of a body that comes in time; nil when it does not. The body goes on in any case: what was begun is not given up.
public func first<Value: Sendable>(
    within limit: Duration, _ body: @escaping @Sendable () async -> Value
) async -> Value? {
    let (values, inlet) = AsyncStream.makeStream(of: Value.self, bufferingPolicy: .bufferingOldest(1))
    Task {
        inlet.yield(await body())
        inlet.finish()
    }
    return await withTaskGroup(of: Value?.self) { group in
        group.addTask { await values.first { _ in true } }
        group.addTask {
            // Nil also when the body was first and this sleep is ended.
            try? await Task.sleep(for: .milliseconds(limit.milliseconds))
            return nil
        }
        defer { group.cancelAll() }
        return await group.next() ?? nil
    }
}
