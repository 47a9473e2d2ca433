internal import SerinCatalogue
internal import SerinCrypto
internal import SerinModel
internal import SerinPolicies
internal import SerinProcesses

/// Looks whether a backup can be made before anything is begun.
struct PipelinePreflight: Sendable {
    let settings: PipelineSettings
    let kind: BackupKind
    /// The source, or why there is none.
    let source: Result<any BackupSource, Failure>
    /// Why there is no key; then that of the settings is not looked at.
    let key: Failure?
    let state: CatalogueState
    let now: Instant

    /// What was found.
    struct Findings: Sendable {
        /// Everything that was looked at, in order.
        var all: [PreflightFinding] = []
        /// What the source said; nil when it cannot be backed up.
        var probe: SourceProbe?
        /// Destinations that cannot take the backup and are not required.
        var unusable: [String: Failure] = [:]

        /// What is not as it should be and stops nothing.
        var remarks: [String] {
            all.flatMap { finding in
                finding.remarks.map { finding.name == "source" ? $0 : "\(finding.name): \($0)" }
            }
        }
    }

    /// Looks at everything.
    ///
    /// - Throws: The first thing that stands in the way.
    func run() async throws(Failure) -> (findings: Findings, probe: SourceProbe) {
        let findings = await look()
        for finding in findings.all where finding.isRequired { if let failure = finding.failure { throw failure } }
        guard let probe = findings.probe else { throw Failure(.transient, "the source was not looked at") }
        return (findings, probe)
    }

    /// Looks at everything, whatever is found.
    func look() async -> Findings {
        var findings = Findings()
        findings.all.append(PreflightFinding("clock", remarks: clockRemarks()))
        do throws(Failure) {
            let source = try source.get()
            let probe = try await onOwnThread { (stop) throws(Failure) in try source.probe(stop: stop) }
            let server = probe.server.map { ", server \($0.version)" } ?? ""
            findings.all.append(
                PreflightFinding(
                    "source", detail: "\(source.name) by \(probe.tool.name) \(probe.tool.version)\(server)",
                    remarks: probe.remarks))
            findings.probe = probe
        } catch { findings.all.append(PreflightFinding("source", failure: error)) }
        let settings = settings
        do throws(Failure) {
            if let key { throw key }
            try await onOwnThread { _ throws(Failure) in try PipelinePreflight.checkKey(settings) }
            findings.all.append(PreflightFinding("key", detail: "\(settings.envelope.profile.rawValue) \(settings.key.words)"))
        } catch { findings.all.append(PreflightFinding("key", failure: error)) }
        let needed = bytesNeeded(findings.probe)
        do throws(Failure) {
            let free = try freeBytes(atOrAbove: settings.targetFolder)
            let isEnough = free >= needed
            findings.all.append(
                PreflightFinding(
                    "work folder", detail: isEnough ? room(free, needed) : "",
                    failure: isEnough
                        ? nil
                        : tooSmall(
                            settings.workFolder, free, needed,
                            hint:
                                "what is on its way to a destination is put together there: make room, or have the state folder on a "
                                + "larger disk (--state)")))
        } catch { findings.all.append(PreflightFinding("work folder", failure: error)) }
        for place in settings.places { await look(at: place, needed, &findings) }
        return findings
    }

    private func look(at place: BackupPlace, _ needed: Int64, _ findings: inout Findings) async {
        let name = "destination \(place.name)"
        do throws(Failure) {
            try await place.expectKnownCopies(of: "\(settings.target)", in: state)
            let facts = try await place.destination.probe()
            if let free = facts.freeBytes, free < needed {
                throw tooSmall(place.destination.name, free, needed, hint: "make room, or let retention remove what is old")
            }
            if place.lock != nil, facts.objectLock == false {
                throw Failure(.invalid, "\(place.name) locks no objects, and the plan asks for it")
            }
            let needs = needed > 0 ? ", \(byteWords(needed)) needed" : ""
            findings.all.append(
                PreflightFinding(
                    name, detail: "\(place.destination.name) can be written\(needs)",
                    remarks: facts.remarks + slowness(of: place, needed),
                    isRequired: place.isRequired, facts: facts))
            await lookAtRegister(at: place, &findings)
        } catch {
            if !place.isRequired { findings.unusable[place.name] = error }
            findings.all.append(PreflightFinding(name, failure: error, isRequired: place.isRequired))
        }
    }

    /// What is stored is read back in one request.
    private func slowness(of place: BackupPlace, _ needed: Int64) -> [String] {
        guard let most = place.destination.traits.readingLimit, needed > most else { return [] }
        return [
            "at its rate at most \(byteWords(most)) are read back before its timeout is over, and the backup may have "
                + "\(byteWords(needed)): set a longer timeout"
        ]
    }

    /// One that is not believed can be kept no more: what is held from now on would stand in the catalogue alone. That stops no backup.
    private func lookAtRegister(at place: BackupPlace, _ findings: inout Findings) async {
        // Without the key of the manifests none is believed, and that is said already.
        guard key == nil else { return }
        let seal = settings.seal
        do throws(Failure) {
            _ = try await RegisterKeeper.register(
                of: "\(settings.target)", at: place, authenticate: seal.code, former: seal.former)
        } catch {
            // One that cannot be read now is tried again when it is written.
            guard error.kind == .invalid else { return }
            findings.all.append(
                PreflightFinding("register \(place.name)", failure: error, isRequired: false))
        }
    }

    private func room(_ free: Int64, _ needed: Int64) -> String {
        "\(byteWords(free)) free" + (needed > 0 ? ", \(byteWords(needed)) needed" : "")
    }

    /// A clock that was or is wrong is said and forbids no backup: the order of backups is that in which they were begun, and what
    /// says to be from the future is never deleted.
    private func clockRemarks() -> [String] {
        let own = state.records.filter { $0.order.target == "\(settings.target)" }
        return BackupRecord.wordsAboutFuture(own, at: now).map { ["the clock says \(now), and \($0)"] } ?? []
    }

    /// 1.2 × the last stored size, else what the source says.
    private func bytesNeeded(_ probe: SourceProbe?) -> Int64 {
        let before = state.live(target: "\(settings.target)").last { $0.kind == kind && $0.state.isRestorable }?.size
        return before.map { saturatingSum([$0, $0 / 5]) } ?? probe?.sizeEstimate ?? 0
    }

    private func tooSmall(_ place: String, _ free: Int64, _ needed: Int64, hint: String) -> Failure {
        Failure(.denied, "\(place) has \(byteWords(free)) free, and the backup needs \(byteWords(needed))", hint: hint)
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

extension EnvelopeKey {
    /// Who can open what it encrypts.
    fileprivate var words: String {
        switch self {
        case .keyFile: "by a passphrase"
        case .recipients(let certificates): "for \(certificates.count) recipients"
        case .unencrypted: "(readable by anybody)"
        }
    }
}
