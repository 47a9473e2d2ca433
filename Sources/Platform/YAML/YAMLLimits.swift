/// How much a document may hold. A policy is a page of text; these bounds are far above one and far below what could hurt.
public struct YAMLLimits: Sendable, Hashable {
    /// The most bytes: 1 MiB.
    public var bytes = 1 << 20
    /// How many lists and mappings may stand inside each other: 32.
    public var depth = 32
    /// The most values and keys: 20 000.
    public var nodes = 20_000
    /// The most complaints collected before reading stops: 100.
    public var diagnostics = 100

    /// The bounds for policies.
    public init() {}
}
