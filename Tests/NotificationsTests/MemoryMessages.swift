import SerinModel
import SerinPorts

/// Inbox and outbox without a file: the reference for others, and for programs that keep nothing.
///
/// An actor, because it waits for nothing: every method runs to its end at once.
actor MemoryMessages: Inbox, Outbox {
    private var received: [ReplayKey: InboxEntry] = [:]
    private var sent: [OutboxEntry] = []

    /// Nothing yet.
    init() {}

    /// Takes a message.
    func claim(_ key: ReplayKey, isSafeToRepeat: Bool, at now: Instant) async throws(Failure) -> InboxEntry.Claim {
        received = received.filter { $0.value.expiresAt > now }
        let (claim, entry) = InboxEntry.claim(received[key], key, isSafeToRepeat: isSafeToRepeat, at: now)
        if let entry { received[key] = entry }
        return claim
    }

    /// Notes an answer.
    func settle(_ key: ReplayKey, answer: [UInt8]) async throws(Failure) { received[key]?.answer = answer }

    /// Gives a message back.
    func release(_ key: ReplayKey) async throws(Failure) {
        if received[key]?.answer == nil { received[key] = nil }
    }

    /// Adds messages.
    func add(_ entries: [OutboxEntry]) async throws(Failure) {
        for entry in entries where !sent.contains(where: { $0.isSame(as: entry) }) { sent.append(entry) }
    }

    /// Messages that wait.
    func waiting(for destination: String, limit: Int) async throws(Failure) -> [OutboxEntry] {
        let waiting = sent.filter { $0.destination == destination && $0.state == .waiting }
        return Array((waiting.filter(\.isCall) + waiting.filter { !$0.isCall }).prefix(limit))
    }

    /// For whom messages wait.
    func destinations() async throws(Failure) -> [String] {
        Set(sent.filter { $0.state == .waiting }.map(\.destination)).sorted()
    }

    /// How many wait.
    func waitingCount(for destination: String) async throws(Failure) -> Int {
        sent.count { $0.destination == destination && $0.state == .waiting }
    }

    /// Replaces a message.
    func put(_ entry: OutboxEntry) async throws(Failure) {
        if let index = sent.firstIndex(where: { $0.isSame(as: entry) }) { sent[index] = entry }
    }

    /// Messages that were given up.
    func dead(limit: Int) async throws(Failure) -> [OutboxEntry] {
        Array(sent.filter { $0.state == .dead }.reversed().prefix(limit))
    }

    /// Calls that were delivered.
    func deliveredCalls(to destination: String, limit: Int) async throws(Failure) -> [OutboxEntry] {
        let calls = sent.filter { $0.destination == destination && $0.state == .delivered && $0.isCall }
        return Array(calls.reversed().prefix(limit))
    }

    /// Forgets what is over.
    func forget(before moment: Instant) async throws(Failure) {
        sent.removeAll { $0.state != .waiting && $0.nextAt < moment }
    }
}
