internal import SerinModel

extension RolloutStatus {
    /// Whether users are safe from the canary now, as an answer to be read aloud.
    ///
    /// - Parameter isAttended: Whether a controller told the status; else it is what the journal said last, and nobody has looked since.
    public func safety(isAttended: Bool = true) -> String {
        if !isFinal, !isAttended { return "UNKNOWN, no controller is in charge: look at the load balancer" }
        if isFinal, ending == .promoted {
            return state == "passed" ? "yes, passed: \(next)" : "yes, promoted: everyone is served by \(version)"
        }
        guard let observed = observedWeight else { return "unknown: the weight could not be read" }
        if observed == .zero { return "yes, the canary receives no traffic" }
        if isRollbackIncomplete { return "NO, the canary still receives \(observed) and must not: act now" }
        if ending != nil, ending != .promoted { return "not yet, the canary still receives \(observed)" }
        if !isWatched {
            let held = state == "held" ? "held, " : ""
            return "the canary receives \(observed), \(held)not watched: \(cause)"
        }
        return "the canary receives \(observed) and is watched"
    }
}
