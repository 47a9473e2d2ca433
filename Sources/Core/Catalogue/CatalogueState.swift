public import SerinModel

/// The catalogue: every backup that ever was, in the order in which they became known.
public struct CatalogueState: Sendable, Hashable {
    /// The records, the first known first. Deleted ones stay as tombstones.
    public private(set) var records: [BackupRecord] = []
    private var places: [BackupID: Int] = [:]
    /// Those that became known from a manifest, perhaps long after others that are newer.
    private var imported: Set<BackupID> = []

    /// An empty catalogue.
    public init() {}

    /// The catalogue that a log leads to.
    public init(replaying events: some Sequence<CatalogueEvent>) throws(CatalogueRefusal) {
        for event in events { try apply(event) }
    }

    /// The record of a backup.
    public subscript(id: BackupID) -> BackupRecord? { places[id].map { records[$0] } }

    /// The records of a target, the first known first; tombstones left out.
    public func live(target: String) -> [BackupRecord] {
        records.filter { $0.order.target == target && $0.state != .deleted }
    }

    /// Takes an event in, or says why it cannot have happened; then nothing has changed.
    public mutating func apply(_ event: CatalogueEvent) throws(CatalogueRefusal) {
        switch event.change {
        case .begun(let order):
            guard order.id == event.backup else {
                throw CatalogueRefusal("the order is for \(order.id), not for \(event.backup)")
            }
            try add(BackupRecord(order: order))
        case .imported(let manifest):
            try take(manifest, of: event)
        case .stored, .confirmed, .verified, .drilled, .failed, .quarantined, .held, .released, .releasedHold, .warned, .spared,
            .rewrapped,
            .deleting, .notDeleted, .deleted:
            guard let place = places[event.backup] else { throw CatalogueRefusal("no backup \(event.backup) is known") }
            var record = records[place]
            try record.apply(event)
            records[place] = record
        }
    }

    private mutating func add(_ record: BackupRecord) throws(CatalogueRefusal) {
        guard places[record.id] == nil else { throw CatalogueRefusal("backup \(record.id) is known already") }
        places[record.id] = records.count
        records.append(record)
    }

    /// A backup that is unknown, or an unknown copy of one that is known.
    private mutating func take(_ manifest: Manifest, of event: CatalogueEvent) throws(CatalogueRefusal) {
        guard manifest.order.id == event.backup else {
            throw CatalogueRefusal("the manifest is that of \(manifest.order.id), not of \(event.backup)")
        }
        guard let place = places[event.backup] else {
            var record = BackupRecord(order: manifest.order)
            record.facts = manifest.facts
            record.state = .uploaded
            record.copies = [manifest.numberedCopy]
            imported.insert(record.id)
            return try add(record)
        }
        var record = records[place]
        try record.takeCopy(manifest.numberedCopy, facts: manifest.facts, at: event.at)
        records[place] = record
    }

    /// The moments by which the backups are put in order. What was begun here before another is older than that, whatever a clock said
    /// that ran ahead; what was imported has only its own time.
    func orderingTimes() -> [Instant] {
        var times = records.map(\.createdAt)
        var bounds: [String: Instant] = [:]
        for index in records.indices.reversed() {
            let target = records[index].order.target
            if let bound = bounds[target] { times[index] = min(times[index], bound) }
            if !imported.contains(records[index].id) { bounds[target] = times[index] }
        }
        return times
    }
}
