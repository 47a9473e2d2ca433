internal import SerinBackups
internal import SerinCatalogue
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinRollouts

/// The backups that rollouts stand on, by a plan: made, read again, and held until the rollout is over.
struct PlanBackups: Backups {
    let loaded: LoadedBackupPlan
    let catalogue: any CatalogueStore
    let work: any BackupWork
    let now: @Sendable () -> Instant
    /// Between two looks whether the target is free.
    var busyPause = Duration.seconds(1)

    private var plan: BackupPlan { loaded.plan }

    func preflight(_ request: RolloutBackupRequest, deadline: Duration) async -> BackupPreflight {
        let found = await within(deadline, "the preflight of the backup") { () throws(Failure) in
            await (probes: work.probes(for: .release), database: work.database())
        }
        switch found {
        case .success((let probes, let database)):
            return BackupPreflight(
                problems: probes.filter { $0.outcome == .failed }.map { Failure(.denied, "\($0.name): \($0.detail)") },
                warnings: probes.filter { $0.outcome == .warning }.map { "\($0.name): \($0.detail)" }, database: database,
                kind: plan.rolloutKind)
        case .failure(let failure): return BackupPreflight(problems: [failure])
        }
    }

    func take(_ request: RolloutBackupRequest, deadline: Duration) async -> BackupOutcome {
        let made: Result<BackupOutcome, Failure> = await within(deadline, "the backup") { () throws(Failure) in
            try await make(request)
        }
        switch made {
        case .success(let outcome): return outcome
        // It may have been made: the catalogue decides.
        case .failure(let failure):
            if case .made(let reference) = await lookUp(request) { return .made(reference) }
            return .unknown(failure)
        }
    }

    private func make(_ request: RolloutBackupRequest) async throws(Failure) -> BackupOutcome {
        if case .made(let reference) = await lookUp(request) { return .made(reference) }
        let record: BackupRecord
        if let known = try await records(of: request).first(where: \.state.isRestorable) {
            // Stored before whoever made it went away; nothing has to be dumped again.
            record = known
        } else {
            do throws(BackupRunFailure) { record = try await create(request) } catch {
                return .failed(
                    Failure(error.failure.kind, "\(error.stage.rawValue): \(error.failure.message)", hint: error.failure.hint))
            }
        }
        // Before it is judged, so that nothing prunes it meanwhile.
        let hold = Hold(.rollout(request.rollout), reason: "the restore point of \(request.rollout)")
        try await append(CatalogueEvent(backup: record.id, at: now(), by: .serin, .held(hold)))
        if !record.state.isVerified {
            let result = try await work.verify(record, at: nil, isRightPlace: false, by: .serin).result
            if let bad = result.checks.first(where: { !$0.passed }) {
                return .failed(Failure(.invalid, "backup \(record.id) is bad: \(bad.name): \(bad.detail)"))
            }
            if let shortfall = result.shortfall {
                return .failed(Failure(.invalid, "backup \(record.id) is not verified: \(shortfall)"))
            }
        }
        return await lookUp(request)
    }

    /// Makes a backup. While another one of the target is under way, or something else that changes it, that is waited for: a rollout
    /// is not refused because of a nightly backup.
    private func create(_ request: RolloutBackupRequest) async throws(BackupRunFailure) -> BackupRecord {
        let order = BackupRequest(
            by: request.author, purpose: plan.purpose,
            label: "\(plan.rolloutSchedule?.label ?? "pre-deployment")-\(request.version)",
            tier: "pre-deployment",
            rollout: request.rollout, releaseVersion: request.version)
        while true {
            do throws(BackupRunFailure) { return try await work.create(plan.rolloutKind, order).record } catch {
                guard error.isBusy else { throw error }
                repeat {
                    // A cancelled pause ends the loop.
                    try? await Task.sleep(for: .milliseconds(busyPause.milliseconds))
                    if Task.isCancelled { throw error }
                } while await isHeld()
            }
        }
    }

    /// Whether the target's lease is somebody's. Where that cannot be read, the next try says so.
    private func isHeld() async -> Bool {
        do throws(CatalogueStoreError) {
            return try await catalogue.leases().contains { $0.target == plan.target.description && now() < $0.expiresAt }
        } catch { return false }
    }

    func check(_ request: RolloutBackupRequest, deadline: Duration) async -> BackupOutcome {
        switch await within(deadline, "the look into the catalogue", { () throws(Failure) in await lookUp(request) }) {
        case .success(let outcome): outcome
        case .failure(let failure): .unknown(failure)
        }
    }

    func release(_ request: RolloutBackupRequest, deadline: Duration) async throws(Failure) {
        try await within(deadline, "the release of the backup") { () throws(Failure) in
            for record in try await records(of: request) {
                let kind = Hold.Kind.rollout(request.rollout)
                guard let hold = record.holds.first(where: { $0.kind == kind }), hold.until == nil else { continue }
                let ending = Hold(kind, reason: hold.reason, until: now() + plan.retention.afterRollout)
                try await append(CatalogueEvent(backup: record.id, at: now(), by: .serin, .held(ending)))
            }
        }.get()
    }

    /// What was made for this rollout, the newest first.
    private func records(of request: RolloutBackupRequest) async throws(Failure) -> [BackupRecord] {
        do throws(CatalogueStoreError) {
            return try await catalogue.state().history(
                BackupSelection(target: plan.target.description, rollout: request.rollout), includingDead: true
            ).filter { $0.kind != .globals }
        } catch { throw error.failure }
    }

    /// What the catalogue says of this rollout's backup, the newest good one first.
    private func lookUp(_ request: RolloutBackupRequest) async -> BackupOutcome {
        let records: [BackupRecord]
        do throws(Failure) {
            _ = try await work.noteExpired(by: .serin)
            records = try await self.records(of: request)
        } catch { return .unknown(error) }
        let held = records.first { record in
            record.state.isVerified && record.holds.contains { $0.kind == .rollout(request.rollout) && $0.holds(at: now()) }
        }
        if let held {
            return .made(CheckpointReference(backup: held.id, state: held.state, at: held.consistentAt, kind: held.kind))
        }
        guard let newest = records.first else {
            return .unknown(Failure(.transient, "no backup of \(request.rollout) was begun"))
        }
        switch newest.state {
        case .failed where newest.wasInterrupted:
            // As of one whose controller was killed: the rollout asks for it again.
            return .unknown(Failure(.transient, "backup \(newest.id): \(Failure.runWasInterrupted.message)"))
        case .failed, .quarantined:
            return .failed(newest.failure ?? Failure(.invalid, "backup \(newest.id) is \(newest.state.rawValue)"))
        case .running, .uploaded, .available, .verified, .drilled, .deleting, .deleted:
            return .unknown(Failure(.transient, "backup \(newest.id) is \(newest.state.rawValue), not a verified and held one"))
        }
    }

    private func append(_ event: CatalogueEvent) async throws(Failure) {
        do throws(CatalogueStoreError) { try await catalogue.append([event]) } catch { throw error.failure }
    }
}
