public import SerinPolicies

/// What came of reading a document: the tree, as far as it could be built, and every complaint met on the way.
public struct YAMLReading: Sendable {
    /// The root; nil when nothing usable could be read.
    public var node: MarkedNode?
    /// Complaints in the order of the document. A document with any of them must not be used; the tree serves to find more.
    public var diagnostics: [Diagnostic]
}

/// Reads one YAML document as a tree of marked texts. Types are not guessed here: `no`, `1:30` and `010` stay what was written.
///
/// Anchors, aliases, tags, directives, duplicate keys and further documents are complaints: a policy needs none of them, and each
/// can make a document mean something else than it shows.
///
/// - Parameters:
///   - bytes: The document in UTF-8; a byte order mark of UTF-8 is skipped.
///   - file: Its name for the complaints.
///   - limits: How much it may hold.
public func readYAML(_ bytes: [UInt8], file: String, limits: YAMLLimits = YAMLLimits()) -> YAMLReading {
    if let diagnostic = complaint(aboutTextOf: bytes, file: file, limits: limits) {
        return YAMLReading(node: nil, diagnostics: [diagnostic])
    }
    var reader = EventReader(file: file, limits: limits)
    return reader.read(bytes.starts(with: byteOrderMark) ? Array(bytes.dropFirst(byteOrderMark.count)) : bytes)
}
