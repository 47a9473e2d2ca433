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

    /// The least time over which requests are compared.
    static let length = Duration.minutes(1)
    /// Samples of each instance within that time, so that one more or less of one cohort does not look like another share.
    static let samples: Int64 = 5

    private var balancer = RequestWindow()
    private var seenByTelemetry = RequestWindow()
    /// What was seen, for people: `received 310 of 4,003 requests`.
    private(set) var sentence = ""

    /// A weight is in force from now on: requests are counted anew.
    mutating func weightConfirmed() { self = ShareGuard() }

    /// Judges one poll: the balancer's own counters where it has them, else the requests that telemetry saw.
    ///
    /// Only the latest requests count, so a change shows as fast after a day as after a minute: those of the last minute, and as many
    /// as it takes for chance to be told from a difference that matters.
    ///
    /// - Parameters:
    ///   - weight: The weight in force.
    ///   - counts: The balancer's totals.
    ///   - telemetry: The requests that telemetry saw since the confirmation.
    ///   - scrape: The time between samples of the targets, as far as it is known.
    ///   - now: When the poll began.
    mutating func judge(
        _ weight: Weight, counts: TrafficCounts?, telemetry: TrafficCounts?, scrape: Duration?, at now: Instant
    ) -> PollFindings.Share {
        guard weight > .zero else { return .unknown }
        let share = weight.fraction
        let tolerance = max(0.005, 0.25 * min(share, 1 - share))
        let telling = Self.deviations * Self.deviations * share * (1 - share) / (tolerance * tolerance)
        let fewest = max(Self.fewest, telling)
        let direct = counts.flatMap { balancer.take($0, at: now, lasting: Self.length, holding: fewest) }
        let long = max(Self.length, (scrape ?? .zero) * Self.samples)
        let indirect = telemetry.flatMap { seenByTelemetry.take(sinceConfirmed: $0, at: now, lasting: long, holding: fewest) }
        guard let seen = direct ?? indirect else { return .unknown }
        let total = seen.canary + seen.control
        guard total.isFinite, total >= Self.fewest else { return .unknown }
        sentence = "received \(Numbers.whole(seen.canary)) of \(Numbers.whole(total)) requests at weight \(weight)"
        let difference = seen.canary / total - share
        // Squared, so that no square root is needed; at 100 % there is no chance at all.
        let variance = share * (1 - share) / total
        guard difference * difference > Self.deviations * Self.deviations * variance, abs(difference) > tolerance else {
            return .fits
        }
        let skew = direct == nil ? skew(scrape: scrape, at: now) : 1
        if difference > 0 {
            return seen.canary / (seen.canary + skew * seen.control) - share > tolerance ? .high : .unknown
        }
        return share - skew * seen.canary / (skew * seen.canary + seen.control) > tolerance ? .low : .unknown
    }

    /// How many times too many requests of a cohort telemetry may show: soon after a confirmation its instances may have been
    /// sampled once more often than the other's. Where nobody knows how often that is, every difference counts.
    private func skew(scrape: Duration?, at now: Instant) -> Double {
        guard let scrape else { return 1 }
        let span = Double(seenByTelemetry.span(until: now).milliseconds)
        let samples = max(1, span / Double(max(1, scrape.milliseconds)))
        return samples < Double(Self.samples) ? 1 + 1 / samples : 1
    }
}
