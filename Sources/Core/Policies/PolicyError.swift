/// Why a policy cannot be used.
public struct PolicyError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Every complaint.
    public var diagnostics: [Diagnostic]

    /// Complaints; at least one.
    public init(diagnostics: [Diagnostic]) { self.diagnostics = diagnostics }

    /// One complaint after the other.
    public var description: String { diagnostics.map(\.description).joined(separator: "\n") }
}
