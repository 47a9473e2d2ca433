/// One direction of a revision.
public enum MigrationDirection: String, Sendable, Hashable, CaseIterable {
    /// Forward.
    case up
    /// Back.
    case down
}

/// A place in a file that people edit.
public struct LintPlace: Sendable, Hashable {
    /// The file as it was named.
    public var file: String
    /// The line, from 1.
    public var line: Int
    /// The column in characters, from 1.
    public var column: Int
    /// The line and column in generated SQL, which is no file.
    public var generated: Bool

    /// A place.
    public init(file: String, line: Int, column: Int, generated: Bool = false) {
        self.file = file
        self.line = line
        self.column = column
        self.generated = generated
    }
}

/// Something that a rule found.
public struct LintFinding: Sendable, Hashable {
    /// The rule.
    public var rule: LintRule
    /// How much it weighs here.
    public var severity: LintSeverity
    /// Where.
    public var place: LintPlace
    /// What was found, in words: lower case, no full stop.
    public var message: String
    /// Why it matters.
    public var reason: String
    /// What to write instead.
    public var safeForm: String
    /// The SQL of it, when all of it is known; empty when it is words, or leaves something open.
    public var safeRevisions: [SafeRevision]
    /// The reason that a comment gives for letting it be; nil when none does.
    public var allowance: String?

    /// Whether it fails the gate.
    public var failsGate: Bool { severity >= .error && allowance == nil }

    /// A finding; without a severity, reason or safe form it has those of its rule.
    public init(
        _ rule: LintRule, severity: LintSeverity? = nil, at place: LintPlace, _ message: String, reason: String? = nil,
        safeForm: String? = nil, safeRevisions: [SafeRevision] = []
    ) {
        self.rule = rule
        self.severity = severity ?? rule.severity
        self.place = place
        self.message = message
        self.reason = reason ?? rule.reason
        self.safeRevisions = safeRevisions
        let words = SafeRevision.words(safeRevisions)
        self.safeForm =
            words.isEmpty ? safeForm ?? rule.safeForm : ([words] + [safeForm].compactMap(\.self)).joined(separator: ", ")
    }
}

/// Whether the version of an application that runs before a statement survives it.
public enum Survival: Sendable, Hashable {
    /// It does not notice.
    case survives
    /// It depends on what it reads and writes.
    case depends(String)
    /// It breaks.
    case breaks(String)

    /// The worse of two.
    public func and(_ other: Survival) -> Survival {
        switch (self, other) {
        case (.breaks, _): self
        case (_, .breaks): other
        case (.depends, _): self
        case (_, .depends), (.survives, .survives): other
        }
    }
}
