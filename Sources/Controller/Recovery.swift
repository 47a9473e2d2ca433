internal import SerinModel
internal import SerinPorts
internal import SerinRecords
internal import SerinRollouts

/// Takes over what an earlier controller left: replays the journal and settles open effects by reading the world.
struct Recovery: Sendable {
    /// What the journal held.
    struct Past: Sendable {
        /// The last finished rollout, when none is live.
        var finished: [RolloutStatus] = []
        /// A driver for the live rollout.
        var driver: RolloutDriver?
    }

    let parts: ServiceController.Parts

    func run() async throws(OperationError) -> Past { Past() }
}
