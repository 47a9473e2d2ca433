internal import SerinModel

/// SHA-256 of some bytes: 32 bytes. Passed in, because Core has no cryptography of its own; anything but 32 bytes means that it failed.
public typealias Digest = @Sendable ([UInt8]) -> [UInt8]

/// Links journal entries by hash, each to the one before.
///
/// An entry's hash is SHA-256 over this layout, in which nothing can be read in two ways (numbers are big-endian, two's complement):
///
///     "serin journal entry" 00   domain
///     01                         version of the layout
///     sequence                   8 bytes
///     epoch                      8 bytes
///     at                         8 bytes, milliseconds since 1970
///     00 | 01 length name        the rollout: none, or 4 bytes of length and its UTF-8 bytes
///     previous                   32 bytes
///     length body                8 bytes of length and the canonical bytes of the record
public struct Chain: Sendable {
    /// The hash before the first entry.
    public static let genesis = [UInt8](repeating: 0, count: 32)

    private let digest: Digest
    private let bodyLimit: Int

    /// A chain over a digest, of records of at most `bodyLimit` bytes: those that can be read back.
    public init(digest: @escaping Digest, bodyLimit: Int = CanonicalDecoder.byteLimit) {
        self.digest = digest
        self.bodyLimit = bodyLimit
    }

    /// Numbers and links drafts after the last entry (nil: the journal is empty), in the order given.
    public func link(_ drafts: [Draft], after last: Entry?, epoch: Int64) throws(RecordError) -> [Entry] {
        var entries: [Entry] = []
        entries.reserveCapacity(drafts.count)
        var sequence = last?.sequence ?? 0
        var previous = last?.hash ?? Chain.genesis
        for draft in drafts {
            sequence += 1
            var entry = Entry(
                sequence: sequence, epoch: epoch, rollout: draft.rollout, at: draft.at,
                body: try CanonicalEncoder.bytes(of: draft.record), previous: previous, hash: [])
            guard entry.body.count <= bodyLimit else {
                throw RecordError(
                    "entry \(sequence) would have \(entry.body.count) bytes and could not be read back: at most \(bodyLimit)")
            }
            entry.hash = hash(of: entry)
            guard entry.hash.count == 32 else { throw RecordError("the digest of entry \(sequence) could not be computed") }
            previous = entry.hash
            entries.append(entry)
        }
        return entries
    }

    /// What an entry's hash must be, from its other fields.
    public func hash(of entry: Entry) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(entry.body.count + 192)
        bytes += "serin journal entry".utf8
        bytes += [0, 1]
        Chain.append(UInt64(bitPattern: entry.sequence), to: &bytes)
        Chain.append(UInt64(bitPattern: entry.epoch), to: &bytes)
        Chain.append(UInt64(bitPattern: entry.at.millisecondsSince1970), to: &bytes)
        if let rollout = entry.rollout {
            let name = Array(rollout.description.utf8)
            bytes.append(1)
            Chain.append(UInt32(name.count), to: &bytes)
            bytes += name
        } else {
            bytes.append(0)
        }
        bytes += entry.previous
        Chain.append(UInt64(entry.body.count), to: &bytes)
        bytes += entry.body
        return digest(bytes)
    }

    /// Checks entries that follow `last` (nil: from the first entry on) and returns every fault, in order.
    public func verify(_ entries: [Entry], from last: Entry?) -> [ChainFault] {
        var verification = ChainVerification(chain: self, after: last)
        for entry in entries { verification.take(entry) }
        return verification.faults
    }

    private static func append(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }
}
