/// Does something that has to come to its end although the task that waits for it was cancelled.
public func uncancelled<Value: Sendable>(_ body: @escaping @Sendable () async -> Value) async -> Value {
    await Task { await body() }.value
}
