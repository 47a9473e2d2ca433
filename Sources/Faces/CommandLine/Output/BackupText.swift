internal import SerinAPI
internal import SerinBackups
internal import SerinCatalogue
internal import SerinModel
internal import SerinPolicies
internal import SerinRecords

/// Backups in words, and as documents for programs.
enum BackupText {
    /// `1.4 GiB`
    static func size(_ bytes: Int64) -> String {
        byteWords(bytes)
    }

    /// `3d 4h`, `12m`, `8s`: the two largest parts.
    static func length(_ length: Duration) -> String {
        let seconds = max(0, length.milliseconds / 1000)
        let parts = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")]
        guard let first = parts.firstIndex(where: { seconds >= Int64($0.0) }) else { return "0s" }
        let (unit, word) = parts[first]
        let rest = seconds % Int64(unit)
        let head = "\(seconds / Int64(unit))\(word)"
        guard first + 1 < parts.count, rest / Int64(parts[first + 1].0) > 0 else { return head }
        return head + " \(rest / Int64(parts[first + 1].0))\(parts[first + 1].1)"
    }

    /// The rows of a list.
    static func table(_ records: [BackupRecord], at now: Instant) -> Table {
        var table = Table(header: ["BACKUP", "TARGET", "KIND", "CREATED", "AGE", "SIZE", "STATE", "COPIES"])
        for record in records {
            table.rows.append([
                Table.Cell("\(record.id)"), Table.Cell(record.order.target), Table.Cell(record.kind.rawValue),
                Table.Cell("\(record.createdAt)"),
                record.isFromTheFuture(at: now) ? Table.Cell("in the future", .red) : Table.Cell(length(now - record.createdAt)),
                Table.Cell(record.size.map(size) ?? "-"), state(record),
                Table.Cell(record.copies.map { "\($0.destination):\($0.state.rawValue)" }.joined(separator: " ")),
            ])
        }
        return table
    }

    /// A state and its colour.
    static func state(_ record: BackupRecord) -> Table.Cell {
        let word = record.stateWord
        return switch record.state {
        case .available, .verified, .drilled: Table.Cell(word, .green)
        case .running, .uploaded, .deleting: Table.Cell(word, .yellow)
        case .failed, .quarantined: Table.Cell(word, record.wasInterrupted ? .yellow : .red)
        case .deleted: Table.Cell(word, .dim)
        }
    }

    /// Everything about one backup, a fact a line.
    static func page(_ record: BackupRecord, at now: Instant) -> [String] {
        var facts: [(String, String?)] = [
            ("backup", "\(record.id)"), ("state", record.stateWord),
            ("target", "\(record.order.target) of project \(record.order.project)"), ("kind", record.kind.rawValue),
            ("created", "\(record.createdAt) by \(record.order.createdBy), \(length(now - record.createdAt)) ago"),
            ("consistent at", "\(record.consistentAt)"), ("label", record.order.label), ("purpose", record.order.purpose),
            ("rollout", record.order.rollout.map { "\($0)" }), ("release", record.order.releaseVersion),
            ("class", record.order.retentionClass),
        ]
        if let made = record.facts {
            let envelope = made.envelope
            facts += [
                ("made by", "\(made.tool.name) \(made.tool.version), format \(made.tool.format)"),
                ("server", made.server?.version), ("schema", made.schemaRevision),
                ("took", length(made.finishedAt - made.startedAt)),
                ("size", "\(size(Int64(envelope.storedBytes))) stored, \(size(Int64(envelope.plainBytes))) plain"),
                ("form", "\(envelope.profile.rawValue), \(envelope.compression.rawValue)"),
                ("keys", envelope.keyIDs.isEmpty ? nil : envelope.keyIDs.joined(separator: " ")),
                ("sha256", envelope.storedSHA256),
                ("rows", made.rows.map { "\($0.total) in \($0.tables.count) tables" }),
                ("without a date", made.server?.undatedWords),
            ]
        }
        for copy in record.copies {
            let read = (copy.verifiedAt ?? copy.confirmedAt).map { ", last read \($0)" } ?? ""
            let lock = copy.lock.map { ", locked until \($0.until)" } ?? ""
            facts.append(("copy", "\(copy.reference), \(copy.state.rawValue)\(read)\(lock)"))
        }
        for hold in record.holds(at: now) {
            let kind = hold.kind == .permanent && hold.until != nil ? "for a time" : word(hold.kind)
            let until = hold.until.map { ", until \($0)" } ?? ""
            facts.append(("held", "\(kind): \(hold.reason)\(until)" + (hold.isOfPeople ? ", as hold \(hold.id)" : "")))
        }
        for check in record.verification?.checks ?? [] where !check.passed {
            facts.append(("check failed", "\(check.name): \(check.detail)"))
        }
        if let why = record.verification?.shortfall { facts.append(("not verified", why)) }
        if let drill = record.drill {
            let took = drill.clock.recoveryTime.map { ", the recovery took \(length($0))" } ?? ""
            let lost = drill.recoveryPoint.map { ", \(length($0)) of changes would be lost" } ?? ""
            facts.append(("drill", "\(drill.passed ? "passed" : "FAILED") at \(drill.at), as \(drill.id)\(took)\(lost)"))
            for check in drill.checks where !check.passed {
                facts.append(("drill's check", "\(check.name): \(check.detail)"))
            }
            for item in drill.actionItems { facts.append(("to be done", item)) }
        }
        facts += [
            ("expires", record.expiresAt.map { "\($0)" }), ("failure", record.failure?.description),
            ("deleted", record.tombstone.map { "\($0.at) by \($0.by): \($0.reason)" }),
        ]
        let width = facts.filter { $0.1 != nil }.map(\.0.count).max() ?? 0
        return facts.compactMap { name, value in
            value.map { plain(name + String(repeating: " ", count: width - name.count + 2) + $0) }
        }
    }

    /// `legal`, `permanent`, `rollout checkout-01k5`.
    static func word(_ kind: Hold.Kind) -> String {
        switch kind {
        case .legal: "legal"
        case .permanent: "permanent"
        case .rollout(let rollout): "rollout \(rollout)"
        case .use(let name): "in use by \(name)"
        }
    }

    /// A value of the catalogue as it is recorded.
    static func document(_ value: some Encodable) throws(Failure) -> JSONValue {
        do throws(RecordError) { return try CanonicalEncoder.encode(value) } catch {
            throw Failure(.invalid, "a value of the catalogue cannot be written: \(error)")
        }
    }

    /// A list of backups.
    static func document(_ records: [BackupRecord]) throws(Failure) -> JSONValue {
        .object(["schema": .string("serin.dev/backups/v1"), "backups": .array(try records.map(document))])
    }

    /// `dump 40% 1.2 GiB of 3.0 GiB, 80.1 MiB/s, 23s left`
    static func words(_ progress: JobProgress) -> String {
        var text = progress.stage
        if let total = progress.total, total > 0 {
            text +=
                " \(Int(min(1, max(0, Double(progress.done) / Double(total))) * 100))% \(size(progress.done)) of \(size(total))"
        } else if progress.done > 0 {
            text += " \(size(progress.done))"
        }
        if let rate = progress.rate { text += ", \(size(Int64(exactly: rate.rounded()) ?? .max))/s" }
        if let left = progress.timeLeft { text += ", \(length(left)) left" }
        return text
    }

    /// `one, two and three checks` of a verification.
    static func table(_ checks: [BackupCheck]) -> Table {
        var table = Table(header: ["CHECK", "RESULT", "DETAIL"])
        for check in checks {
            table.rows.append([
                Table.Cell(check.name), check.passed ? Table.Cell("ok", .green) : Table.Cell("FAILED", .red),
                Table.Cell(check.detail),
            ])
        }
        return table
    }
}
