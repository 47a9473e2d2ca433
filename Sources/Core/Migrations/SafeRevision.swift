/// One revision of a safe form, as SQL that can be pasted: the lint finds nothing in it that fails the gate, and it runs forward, back,
/// and forward again.
public struct SafeRevision: Sendable, Hashable {
    /// The way forward; in a way back that is to be written otherwise, that.
    public var up: [String]
    /// The way back: empty when there is nothing to take back, nil when it stays as it was.
    public var down: [String]?

    /// A revision, or the part of one that is to be written otherwise.
    public init(_ up: [String], back down: [String]? = nil) {
        self.up = up
        self.down = down
    }

    /// As people read it: each statement, and behind it the way back.
    private var words: String {
        let forward = up.joined(separator: "; ")
        guard let down else { return forward }
        return forward + "; back: " + (down.isEmpty ? "nothing" : down.joined(separator: "; "))
    }

    /// Several of them, in the order in which they are applied.
    static func words(_ revisions: [SafeRevision]) -> String {
        guard revisions.count > 1 else { return revisions.first?.words ?? "" }
        return revisions.enumerated().map {
            "\($0.offset == 0 ? "" : "in a revision of its own, ")(\($0.offset + 1)) \($0.element.words)"
        }
        .joined(separator: "; ")
    }
}
