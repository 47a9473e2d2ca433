public import SerinModel
public import SerinRecords

/// The hash-chained log of access, as far as it was read, and the state that it leads to. It is chained like a rollout's journal; its
/// epoch is always 1, and its rollout none.
public struct AccessLog: Sendable {
    /// What the log leads to.
    public private(set) var state = AccessState()
    /// The last entry; nil in an empty log.
    public private(set) var last: Entry?
    private let chain: Chain

    /// An empty log.
    public init(chain: Chain) { self.chain = chain }

    /// Takes an entry in that is already durable, or says what does not hold together.
    public mutating func take(_ entry: Entry) throws(Failure) {
        guard entry.sequence == (last?.sequence ?? 0) + 1 else {
            throw Failure(.invalid, "entry \(entry.sequence) follows entry \(last?.sequence ?? 0)")
        }
        guard entry.previous == last?.hash ?? Chain.genesis, entry.hash == chain.hash(of: entry) else {
            throw Failure(.invalid, "entry \(entry.sequence) was changed, or one before it")
        }
        do throws(Failure) { try state.apply(try AccessLog.line(of: entry)) } catch {
            throw Failure(.invalid, "entry \(entry.sequence) cannot have happened: \(error.message)")
        }
        last = entry
    }

    /// Checks a line against the state and links it. The log that it leads to is to be used once the entry is durable.
    public func appending(_ line: AccessLine) throws(Failure) -> (log: AccessLog, entry: Entry) {
        var log = self
        try log.state.apply(line)
        let body: [UInt8]
        do throws(RecordError) { body = try CanonicalEncoder.bytes(of: line) } catch {
            throw Failure(.invalid, "the entry cannot be written: \(error)")
        }
        guard body.count <= CanonicalDecoder.byteLimit else {
            throw Failure(
                .invalid, "the entry would have \(body.count) bytes, and at most \(CanonicalDecoder.byteLimit) can be read")
        }
        var entry = Entry(
            sequence: (last?.sequence ?? 0) + 1, epoch: 1, rollout: nil, at: line.at, body: body,
            previous: last?.hash ?? Chain.genesis, hash: [])
        entry.hash = chain.hash(of: entry)
        guard entry.hash.count == 32 else {
            throw Failure(.transient, "the digest of entry \(entry.sequence) could not be computed")
        }
        log.last = entry
        return (log, entry)
    }

    /// What an entry says.
    public static func line(of entry: Entry) throws(Failure) -> AccessLine {
        do throws(RecordError) { return try CanonicalDecoder.decode(AccessLine.self, from: entry.body) } catch {
            throw Failure(.invalid, "entry \(entry.sequence) cannot be read: \(error)")
        }
    }
}
