internal import SerinModel
internal import SerinPolicies

/// One backup as the tiers see it.
struct TierCandidate {
    let index: Int
    let createdAt: Instant
}

extension RetentionTier {
    /// The number of the hour, day, week, month or year in UTC that a moment lies in; later ones have larger numbers.
    func bucket(of time: Instant, weekStart: Weekday) -> Int64 {
        switch self {
        case .hourly: return Instant(millisecondsSince1970: time.millisecondsSince1970).hourNumber
        case .daily: return time.dayNumber
        case .weekly:
            // Day 0 was a Thursday, so day 3 was the first Sunday.
            let shifted = time.dayNumber - 3 - Int64(weekStart.rawValue)
            return (shifted - Int64(((shifted % 7) + 7) % 7)) / 7
        case .monthly:
            let date = time.date
            return date.year * 12 + date.month - 1
        case .yearly: return time.date.year
        }
    }

    /// The first moment of a bucket.
    func start(of bucket: Int64, weekStart: Weekday) -> Instant {
        switch self {
        case .hourly: Instant(millisecondsSince1970: bucket * 3_600_000)
        case .daily: Instant(dayNumber: bucket)
        case .weekly: Instant(dayNumber: bucket * 7 + 3 + Int64(weekStart.rawValue))
        case .monthly: Instant(dayNumber: CivilDate(year: bucket / 12, month: bucket % 12 + 1, day: 1).dayNumber)
        case .yearly: Instant(dayNumber: CivilDate(year: bucket, month: 1, day: 1).dayNumber)
        }
    }
}

extension Instant {
    fileprivate var hourNumber: Int64 {
        let quotient = millisecondsSince1970 / 3_600_000
        return millisecondsSince1970 % 3_600_000 < 0 ? quotient - 1 : quotient
    }
}

extension RetentionPolicy {
    /// What the rules say of one candidate.
    struct Finding {
        var reasons: [KeepReason] = []
        /// When the last of the rules that know this candidate lets go of it; nil when none knows it.
        var until: Instant?
    }

    /// What the rules say of each candidate at a moment. The candidates are in the order of time, none later than the moment.
    ///
    /// Of each bucket the first one counts: it stays the first whatever comes later, so pruning every day leaves what looking at
    /// the whole history would, and a later bad one never takes its place.
    func findings(of candidates: [TierCandidate], at now: Instant) -> [Finding] {
        var findings = [Finding](repeating: Finding(), count: candidates.count)
        if keepsEverything {
            for place in findings.indices { findings[place].reasons = [.noRule] }
            return findings
        }
        if let keepAll {
            for (place, candidate) in candidates.enumerated() {
                findings[place].until = candidate.createdAt + keepAll
                if now - candidate.createdAt < keepAll { findings[place].reasons.append(.recent) }
            }
        }
        for tier in tiers { note(tier, on: candidates, at: now, in: &findings) }
        return findings
    }

    private func note(_ tier: Tier, on candidates: [TierCandidate], at now: Instant, in findings: inout [Finding]) {
        var firsts: [(place: Int, bucket: Int64)] = []
        for (place, candidate) in candidates.enumerated() {
            let bucket = tier.tier.bucket(of: candidate.createdAt, weekStart: weekStart)
            if firsts.last?.bucket != bucket { firsts.append((place, bucket)) }
        }
        for (number, first) in firsts.enumerated() {
            let createdAt = candidates[first.place].createdAt
            var isKept = false
            if let age = tier.rule.age {
                isKept = now - createdAt < age
                findings[first.place].until = larger(findings[first.place].until, createdAt + age)
            }
            if let count = tier.rule.count {
                isKept = isKept || number >= firsts.count - count
                let end = tier.tier.start(of: first.bucket + Int64(count), weekStart: weekStart)
                findings[first.place].until = larger(findings[first.place].until, end)
            }
            if isKept { findings[first.place].reasons.append(.tier(tier.tier)) }
        }
    }
}

/// The later of two, where nothing is the earliest.
func larger(_ left: Instant?, _ right: Instant?) -> Instant? {
    guard let left, let right else { return left ?? right }
    return max(left, right)
}
