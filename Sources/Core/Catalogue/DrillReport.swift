public import SerinModel
internal import SerinRecords

/// What a drill says, made of what was looked at and of nothing else.
public struct DrillReport: Sendable, Hashable, Codable {
    /// The target.
    public var target: String
    /// The backup that was restored.
    public var backup: BackupID
    /// What it is made of.
    public var kind: BackupKind
    /// When it was begun.
    public var createdAt: Instant
    /// Its size as stored, in bytes.
    public var size: Int64
    /// Its rows, where they were counted.
    public var rows: Int64?
    /// How it was chosen: `latest`, `oldest`, `random, seed 42`.
    public var selection: String
    /// The server that it was restored into, and the tools.
    public var environment: String
    /// What came of it.
    public var result: DrillResult
    /// The longest loss of data that is accepted; nil where none is named.
    public var recoveryPointTarget: Duration?
    /// The longest recovery that is accepted; nil where none is named.
    public var recoveryTimeTarget: Duration?

    /// A report.
    public init(
        of record: BackupRecord, selection: String, environment: String, result: DrillResult,
        recoveryPointTarget: Duration? = nil,
        recoveryTimeTarget: Duration? = nil
    ) {
        target = record.order.target
        backup = record.id
        kind = record.kind
        createdAt = record.createdAt
        size = record.size ?? 0
        rows = record.facts?.rows?.total
        self.selection = selection
        self.environment = environment
        self.result = result
        self.recoveryPointTarget = recoveryPointTarget
        self.recoveryTimeTarget = recoveryTimeTarget
    }

    /// One canonical JSON document; nil when it cannot be written.
    public func json() throws(ManifestError) -> [UInt8] {
        do { return try CanonicalEncoder.bytes(of: self) } catch { throw ManifestError("the report cannot be written \(error)") }
    }

    /// The same for people.
    public var markdown: String {
        var lines = [
            "# Drill \(result.id): \(result.passed ? "passed" : "failed")", "",
            "- Target: \(target), backup `\(backup)` (\(kind.rawValue), \(size) bytes, of \(createdAt))",
            "- Chosen: \(selection); read from \(result.destination)",
            result.onlyUnpacked == true
                ? "- Unpacked into \(environment); whether a server takes it was not rehearsed"
                : "- Restored: \(result.restored ? "yes" : "no") into \(environment)",
            "- Ended: \(result.at)", "- Recovery time: \(words(result.clock.recoveryTime, recoveryTimeTarget))",
            "- Recovery point: \(words(result.recoveryPoint, recoveryPointTarget))", "", "| Phase | Took | May take |",
            "|---|---|---|",
        ]
        for phase in DrillClock.Phase.allCases {
            let took = result.clock.time(of: phase).map { "\($0)" } ?? "not reached"
            lines.append("| \(phase.rawValue) | \(took) | \(phase.budget) |")
        }
        lines += ["", "| Check | Result | Found |", "|---|---|---|"]
        for check in result.checks {
            lines.append("| \(cell(check.name)) | \(check.passed ? "passed" : "**failed**") | \(cell(check.detail)) |")
        }
        if !result.actionItems.isEmpty { lines += ["", "## To do", ""] + result.actionItems.map { "- [ ] \($0)" } }
        return lines.joined(separator: "\n") + "\n"
    }

    private func words(_ time: Duration?, _ target: Duration?) -> String {
        guard let time else { return "not measured" }
        return "\(time)" + (target.map { time <= $0 ? ", within \($0)" : ", **more than \($0)**" } ?? "")
    }

    /// Text that stays in its cell.
    private func cell(_ text: String) -> String {
        text.rewriting { $0 == "|" ? "/" : $0.properties.isWhitespace ? " " : nil }
    }
}
