/// One thing that does not hold together in a journal.
public struct ChainFault: Sendable, Hashable, CustomStringConvertible {
    /// What it is.
    public enum Kind: Sendable, Hashable {
        /// Entries are missing or out of order: this number was expected.
        case gap(expected: Int64)
        /// It does not name the hash of the entry before.
        case wrongLink
        /// Its hash is not that of its contents.
        case wrongHash
        /// Its epoch is lower than that of the entry before.
        case epochBackwards(from: Int64)
        /// An epoch begins without the record of its opening, or with that of another epoch.
        case epochNotOpened
        /// Its contents were changed, and its body is no record any more.
        case undecodable(RecordError)
        /// It is as it was written, but not in a form that this build knows; nil when the epoch's engine is not known.
        case unknownForm(engine: String?, RecordError)
        /// It opens an epoch of an engine that this build does not know. The epoch's other bodies are not judged.
        case unknownEngine(String)
        /// The journal ends before a noted checkpoint.
        case truncated(Checkpoint)
        /// The entry at a noted checkpoint is another one.
        case otherHead(Checkpoint)
    }

    /// The entry concerned; the last one there is for a truncated journal.
    public var sequence: Int64
    /// What it is.
    public var kind: Kind

    /// A fault of an entry.
    public init(_ sequence: Int64, _ kind: Kind) {
        self.sequence = sequence
        self.kind = kind
    }

    /// Whether nothing was tampered with: another version of Serin wrote what this build cannot read.
    public var isOfAnotherVersion: Bool {
        switch kind {
        case .unknownForm, .unknownEngine: true
        case .gap, .wrongLink, .wrongHash, .epochBackwards, .epochNotOpened, .undecodable, .truncated, .otherHead: false
        }
    }

    /// The entry's number, then what is wrong with it.
    public var description: String {
        switch kind {
        case .gap(let expected): "entry \(sequence): expected entry \(expected) here; entries are missing or out of order"
        case .wrongLink: "entry \(sequence): does not follow from the entry before it"
        case .wrongHash: "entry \(sequence): its contents were changed after it was written"
        case .epochBackwards(let from): "entry \(sequence): its epoch is lower than \(from), that of the entry before it"
        case .epochNotOpened: "entry \(sequence): a new epoch begins without the record of its opening"
        case .undecodable(let error): "entry \(sequence): its body is no record: \(error)"
        case .unknownForm(let engine, let error):
            "entry \(sequence): \(writtenByAnother(engine)); its hash holds, but its form is not known here: \(error)"
        case .unknownEngine(let engine): "entry \(sequence): \(writtenByAnother(engine)); so is what follows it in its epoch"
        case .truncated(let checkpoint):
            "entry \(sequence) is the last, but the journal had \(checkpoint.size) entries: its end was cut off"
        case .otherHead(let checkpoint):
            "entry \(sequence): is not the entry noted in the checkpoint \(checkpoint); the journal was rewritten"
        }
    }
}

/// Checks a journal entry by entry, so that no journal is too long.
public struct ChainVerification: Sendable {
    /// At most so many faults are kept; one damaged place must not fill the memory.
    public static let faultLimit = 1000

    /// The faults found so far, in order.
    public private(set) var faults: [ChainFault] = []
    /// The last entry taken; nil before the first.
    public private(set) var last: Entry?
    private let chain: Chain
    private let checkpoint: Checkpoint?
    private let readsBodies: Bool
    /// The engine of the present epoch; nil when its opening was not seen.
    private var engine: String?

    /// A check that begins after an entry (nil: at the start).
    ///
    /// - Parameters:
    ///   - chain: How hashes are computed.
    ///   - after: The entry before the first one to check, itself trusted.
    ///   - checkpoint: A noted size and hash that the journal must contain.
    ///   - readsBodies: Whether bodies are decoded too; hashes alone are several times faster.
    public init(chain: Chain, after last: Entry? = nil, checkpoint: Checkpoint? = nil, readsBodies: Bool = true) {
        self.chain = chain
        self.last = last
        self.checkpoint = checkpoint
        self.readsBodies = readsBodies
    }

    /// Checks the next entry.
    public mutating func take(_ entry: Entry) {
        let expected = (last?.sequence ?? 0) + 1
        if entry.sequence != expected { report(entry, .gap(expected: expected)) }
        if entry.previous != last?.hash ?? Chain.genesis { report(entry, .wrongLink) }
        let isIntact = entry.hash == chain.hash(of: entry)
        if !isIntact { report(entry, .wrongHash) }
        if let last, entry.epoch < last.epoch { report(entry, .epochBackwards(from: last.epoch)) }
        if readsBodies { readBody(of: entry, isIntact: isIntact) }
        if let checkpoint, entry.sequence == checkpoint.size, entry.hash != checkpoint.head {
            report(entry, .otherHead(checkpoint))
        }
        last = entry
    }

    private mutating func readBody(of entry: Entry, isIntact: Bool) {
        let beginsEpoch = last.map { entry.epoch > $0.epoch } ?? true
        if beginsEpoch { engine = nil }
        let record: Record
        do {
            record = try CanonicalDecoder.decode(Record.self, from: entry.body)
        } catch {
            if !isIntact {
                report(entry, .undecodable(error))
            } else if engine.map(replayableEngineVersions.contains) ?? true {
                report(entry, .unknownForm(engine: engine, error))
            }
            return
        }
        switch record {
        case .opened(let epoch, let engine):
            if epoch != entry.epoch || !beginsEpoch { report(entry, .epochNotOpened) }
            self.engine = engine
            if !replayableEngineVersions.contains(engine) { report(entry, .unknownEngine(engine)) }
        case .created, .event, .effect, .clockJumped:
            if beginsEpoch { report(entry, .epochNotOpened) }
        }
    }

    /// Ends the check: a journal shorter than the checkpoint was cut.
    public mutating func finish() {
        let size = last?.sequence ?? 0
        if let checkpoint, size < checkpoint.size, faults.count < ChainVerification.faultLimit {
            faults.append(ChainFault(size, .truncated(checkpoint)))
        }
    }

    private mutating func report(_ entry: Entry, _ kind: ChainFault.Kind) {
        if faults.count < ChainVerification.faultLimit { faults.append(ChainFault(entry.sequence, kind)) }
    }
}
