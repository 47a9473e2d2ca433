public import SerinModel
public import SerinRollouts

/// The verdicts of many polls, those in a row that are alike as one.
public struct VerdictCourse: Sendable, Hashable {
    /// How many stretches are kept; what comes after is left out.
    public static let limit = 1000

    /// Polls in a row that came out alike.
    public struct Stretch: Sendable, Hashable {
        /// The number of the first poll, from 1.
        public var first: Int
        /// The number of the last poll.
        public var last: Int
        /// When the first poll was completed.
        public var from: Instant
        /// When the last poll was completed.
        public var to: Instant
        /// The weight in force; nil where nobody knows.
        public var weight: Weight?
        /// What all signals together said then; nil where nobody asked.
        public var then: JointVerdict?
        /// What they say by the policy that is tried.
        public var now: JointVerdict
        /// The signals that fail by that policy.
        public var failing: [String]

        fileprivate func isAlike(_ other: Stretch) -> Bool {
            weight == other.weight && then == other.then && now == other.now && failing == other.failing
        }
    }

    /// The stretches, in order.
    public private(set) var stretches: [Stretch] = []
    /// Whether there were more than are kept.
    public private(set) var isCut = false

    init() {}

    mutating func append(_ stretch: Stretch) {
        if isCut { return }
        if let last = stretches.last, last.isAlike(stretch) {
            stretches[stretches.count - 1].last = stretch.last
            stretches[stretches.count - 1].to = stretch.to
        } else if stretches.count < Self.limit {
            stretches.append(stretch)
        } else {
            isCut = true
        }
    }
}
