internal import SerinModel

/// Runs a body, and gives it up when the time is over.
func within<Value: Sendable>(
    _ deadline: Duration, _ what: String, _ body: @escaping @Sendable () async throws(Failure) -> Value
) async -> Result<Value, Failure> {
    await withTaskGroup(of: Result<Value, Failure>?.self) { group in
        group.addTask {
            do throws(Failure) { return .success(try await body()) } catch { return .failure(error) }
        }
        group.addTask {
            // Nil also when the body was first and this sleep is ended.
            try? await Task.sleep(for: .milliseconds(deadline.milliseconds))
            return nil
        }
        let first = await group.next() ?? nil
        group.cancelAll()
        if let first, !Task.isCancelled { return first }
        let end = Task.isCancelled ? "was interrupted" : "took longer than \(deadline)"
        // What was cancelled says how it ended; it may have been done after all.
        var last: Result<Value, Failure>? = first
        if last == nil { last = await group.next() ?? nil }
        switch last {
        case .success(let value)?: return .success(value)
        case .failure(let why)?:
            return .failure(Failure(.unknown, "\(what) \(end): \(why.message)", hint: why.hint))
        case nil: return .failure(Failure(.unknown, "\(what) \(end)"))
        }
    }
}
