internal import SerinModel
public import SerinRecords

/// The catalogue's hash-chained log, as far as it was read, and the state that it leads to. Every store of the catalogue keeps one,
/// so that all of them check the same things.
public struct CatalogueLog: Sendable {
    /// What the log leads to.
    public private(set) var state = CatalogueState()
    /// The last entry; nil in an empty log.
    public private(set) var last: Entry?
    private let chain: Chain

    /// An empty log.
    public init(chain: Chain) { self.chain = chain }

    /// Takes an entry in that is already durable, or says what does not hold together.
    public mutating func take(_ entry: Entry) throws(CatalogueRefusal) {
        guard entry.sequence == (last?.sequence ?? 0) + 1 else {
            throw CatalogueRefusal("entry \(entry.sequence) follows entry \(last?.sequence ?? 0)")
        }
        guard entry.previous == last?.hash ?? Chain.genesis, entry.hash == chain.hash(of: entry) else {
            throw CatalogueRefusal("entry \(entry.sequence) was changed, or one before it")
        }
        switch try CatalogueLog.line(of: entry) {
        case .event(let event):
            do {
                try state.apply(event)
            } catch {
                throw CatalogueRefusal("entry \(entry.sequence) cannot have happened: \(error)")
            }
        case .note: break
        }
        last = entry
    }

    /// Checks lines against the state and links them. The log that they lead to is to be used once they are durable.
    public func appending(_ lines: [CatalogueLine]) throws(CatalogueRefusal) -> (log: CatalogueLog, entries: [Entry]) {
        var log = self
        var entries: [Entry] = []
        for line in lines {
            switch line {
            case .event(let event): try log.state.apply(event)
            case .note: break
            }
            var entry = Entry(
                sequence: (log.last?.sequence ?? 0) + 1, epoch: 1, rollout: nil, at: line.at,
                body: try CatalogueLog.body(of: line),
                previous: log.last?.hash ?? Chain.genesis, hash: [])
            entry.hash = chain.hash(of: entry)
            guard entry.hash.count == 32 else {
                throw CatalogueRefusal("the digest of entry \(entry.sequence) could not be computed")
            }
            entries.append(entry)
            log.last = entry
        }
        return (log, entries)
    }

    /// What an entry says.
    public static func line(of entry: Entry) throws(CatalogueRefusal) -> CatalogueLine {
        do {
            return try CanonicalDecoder.decode(CatalogueLine.self, from: entry.body)
        } catch {
            throw CatalogueRefusal("entry \(entry.sequence) cannot be read: \(error)")
        }
    }

    private static func body(of line: CatalogueLine) throws(CatalogueRefusal) -> [UInt8] {
        do {
            return try CanonicalEncoder.bytes(of: line)
        } catch {
            throw CatalogueRefusal("the entry cannot be written: \(error)")
        }
    }
}

extension CatalogueLine {
    fileprivate var at: Instant {
        switch self {
        case .event(let event): event.at
        case .note(let note): note.at
        }
    }
}
