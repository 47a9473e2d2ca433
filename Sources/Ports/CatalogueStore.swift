public import SerinCatalogue
public import SerinModel

/// Why the catalogue could not do what was asked. Nothing of it was done, unless the failure is of kind `unknown`.
public enum CatalogueStoreError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The rules of the catalogue do not allow it.
    case refused(CatalogueRefusal)
    /// Someone else holds the target.
    case held(TargetLease)
    /// The lease is no longer the caller's.
    case leaseLost(target: String)
    /// The disk is full, the file cannot be written, another process writes for too long.
    case unavailable(Failure)
    /// What is stored does not hold together.
    case damaged(Failure)

    /// The same in words and a class.
    public var failure: Failure {
        switch self {
        case .refused(let refusal): Failure(.invalid, "the catalogue refuses: \(refusal)")
        case .held(let lease):
            Failure(
                .conflict, "\(lease.target) is held by \(lease.holder) since \(lease.takenAt)",
                hint: "wait until it is done, and repeat")
        case .leaseLost(let target): Failure(.conflict, "the lease of \(target) was lost: another process took it over")
        case .unavailable(let failure), .damaged(let failure): failure
        }
    }

    /// The words.
    public var description: String { failure.description }
}

/// Where the catalogue of backups is kept: its append-only log, the leases of targets, and the jobs. Several processes use it at
/// once, so every call first reads what others have appended.
public protocol CatalogueStore: Sendable {
    /// Appends all lines or none; they survive power loss when this returns. Each event is checked against the state before it.
    ///
    /// - Parameter lease: A lease that must still be held; nil asks for none.
    /// - Returns: The number of the last entry of the log.
    @discardableResult
    func append(_ lines: [CatalogueLine], under lease: TargetLease?) async throws(CatalogueStoreError) -> Int64

    /// Every backup that ever was.
    func state() async throws(CatalogueStoreError) -> CatalogueState

    /// Entries of the log after a number in order, at most `limit`.
    func entries(after sequence: Int64, limit: Int) async throws(CatalogueStoreError) -> [CatalogueEntry]

    /// Takes the lease of a target. One whose holder is dead, or silent beyond its end where that cannot be seen, is taken over,
    /// and a note of it appended.
    func takeLease(_ request: LeaseRequest) async throws(CatalogueStoreError) -> TargetLease

    /// Says that its holder lives, and prolongs it.
    func renewLease(_ lease: TargetLease, at now: Instant, for duration: Duration) async throws(CatalogueStoreError)
        -> TargetLease

    /// Gives a lease back. One that is lost already is no failure.
    func releaseLease(_ lease: TargetLease) async throws(CatalogueStoreError)

    /// All leases, by target.
    func leases() async throws(CatalogueStoreError) -> [TargetLease]

    /// Adds a job whose identifier is new.
    func addJob(_ job: BackupJob) async throws(CatalogueStoreError)

    /// Changes a job.
    @discardableResult
    func changeJob(_ id: BackupID, _ change: JobChange, at now: Instant) async throws(CatalogueStoreError) -> BackupJob

    /// Gives a worker the oldest job that waits; nil when there is none. No two workers get the same one.
    func claimJob(for worker: LeaseHolder, at now: Instant) async throws(CatalogueStoreError) -> BackupJob?

    /// Marks the jobs as stuck of which nothing was heard for too long or whose worker is dead, and returns them.
    func reapJobs(at now: Instant, patience: Duration) async throws(CatalogueStoreError) -> [BackupJob]

    /// All jobs, the newest first.
    func jobs() async throws(CatalogueStoreError) -> [BackupJob]

    /// Ends the use.
    func close() async
}

extension CatalogueStore {
    /// Appends events without asking for a lease.
    @discardableResult
    public func append(_ events: [CatalogueEvent], under lease: TargetLease? = nil) async throws(CatalogueStoreError) -> Int64 {
        try await append(events.map { .event($0) }, under: lease)
    }

    /// Appends a note for the audit.
    public func note(_ note: AuditNote) async throws(CatalogueStoreError) { try await append([.note(note)], under: nil) }

    /// The whole log, the oldest first.
    public func entries() async throws(CatalogueStoreError) -> [CatalogueEntry] {
        var all: [CatalogueEntry] = []
        while true {
            let entries = try await entries(after: all.last?.sequence ?? 0, limit: 1000)
            guard !entries.isEmpty else { return all }
            all += entries
        }
    }

    /// The backups of a target that became known only from their manifests since a person last agreed to deletions, and of which no
    /// register beside the objects said what held them.
    public func unsettledImports(of target: String) async throws(CatalogueStoreError) -> Set<BackupID> {
        var begun: Set<BackupID> = []
        var imported: Set<BackupID> = []
        for entry in try await entries() {
            switch entry.line {
            case .note(let note):
                guard note.target == target else { continue }
                if note.topic == Retention.settledTopic { imported = [] }
                if note.topic == Retention.coveredTopic, let backup = note.backup { imported.remove(backup) }
            case .event(let event):
                switch event.change {
                case .begun: begun.insert(event.backup)
                case .imported(let manifest):
                    if manifest.order.target == target, !begun.contains(event.backup) { imported.insert(event.backup) }
                case .stored, .confirmed, .verified, .drilled, .failed, .quarantined, .held, .released, .releasedHold, .warned,
                    .spared,
                    .rewrapped,
                    .deleting, .notDeleted, .deleted:
                    break
                }
            }
        }
        return imported
    }

    /// The notes of a topic about a target, the oldest first.
    public func notes(_ topic: String, of target: String) async throws(CatalogueStoreError) -> [AuditNote] {
        try await entries().compactMap { entry in
            if case .note(let note) = entry.line, note.topic == topic, note.target == target { return note }
            return nil
        }
    }
}
