public import SerinModel

/// Keeps what is to be sent until it was delivered or given up, across restarts.
public protocol Outbox: Sendable {
    /// Adds messages; one that is known by its identifier and destination is left as it is. Durable when it returns.
    func add(_ entries: [OutboxEntry]) async throws(Failure)

    /// The messages of a destination that wait, the most urgent first and the oldest of those, at most so many.
    func waiting(for destination: String, limit: Int) async throws(Failure) -> [OutboxEntry]

    /// The destinations for which messages wait, by name; also those that nothing sends to any more.
    func destinations() async throws(Failure) -> [String]

    /// How many messages wait for a destination.
    func waitingCount(for destination: String) async throws(Failure) -> Int

    /// Replaces a message by its next state.
    func put(_ entry: OutboxEntry) async throws(Failure)

    /// Messages that were given up, the latest first, at most so many.
    func dead(limit: Int) async throws(Failure) -> [OutboxEntry]

    /// The calls that a destination took and that are not forgotten yet, the latest first, at most so many.
    func deliveredCalls(to destination: String, limit: Int) async throws(Failure) -> [OutboxEntry]

    /// Forgets what was delivered or given up before a moment.
    func forget(before moment: Instant) async throws(Failure)
}

/// One message on its way to one destination.
public struct OutboxEntry: Sendable, Hashable {
    /// Where it stands. `waiting` may lead to `delivered` and `dead`, which are final.
    public enum State: String, Sendable, Hashable, CaseIterable {
        /// To be sent at `nextAt`.
        case waiting
        /// The other side took it.
        case delivered
        /// Given up; a person may look why.
        case dead
    }

    /// The message's identifier, the same at every try and in every process: receivers know a repetition by it.
    public let id: String
    /// The name of the destination.
    public let destination: String
    /// Whether somebody has to act: sent before all others.
    public let isCall: Bool
    /// The message.
    public let payload: [UInt8]
    /// When it was added.
    public let createdAt: Instant
    /// Where it stands.
    public private(set) var state: State
    /// How often it was tried.
    public private(set) var attempts: Int
    /// Not to be tried before.
    public private(set) var nextAt: Instant
    /// What the last try failed with, in words without secrets; nil when none failed.
    public private(set) var failure: String?

    /// How long a message is tried before it is given up.
    public static let patience = Duration.hours(24)
    /// How long a message is tried that does not fit the other side's state, such as a tag that is not pushed yet: others wait
    /// behind it.
    public static let patienceWithConflicts = Duration.minutes(10)
    /// The longest first pause after a failure.
    public static let firstPause = Duration.seconds(2)
    /// The longest pause, and the longest that a call waits because the other side asks for it.
    public static let longestPause = Duration.minutes(5)
    /// The longest that another message waits because the other side asks for it.
    public static let longestRequestedPause = Duration.hours(1)
    /// How many messages may wait for one destination.
    public static let limit = 1000

    /// Whether both are the same message on the same way, wherever each stands.
    public func isSame(as other: OutboxEntry) -> Bool { id == other.id && destination == other.destination }

    /// A message that waits.
    public init(id: String, destination: String, isCall: Bool, payload: [UInt8], at now: Instant) {
        self.init(
            id: id, destination: destination, isCall: isCall, payload: payload, createdAt: now, state: .waiting, attempts: 0,
            nextAt: now, failure: nil)
    }

    /// A message as a store keeps it.
    public init(
        id: String, destination: String, isCall: Bool, payload: [UInt8], createdAt: Instant, state: State, attempts: Int,
        nextAt: Instant, failure: String?
    ) {
        self.id = id
        self.destination = destination
        self.isCall = isCall
        self.payload = payload
        self.createdAt = createdAt
        self.state = state
        self.attempts = attempts
        self.nextAt = nextAt
        self.failure = failure
    }

    /// Takes in that the other side has it.
    public mutating func delivered(at now: Instant) {
        guard state == .waiting else { return }
        state = .delivered
        attempts += 1
        nextAt = now
    }

    /// Takes in that a try failed: waits longer each time, or gives it up when the message itself is refused, or a day (for a
    /// conflict ten minutes) has passed.
    ///
    /// - Parameter unit: A number from 0 to 1 by chance: the upper half of a pause is chance.
    public mutating func failed(_ reason: Failure, at now: Instant, unit: Double) {
        guard state == .waiting else { return }
        attempts += 1
        failure = reason.message
        let isRefused = reason.kind == .invalid
        let pause = pause(after: reason, unit: unit)
        let patience = reason.kind == .conflict ? OutboxEntry.patienceWithConflicts : OutboxEntry.patience
        guard !isRefused, (now + pause) - createdAt <= patience else {
            state = .dead
            nextAt = now
            return
        }
        nextAt = now + pause
    }

    /// Gives it up because too many wait.
    public mutating func dropped(at now: Instant) {
        guard state == .waiting else { return }
        state = .dead
        nextAt = now
        failure = "dropped: \(OutboxEntry.limit) messages already wait for \(destination)"
    }

    /// Gives it up when it has waited for longer than it is of use.
    ///
    /// - Returns: Whether it has.
    public mutating func expired(at now: Instant) -> Bool {
        guard state == .waiting, now - createdAt > OutboxEntry.patience else { return false }
        state = .dead
        nextAt = now
        failure = "not delivered within \(OutboxEntry.patience)" + (failure.map { ": \($0)" } ?? "")
        return true
    }

    /// Takes in that a later message of the same matter was delivered first, so that this one would be a false last word.
    public mutating func overtaken(at now: Instant) {
        guard state == .waiting else { return }
        state = .dead
        nextAt = now
        failure = OutboxEntry.overtakenWords
    }

    /// Whether it was not told because a later one was: nobody misses it.
    public var isOvertaken: Bool { state == .dead && failure == OutboxEntry.overtakenWords }

    private static let overtakenWords = "not told: a later message of the same matter was told before it"

    private func pause(after reason: Failure, unit: Double) -> Duration {
        // A credential that is refused stays refused until somebody acts.
        let doubled =
            reason.kind == .denied
            ? OutboxEntry.longestPause.milliseconds : OutboxEntry.firstPause.milliseconds << Int64(min(max(attempts, 1) - 1, 20))
        let ceiling = min(doubled, OutboxEntry.longestPause.milliseconds)
        let pause = Duration(milliseconds: ceiling / 2 + Int64(Double(ceiling - ceiling / 2) * (unit > 0 ? min(unit, 1) : 0)))
        let limit = isCall ? OutboxEntry.longestPause : OutboxEntry.longestRequestedPause
        return max(pause, min(reason.retryAfter ?? .zero, limit))
    }
}
