/// Why a rollout is taken back; decides how it ends. The words for people are added by `Rollout`.
public enum Cause: Sendable, Hashable, Codable {
    /// A signal failed.
    case verdict
    /// A signal was beyond its hard limit.
    case hardLimit
    /// A security signal rose.
    case security
    /// A matching alert fires.
    case alert
    /// The database is out of its limits.
    case database
    /// The observed share does not fit the weight.
    case share
    /// Someone else lowered the weight.
    case drift
    /// An action failed.
    case actionFailed(ActionKind)
    /// Nobody settled an action of unknown outcome in time.
    case actionUnknown(ActionKind)
    /// The promotion action was done, and telemetry did not show the new version healthy on control in time.
    case unseenPromotion
    /// Someone asked for it.
    case command(Command.Verb)
    /// The longest bake was over without a verdict.
    case inconclusive
    /// Telemetry was lost for too long.
    case telemetry
    /// The weight could not be read for too long.
    case unreadable
    /// A deadline passed.
    case deadline(DeadlineKind)
    /// The controller found that one of its own promises does not hold. It says nothing about the canary, so it is no "failed".
    case doubt

    /// How a rollout ends that is taken back for this.
    public var ending: Ending {
        switch self {
        case .verdict, .hardLimit, .database, .share, .drift, .actionFailed, .actionUnknown, .unseenPromotion: .failed
        case .security, .alert, .command: .halted
        case .inconclusive, .telemetry, .unreadable, .deadline, .doubt: .inconclusive
        }
    }
}

/// Why a rollout is held.
public enum HoldReason: Sendable, Hashable, Codable {
    /// Someone asked for it.
    case command
    /// The longest bake was over without a verdict.
    case inconclusive
    /// Someone else lowered the weight.
    case drift
    /// Nobody knows how an action ended.
    case actionUnknown(ActionKind)
    /// Telemetry is lost.
    case telemetry
    /// The canary receives too few requests for its weight.
    case share
    /// The weight cannot be read.
    case unreadable

    /// Whether it ends by itself when its reason is gone; the others need a person.
    public var endsByItself: Bool {
        switch self {
        case .telemetry, .share, .unreadable: true
        case .command, .inconclusive, .drift, .actionUnknown: false
        }
    }

    /// Why a rollout is taken back whose hold lasted too long.
    public var cause: Cause {
        switch self {
        case .command: .deadline(.hold)
        case .inconclusive: .inconclusive
        case .drift: .drift
        case .actionUnknown(let kind): .actionUnknown(kind)
        case .telemetry: .telemetry
        case .share: .share
        case .unreadable: .unreadable
        }
    }
}
