public import SerinCatalogue
public import SerinCompression
public import SerinModel
public import SerinProcesses

/// A physical backup by pgBackRest.
///
/// Its bytes are in pgBackRest's own repository, where it encrypts, verifies and expires them. What passes through here is a
/// receipt of a few hundred bytes that names the backup, so that the catalogue, the gate of a rollout and a restore know it; see
/// docs/decisions/0042.
public struct PgBackRestSource: BackupSource {
    /// The format of its receipts, by which they are known.
    public static let format = "receipt"
    /// What its backups are made of.
    public let kind: BackupKind
    /// What messages call it; holds no secret.
    public let name: String
    private let driver: PgBackRest
    private let account: String?

    /// A source.
    ///
    /// - Parameter kind: `base_full`, `base_differential` or `base_incremental`.
    public init(_ driver: PgBackRest, kind: BackupKind, account: String? = nil) {
        self.driver = driver
        self.kind = kind
        self.account = account
        name = "pgbackrest stanza \(driver.stanza)"
    }

    /// Looks whether a backup can be made.
    public func probe(stop: StopSignal) throws(Failure) -> SourceProbe {
        let version = try driver.version(stop: stop)
        let backups = try driver.backups(stop: stop)
        // The log arrives in the repository, or no backup can be restored.
        _ = try driver.check(stop: stop)
        let remarks = backups.isEmpty ? ["the repository holds no backup yet: the first one is a full one"] : []
        return SourceProbe(
            tool: ToolFacts(name: "pgbackrest", version: version, format: Self.format), server: backups.last?.server,
            sizeEstimate: 4096, remarks: remarks)
    }

    /// Gives the backup, once its tools have found it whole.
    public func produce(to sink: ByteSink, stop: StopSignal) throws(Failure) -> SourceProduct {
        let (backup, evidence) = try driver.backUp(kind, stop: stop)
        let receipt = JSONValue.object([
            "stanza": .string(driver.stanza), "label": .string(backup.label), "type": .string(backup.kind.rawValue),
            "references": .array(backup.references.map { .string($0) }), "size": .integer(backup.size.plain),
            "stored": .integer(backup.size.stored),
        ])
        try (receipt.canonicalBytes + [0x0A]).span.withUnsafeBytes { (raw) throws(Failure) in try sink(raw) }
        return SourceProduct(
            tool: ToolFacts(name: "pgbackrest", version: backup.toolVersion, format: Self.format), server: backup.server,
            evidence: [evidence])
    }

    /// Judges the bytes of a backup without a server.
    public func examination(of tool: ToolFacts, stop: StopSignal) throws(Failure) -> any PlainConsumer {
        ReceiptConsumer { [driver] (label, _) throws(Failure) in
            let isThere = try driver.backups(stop: stop).contains { $0.label == label && !$0.hasError }
            var findings = try driver.verify(stop: stop)
            findings.checks.insert(BackupCheck("in the repository", passed: isThere, detail: label), at: 0)
            return findings
        }
    }

    /// Which of these backups its repository no longer has, as its own retention removed them.
    ///
    /// - Parameter records: Of receipts; read before this, so that one which is being made is not missed.
    /// - Throws: When the repository cannot be asked, which says nothing about any.
    public func expired(_ records: [BackupRecord], stop: StopSignal) throws(Failure) -> [BackupRecord] {
        let there = try driver.backups(stop: stop).map(\.server)
        // One that has none of this cluster's is perhaps another repository.
        return records.filter { record in
            guard let server = record.facts?.server, server.lsnStop != nil else { return false }
            return there.contains { $0.systemIdentifier == server.systemIdentifier }
                && !there.contains {
                    $0.systemIdentifier == server.systemIdentifier && $0.timeline == server.timeline
                        && $0.lsnStart == server.lsnStart && $0.lsnStop == server.lsnStop
                }
        }
    }

    /// Restores the bytes of a backup.
    public func restoration(
        of product: SourceProduct, into target: RestoreTarget, stop: StopSignal
    ) throws(Failure) -> any PlainConsumer {
        guard case .folder(let folder) = target.place else {
            throw Failure(.invalid, "a physical backup is restored into an empty folder, not into a running server")
        }
        guard try names(in: folder).isEmpty else { throw Failure(.conflict, "cannot restore into \(folder): it is not empty") }
        if let account { try give(folder, to: account) }
        return ReceiptConsumer { [driver] (label, _) throws(Failure) in
            let evidence = try driver.restore(label, into: folder, stop: stop)
            return ConsumerFindings(
                checks: [BackupCheck("pgbackrest restore", passed: true, detail: label)], evidence: [evidence])
        }
    }
}

/// Reads a receipt and acts on the backup that it names.
final class ReceiptConsumer: PlainConsumer {
    typealias Action = (_ label: String, _ product: SourceProduct) throws(Failure) -> ConsumerFindings

    private let act: Action
    private var bytes: [UInt8] = []

    init(act: @escaping Action) { self.act = act }

    func write(_ piece: UnsafeRawBufferPointer) throws(Failure) {
        if bytes.count <= 1 << 20 { bytes += piece }
    }

    func finish(comparing product: SourceProduct) throws(Failure) -> ConsumerFindings {
        // It becomes an argument.
        guard let receipt = try? JSONValue(parsing: bytes), let label = receipt["label"]?.text, !label.isEmpty,
            label.utf8.allSatisfy({ (0x30...0x39).contains($0) || "FDI-_".utf8.contains($0) })
        else {
            return ConsumerFindings(checks: [BackupCheck("receipt", passed: false, detail: "it names no backup of pgbackrest")])
        }
        return try act(label, product)
    }
}
