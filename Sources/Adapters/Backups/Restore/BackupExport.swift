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
    ///   - file: An absolute path. Whether it can be written is looked at before anything is noted or read.
    ///   - destination: Whose copy; nil for the first one that may be read.
    ///   - isStored: Whether the bytes are given as they are stored, with the manifest in a second file. That decrypts nothing; what
    ///     seals the manifests must be at hand.
    ///   - reason: What it is for; noted before anything is read. What came of it is noted as well.
    public func write(
        _ id: BackupID, to file: String, destination: String? = nil, isStored: Bool, reason: String, by principal: Principal
    ) async throws(Failure) -> Exported {
        let record = try await reading.record(id)
        guard record.facts?.tool.format != PgBackRestSource.format else {
            throw Failure(
                .denied, "backup \(id) is in the repository of \(record.facts?.tool.name ?? ""), and only its receipt is stored",
                hint: "serin backup restore PLAN \(id) --into FOLDER")
        }
        try await onOwnThread { _ throws(Failure) in
            try ExportPlace(file, isStored: isStored).check(for: record, workFolder: workFolder)
        }
        let kind = isStored ? " as it is stored" : ""
        try await note(record, "asked for an export\(kind) to \(file), because: \(reason)", by: principal)
        try makePrivateFolder(workFolder)
        let done: Exported
        do throws(Failure) {
            done = try await reading.holding([id], as: file, for: .hours(24), by: principal) { () throws(Failure) in
                isStored ? try await writeStored(record, destination, file) : try await writePlain(record, destination, file)
            }
        } catch {
            // Without it the log still says that it was asked for.
            try? await note(record, "not exported\(kind) to \(file): \(error.message)", by: principal)
            throw error
        }
        try await note(
            record, "exported\(kind) to \(file): \(done.bytes) bytes with SHA-256 \(done.sha256)", by: principal)
        return done
    }

    private var workFolder: String { reading.pipeline.workFolder }

    private func note(_ record: BackupRecord, _ text: String, by principal: Principal) async throws(Failure) {
        let note = AuditNote(
            at: reading.now(), by: principal, topic: Self.topic, target: record.order.target, backup: record.id, text: text)
        do throws(CatalogueStoreError) { try await reading.catalogue.note(note) } catch { throw error.failure }
    }

    private func writePlain(_ record: BackupRecord, _ destination: String?, _ file: String) async throws(Failure) -> Exported {
        let meter = ProgressMeter(progress)
        let fetched = try await reading.fetch(record, destination, into: workFolder, meter)
        let envelope = fetched.facts.envelope
        meter.begin("write", total: Int64(envelope.plainBytes))
        let identities = reading.identities
        try await onOwnThread { stop throws(Failure) in
            do throws(EnvelopeFailure) {
                let output = try DurableFile(file)
                var done: Int64 = 0
                try fetched.read(identities) { (bytes) throws(Failure) in
                    guard !stop.isRaised else { throw Self.interrupted }
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
        // The manifest first, as it is small and may not be believed.
        guard let key = Manifest.key(beside: copy.key),
            let manifest = try await place.destination.read(key, limit: ManifestStore.limit)
        else {
            throw Failure(
                .invalid, "there is no manifest beside \(copy.reference)", hint: "serin backup verify PLAN \(record.id)")
        }
        let said: Manifest
        do throws(ManifestError) { said = try pipeline.seal.read(manifest) } catch {
            throw Failure(
                .invalid, error.description, hint: error.isForeign ? Self.formerSeals : nil)
        }
        guard said.order == record.order else {
            throw Failure(.invalid, "the manifest beside \(copy.reference) is that of another backup")
        }
        meter.begin("fetch", total: record.size)
        let fetched = try await FetchedCopy(record, copy, at: place, in: workFolder)
        let envelope = fetched.facts.envelope
        guard fetched.evidence.size == Int64(envelope.storedBytes), fetched.evidence.sha256 == envelope.storedSHA256 else {
            throw Failure(.invalid, "\(copy.reference) is not what was stored", hint: "serin backup verify PLAN \(record.id)")
        }
        let manifestFile = file + Manifest.keySuffix
        try await onOwnThread { stop throws(Failure) in
            do throws(EnvelopeFailure) {
                let (output, beside) = (try DurableFile(file), try DurableFile(manifestFile))
                try manifest.span.withUnsafeBytes { (raw) throws(EnvelopeFailure) in try beside.write(raw) }
                try InputFile(fetched.path).read { (bytes) throws(EnvelopeFailure) in
                    guard !stop.isRaised else { throw EnvelopeFailure(stream: Self.interrupted) }
                    try output.write(bytes)
                }
                try beside.commit()
                do throws(EnvelopeFailure) { try output.commit() } catch {
                    unlink(manifestFile)
                    throw error
                }
            } catch { throw error.failure }
        }
        return Exported(
            backup: record.id, destination: place.name, files: [file, manifestFile], bytes: Int64(envelope.storedBytes),
            sha256: envelope.storedSHA256)
    }

    private static let interrupted = Failure(.transient, "the export was interrupted")

    private static let formerSeals =
        "name the file of the passphrase that was used then under encryption.former_key_files in the plan; a former manifest.key "
        + "belongs in its old place"
}
