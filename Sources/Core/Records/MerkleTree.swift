/// How many entries a journal had, and the root of the Merkle tree over them: what a signed checkpoint says.
public struct TreeHead: Sendable, Hashable {
    /// How many entries there were.
    public var size: Int64
    /// The root, 32 bytes.
    public var root: [UInt8]

    /// A head.
    public init(size: Int64, root: [UInt8]) {
        self.size = size
        self.root = root
    }
}

/// The Merkle tree over a journal's entries, as RFC 9162, section 2.1 has it; the leaf of an entry is its hash of the chain.
///
/// It is built from the left to the right and keeps only the roots of the complete subtrees so far, at most one for each power of two.
/// With an entry to prove it also collects that one's inclusion path (section 2.1.3.1) on the way.
public struct MerkleTree: Sendable {
    private struct Subtree: Sendable {
        var first: Int64
        var size: Int64
        var hash: [UInt8]

        func holds(_ index: Int64) -> Bool { index >= first && index < first + size }
    }

    /// How many entries it is over.
    public private(set) var size: Int64 = 0
    private var subtrees: [Subtree] = []
    private var collected: [[UInt8]] = []
    private let proved: Int64?
    private let digest: Digest

    /// An empty tree.
    ///
    /// - Parameter sequence: The number of the entry whose path is wanted; nil for none.
    public init(digest: @escaping Digest, proving sequence: Int64? = nil) {
        self.digest = digest
        proved = sequence.map { $0 - 1 }
    }

    /// Adds the next entry, by its hash of the chain.
    public mutating func append(_ hash: [UInt8]) { append(digest([0] + hash), of: 1) }

    /// Adds the root of a complete subtree over the next `count` entries, a power of two that divides `size`.
    public mutating func append(_ root: [UInt8], of count: Int64) {
        subtrees.append(Subtree(first: size, size: count, hash: root))
        size += count
        while subtrees.count > 1, subtrees[subtrees.count - 2].size == subtrees[subtrees.count - 1].size {
            let right = subtrees.removeLast()
            subtrees.append(join(subtrees.removeLast(), right, &collected))
        }
    }

    /// The root with the size.
    public var head: TreeHead { TreeHead(size: size, root: folded.root) }

    /// The hashes beside the way from the entry to the root, the lowest first; empty before the entry was added.
    public var path: [[UInt8]] { folded.path }

    private var folded: (root: [UInt8], path: [[UInt8]]) {
        var path = collected
        guard var whole = subtrees.last else { return (digest([]), path) }
        for left in subtrees.dropLast().reversed() { whole = join(left, whole, &path) }
        return (whole.hash, path)
    }

    private func join(_ left: Subtree, _ right: Subtree, _ path: inout [[UInt8]]) -> Subtree {
        if let proved {
            if left.holds(proved) { path.append(right.hash) }
            if right.holds(proved) { path.append(left.hash) }
        }
        return Subtree(first: left.first, size: left.size + right.size, hash: digest([1] + left.hash + right.hash))
    }
}
