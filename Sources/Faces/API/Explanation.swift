public import SerinController
public import SerinModel
public import SerinRollouts

/// One rollout explained: whether users are safe now, why it is where it is, and its last decisions.
public struct Explanation: Sendable {
    /// The rollout.
    public let status: RolloutStatus
    /// The last decisions, oldest first, at most ten.
    public let decisions: [LoggedDecision]

    /// Reads what is to be explained of a rollout.
    public init(of name: String, from operations: any RolloutOperations) async throws(OperationError) {
        status = try await operations.status(of: name)
        var last: [LoggedDecision] = []
        var sequence: Int64 = 0
        while true {
            let page = try await operations.decisions(of: status.id.description, after: sequence, limit: 1000)
            sequence = page.last?.sequence ?? sequence
            last = Array((last + page).suffix(10))
            if page.count < 1000 { break }
        }
        decisions = last
    }

    /// The document.
    ///
    /// - Parameter isAttended: Whether a controller told the status.
    public func document(isAttended: Bool) -> JSONValue {
        .object([
            "schema": .string("serin.dev/why/v1"), "rollout": StatusDocument.encode(status),
            "safe_now": .string(Self.safety(status, isAttended: isAttended)),
            "decisions": .array(decisions.map(DecisionDocument.encode)),
        ])
    }

    /// What is shouted while writes to the database are kept away, or may be; nil while they are let in.
    public static func fence(_ status: RolloutStatus) -> String? {
        switch status.fence {
        case .open: nil
        case .unsure: "WRITES MAY BE FENCED"
        case .closed: "WRITES ARE FENCED"
        }
    }

    /// Whether users are safe from the canary now, as an answer to be read aloud.
    ///
    /// - Parameter isAttended: Whether a controller told the status; else it is what the journal said last, and nobody has looked since.
    public static func safety(_ status: RolloutStatus, isAttended: Bool = true) -> String {
        if !status.isFinal, !isAttended { return "UNKNOWN, no controller is in charge: look at the load balancer" }
        if status.isFinal, status.ending == .promoted {
            return status.state == "passed"
                ? "yes, passed: \(status.next)" : "yes, promoted: everyone is served by \(status.version)"
        }
        if status.isFinal, status.unconfirmedZero != nil {
            return "unknown: the weight could not be read; this rollout never raised it"
        }
        guard let observed = status.observedWeight else {
            guard let tries = status.pressingZero else { return "unknown: the weight could not be read" }
            return "NOT KNOWN: the weight cannot be read and 0 is not confirmed (\(tries)): act now, "
                + "set the canary to 0 at the balancer"
        }
        if observed == .zero {
            if let words = unsure(status) { return words }
            if status.unrecordedLowering != nil {
                return "yes, the weight was lowered to 0 and 0 is read back; the record is behind"
                    + (fence(status).map { ", and \($0): the service cannot write" } ?? "")
            }
            let rest = status.isRollbackIncomplete ? "; the rest of the way back is not done: a person has to act" : ""
            return "yes, the canary receives no traffic" + (fence(status).map { ", but \($0): the service cannot write" } ?? "")
                + rest
        }
        if status.isRollbackIncomplete { return "NO, the canary still receives \(observed) and must not: act now" }
        // While nothing can be recorded, that it goes back is not either.
        let isUnrecordedLowering = !status.isRecorded && status.wantedWeight == .zero && status.pressingZero != nil
        if status.ending != nil && status.ending != .promoted || isUnrecordedLowering {
            guard let tries = status.pressingZero else { return "not yet, the canary still receives \(observed)" }
            return "NO, the canary still receives \(observed) and 0 is not confirmed (\(tries)): act now, "
                + "set it to 0 at the balancer"
        }
        if let words = unsure(status) { return words }
        if status.unrecordedLowering != nil {
            return "not yet, the canary still receives \(observed): the weight is being lowered to 0, and the record is behind"
        }
        let control = status.isPromotionBegun ? ", and control may be served by \(status.version) already" : ""
        if !status.isWatched {
            let held = status.state == "held" ? "held, " : ""
            return "the canary receives \(observed), \(held)not watched\(control): \(status.cause)"
        }
        if observed > status.wantedWeight {
            // A raise that was given up and has applied is let stand where its step is entered again.
            let lowered = status.state == "raising" ? "" : ": it is being lowered"
            return "the canary receives \(observed) where \(status.wantedWeight) is wanted\(lowered) and is watched"
        }
        return "the canary receives \(observed) and is watched\(control)"
    }

    /// What has to be said of a promotion that was begun and does not just go on: users may have the new version without the canary.
    private static func unsure(_ status: RolloutStatus) -> String? {
        let isGoingOn = status.ending == nil || status.ending == .promoted
        guard status.isPromotionBegun, !isGoingOn || status.state == "held" else { return nil }
        let previous = status.previous.isEmpty ? "the previous version" : status.previous
        let weight = status.observedWeight.map { $0 == .zero ? "no traffic" : "\($0)" } ?? "nobody knows what"
        let next =
            status.isRollbackIncomplete
            ? "act now, bring \(previous) back" : isGoingOn ? status.next : "\(previous) is being brought back"
        return "NOT KNOWN: the canary receives \(weight), but control may be served by \(status.version): \(next)"
    }
}

extension RolloutStatus {
    /// The state in words, with what has happened to the weight since it was recorded.
    public var stateNow: String { unrecordedLowering.map { "\($0), not recorded yet (\(state) is recorded)" } ?? state }

    /// What is done to the weight while the record still has the rollout going on; nil elsewhere.
    var unrecordedLowering: String? {
        guard !isRecorded, !isFinal, ending == nil, step > 0, wantedWeight == .zero else { return nil }
        return observedWeight == .zero ? "lowered to 0" : "being lowered to 0"
    }

    /// What came of the tries for weight 0, once there were so many that a person has to act; nil before, and when it is over.
    public var pressingZero: String? {
        guard !isFinal, let zero = unconfirmedZero, zero.tries > 3 || isRollbackIncomplete else { return nil }
        return zero.words
    }
}
