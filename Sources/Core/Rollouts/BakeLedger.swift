internal import SerinModel
internal import SerinPolicies

/// Keeps account of observed healthy time: all of it from 5 % up counts for the bake, and each step has its own.
struct BakeLedger: Sendable, Hashable {
    /// The smallest weight whose healthy time counts for the bake.
    static let smallest = 500

    private let needed: Duration
    private let perStep: Duration
    /// What counts for the bake.
    private(set) var total = Duration.zero
    /// Healthy time at each step.
    private var steps: [Duration]

    init(_ policy: Policy) {
        needed = policy.timing.bake
        perStep = policy.effectiveStepFor
        steps = Array(repeating: .zero, count: policy.judgedSteps.count)
    }

    /// Healthy time of a step at a weight.
    mutating func add(_ time: Duration, step: Int, weight: Weight) {
        guard steps.indices.contains(step), time > .zero else { return }
        steps[step] = steps[step] + time
        if weight.basisPoints >= Self.smallest { total = total + time }
    }

    /// Whether a step has baked long enough.
    func isDone(step: Int) -> Bool { steps.indices.contains(step) && steps[step] >= perStep }

    /// Whether the whole bake is done.
    var isDone: Bool { total >= needed }

    /// What a step still lacks.
    func remaining(step: Int) -> Duration { steps.indices.contains(step) ? max(.zero, perStep - steps[step]) : .zero }

    /// What the bake still lacks.
    var remaining: Duration { max(.zero, needed - total) }
}
