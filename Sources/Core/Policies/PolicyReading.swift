/// What came of reading a policy: the policy, or everything that is wrong with it.
public struct PolicyReading: Sendable {
    /// The policy with its defaults; nil when there is any complaint.
    public let policy: Policy?
    /// Every complaint, in the order of the document.
    public let diagnostics: [Diagnostic]
    /// What a release of this policy needs and was not given: versions that the policy speaks of. A check can do without.
    public let missingVersions: [Diagnostic]

    /// Reads a policy from its document.
    ///
    /// - Parameters:
    ///   - node: The document's root; nil when it could not be read at all.
    ///   - file: Its name, for complaints.
    ///   - earlier: What was complained about while the document was read.
    ///   - drivers: The load balancers that may stand under `traffic`.
    ///   - version: What `{{version}}` stands for; nil leaves it as it is, to check a policy without a release.
    ///   - previous: What `{{previous}}` stands for; nil leaves it as it is.
    public init(
        of node: MarkedNode?, file: String, earlier: [Diagnostic] = [], drivers: [DriverSchema], version: String? = nil,
        previous: String? = nil
    ) {
        let root = policyShape(drivers: drivers)
        var reader = ShapeReader(file: file, root: root)
        let placeholders = Placeholders(version: version, previous: previous)
        var builder = PolicyBuilder(file: file, drivers: drivers, placeholders: placeholders)
        // What was said of a place already is not said again in other words.
        let said = Set(earlier.map(\.mark))
        var built: Policy?
        if let node, case .section(let section)? = reader.read(node, as: .section(root), path: "") {
            built = builder.policy(from: section, hasTimes: !reader.hasRefusedTimes)
        }
        let complaints = earlier + (reader.diagnostics + builder.diagnostics).filter { !said.contains($0.mark) }
        diagnostics = complaints.sorted { ($0.mark, $0.message) < ($1.mark, $1.message) }
        policy = complaints.isEmpty ? built : nil
        missingVersions = node.map { placeholders.missing(in: $0, file: file) } ?? []
    }
}

extension ShapeReader {
    /// Whether one of the policy's times could not be read. A complaint begins with the path of its key.
    fileprivate var hasRefusedTimes: Bool {
        diagnostics.contains { complaint in
            TimingKey.allCases.contains { complaint.message.hasPrefix($0.rawValue + ":") }
        }
    }
}
