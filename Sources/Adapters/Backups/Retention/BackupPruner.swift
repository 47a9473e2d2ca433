public import SerinCatalogue
public import SerinModel
public import SerinPorts

/// Does what retention wants: warns, takes warnings back, and deletes. The catalogue knows of every deletion before it is begun, and
/// a copy counts as deleted only once the destination no longer has it. One that the destination refuses to delete, because of a lock of
/// its own or a right that is missing, is what it was before, and can be restored from.
public struct BackupPruner: Sendable {
    /// What was done.
    public struct Report: Sendable, Hashable {
        /// The copies that are gone.
        public var deleted: [PrunePlan.Entry] = []
        /// The backups whose owners are to be told.
        public var warned: [PrunePlan.Entry] = []
        /// The backups whose warning was taken back.
        public var spared: [PrunePlan.Entry] = []
        /// What could not be done, and why.
        public var failures: [Undone] = []
        /// What was not begun, because the run was interrupted; the next one does it.
        public var unbegun: [PrunePlan.Entry] = []

        /// The numbers.
        public var words: String {
            "\(deleted.count) copies deleted, \(warned.count) warned, \(failures.count) not done"
                + (unbegun.isEmpty ? "" : ", interrupted before \(unbegun.count) more")
        }
    }

    /// A copy of which something could not be done.
    public struct Undone: Sendable, Hashable {
        /// The copy.
        public var entry: PrunePlan.Entry
        /// Why.
        public var failure: Failure
    }

    private let places: [BackupPlace]
    private let catalogue: any CatalogueStore
    private let holder: LeaseHolder
    private let now: @Sendable () -> Instant

    /// A pruner with its own rights at the destinations.
    public init(
        _ places: [BackupPlace], catalogue: any CatalogueStore, holder: LeaseHolder, now: @escaping @Sendable () -> Instant
    ) {
        self.places = places
        self.catalogue = catalogue
        self.holder = holder
        self.now = now
    }

    /// Evaluates the plan under the target's lease, so that nothing is made or restored meanwhile, and carries it out.
    ///
    /// - Parameter agreed: Whether a person agreed to what the brakes stop.
    public func run(
        _ target: String, _ retention: Retention, lastRun: Instant?, agreed: Bool, by principal: Principal
    ) async throws(Failure) -> (plan: PrunePlan, report: Report) {
        let keeper = LeaseKeeper(catalogue: catalogue, now: now, length: .seconds(60))
        let request = LeaseRequest(target: target, holder: holder, by: principal, at: now())
        let outcome: Outcome = try await keeper.hold(request) { (lease) throws(Failure) in
            let records: [BackupRecord]
            let imported: Int
            do throws(CatalogueStoreError) {
                records = try await catalogue.state().live(target: target)
                imported = try await catalogue.unsettledImports(of: target).count
            } catch { throw error.failure }
            let plan = retention.evaluate(
                records, in: RetentionCircumstances(now: now(), lastRun: lastRun, imported: imported))
            guard agreed || !plan.needsApproval else { return Outcome(plan: plan, report: Report()) }
            if agreed, imported > 0 { try await settle(target, imported, lease, principal) }
            let report = await carryOut(plan, lease, principal)
            let note = AuditNote(at: now(), by: principal, topic: BackupPruner.topic, target: target, text: report.words)
            do throws(CatalogueStoreError) { try await catalogue.append([.note(note)], under: lease) } catch {
                throw error.failure
            }
            return Outcome(plan: plan, report: report)
        }
        return (outcome.plan, outcome.report)
    }

    /// The topic of the notes by which the last run is known.
    public static let topic = CareAgenda.pruneTopic

    private func settle(
        _ target: String, _ imported: Int, _ lease: TargetLease, _ principal: Principal
    ) async throws(Failure) {
        let note = AuditNote(
            at: now(), by: principal, topic: Retention.settledTopic, target: target,
            text: "a person agreed to deletions after \(imported) backups were imported")
        do throws(CatalogueStoreError) { try await catalogue.append([.note(note)], under: lease) } catch { throw error.failure }
    }

    private struct Outcome: Sendable {
        var plan: PrunePlan
        var report: Report
    }

    private func carryOut(_ plan: PrunePlan, _ lease: TargetLease, _ principal: Principal) async -> Report {
        var report = Report()
        var told: Set<BackupID> = []
        for entry in plan.entries {
            do throws(Failure) {
                switch entry.step {
                case .keep, .wait: continue
                case .spare, .warn, .delete:
                    guard !Task.isCancelled else {
                        report.unbegun.append(entry)
                        continue
                    }
                }
                switch entry.step {
                case .keep, .wait: continue
                case .spare:
                    if told.insert(entry.backup).inserted {
                        try await append(entry, .spared, lease, principal)
                        report.spared.append(entry)
                    }
                case .warn(let time):
                    if told.insert(entry.backup).inserted {
                        try await append(entry, .warned(expiresAt: time), lease, principal)
                        report.warned.append(entry)
                    }
                case .delete(let reason):
                    try await delete(entry, reason, lease, principal)
                    report.deleted.append(entry)
                }
            } catch { report.failures.append(Undone(entry: entry, failure: error)) }
        }
        return report
    }

    private func delete(
        _ entry: PrunePlan.Entry, _ reason: String, _ lease: TargetLease, _ principal: Principal
    ) async throws(Failure) {
        let record: BackupRecord?
        do throws(CatalogueStoreError) { record = try await catalogue.state()[entry.backup] } catch { throw error.failure }
        let copy = entry.destination.flatMap { record?.copy(at: $0) }
        let place = places.first { $0.name == entry.destination }
        if let name = entry.destination, place == nil {
            throw Failure(.invalid, "the plan no longer has the destination \(name)", hint: "add it again until it is empty")
        }
        if copy?.state != .deleting || entry.destination == nil {
            // Since the plan was made somebody may have begun to restore from it.
            if let hold = record?.holds(at: now()).first {
                throw Failure(.conflict, "it is held since a moment ago: \(hold.reason)", hint: "the next run looks again")
            }
            try await append(entry, .deleting(destination: entry.destination, reason: reason), lease, principal)
        }
        if let place, let copy {
            do throws(Failure) {
                for copy in (copy.formers ?? []) + [copy] {
                    try await place.destination.delete(copy.key, version: copy.versionID)
                    // Last, so that a listing never shows a backup without its manifest.
                    if let key = Manifest.key(beside: copy.key),
                        let manifest = try await place.destination.head(key, version: nil)
                    {
                        try await place.destination.delete(key, version: manifest.version)
                    }
                }
            } catch {
                guard try await isRefused(error, copy, place, size: record?.size) else { throw error }
                try await append(entry, .notDeleted(destination: place.name, error), lease, principal)
                throw Failure(error.kind, "\(error.message); it stays as it was", hint: error.hint)
            }
        }
        try await append(entry, .deleted(destination: entry.destination), lease, principal)
    }

    /// Whether a deletion was refused for good, and the copy is there as it was. What may still happen is not.
    private func isRefused(
        _ failure: Failure, _ copy: BackupCopy, _ place: BackupPlace, size: Int64?
    ) async throws(Failure) -> Bool {
        switch failure.kind {
        case .throttled, .transient, .unknown: return false
        case .invalid, .denied, .conflict: break
        }
        let found = try await place.destination.head(copy.key, version: copy.versionID)
        return found.map { $0.size == size } ?? false
    }

    private func append(
        _ entry: PrunePlan.Entry, _ change: CatalogueEvent.Change, _ lease: TargetLease, _ principal: Principal
    ) async throws(Failure) {
        let event = CatalogueEvent(backup: entry.backup, at: now(), by: principal, change)
        do throws(CatalogueStoreError) { try await catalogue.append([event], under: lease) } catch { throw error.failure }
    }
}
