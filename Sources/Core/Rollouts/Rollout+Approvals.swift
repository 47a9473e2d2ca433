internal import SerinModel
internal import SerinPolicies

// What people are asked to agree to. An approval is for exactly that: it names the hash of what was shown.
extension Rollout {
    /// What is asked about, a line each, as people read it and as it is hashed; nil while nobody is asked, and where an older engine
    /// asked without a plan.
    var approvalLines: [String]? {
        switch machine.state {
        case .mending(_, .awaitingApproval):
            return rollbackPlan?.lines
        case .awaitingApproval(let awaited):
            guard machine.plan.timing.approvalFor != nil else { return nil }
            return [words(of: awaited)] + planLines
        case .created, .preflight, .zeroing, .backingUp, .migrating, .readingHistory, .deploying, .gate, .raising, .warmingUp,
            .baking, .watching, .held, .promoting, .verifying, .completing, .lowering, .reverting, .mending, .confirming,
            .stranded, .finished:
            return nil
        }
    }

    private func words(of awaited: RolloutMachine.Awaited) -> String {
        switch awaited {
        case .start: "start, agreed to by \(machine.approvalsNeeded) different people"
        case .step(let step): "step \(step + 1) of \(machine.plan.steps.count): \(machine.plan.steps[step].weight)"
        }
    }

    /// What the rollout is, as it was frozen at its start.
    private var planLines: [String] {
        let steps = machine.plan.steps.map { "\($0.weight)\($0.needsApproval ? " (approval)" : "")" }
        var lines = [
            "\(charter.policy.service): \(charter.previous.isEmpty ? "the previous version" : charter.previous) → \(charter.version)",
            "policy \(charter.policyHash), steps \(steps.joined(separator: ", "))",
        ]
        lines += charter.overrides.map { "override \($0.key)=\($0.value): \($0.reason)" }
        lines += (migrations?.pending ?? []).map { "migration \($0.words)" }
        return lines
    }

    /// The hash of what is asked about, SHA-256: it holds for this rollout and for exactly these lines.
    private var approvalHash: String? {
        guard let lines = approvalLines else { return nil }
        // A restore is from one backup and no other.
        let backup = machine.isAskingForRestore ? [restorePoint?.backup.description ?? ""] : []
        return PlanDigest.sha256(Array(([charter.id.description] + backup + lines).joined(separator: "\n").utf8))
    }

    /// The plan that people are asked about, by the first digits of its hash.
    public var awaitedPlan: String? { approvalHash.map { String($0.prefix(12)) } }

    /// Why an approval does not count: it was given for no plan, or for another one.
    func refusalOfPlan(_ command: Command) -> Refusal? {
        guard command.verb == .approve, let hash = approvalHash, let lines = approvalLines else { return nil }
        let short = hash.prefix(12)
        let hint =
            "plan \(short) is \(lines.joined(separator: "; ")). Who agrees: serin approve \(charter.id) --plan \(short), "
            + "in a chat: approve \(charter.policy.service) \(short)"
        guard let named = command.plan else {
            return Refusal("\(asked) is agreed to by its plan, and none was named", hint: hint)
        }
        guard named.utf8.count >= 12, hash.hasPrefix(named.lowercased()) else {
            return Refusal("the plan \(named) is not the one that is asked about", hint: hint)
        }
        return nil
    }

    private var asked: String {
        guard case .awaitingApproval(let awaited) = machine.state else { return "a restore" }
        return awaited == .start ? "a start" : "a step"
    }
}
