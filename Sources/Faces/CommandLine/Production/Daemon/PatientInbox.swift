internal import SerinController
internal import SerinModel
internal import SerinPorts

/// An inbox that keeps nobody from stopping a rollout: on a disk that stands still, a halt goes on without its memory.
struct PatientInbox: Inbox {
    /// How long a halt waits for its memory.
    static let limit = Duration.milliseconds(500)

    let inbox: any Inbox

    func claim(_ key: ReplayKey, isSafeToRepeat: Bool, at now: Instant) async throws(Failure) -> InboxEntry.Claim {
        guard isSafeToRepeat else { return try await inbox.claim(key, isSafeToRepeat: false, at: now) }
        return try await inTime { () throws(Failure) in try await inbox.claim(key, isSafeToRepeat: true, at: now) }
    }

    func settle(_ key: ReplayKey, answer: [UInt8]) async throws(Failure) {
        try await inTime { () throws(Failure) in try await inbox.settle(key, answer: answer) }
    }

    func release(_ key: ReplayKey) async throws(Failure) {
        try await inTime { () throws(Failure) in try await inbox.release(key) }
    }

    /// What was begun is not given up: it is done in its turn when the disk is there again.
    private func inTime<Value: Sendable>(
        _ body: @escaping @Sendable () async throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let result: Result<Value, Failure>? = await first(within: Self.limit) {
            do throws(Failure) { return .success(try await body()) } catch { return .failure(error) }
        }
        guard let result else { throw Failure(.transient, "the file of messages does not answer") }
        return try result.get()
    }
}
