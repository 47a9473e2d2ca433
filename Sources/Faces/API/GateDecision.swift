internal import SerinModel
internal import SerinRollouts

/// What a pipeline that asks the gate is to do.
enum GateDecision: String, Sendable, CaseIterable {
    /// Go on with the release.
    case promote
    /// Ask again.
    case undecided
    /// Do not go on: it is being taken back, or is over without having passed.
    case stop

    /// The decision on a rollout. What is being promoted is undecided until that is done.
    init(_ status: RolloutStatus) {
        switch status.ending {
        case .promoted: self = status.isFinal ? .promote : .undecided
        case .failed, .halted, .inconclusive, .refused: self = .stop
        case nil: self = status.isFinal || status.isRollbackIncomplete ? .stop : .undecided
        }
    }

    var httpStatus: Int {
        switch self {
        case .promote: 200
        case .undecided: 202
        case .stop: 409
        }
    }

    func document(_ status: RolloutStatus) -> JSONValue {
        .object([
            "schema": .string("serin.dev/gate/v1"), "decision": .string(rawValue), "rollout": StatusDocument.encode(status),
        ])
    }
}
