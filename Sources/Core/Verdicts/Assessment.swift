public import SerinModel

/// What is known of one signal after a poll.
public struct SignalAssessment: Sendable, Hashable, Codable {
    /// The signal's name in the policy.
    public var name: String
    /// Its verdict.
    public var verdict: Verdict
    /// Why, in one clause.
    public var reason: String
    /// Why there is no evidence, when there is none.
    public var absence: Absence?
    /// The cohort that the absence or the hard limit concerns.
    public var absentCohort: Cohort?
    /// Whether it decides nothing.
    public var isReportOnly: Bool
    /// Whether a fail is a security event, which halts.
    public var isSecurity: Bool
    /// Whether the canary was beyond the hard limit at this poll.
    public var isBeyondHardLimit: Bool
    /// Whether the control was beyond the hard limit at this poll: never a pass then.
    public var isControlBeyondHardLimit: Bool
    /// Events and exposure so far, both cohorts.
    public var counts: CohortCounts
    /// The stratified estimate of the ratio of rates, canary over control; nil without events.
    public var ratio: Double?
    /// The anytime-valid interval of that ratio; nil where it was not computed. The upper bound may be infinite.
    public var interval: Interval?
    /// The boundary of the ratio beyond which a fail is proven, 1.10 for ±10 %.
    public var boundary: Double
    /// Natural logarithms of the e-values of both sides.
    public var logEFail: Double
    /// Natural logarithm of the pass side's e-value.
    public var logEPass: Double
    /// The overdispersion factor used, and where it came from in words.
    public var phi: Double
    /// Where phi came from: `noise measured on 6 h of 4 control instances: 1.3`.
    public var noise: String
    /// When the regression most likely began, on a fail.
    public var onset: Instant?
    /// Why each cohort gives no evidence; `absence` is the graver of the two.
    public var absences: CohortAbsences
    /// The common slow-down, canary over control, that the ratio of a latency signal means; nil for other kinds.
    public var slowdown: Double?
    /// What people should know about how this signal is tested.
    public var notes: [String]

    /// An assessment of a signal about which nothing is known yet.
    public init(name: String) {
        self.name = name
        verdict = .nodata
        reason = "no block yet"
        absence = nil
        absentCohort = nil
        isReportOnly = false
        isSecurity = false
        isBeyondHardLimit = false
        isControlBeyondHardLimit = false
        counts = CohortCounts()
        ratio = nil
        interval = nil
        boundary = 1.1
        logEFail = 0
        logEPass = 0
        phi = 1
        noise = ""
        onset = nil
        absences = CohortAbsences()
        slowdown = nil
        notes = []
    }
}

/// Events and exposure of both cohorts.
public struct CohortCounts: Sendable, Hashable, Codable {
    /// Events of the canary.
    public var canaryEvents = 0.0
    /// Requests (or instance-seconds) of the canary.
    public var canaryExposure = 0.0
    /// Events of the control.
    public var controlEvents = 0.0
    /// Requests (or instance-seconds) of the control.
    public var controlExposure = 0.0

    /// Nothing yet.
    public init() {}
}

/// An interval of a ratio.
public struct Interval: Sendable, Hashable, Codable {
    /// The lower bound.
    public var low: Double
    /// The upper bound, possibly infinite.
    public var high: Double

    /// An interval.
    public init(low: Double, high: Double) {
        self.low = low
        self.high = high
    }
}

/// What all evidence says after one poll.
public struct Assessment: Sendable, Hashable, Codable {
    /// One for each signal, in the policy's order.
    public var signals: [SignalAssessment]
    /// The observed healthy time that this poll completed (a usable block outside warm-up); zero most polls.
    public var healthyTime: Duration
    /// Requests seen since the weight was last confirmed, per cohort: the base of the observed share. Nil when unknown.
    public var observedRequests: TrafficCounts?
    /// Whether telemetry warned, so that nothing may pass on this poll's evidence.
    public var isDegraded: Bool
    /// The name of the signal that fails the family as a whole, when one does.
    public var failing: String?
    /// Instances that were there and are down now; nothing passes while one of them is the canary's.
    public var lost: [LostInstance]
    /// Whether the new version is seen on control; to be asked once the promotion has begun.
    public var newVersion: NewVersionSight

    /// An assessment.
    public init(
        signals: [SignalAssessment], healthyTime: Duration, observedRequests: TrafficCounts?, isDegraded: Bool, failing: String?,
        lost: [LostInstance] = [], newVersion: NewVersionSight = .untold
    ) {
        self.signals = signals
        self.healthyTime = healthyTime
        self.observedRequests = observedRequests
        self.isDegraded = isDegraded
        self.failing = failing
        self.lost = lost
        self.newVersion = newVersion
    }
}

/// Whether the series show the new version on control: on an instance that did not show it when the promotion began.
public enum NewVersionSight: String, Sendable, Hashable, Codable, CaseIterable {
    /// At least one such instance has fresh series, and none of them is down.
    case seen
    /// There is none, one is down, or the answer was not whole.
    case unseen
    /// The series do not tell: no label of the canary names the version, or no series names its instance.
    case untold
}
