internal import SerinCatalogue
internal import SerinModel
internal import SerinPorts
internal import SerinProcesses

/// One run of a pipeline under a lease.
struct PipelineRun: Sendable {
    private let pipeline: BackupPipeline
    private let source: any BackupSource
    private let request: BackupRequest
    private let lease: TargetLease
    private let meter: ProgressMeter

    private var settings: PipelineSettings { pipeline.settings }

    init(_ pipeline: BackupPipeline, _ source: any BackupSource, _ request: BackupRequest, _ lease: TargetLease) {
        self.pipeline = pipeline
        self.source = source
        self.request = request
        self.lease = lease
        meter = ProgressMeter(pipeline.progress)
    }

    /// What a run has so far.
    private struct Draft {
        var order: BackupOrder
        var key: ObjectKey
        var stage = BackupStage.preflight
        var clock = ContinuousClock.now
        var times: [BackupRunResult.StageTime] = []
        /// Where an object may be by now.
        var touched: [BackupPlace] = []
        var missing: [BackupRunResult.MissingCopy] = []

        mutating func enter(_ next: BackupStage, _ meter: ProgressMeter, total: Int64? = nil) {
            let passed = clock.duration(to: .now).components
            let time = Duration.milliseconds(passed.seconds * 1000 + passed.attoseconds / 1_000_000_000_000_000)
            times.append(BackupRunResult.StageTime(stage: stage, time: time))
            clock = .now
            stage = next
            meter.begin(next.rawValue, total: total)
        }
    }

    func perform() async throws(BackupRunFailure) -> BackupRunResult {
        var draft: Draft
        do throws(Failure) {
            let order = try request.order(
                source.kind, of: settings.target, project: settings.project, retentionClass: settings.retentionClass,
                hasPersonalData: settings.hasPersonalData, revision: settings.planRevision, at: pipeline.now())
            draft = Draft(order: order, key: try settings.layout.key(of: order))
        } catch { throw BackupRunFailure(.preflight, error) }
        let preflight: (findings: PipelinePreflight.Findings, probe: SourceProbe)
        meter.begin(BackupStage.preflight.rawValue)
        do throws(BackupRunFailure) { preflight = try await prepare() } catch {
            throw await UnbegunBackup(draft.order, failure(error.failure, at: error.stage, of: draft))
                .record(in: pipeline.catalogue, under: lease)
        }
        for finding in preflight.findings.all {
            if var failure = finding.failure {
                failure.message = "\(finding.name): \(failure.message)"
                pipeline.warning(failure)
            }
        }
        let path = "\(settings.targetFolder)/\(draft.order.id).spool"
        defer { removeFile(path) }
        do throws(Failure) {
            try await append([event(draft, .begun(draft.order))])
            return try await make(&draft, preflight, path)
        } catch {
            let failure = failure(error, at: draft.stage, of: draft)
            await abandon(draft, failure)
            throw failure
        }
    }

    /// Of a run that was called off that is what is said: how its tools ended then tells nothing.
    private func failure(_ failure: Failure, at stage: BackupStage, of draft: Draft) -> BackupRunFailure {
        BackupRunFailure(stage, Task.isCancelled ? .runWasInterrupted : failure, backup: draft.order.id)
    }

    /// Removes what killed runs left behind, then looks at everything.
    private func prepare() async throws(BackupRunFailure) -> (findings: PipelinePreflight.Findings, probe: SourceProbe) {
        do throws(Failure) {
            try makePrivateFolder(settings.workFolder)
            try makePrivateFolder(settings.targetFolder)
            try await PipelineSweep(pipeline, lease).run()
        } catch { throw BackupRunFailure(.lease, error) }
        do throws(Failure) {
            let state = try await pipeline.state()
            return try await PipelinePreflight(
                settings: settings, kind: source.kind, source: .success(source), key: nil, state: state, now: pipeline.now()
            ).run()
        } catch { throw BackupRunFailure(.preflight, error) }
    }

    private func make(
        _ draft: inout Draft, _ preflight: (findings: PipelinePreflight.Findings, probe: SourceProbe), _ path: String
    ) async throws(Failure) -> BackupRunResult {
        draft.enter(.dump, meter, total: preflight.probe.sizeEstimate)
        let startedAt = pipeline.now()
        let dump = PipelineDump(source: source, tool: preflight.probe.tool, settings: settings, path: path, meter: meter)
        let outcome = try await onOwnThread { (stop) throws(Failure) in try dump.run(stop: stop) }
        draft.enter(.check, meter)
        if let bad = outcome.findings.checks.first(where: { !$0.passed }) {
            throw Failure(.invalid, "what \(source.name) gave is no good backup: \(bad.name): \(bad.detail)")
        }
        let facts = BackupFacts(
            startedAt: startedAt, finishedAt: pipeline.now(), envelope: outcome.envelope, tool: outcome.product.tool,
            server: outcome.product.server, schemaRevision: outcome.product.schemaRevision, rows: outcome.product.rows)
        draft.missing = preflight.findings.unusable.sorted { $0.key < $1.key }.map {
            .init(destination: $0.key, failure: $0.value)
        }
        let copies = try await store(&draft, facts, path)
        var confirmed = try await confirm(&draft, facts, copies)
        draft.enter(.manifest, meter)
        let manifests = ManifestStore(settings)
        let state = try await pipeline.state()
        for index in confirmed.indices {
            let (place, copy, _) = confirmed[index]
            confirmed[index].copy = try await manifests.put(draft.order, facts, copy, at: place, state)
        }
        draft.enter(.catalogue, meter)
        let record = try await makeKnown(
            confirmed.map { event(draft, .stored($0.copy, facts)) }
                + confirmed.map { event(draft, .confirmed(destination: $0.place.name, $0.evidence)) }, draft, state)
        // From here on the backup is available, and nothing may fail the run.
        draft.enter(.latest, meter)
        var remarks = preflight.findings.remarks + outcome.product.remarks + (facts.server?.undatedWords.map { [$0] } ?? [])
        for (place, copy, _) in confirmed {
            // The backup is good without it; who reads the pointer finds the one before.
            do throws(Failure) { try await manifests.point(at: copy, draft.order, at: place) } catch {
                remarks.append("\(place.name): the pointer to the newest backup was not moved: \(error.message)")
            }
        }
        draft.enter(.latest, meter)
        return BackupRunResult(
            record: record, missing: draft.missing, remarks: remarks, checks: outcome.findings.checks,
            evidence: outcome.product.evidence + outcome.findings.evidence, times: draft.times)
    }

    /// Tells the catalogue of the backup. An answer that was lost is looked up.
    ///
    /// - Returns: The record that the events lead to: it is not asked for again, as that could fail a backup that is available.
    private func makeKnown(
        _ events: [CatalogueEvent], _ draft: Draft, _ state: CatalogueState
    ) async throws(Failure) -> BackupRecord {
        var after = state
        do throws(CatalogueRefusal) { for event in events { try after.apply(event) } } catch {
            throw Failure(.invalid, "the catalogue would refuse: \(error)")
        }
        guard let record = after[draft.order.id] else {
            throw Failure(.invalid, "the catalogue does not know the backup that was begun")
        }
        do throws(Failure) { try await append(events) } catch {
            guard let known = try await pipeline.state()[draft.order.id], known.state.isRestorable else { throw error }
            return known
        }
        return record
    }

    private typealias Stored = (place: BackupPlace, copy: BackupCopy, object: StoredObject)
    private typealias Confirmed = (place: BackupPlace, copy: BackupCopy, evidence: CopyEvidence)

    private func store(_ draft: inout Draft, _ facts: BackupFacts, _ path: String) async throws(Failure) -> [Stored] {
        draft.enter(.store, meter, total: Int64(facts.envelope.storedBytes) * Int64(settings.places.count))
        let exchange = CopyExchange(settings, pipeline.now)
        var stored: [Stored] = []
        for place in settings.places where !draft.missing.contains(where: { $0.destination == place.name }) {
            draft.touched.append(place)
            do throws(Failure) {
                let (copy, object) = try await exchange.put(path, draft.key, facts, draft.order, at: place)
                stored.append((place, copy, object))
                meter.note(Int64(facts.envelope.storedBytes) * Int64(stored.count))
            } catch {
                if place.isRequired { throw error }
                draft.missing.append(.init(destination: place.name, failure: error))
                // A part of it would keep a later copy from its key.
                await exchange.removeEverything(of: draft.key, at: place)
            }
        }
        return stored
    }

    private func confirm(_ draft: inout Draft, _ facts: BackupFacts, _ stored: [Stored]) async throws(Failure) -> [Confirmed] {
        draft.enter(.confirm, meter, total: Int64(facts.envelope.storedBytes) * Int64(stored.count))
        let exchange = CopyExchange(settings, pipeline.now)
        var confirmed: [Confirmed] = []
        for (place, copy, object) in stored {
            do throws(Failure) {
                confirmed.append((place, copy, try await exchange.confirm(object, copy, facts, at: place)))
                meter.note(Int64(facts.envelope.storedBytes) * Int64(confirmed.count))
            } catch {
                if place.isRequired { throw error }
                draft.missing.append(.init(destination: place.name, failure: error))
                await exchange.remove(draft.key, copy.versionID, at: place)
            }
        }
        guard !confirmed.isEmpty else { throw Failure(.transient, "no destination keeps the backup") }
        if settings.needsOffsite, !confirmed.contains(where: { $0.place.isOffsite }) {
            throw Failure(
                .transient, "no copy of the backup is away from this machine, and the plan asks for one",
                hint: "look at the destinations that failed")
        }
        return confirmed
    }

    /// Says that the run failed, and then removes what it began, as far as that can be done now. Objects of which the catalogue does not
    /// agree that they are of a failed run stay: it may have been told of them. The next run removes what is left of this one.
    private func abandon(_ draft: Draft, _ failure: BackupRunFailure) async {
        do throws(Failure) {
            do throws(Failure) { try await append([event(draft, .failed(failure.noted))]) } catch {
                // Who took the lease over may have closed it.
                guard try await pipeline.state()[draft.order.id]?.state == .failed else { throw error }
            }
        } catch { return }
        let exchange = CopyExchange(settings, pipeline.now)
        for place in draft.touched { await exchange.removeEverything(of: draft.key, at: place) }
    }

    private func append(_ events: [CatalogueEvent]) async throws(Failure) { try await pipeline.append(events, under: lease) }

    private func event(_ draft: Draft, _ change: CatalogueEvent.Change) -> CatalogueEvent {
        CatalogueEvent(backup: draft.order.id, at: pipeline.now(), by: request.by, change)
    }
}
