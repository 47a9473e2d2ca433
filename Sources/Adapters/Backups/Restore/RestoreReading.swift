internal import SerinCatalogue
internal import SerinModel
internal import SerinPorts
internal import SerinProcesses

/// What every restore does before a tool sees a byte: finds the backup, holds it, fetches a copy and authenticates it whole.
struct RestoreReading: Sendable {
    let pipeline: PipelineSettings
    let identities: [EnvelopeIdentity]
    let catalogue: any CatalogueStore
    let now: @Sendable () -> Instant

    /// A backup that may be restored.
    func record(_ id: BackupID) async throws(Failure) -> BackupRecord {
        let state: CatalogueState
        do throws(CatalogueStoreError) { state = try await catalogue.state() } catch { throw error.failure }
        guard let record = state[id] else { throw Failure(.invalid, "no backup \(id) is known") }
        guard record.state.isRestorable else {
            throw Failure(
                .denied, "backup \(id) is \(record.state.rawValue) and cannot be restored from",
                hint: record.failure.map { "it failed: \($0.message)" })
        }
        return record
    }

    /// Keeps the pruner away from backups while a body reads them.
    func holding<Value: Sendable>(
        _ ids: [BackupID], as name: String, for length: Duration, by principal: Principal,
        _ body: () async throws(Failure) -> Value
    ) async throws(Failure) -> Value {
        let use = Hold(.use(name), reason: "it is being restored as \(name)", until: now() + length)
        for id in ids { try await tell(id, principal, .held(use)) }
        let result: Result<Value, Failure>
        do throws(Failure) { result = .success(try await body()) } catch { result = .failure(error) }
        // The holds end by themselves.
        for id in ids { try? await tell(id, principal, .released(.use(name))) }
        return try result.get()
    }

    /// Fetches a whole copy and checks that it is the one that was made. It is removed when it is let go.
    func fetch(
        _ record: BackupRecord, _ destination: String?, into scratch: String, _ meter: ProgressMeter
    ) async throws(Failure) -> FetchedCopy {
        let (copy, place) = try record.copy(destination, of: pipeline.places)
        let identities = identities
        if let envelope = record.facts?.envelope {
            // A key that does not open it is said before everything is fetched.
            try await onOwnThread { _ throws(Failure) in
                do throws(EnvelopeFailure) { _ = try EnvelopeReader(envelope, identities: identities) } catch {
                    throw error.failure
                }
            }
        }
        meter.begin("fetch", total: record.size)
        let fetched = try await FetchedCopy(record, copy, at: place, in: scratch)
        try await onOwnThread { _ throws(Failure) in
            do throws(EnvelopeFailure) { try fetched.authenticate(identities) } catch { throw error.failure }
        }
        return fetched
    }

    private func tell(_ id: BackupID, _ principal: Principal, _ change: CatalogueEvent.Change) async throws(Failure) {
        do throws(CatalogueStoreError) {
            try await catalogue.append([CatalogueEvent(backup: id, at: now(), by: principal, change)])
        } catch { throw error.failure }
    }
}

extension FetchedCopy {
    /// Gives the plain bytes, which were authenticated, to what restores them.
    func feed(
        _ consumer: any PlainConsumer, _ identities: [EnvelopeIdentity], _ meter: ProgressMeter
    ) throws(Failure) -> ConsumerFindings {
        var done: Int64 = 0
        do throws(EnvelopeFailure) {
            try read(identities) { (bytes) throws(Failure) in
                try consumer.write(bytes)
                done += Int64(bytes.count)
                meter.note(done)
            }
        } catch { throw error.failure }
        return try consumer.finish(comparing: SourceProduct(facts))
    }
}
