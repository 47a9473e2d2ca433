internal import SerinModel

/// What the polls of the last minute added, for hard limits and for "no traffic".
struct RecentWindow: Sendable, Hashable {
    /// One poll.
    struct Step: Sendable, Hashable {
        var at: Instant
        var canary = InstanceTrack.Increase()
        var control = InstanceTrack.Increase()
        var isEmpty = true

        init(at: Instant) { self.at = at }

        mutating func add(_ increase: InstanceTrack.Increase, to cohort: Cohort) {
            isEmpty = false
            switch cohort {
            case .canary: canary += increase
            case .control: control += increase
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

    /// Whether polls cover the whole window.
    var isFull: Bool {
        guard let first = steps.first, let last = steps.last else { return false }
        return last.at - first.at >= RecentWindow.length
    }

    /// What a cohort did in the window.
    func sum(_ cohort: Cohort) -> InstanceTrack.Increase {
        var sum = InstanceTrack.Increase()
        for step in inside where !step.isEmpty { sum += cohort == .canary ? step.canary : step.control }
        return sum
    }

    /// A cohort's exposure in the window.
    func exposure(_ cohort: Cohort) -> Double { sum(cohort).exposure }
}
