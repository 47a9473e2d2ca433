public import SerinModel

/// One thing that a preflight looked at.
public struct PreflightFinding: Sendable, Hashable {
    /// `clock`, `source`, `key`, `work folder`, `destination local`.
    public var name: String
    /// What is there: versions, free space; empty when there is nothing to say, or it does not work.
    public var detail: String
    /// What is not as it should be, and stops nothing.
    public var remarks: [String]
    /// What stands in the way; nil when it works.
    public var failure: Failure?
    /// Whether no backup can be made while it does not work.
    public var isRequired: Bool

    /// A finding.
    public init(
        _ name: String, detail: String = "", remarks: [String] = [], failure: Failure? = nil, isRequired: Bool = true
    ) {
        self.name = name
        self.detail = detail
        self.remarks = remarks
        self.failure = failure
        self.isRequired = isRequired
    }
}
