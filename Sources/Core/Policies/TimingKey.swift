public import SerinModel

/// The policy's keys for times. The raw value is the key.
enum TimingKey: String, CaseIterable, Sendable {
    case poll
    case bake
    case stepFor = "step_for"
    case warmup
    case maxBake = "max_bake"
    case holdFor = "hold_for"
    case lossFor = "loss_for"
    case watch
    case preflightDeadline = "preflight_deadline"
    case raiseDeadline = "raise_deadline"
    case haltDeadline = "halt_deadline"
    case rollbackDeadline = "rollback_deadline"
    case approvalDeadline = "approval_deadline"
    case approvalFor = "approval_for"
    case watchdogAfter = "watchdog_after"
    case minEvidence = "min_evidence"

    /// Sets the time.
    func set(_ duration: Duration, in timing: inout TimingPolicy) {
        switch self {
        case .poll: timing.poll = duration
        case .bake: timing.bake = duration
        case .stepFor: timing.stepFor = duration
        case .warmup: timing.warmup = duration
        case .maxBake: timing.maxBake = duration
        case .holdFor: timing.holdFor = duration
        case .lossFor: timing.lossFor = duration
        case .watch: timing.watch = duration
        case .preflightDeadline: timing.preflightDeadline = duration
        case .raiseDeadline: timing.raiseDeadline = duration
        case .haltDeadline: timing.haltDeadline = duration
        case .rollbackDeadline: timing.rollbackDeadline = duration
        case .approvalDeadline: timing.approvalDeadline = duration
        case .approvalFor: timing.approvalFor = duration
        case .watchdogAfter: timing.watchdogAfter = duration
        case .minEvidence: timing.minEvidence = duration
        }
    }

    /// The time in force, derived from others where the policy does not give it.
    func value(in policy: Policy) -> Duration {
        let timing = policy.timing
        return switch self {
        case .poll: timing.poll
        case .bake: timing.bake
        case .stepFor: policy.effectiveStepFor
        case .warmup: timing.warmup
        case .maxBake: policy.timing.effectiveMaxBake
        case .holdFor: timing.holdFor
        case .lossFor: timing.lossFor
        case .watch: timing.watch
        case .preflightDeadline: timing.preflightDeadline
        case .raiseDeadline: timing.raiseDeadline
        case .haltDeadline: timing.haltDeadline
        case .rollbackDeadline: timing.rollbackDeadline
        case .approvalDeadline: timing.approvalDeadline
        case .approvalFor: timing.approvalFor ?? timing.approvalDeadline
        case .watchdogAfter: timing.watchdogAfter
        case .minEvidence: timing.minEvidence
        }
    }
}

extension Policy {
    /// The steps at which canary and control are compared: all but one of 100 %.
    public var judgedSteps: [StepPolicy] { traffic.steps.filter { $0.weight < .all } }

    /// The least healthy time at each judged step: `step_for`, or the bake divided by the number of judged steps. What that
    /// leaves of the bake is spent at the last of them.
    public var effectiveStepFor: Duration {
        timing.stepFor ?? Duration(milliseconds: timing.bake.milliseconds / Int64(max(1, judgedSteps.count)))
    }
}

extension TimingKey {
    /// What its text must be: as in the policy.
    var form: ScalarForm {
        if case .scalar(let form)? = timingFields.first(where: { $0.key == rawValue })?.shape { return form }
        return .duration(.zero...(.hours(24)))
    }
}
