public import SerinModel
public import SerinRollouts

/// Everything that the page of one rollout shows.
public struct RolloutView: Sendable {
    /// Where it stands.
    public var status: RolloutStatus
    /// Its course.
    public var history: RolloutHistory
    /// What a rollout of its policy does and how it is taken back, in sentences with the exact commands.
    public var plan: PlanWords
    /// The state folder, for commands to copy.
    public var stateFolder: String

    /// A view.
    public init(
        status: RolloutStatus, history: RolloutHistory, plan: PlanWords = PlanWords(), stateFolder: String = ""
    ) {
        self.status = status
        self.history = history
        self.plan = plan
        self.stateFolder = stateFolder
    }
}

/// A plan in sentences.
public struct PlanWords: Sendable, Hashable {
    /// What is done, a sentence a stage.
    public var stages: [String]
    /// How it is taken back, a sentence a stage.
    public var wayBack: [String]
    /// The least time from the first raise to the promotion; nil where no policy is known.
    public var earliest: Duration?

    /// A plan.
    public init(stages: [String] = [], wayBack: [String] = [], earliest: Duration? = nil) {
        self.stages = stages
        self.wayBack = wayBack
        self.earliest = earliest
    }
}
