internal import SerinModel

/// What `alembic history --verbose` prints: one paragraph a revision, the newest first.
///
///     Rev: 0003 (head)
///     Parent: 0002
///     Path: versions/0003_index.py
///
///         what people call it
struct AlembicHistory {
    private var revisions: [RevisionGraph.Revision] = []
    private var heads: [RevisionID] = []

    /// The revisions it lists.
    ///
    /// - Throws: `invalid` when it is no such text.
    static func graph(of text: String) throws(Failure) -> RevisionGraph {
        var history = AlembicHistory()
        for line in text.textLines(keepingEmpty: true) { try history.take(line) }
        return RevisionGraph(revisions: history.revisions.reversed(), heads: history.heads.reversed())
    }

    private mutating func take(_ line: Substring) throws(Failure) {
        if let rest = line.removing("Rev: ") {
            let words = rest.split(separator: " ")
            guard let id = words.first.flatMap({ RevisionID(String($0)) }) else {
                throw Failure(.invalid, "alembic lists a revision without a name")
            }
            if words.dropFirst().contains("(head)") { heads.append(id) }
            revisions.append(RevisionGraph.Revision(id: id, name: "", parents: []))
            return
        }
        guard let last = revisions.indices.last else { return }
        if let rest = line.removing("Parent: ") ?? line.removing("Merges: ") ?? line.removing("Also depends on: ") {
            revisions[last].parents += rest.split { $0 == "," || $0 == " " }.filter { $0 != "<base>" }.compactMap {
                RevisionID(String($0))
            }
        } else if let rest = line.removing("Path: ") {
            revisions[last].file = String(rest)
        } else if revisions[last].name.isEmpty, let rest = line.removing("    ") {
            revisions[last].name = String(rest.drop { $0.isWhitespace })
        }
    }
}

extension Substring {
    /// What stands behind these words at the beginning; nil when it begins otherwise.
    fileprivate func removing(_ words: String) -> Substring? { hasPrefix(words) ? dropFirst(words.count) : nil }
}
