internal import SerinCatalogue
internal import SerinCrypto
internal import SerinModel
internal import SerinPolicies
internal import SerinProcesses

/// Looks whether a backup can be made before anything is begun.
struct PipelinePreflight: Sendable {
    let settings: PipelineSettings
    let source: any BackupSource
    let state: CatalogueState
    let now: Instant

    /// What was found.
    struct Findings: Sendable {
        var probe: SourceProbe
        var remarks: [String]
        /// Destinations that cannot take the backup and are not required.
        var unusable: [String: Failure] = [:]
    }

    func run() async throws(Failure) -> Findings {
        try checkClock()
        let source = source
        let probe = try await onOwnThread { (stop) throws(Failure) in try source.probe(stop: stop) }
        let settings = settings
        try await onOwnThread { _ throws(Failure) in try PipelinePreflight.checkKey(settings) }
        var findings = Findings(probe: probe, remarks: probe.remarks)
        let needed = bytesNeeded(probe)
        let free = try freeBytes(at: settings.targetFolder)
        guard free >= needed else { throw tooSmall(settings.targetFolder, free, needed) }
        for place in settings.places {
            do throws(Failure) {
                let facts = try await place.destination.probe()
                findings.remarks += facts.remarks.map { "\(place.name): \($0)" }
                if let free = facts.freeBytes, free < needed { throw tooSmall(place.name, free, needed) }
                if place.lock != nil, facts.objectLock == false {
                    throw Failure(.invalid, "\(place.name) locks no objects, and the plan asks for it")
                }
            } catch {
                if place.isRequired { throw error }
                findings.unusable[place.name] = error
            }
        }
        return findings
    }

    /// Times decide what is deleted, so a clock that stands before the last backup makes none. Failed runs say nothing, and a backup
    /// that a person holds was looked at: a clock that was wrong once must not forbid backups until that time has come.
    private func checkClock() throws(Failure) {
        let newest = state.records.filter { record in
            record.isLive && !record.holds.contains { $0.kind == .permanent || $0.kind == .legal }
        }.max { $0.createdAt < $1.createdAt }
        guard let newest, now + .minutes(10) < newest.createdAt else { return }
        throw Failure(
            .invalid, "the clock says \(now), and the catalogue has the backup \(newest.id) of \(newest.createdAt)",
            hint: "set the clock right; if it was wrong then: serin backup hold \(newest.id) --reason 'the clock was wrong'")
    }

    /// 1.2 × the last stored size, else what the source says.
    private func bytesNeeded(_ probe: SourceProbe) -> Int64 {
        let before = state.live(target: "\(settings.target)").last { $0.kind == source.kind && $0.state.isRestorable }?.size
        return before.map { $0 + $0 / 5 } ?? probe.sizeEstimate ?? 0
    }

    private func tooSmall(_ place: String, _ free: Int64, _ needed: Int64) -> Failure {
        Failure(
            .denied, "\(place) has \(free) bytes free, and the backup needs \(needed)",
            hint: "make room, or let retention remove what is old")
    }

    /// Encrypts something with the very key: a certificate that has expired or a passphrase that is too short shows now.
    private static func checkKey(_ settings: PipelineSettings) throws(Failure) {
        do throws(EnvelopeFailure) {
            // As few rounds as may be: what they cost shows nothing of the key.
            var envelope = settings.envelope
            envelope.iterations = EnvelopeSettings.iterationRange.lowerBound
            let sealing = try EnvelopeSealing(envelope, key: settings.key)
            var count = 0
            try Array("probe".utf8).span.withUnsafeBytes { (raw) throws(EnvelopeFailure) in
                try sealing.write(raw) { count += $0.count }
            }
            let facts = try sealing.finish { count += $0.count }
            guard facts.storedBytes == count, count > 0 else {
                throw EnvelopeFailure(.library, .transient, "the encryption of a probe gave \(count) bytes")
            }
        } catch { throw error.failure }
        guard settings.manifestKey.count >= 16 else {
            throw Failure(.invalid, "the key of the manifests has fewer than 16 bytes")
        }
        if settings.envelope.profile == .none,
            let place = settings.places.first(where: { $0.destination.traits.requiresEncryption })
        {
            throw Failure(.invalid, "\(place.name) takes encrypted backups only")
        }
    }
}
