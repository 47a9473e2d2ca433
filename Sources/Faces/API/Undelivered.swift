public import SerinModel

/// What people were not told by one channel.
public struct Undelivered: Sendable, Hashable {
    /// The channel's name in the configuration.
    public var channel: String
    /// How many notifications wait for it.
    public var waiting: Int
    /// When the oldest that waits was to be told; nil while none waits.
    public var oldest: Instant?
    /// How many were given up within the last day.
    public var givenUp: Int
    /// Whether they wait for longer than sending takes.
    public var isLate: Bool

    /// What waits longer than this is late, also when no try has failed.
    public static let patience = Duration.minutes(1)

    /// What a channel was not told.
    ///
    /// - Parameter hasFailed: Whether one that waits was tried in vain.
    public init(channel: String, waiting: Int, oldest: Instant?, hasFailed: Bool, givenUp: Int, at now: Instant) {
        self.channel = channel
        self.waiting = waiting
        self.oldest = oldest
        self.givenUp = givenUp
        isLate = waiting > 0 && (hasFailed || oldest.map { now - $0 > Self.patience } ?? false)
    }

    /// The same for those who ask whether the controller is of use: it is, and people should know. Why it failed is not said here,
    /// because anybody may ask.
    public var check: ReadinessCheck {
        var complaints: [String] = []
        if isLate {
            let since = oldest.map { ", the oldest since \($0)" } ?? ""
            complaints.append("\(waiting) \(waiting == 1 ? "notification waits" : "notifications wait")\(since)")
        }
        if givenUp > 0 { complaints.append("\(givenUp) given up within a day") }
        return ReadinessCheck(
            "notifications to \(channel)", complaint: complaints.isEmpty ? nil : complaints.joined(separator: "; "),
            isFatal: false, undelivered: self)
    }

    /// The JSON object.
    var document: JSONValue {
        .object([
            "channel": .string(channel), "waiting": .integer(Int64(waiting)),
            "oldest": oldest.map { .string("\($0)") } ?? .null, "given_up": .integer(Int64(givenUp)),
        ])
    }
}
