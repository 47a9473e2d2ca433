internal import SerinModel

/// What came of reading a daemon's configuration: the settings, or everything that is wrong with them.
public struct DaemonReading: Sendable {
    /// The settings with their defaults; nil when there is any complaint.
    public let settings: DaemonSettings?
    /// Every complaint, in the order of the document.
    public let diagnostics: [Diagnostic]
    /// What is allowed and should be looked at.
    public let warnings: [Diagnostic]

    /// Reads a configuration from its document.
    ///
    /// - Parameters:
    ///   - node: The document's root; nil when it could not be read at all.
    ///   - file: Its name, for complaints.
    ///   - earlier: What was complained about while the document was read.
    ///   - hooks: The kinds of senders that may stand under `hooks`.
    ///   - channels: The kinds of channels that may stand under `notify`.
    public init(
        of node: MarkedNode?, file: String, earlier: [Diagnostic] = [], hooks: [HookSchema], channels: [ChannelSchema]
    ) {
        let root = daemonShape(hooks: hooks, channels: channels.map(\.driver))
        var reader = ShapeReader(file: file, root: root, document: "configuration", foreign: [:])
        var builder = DaemonBuilder(file: file, hooks: hooks, channels: channels)
        var built: DaemonSettings?
        if let node, case .section(let section)? = reader.read(node, as: .section(root), path: "") {
            built = builder.settings(from: section)
        }
        let complaints = earlier + reader.diagnostics + builder.diagnostics
        diagnostics = complaints.sorted { ($0.mark, $0.message) < ($1.mark, $1.message) }
        warnings = builder.warnings.sorted { ($0.mark, $0.message) < ($1.mark, $1.message) }
        settings = complaints.isEmpty ? built : nil
    }
}
