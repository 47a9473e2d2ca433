internal import SerinModel

/// Compares the share of requests that the canary received with its weight.
///
/// A share is wrong when chance does not explain it (a binomial test at five standard deviations, two-sided chance below 1e-6 a
/// poll) and the difference matters: more than a quarter of the smaller of weight and rest, at least half a percentage point.
/// The second condition keeps a balancer's rounding or session stickiness from stopping a rollout with millions of requests.
struct ShareGuard: Sendable, Hashable {
    /// Requests without which nothing is said.
    static let fewest = 100.0
    /// Standard deviations beyond which chance is excluded.
    static let deviations = 5.0

    private var base: TrafficCounts?
    /// What was seen, for people: `received 310 of 4,003 requests`.
    private(set) var sentence = ""

    /// A weight is in force from now on: requests are counted anew.
    mutating func weightConfirmed() {
        base = nil
        sentence = ""
    }

    /// Judges one poll: the balancer's own counters where it has them, else the requests that telemetry saw since the confirmation.
    mutating func judge(_ weight: Weight, counts: TrafficCounts?, telemetry: TrafficCounts?) -> PollFindings.Share {
        let seen = since(counts) ?? telemetry
        guard weight > .zero, let seen else { return .unknown }
        let total = seen.canary + seen.control
        guard total.isFinite, total >= Self.fewest else { return .unknown }
        sentence = "received \(Numbers.whole(seen.canary)) of \(Numbers.whole(total)) requests at weight \(weight)"
        let share = weight.fraction
        let difference = seen.canary / total - share
        let tolerance = max(0.005, 0.25 * min(share, 1 - share))
        // Squared, so that no square root is needed; at 100 % there is no chance at all.
        let variance = share * (1 - share) / total
        guard difference * difference > Self.deviations * Self.deviations * variance else { return .fits }
        if difference > tolerance { return .high }
        return difference < -tolerance ? .low : .fits
    }

    private mutating func since(_ counts: TrafficCounts?) -> TrafficCounts? {
        guard let counts else { return nil }
        guard let base, counts.canary >= base.canary, counts.control >= base.control else {
            // The first sight under this weight, or the balancer began to count anew.
            self.base = counts
            return nil
        }
        return TrafficCounts(canary: counts.canary - base.canary, control: counts.control - base.control)
    }
}
