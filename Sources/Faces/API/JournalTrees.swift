internal import SerinController
internal import SerinCrypto
internal import SerinLocks
internal import SerinModel
internal import SerinRecords

/// The Merkle trees over services' journals. A journal is read once and then only as it grows; of 256 entries that are complete the root
/// alone is kept, and they are read again when one of them is to be proved.
final class JournalTrees: Sendable {
    private static let tile = 256

    private struct Known: Sendable {
        var tiles: [[UInt8]] = []
        var tail: [[UInt8]] = []
        var chain = ChainVerification(chain: Chain(digest: SHA256.digestOrEmpty), readsBodies: false)
        var size: Int64 { Int64(tiles.count * JournalTrees.tile + tail.count) }
    }

    private let operations: any RolloutOperations
    private let known = Locked<[ServiceName: Known]>([:])

    init(_ operations: any RolloutOperations) { self.operations = operations }

    /// The tree over a journal as it is now, with the path of one entry.
    ///
    /// - Throws: `unavailable` when the journal does not hold together: nothing is signed that was changed.
    func tree(of service: ServiceName, proving sequence: Int64? = nil) async throws(OperationError) -> MerkleTree {
        let present = try await present(service)
        var tree = MerkleTree(digest: SHA256.digestOrEmpty, proving: sequence)
        let proved = sequence.map { Int($0 - 1) / Self.tile }
        for (place, root) in present.tiles.enumerated() {
            guard place == proved else {
                tree.append(root, of: Int64(Self.tile))
                continue
            }
            let leaves = try await entries(of: service, after: Int64(place * Self.tile), Self.tile).map(\.hash)
            guard Self.root(of: leaves) == root else { throw Self.changed(service, "entries were changed since they were read") }
            for leaf in leaves { tree.append(leaf) }
        }
        for leaf in present.tail { tree.append(leaf) }
        return tree
    }

    private func present(_ service: ServiceName) async throws(OperationError) -> Known {
        var present = known.withLock { $0[service] } ?? Known()
        while true {
            let more = try await entries(of: service, after: present.size, Self.tile)
            for entry in more {
                present.chain.take(entry)
                if let fault = present.chain.faults.first { throw Self.changed(service, fault.description) }
                present.tail.append(entry.hash)
                if present.tail.count == Self.tile {
                    present.tiles.append(Self.root(of: present.tail))
                    present.tail = []
                }
            }
            if more.count < Self.tile { break }
        }
        known.withLock { if $0[service]?.size ?? 0 < present.size { $0[service] = present } }
        return present
    }

    /// As many entries as asked for, or those that there are.
    private func entries(of service: ServiceName, after: Int64, _ count: Int) async throws(OperationError) -> [Entry] {
        var found: [Entry] = []
        while found.count < count {
            let more = try await operations.entries(
                of: service, after: found.last?.sequence ?? after, limit: count - found.count)
            if more.isEmpty { break }
            found += more
        }
        return found
    }

    private static func root(of leaves: [[UInt8]]) -> [UInt8] {
        var tree = MerkleTree(digest: SHA256.digestOrEmpty)
        for leaf in leaves { tree.append(leaf) }
        return tree.head.root
    }

    private static func changed(_ service: ServiceName, _ words: String) -> OperationError {
        .unavailable(
            "nothing is signed: the journal of '\(service)' does not hold together: \(words)\nhint: serin verify \(service)")
    }
}
