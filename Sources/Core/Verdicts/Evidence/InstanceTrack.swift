/// One instance's cumulative values of one signal, and what it added to the open block.
struct InstanceTrack: Sendable, Hashable {
    /// Cumulative values at one poll.
    struct Mark: Sendable, Hashable {
        var events: Double
        var exposure: Double
        /// Cumulative counts at the finite edges, for a histogram.
        var counts: [Double]
    }

    /// What was added between two polls.
    struct Increase: Sendable, Hashable {
        var events = 0.0
        var exposure = 0.0
        var counts: [Double] = []

        static func += (left: inout Increase, right: Increase) {
            left.events += right.events
            left.exposure += right.exposure
            if left.counts.isEmpty {
                left.counts = right.counts
            } else {
                for k in left.counts.indices { left.counts[k] += right.counts[k] }
            }
        }
    }

    /// Who it is.
    var key: InstanceKey
    /// The values at the last poll; nil when there was a gap, so that the next ones are a base line only.
    var mark: Mark?
    /// Whether it was counted at every poll of the open block.
    var isWhole = false
    /// What it added to the open block.
    var open = Increase()
    /// Whether this process has shown a series of events: from then on its absence is a hole in the readings, not a 0.
    private(set) var hasEvents = false
    /// The exposure last seen, and whether the instance was away since.
    private var lastExposure = 0.0
    private var wasAway = false

    init(key: InstanceKey) { self.key = key }

    /// Begins a block: whoever has a base line now can be whole in it.
    mutating func beginBlock() {
        isWhole = mark != nil
        open = Increase()
    }

    /// No usable value at this poll.
    mutating func gap() {
        mark = nil
        isWhole = false
    }

    /// The instance has no row at this poll.
    mutating func away() {
        wasAway = true
        gap()
    }

    /// A new process: what the one before had shown says nothing about it.
    mutating func restarted() { hasEvents = false }

    /// Takes note of whether there is a series of events; false when one has vanished, for then nobody knows how many there were.
    mutating func sees(events isThere: Bool, exposure: Double) -> Bool {
        // Away and back with less: the process is a new one, though nobody saw it begin.
        if wasAway, exposure < lastExposure { restarted() }
        wasAway = false
        lastExposure = exposure
        if isThere { hasEvents = true }
        return isThere || !hasEvents
    }

    /// Takes the values of this poll and returns what was added since the last one; nil for a base line and for a gap.
    ///
    /// All counters of a process fall together when it restarts. A fall is a restart only with proof; values then count from 0. A fall
    /// without proof, or a proven restart in which the exposure did not fall, says nothing reliable about the interval: a gap.
    mutating func advance(to new: Mark, isRestarted: Bool) -> Increase? {
        guard let old = mark, old.counts.count == new.counts.count else {
            mark = new
            isWhole = false
            return nil
        }
        mark = new
        let hasFallen = new.exposure < old.exposure
        if hasFallen, isRestarted {
            return Increase(events: new.events, exposure: new.exposure, counts: new.counts)
        }
        let counts = zip(new.counts, old.counts).map { $0 - $1 }
        let events = new.events - old.events
        let isQuiet = new.exposure == old.exposure && old.exposure == 0
        guard !hasFallen, isQuiet || !isRestarted, events >= 0, counts.allSatisfy({ $0 >= 0 }) else {
            isWhole = false
            return nil
        }
        return Increase(events: events, exposure: new.exposure - old.exposure, counts: counts)
    }
}
