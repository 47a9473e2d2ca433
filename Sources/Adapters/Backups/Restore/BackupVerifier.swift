public import SerinCatalogue
public import SerinModel
public import SerinPolicies
public import SerinPorts
internal import SerinProcesses

/// Reads copies again later, completely, and judges them: what makes an available backup a verified one.
public struct BackupVerifier: Sendable {
    /// What came of one reading.
    public struct Outcome: Sendable, Hashable {
        /// What the catalogue was told.
        public var result: VerificationResult
        /// What is unusual and proves nothing: a size or a number of rows unlike those before.
        public var warnings: [String]
        /// The tools that were run.
        public var evidence: [ToolEvidence]

        /// An outcome.
        public init(result: VerificationResult, warnings: [String] = [], evidence: [ToolEvidence] = []) {
            self.result = result
            self.warnings = warnings
            self.evidence = evidence
        }
    }

    private let settings: PipelineSettings
    private let policy: VerifyPolicy
    private let identities: [EnvelopeIdentity]
    private let catalogue: any CatalogueStore
    private let now: @Sendable () -> Instant

    /// A verifier.
    ///
    /// - Parameter identities: What opens the backups; without any, and of those that none of them opens, only the bytes as they are
    ///   stored are compared, which makes a backup verified only where the policy says so.
    public init(
        _ settings: PipelineSettings, policy: VerifyPolicy = VerifyPolicy(), identities: [EnvelopeIdentity],
        catalogue: any CatalogueStore, now: @escaping @Sendable () -> Instant
    ) {
        self.settings = settings
        self.policy = policy
        self.identities = identities
        self.catalogue = catalogue
        self.now = now
    }

    /// Verifies one copy and tells the catalogue.
    ///
    /// - Parameters:
    ///   - source: What made it; it judges the plain bytes.
    ///   - destination: Whose copy; nil for the first one that may be read.
    ///   - isRightPlace: Whether somebody says that the destination is the one that it was, so that what is not there is lost.
    /// - Throws: When it could not be done, which says nothing about the backup.
    public func verify(
        _ id: BackupID, source: any BackupSource, destination: String? = nil, isRightPlace: Bool = false, by principal: Principal
    ) async throws(Failure) -> Outcome {
        let state = try await readState()
        guard let record = state[id], let facts = record.facts else { throw Failure(.invalid, "no stored backup \(id) is known") }
        // A copy that was found bad is read again where nothing else is left: it may have been a fault of the place.
        let bad = record.usableCopies.isEmpty ? record.copies.first { $0.state == .damaged }?.destination : nil
        let wanted = destination ?? bad
        let (copy, place) = try record.copy(wanted, of: settings.places)
        try makePrivateFolder(settings.workFolder)
        var outcome: Outcome
        switch try await fetch(record, copy, at: place, isRightPlace ? nil : state) {
        case .success(let fetched): outcome = try await judge(fetched, source)
        case .failure(let missing):
            let evidence = CopyEvidence(size: 0, sha256: "", versionID: copy.versionID)
            let check = BackupCheck("complete fetch", passed: false, detail: missing.message)
            outcome = Outcome(
                result: VerificationResult(at: now(), destination: place.name, evidence: evidence, checks: [check]), warnings: [],
                evidence: [])
        }
        switch try await manifest(of: record, copy, place) {
        case .judged(let check): outcome.result.checks.append(check)
        case .foreign(let words):
            outcome.result.shortfall = outcome.result.shortfall ?? words
            outcome.warnings.append(words)
        case .missing: await mend(record, facts, copy, place, state, &outcome)
        }
        // Later than the reading back, also where both happen within one millisecond.
        let after = (copy.confirmedAt ?? copy.storedAt) + .milliseconds(1)
        outcome.result.at = max(now(), after)
        outcome.warnings += unusual(record, facts, state)
        let event = CatalogueEvent(backup: id, at: outcome.result.at, by: principal, .verified(outcome.result))
        do throws(CatalogueStoreError) { try await catalogue.append([event]) } catch { throw error.failure }
        return outcome
    }

    /// Fetches a copy. What is gone, too long or cannot be given is a finding, the inner failure; a destination that did not answer,
    /// a disk that is full or a tool that is missing says nothing about a backup, and is thrown.
    ///
    /// - Parameter state: By which the place is recognized; nil when somebody says that it is the right one.
    private func fetch(
        _ record: BackupRecord, _ copy: BackupCopy, at place: BackupPlace, _ state: CatalogueState?
    ) async throws(Failure) -> Result<FetchedCopy, Failure> {
        do throws(Failure) {
            return .success(try await FetchedCopy(record, copy, at: place, in: settings.workFolder))
        } catch {
            guard error.kind == .invalid else { throw error }
            // It answers about this very object.
            if try await place.destination.head(copy.key, version: copy.versionID) == nil, let state {
                try await place.expectSigns(of: record, in: state)
            }
            return .failure(error)
        }
    }

    private func judge(_ fetched: FetchedCopy, _ source: any BackupSource) async throws(Failure) -> Outcome {
        let facts = fetched.facts
        var checks = [
            BackupCheck(
                "digest",
                passed: fetched.evidence.size == Int64(facts.envelope.storedBytes)
                    && fetched.evidence.sha256 == facts.envelope.storedSHA256,
                detail: "\(fetched.evidence.size) bytes with SHA-256 \(fetched.evidence.sha256)")
        ]
        var evidence: [ToolEvidence] = []
        let given = try identities.map { (identity) throws(Failure) in
            do throws(EnvelopeFailure) { return try identity.id() } catch { throw error.failure }
        }
        let canOpen = facts.envelope.profile == .none || facts.envelope.keyIDs.contains(where: given.contains)
        let words = "no key at hand opens it: only the stored bytes were compared"
        if checks.allSatisfy(\.passed), canOpen {
            let identities = identities
            let findings = try await onOwnThread { (stop) throws(Failure) in
                try BackupVerifier.examine(fetched, identities, source, stop)
            }
            checks += findings.checks
            evidence = findings.evidence
        }
        return Outcome(
            result: VerificationResult(
                at: now(), destination: fetched.copy.destination, evidence: fetched.evidence, checks: checks,
                shortfall: canOpen || policy.proof == .storedBytes ? nil : words),
            warnings: canOpen ? [] : [words], evidence: evidence)
    }

    private static func examine(
        _ fetched: FetchedCopy, _ identities: [EnvelopeIdentity], _ source: any BackupSource, _ stop: StopSignal
    ) throws(Failure) -> ConsumerFindings {
        do throws(EnvelopeFailure) {
            try fetched.authenticate(identities)
        } catch {
            // The stored bytes are those that were written: a key that does not open them says nothing about them.
            guard error.reason == .damaged else { throw error.failure }
            return ConsumerFindings(checks: [BackupCheck("mac", passed: false, detail: error.failure.message)])
        }
        let examination = try source.examination(of: fetched.facts.tool, stop: stop)
        do throws(EnvelopeFailure) {
            try fetched.read(identities) { (bytes) throws(Failure) in try examination.write(bytes) }
        } catch {
            guard error.reason == .damaged else { throw error.failure }
            return ConsumerFindings(checks: [BackupCheck("plain bytes", passed: false, detail: error.failure.message)])
        }
        var findings = try examination.finish(comparing: SourceProduct(fetched.facts))
        findings.checks.insert(BackupCheck("mac", passed: true, detail: fetched.facts.envelope.profile.rawValue), at: 0)
        return findings
    }

    /// A manifest that is gone says nothing about the bytes beside it. Where these are proven to be what the catalogue knows, it is
    /// written again from the catalogue.
    private func mend(
        _ record: BackupRecord, _ facts: BackupFacts, _ copy: BackupCopy, _ place: BackupPlace, _ state: CatalogueState,
        _ outcome: inout Outcome
    ) async {
        let what = "the manifest beside \(copy.reference) was missing"
        guard outcome.result.checks.allSatisfy(\.passed) else {
            outcome.warnings.append(what)
            return
        }
        do throws(Failure) {
            try await ManifestStore(settings).rewrite(record, facts, copy, at: place, state, now: now())
            outcome.warnings.append("\(what), and was written again from the catalogue")
        } catch {
            outcome.warnings.append("\(what), and could not be written again: \(error.message)")
        }
    }

    private enum ManifestFinding {
        case judged(BackupCheck)
        /// Sealed with a key that is not at hand: that says nothing about the backup.
        case foreign(String)
        case missing
    }

    private func manifest(
        of record: BackupRecord, _ copy: BackupCopy, _ place: BackupPlace
    ) async throws(Failure) -> ManifestFinding {
        func judged(_ detail: String) -> ManifestFinding {
            .judged(BackupCheck("manifest", passed: detail.isEmpty, detail: detail))
        }
        do throws(Failure) {
            guard let key = Manifest.key(beside: copy.key),
                let bytes = try await place.destination.read(key, limit: ManifestStore.limit)
            else { return .missing }
            let manifest: Manifest
            do throws(ManifestError) { manifest = try settings.seal.read(bytes) } catch {
                return error.isForeign ? .foreign(error.description) : judged(error.description)
            }
            let isRight =
                manifest.order == record.order && manifest.facts.envelope.storedSHA256 == record.facts?.envelope.storedSHA256
            return judged(isRight ? "" : "it is that of \(manifest.order.id), or of other bytes")
        } catch {
            guard error.kind == .invalid else { throw error }
            return judged(error.message)
        }
    }

    /// Against the median of the last seven, and the tables of the one before.
    private func unusual(_ record: BackupRecord, _ facts: BackupFacts, _ state: CatalogueState) -> [String] {
        let before = state.records.filter {
            $0.order.target == record.order.target && $0.kind == record.kind && $0.createdAt < record.createdAt
                && $0.state.isRestorable
        }
        var warnings: [String] = []
        let sizes = before.suffix(7).compactMap(\.size).sorted()
        if sizes.count >= 3 {
            let usual = sizes[sizes.count / 2]
            let median = Double(usual)
            let size = Double(facts.envelope.storedBytes)
            if size < median * policy.minimumSizeRatio || size > median * policy.maximumSizeRatio {
                warnings.append("\(facts.envelope.storedBytes) bytes, where the last ones had about \(usual)")
            }
        }
        for table in before.last?.facts?.rows?.tables ?? [] {
            let count = facts.rows?[table.schema, table.table] ?? 0
            if facts.rows != nil, Double(count) < Double(table.count) * (1 - policy.maximumRowDrop) {
                warnings.append("\(table.schema).\(table.table) has \(count) rows, and had \(table.count) in the backup before")
            }
        }
        return warnings
    }

    private func readState() async throws(Failure) -> CatalogueState {
        do throws(CatalogueStoreError) { return try await catalogue.state() } catch { throw error.failure }
    }
}
