/// Which of the two concurrent versions an instance belongs to.
public enum Cohort: String, Sendable, Hashable, Codable, CaseIterable {
    /// The new version, under test.
    case canary
    /// The version it is compared with, serving at the same time.
    case control
}
