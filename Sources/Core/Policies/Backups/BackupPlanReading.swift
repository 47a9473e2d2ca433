/// What came of reading a backup plan: the plan, or everything that is wrong with it.
public struct BackupPlanReading: Sendable {
    /// The plan with its defaults; nil when there is any complaint.
    public let plan: BackupPlan?
    /// Every complaint, in the order of the document.
    public let diagnostics: [Diagnostic]
    /// What is allowed and should be looked at: runs outside the windows, values weaker than the preset's, no copy elsewhere.
    public let warnings: [Diagnostic]

    /// Reads a plan from its document.
    ///
    /// - Parameters:
    ///   - node: The document's root; nil when it could not be read at all.
    ///   - file: Its name, for complaints.
    ///   - earlier: What was complained about while the document was read.
    ///   - destinations: The kinds of places that may stand under `destinations`.
    ///   - offsets: The time zones that plans may name.
    public init(
        of node: MarkedNode?, file: String, earlier: [Diagnostic] = [], destinations: [DestinationSchema],
        offsets: @escaping ZoneOffsets
    ) {
        let root = backupPlanShape(destinations: destinations.map(\.driver))
        var reader = ShapeReader(file: file, root: root, document: "plan", foreign: [:])
        var builder = BackupPlanBuilder(file: file, destinations: destinations, offsets: offsets)
        var built: BackupPlan?
        if let node, case .section(let section)? = reader.read(node, as: .section(root), path: "") {
            built = builder.plan(from: section)
        }
        let complaints = earlier + reader.diagnostics + builder.diagnostics
        diagnostics = complaints.sorted { ($0.mark, $0.message) < ($1.mark, $1.message) }
        warnings = builder.warnings.sorted { ($0.mark, $0.message) < ($1.mark, $1.message) }
        plan = complaints.isEmpty ? built : nil
    }
}
