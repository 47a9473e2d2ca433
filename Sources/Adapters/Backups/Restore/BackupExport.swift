internal import Glibc
public import SerinCatalogue
public import SerinModel
public import SerinPorts
internal import SerinProcesses

/// Gives a person a backup as a file of their own: its plain bytes, or those that are stored with the manifest beside them. Nothing bears
/// its name before all of it was proven to be what was made, and nothing is written over.
public struct BackupExport: Sendable {
    /// What was written.
    public struct Exported: Sendable, Hashable {
        /// The backup.
        public var backup: BackupID
        /// The destination whose copy was read.
        public var destination: String
        /// The files, the backup's own first.
        public var files: [String]
        /// The bytes of the first.
        public var bytes: Int64
        /// Their SHA-256 in hexadecimal.
        public var sha256: String

        /// What was written.
        public init(backup: BackupID, destination: String, files: [String], bytes: Int64, sha256: String) {
            self.backup = backup
            self.destination = destination
            self.files = files
            self.bytes = bytes
            self.sha256 = sha256
        }
    }

    /// The topic of the notes about readings that restore nothing.
    public static let topic = "read"

    private let reading: RestoreReading
    private let progress: @Sendable (JobProgress) -> Void

    /// An export.
    public init(
        _ pipeline: PipelineSettings, identities: [EnvelopeIdentity], catalogue: any CatalogueStore,
        now: @escaping @Sendable () -> Instant, progress: @escaping @Sendable (JobProgress) -> Void = { _ in }
    ) {
        reading = RestoreReading(pipeline: pipeline, identities: identities, catalogue: catalogue, now: now)
        self.progress = progress
    }

    /// Writes a backup to a new file for this user alone.
    ///
    /// - Parameters:
    ///   - destination: Whose copy; nil for the first one that may be read.
    ///   - isStored: Whether the bytes are given as they are stored, for which no key is needed, with the manifest in a second file.
    ///   - reason: What it is for; noted before anything is read.
    public func write(
        _ id: BackupID, to file: String, destination: String? = nil, isStored: Bool, reason: String, by principal: Principal
    ) async throws(Failure) -> Exported {
        let record = try await reading.record(id)
        guard record.facts?.tool.format != PgBackRestSource.format else {
            throw Failure(
                .denied, "backup \(id) is in the repository of \(record.facts?.tool.name ?? ""), and only its receipt is stored",
                hint: "serin backup restore PLAN \(id) --into FOLDER")
        }
        for path in files(file, isStored) where access(path, F_OK) == 0 {
            throw Failure(.conflict, "cannot write \(path): there is such a file already")
        }
        let note = AuditNote(
            at: reading.now(), by: principal, topic: Self.topic, target: record.order.target, backup: id,
            text: "exported\(isStored ? " as it is stored" : "") to \(file): \(reason)")
        do throws(CatalogueStoreError) { try await reading.catalogue.note(note) } catch { throw error.failure }
        try makePrivateFolder(reading.pipeline.workFolder)
        return try await reading.holding([id], as: file, for: .hours(24), by: principal) { () throws(Failure) in
            isStored ? try await writeStored(record, destination, file) : try await writePlain(record, destination, file)
        }
    }

    private func files(_ file: String, _ isStored: Bool) -> [String] { isStored ? [file, file + Manifest.keySuffix] : [file] }

    private func writePlain(_ record: BackupRecord, _ destination: String?, _ file: String) async throws(Failure) -> Exported {
        let meter = ProgressMeter(progress)
        let fetched = try await reading.fetch(record, destination, into: reading.pipeline.workFolder, meter)
        let envelope = fetched.facts.envelope
        meter.begin("write", total: Int64(envelope.plainBytes))
        let identities = reading.identities
        try await onOwnThread { _ throws(Failure) in
            do throws(EnvelopeFailure) {
                let output = try DurableFile(file)
                var done: Int64 = 0
                try fetched.read(identities) { (bytes) throws(Failure) in
                    do throws(EnvelopeFailure) { try output.write(bytes) } catch { throw error.failure }
                    done += Int64(bytes.count)
                    meter.note(done)
                }
                try output.commit()
            } catch { throw error.failure }
        }
        return Exported(
            backup: record.id, destination: fetched.copy.destination, files: [file], bytes: Int64(envelope.plainBytes),
            sha256: envelope.plainSHA256)
    }

    private func writeStored(_ record: BackupRecord, _ destination: String?, _ file: String) async throws(Failure) -> Exported {
        let meter = ProgressMeter(progress)
        let pipeline = reading.pipeline
        let (copy, place) = try record.copy(destination, of: pipeline.places)
        meter.begin("fetch", total: record.size)
        let fetched = try await FetchedCopy(record, copy, at: place, in: pipeline.workFolder)
        let envelope = fetched.facts.envelope
        guard fetched.evidence.size == Int64(envelope.storedBytes), fetched.evidence.sha256 == envelope.storedSHA256 else {
            throw Failure(.invalid, "\(copy.reference) is not what was stored", hint: "serin backup verify PLAN \(record.id)")
        }
        guard let key = Manifest.key(beside: copy.key),
            let manifest = try await place.destination.read(key, limit: ManifestStore.limit)
        else {
            throw Failure(
                .invalid, "there is no manifest beside \(copy.reference)", hint: "serin backup verify PLAN \(record.id)")
        }
        let said: Manifest
        do throws(ManifestError) { said = try pipeline.seal.read(manifest) } catch { throw Failure(.invalid, error.description) }
        guard said.order == record.order else {
            throw Failure(.invalid, "the manifest beside \(copy.reference) is that of another backup")
        }
        let manifestFile = file + Manifest.keySuffix
        try await onOwnThread { _ throws(Failure) in
            do throws(EnvelopeFailure) {
                let (output, beside) = (try DurableFile(file), try DurableFile(manifestFile))
                try manifest.span.withUnsafeBytes { (raw) throws(EnvelopeFailure) in try beside.write(raw) }
                try InputFile(fetched.path).read { (bytes) throws(EnvelopeFailure) in try output.write(bytes) }
                try beside.commit()
                try output.commit()
            } catch { throw error.failure }
        }
        return Exported(
            backup: record.id, destination: place.name, files: [file, manifestFile], bytes: Int64(envelope.storedBytes),
            sha256: envelope.storedSHA256)
    }
}
