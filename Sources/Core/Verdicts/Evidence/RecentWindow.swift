internal import SerinModel

/// What the polls of the last minute added, for hard limits and for "no traffic".
struct RecentWindow: Sendable, Hashable {
    /// One poll.
    struct Step: Sendable, Hashable {
        var at: Instant
        var canary = InstanceTrack.Increase()
        var control = InstanceTrack.Increase()
        /// Whether an instance of the cohort was counted, be it with nothing.
        var hasCanary = false
        var hasControl = false

        init(at: Instant) { self.at = at }

        mutating func add(_ increase: InstanceTrack.Increase, to cohort: Cohort) {
            switch cohort {
            case .canary:
                hasCanary = true
                canary += increase
            case .control:
                hasControl = true
                control += increase
            }
        }
    }

    /// Its length.
    static let length = Duration.seconds(60)

    /// The polls in it, oldest first; the one before the window is kept to know whether the window is covered.
    private var steps: [Step] = []

    mutating func append(_ step: Step) {
        steps.append(step)
        while steps.count > 2, step.at - steps[1].at >= RecentWindow.length { steps.removeFirst() }
    }

    /// The polls that lie in the window.
    private var inside: ArraySlice<Step> {
        guard let last = steps.last else { return [] }
        return steps.drop { last.at - $0.at >= RecentWindow.length && $0.at != last.at }
    }

    /// Whether a cohort was counted at every poll of a whole window and did nothing.
    func isSilent(_ cohort: Cohort) -> Bool {
        guard let first = steps.first, let last = steps.last, last.at - first.at >= RecentWindow.length else { return false }
        return inside.allSatisfy { cohort == .canary ? $0.hasCanary : $0.hasControl } && sum(cohort).exposure == 0
    }

    /// What a cohort did in the window.
    func sum(_ cohort: Cohort) -> InstanceTrack.Increase {
        var sum = InstanceTrack.Increase()
        for step in inside where cohort == .canary ? step.hasCanary : step.hasControl {
            sum += cohort == .canary ? step.canary : step.control
        }
        return sum
    }
}
