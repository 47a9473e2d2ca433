public import SerinCatalogue
public import SerinModel
internal import SerinPorts

extension BackupPipeline {
    /// Makes the copies of a backup that its destinations lack, from one that is good: those that failed when it was made, and those
    /// that were found damaged. The object is carried as it is stored; nothing is decrypted.
    ///
    /// - Returns: The backup as the catalogue knows it now, and the copies that are still missing.
    public func replicate(
        _ id: BackupID, by principal: Principal
    ) async throws(Failure) -> (record: BackupRecord, missing: [BackupRunResult.MissingCopy]) {
        let keeper = LeaseKeeper(catalogue: catalogue, now: now, length: settings.leaseTime)
        let request = LeaseRequest(
            target: "\(settings.target)", holder: holder, by: principal, at: now(), duration: settings.leaseTime)
        let missing = try await keeper.hold(request) { (lease) throws(Failure) in try await fill(id, principal, lease) }
        guard let record = try await state()[id] else { throw Failure(.invalid, "no backup \(id) is known") }
        return (record, missing)
    }

    private func fill(
        _ id: BackupID, _ principal: Principal, _ lease: TargetLease
    ) async throws(Failure) -> [BackupRunResult.MissingCopy] {
        // What was written there already is read back before it is written again.
        _ = try await confirmStored(id, by: principal)
        guard let record = try await state()[id], let facts = record.facts, record.state.isRestorable else {
            throw Failure(.invalid, "there is no good backup \(id) to copy")
        }
        let lacking = settings.places.filter { record.copy(at: $0.name).map(\.state.canBeReplaced) ?? true }
        guard !lacking.isEmpty else { return [] }
        try makePrivateFolder(settings.workFolder)
        try makePrivateFolder(settings.targetFolder)
        let (good, origin) = try record.copy(nil, of: settings.places)
        let fetched = try await FetchedCopy(record, good, at: origin, in: settings.targetFolder)
        guard fetched.evidence.sha256 == facts.envelope.storedSHA256 else {
            throw Failure(.invalid, "the copy of backup \(id) at \(origin.name) is not what was written", hint: "verify it")
        }
        var missing: [BackupRunResult.MissingCopy] = []
        let exchange = CopyExchange(settings, now)
        for place in lacking {
            do throws(Failure) {
                // A folder that is not there yet is made; one that is not mounted is refused.
                try await place.expectKnownCopies(of: record.order.target, in: try await state())
                _ = try await place.destination.probe()
                // Where a damaged one stands, the new one gets a key of its own.
                let key = record.copy(at: place.name) == nil ? good.key : try again(good.key)
                let (copy, object) = try await put(fetched.path, key, facts, record.order, at: place)
                let evidence: CopyEvidence
                do throws(Failure) { evidence = try await exchange.confirm(object, copy, facts, at: place) } catch {
                    await exchange.remove(copy.key, copy.versionID, at: place)
                    throw error
                }
                let numbered = try await ManifestStore(settings).put(record.order, facts, copy, at: place, try await state())
                try await append(
                    [.stored(numbered, facts), .confirmed(destination: place.name, evidence)].map {
                        CatalogueEvent(backup: id, at: now(), by: principal, $0)
                    }, under: lease)
            } catch { missing.append(.init(destination: place.name, failure: error)) }
        }
        return missing
    }

    /// Puts it under a key, or beside what an attempt that failed left there.
    private func put(
        _ path: String, _ key: ObjectKey, _ facts: BackupFacts, _ order: BackupOrder, at place: BackupPlace
    ) async throws(Failure) -> (copy: BackupCopy, object: StoredObject) {
        let exchange = CopyExchange(settings, now)
        do throws(Failure) { return try await exchange.put(path, key, facts, order, at: place) } catch
            where error.kind == .conflict
        {
            let next = try again(key)
            do throws(Failure) { return try await exchange.put(path, next, facts, order, at: place) } catch {
                await exchange.removeEverything(of: next, at: place)
                throw error
            }
        }
    }

    private func again(_ key: ObjectKey) throws(Failure) -> ObjectKey {
        guard let next = key.appending("-\(try randomName().prefix(8))") else {
            throw Failure(.invalid, "the key \(key) leaves no room for another copy's")
        }
        return next
    }
}

extension BackupCopy.State {
    /// Whether a new copy may take the place of one in this state.
    fileprivate var canBeReplaced: Bool {
        switch self {
        case .damaged, .deleted: true
        case .stored, .confirmed, .verified, .deleting: false
        }
    }
}
