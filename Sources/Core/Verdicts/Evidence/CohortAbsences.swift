public import SerinModel

/// Why each cohort gives no evidence at this poll; nil where it does.
public struct CohortAbsences: Sendable, Hashable, Codable {
    /// Of the canary.
    public var canary: Absence?
    /// Of the control.
    public var control: Absence?

    /// Absences of both.
    public init(canary: Absence? = nil, control: Absence? = nil) {
        self.canary = canary
        self.control = control
    }

    /// The graver of the two with its cohort, the canary's when both are as grave.
    var gravest: (absence: Absence, cohort: Cohort)? {
        func gravity(_ absence: Absence) -> Int {
            switch absence {
            case .sourceDown: 5
            case .noSeries: 4
            case .stale: 3
            case .zeroTraffic: 2
            case .tooFewRequests: 1
            }
        }
        guard let canary else { return control.map { ($0, .control) } }
        guard let control, gravity(control) > gravity(canary) else { return (canary, .canary) }
        return (control, .control)
    }

    /// What is absent, in a clause.
    var sentence: String? {
        guard let (absence, cohort) = gravest else { return nil }
        switch absence {
        case .sourceDown: return "telemetry did not answer"
        case .noSeries: return "the \(cohort.rawValue) has no series"
        case .stale: return "the newest sample of the \(cohort.rawValue) is too old"
        case .zeroTraffic: return "the \(cohort.rawValue) has no traffic"
        case .tooFewRequests: return "the \(cohort.rawValue) has too few requests"
        }
    }
}

/// An instance that was there and is down now: evidence against its cohort's health, not missing errors.
public struct LostInstance: Sendable, Hashable, Codable {
    /// Its cohort.
    public var cohort: Cohort
    /// The value of the instance label.
    public var instance: String

    /// A lost instance.
    public init(cohort: Cohort, instance: String) {
        self.cohort = cohort
        self.instance = instance
    }
}
