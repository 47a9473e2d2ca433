internal import SerinCatalogue
internal import SerinCrypto
internal import SerinDatabase
internal import SerinModel
internal import SerinRecords

/// One row of a mirrored table: its columns' values in the form in which Postgres reads them, nil for null.
struct MirrorRow {
    let id: String
    /// SHA-256 of the values, so that only rows that changed are sent.
    let digest: String
    private let values: [(column: String, value: String?)]

    private init(id: String, _ values: [(String, String?)]) {
        self.id = id
        let text = values.map { "\($0.0)=\($0.1.map { "\($0.utf8.count):\($0)" } ?? "-")" }.joined(separator: "\n")
        digest = Hexadecimal.text(of: SHA256.digestOrEmpty(Array(text.utf8)))
        self.values = values + [("row_digest", digest)]
    }

    /// The value of a column.
    subscript(column: String) -> String? { values.first { $0.column == column }?.value }

    /// The value of a column as SQL reads it.
    func quoted(_ column: String) -> String { self[column].map(literal) ?? "NULL" }

    /// The columns, in the order of the values.
    var columns: [String] { values.map(\.column) }

    /// `('…', NULL, …)`
    var tuple: String { "(" + values.map { $0.value.map(literal) ?? "NULL" }.joined(separator: ", ") + ")" }

    /// The row of a backup; that of a dead one has what its tombstone says besides.
    init(_ record: BackupRecord, expiresAt: Instant?) {
        let (order, facts) = (record.order, record.facts)
        var values: [(String, String?)] = [
            ("id", order.id.description), ("project_id", order.project), ("type", record.type.rawValue),
            ("file_id", record.fileReference), ("size", record.size.map(String.init)), ("created_at", time(record.createdAt)),
            ("expires_at", time(expiresAt)), ("created_by", order.createdBy.description), ("purpose", order.purpose),
            ("label", order.label), ("target", order.target), ("kind", order.kind.rawValue), ("status", record.state.rawValue),
            ("rollout_id", order.rollout?.description), ("release_version", order.releaseVersion),
            ("retention_class", order.retentionClass),
            ("legal_hold", record.holds.contains { $0.kind == .legal } ? "true" : "false"),
            ("locked_until", time(record.copies.compactMap { $0.lock?.until }.max())),
            ("sha256_plain", facts?.envelope.plainSHA256), ("sha256_stored", facts?.envelope.storedSHA256),
            ("size_plain", facts.map { "\($0.envelope.plainBytes)" }), ("compression", facts?.envelope.compression.rawValue),
            ("encryption", facts?.envelope.profile.rawValue), ("key_ids", facts?.envelope.keyIDs.joined(separator: ",")),
            ("copies", copies(of: record)), ("tool", facts.map { "\($0.tool.name) \($0.tool.version)" }),
            ("server_version", facts?.server?.version), ("system_identifier", facts?.server?.systemIdentifier),
            ("timeline", facts?.server?.timeline.map(String.init)), ("lsn_start", facts?.server?.lsnStart?.description),
            ("lsn_stop", facts?.server?.lsnStop?.description), ("consistent_at", time(facts?.server?.consistentAt)),
            ("schema_revision", facts?.schemaRevision), ("finished_at", time(facts?.finishedAt)),
            ("verified_at", time(record.verification.flatMap { $0.isProof ? $0.at : nil })),
            ("drilled_at", time(record.drill?.at)),
            ("error_message", record.failure?.message),
        ]
        if !record.isLive {
            values += [
                ("deleted_at", time(record.tombstone?.at)), ("deleted_by", record.tombstone?.by.description),
                ("deleted_reason", record.tombstone?.reason),
            ]
        }
        self.init(id: order.id.description, values)
    }

    /// The row of an entry of the log.
    init(_ sequence: Int64, _ line: AuditLine, project: String?) {
        self.init(
            id: "\(sequence)",
            [
                ("id", "\(sequence)"), ("created_at", time(line.at)), ("created_by", line.by.description), ("level", line.level),
                ("action", line.action), ("project_id", project), ("target", line.target),
                ("backup_id", line.backup?.description), ("message", line.text), ("change", line.change),
            ])
    }

    /// The row of a job.
    init(_ job: BackupJob) {
        self.init(
            id: job.id.description,
            [
                ("id", job.id.description), ("type", job.type), ("project_id", job.project), ("status", job.state.rawValue),
                ("error_message", job.errorMessage), ("created_at", time(job.createdAt)), ("updated_at", time(job.updatedAt)),
                ("heartbeat_at", time(job.heartbeatAt)), ("created_by", job.createdBy.description), ("target", job.target),
                ("backup_id", job.backup?.description), ("worker", job.worker?.description), ("stage", job.progress?.stage),
                ("bytes_done", job.progress.map { "\($0.done)" }), ("bytes_total", job.progress?.total.map(String.init)),
            ])
    }
}

/// As `timestamptz` reads it.
private func time(_ moment: Instant?) -> String? { moment.map { "\($0)" } }

private func copies(of record: BackupRecord) -> String {
    do {
        return String(decoding: try CanonicalEncoder.bytes(of: record.copies), as: UTF8.self)
    } catch {
        // Nothing in a copy cannot be written; a mirror without them is better than none.
        return "[]"
    }
}

/// Postgres keeps no NUL in a text; a mirror without one is better than none.
private func literal(_ text: String) -> String { sqlText(text.rewriting("\0", as: "")) }
