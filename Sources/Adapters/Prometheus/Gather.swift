internal import SerinModel

/// One of several questions asked at once.
struct Job<Key: Hashable & Sendable, Value: Sendable>: Sendable {
    let key: Key
    /// Answers, or returns nil soon after its task is cancelled.
    let run: @Sendable () async -> Value?
}

/// Runs all jobs at once and returns what they answered by the deadline; a missing key means that no answer came in time.
func gather<Key, Value>(_ jobs: [Job<Key, Value>], within deadline: Duration) async -> [Key: Value] {
    await withTaskGroup(of: (Key, Value?)?.self) { group in
        for job in jobs { group.addTask { (job.key, await job.run()) } }
        group.addTask {
            // Cancelled means that everything is answered: there is nothing to report.
            _ = try? await Task.sleep(for: .milliseconds(max(0, deadline.milliseconds)))
            return nil
        }
        var answers: [Key: Value] = [:]
        var left = jobs.count
        while left > 0, let next = await group.next() {
            guard let (key, value) = next else {
                group.cancelAll()
                continue
            }
            left -= 1
            answers[key] = value
        }
        group.cancelAll()
        return answers
    }
}
