internal import SerinMigrations
internal import SerinModel

/// What was measured of a revision, for people and as a document.
enum TraceText {
    /// Below the heading that has what its text says.
    static func lines(_ measured: RevisionMeasurement?) -> [String] {
        guard let measured else { return [] }
        var words = [run(measured.up)]
        if let down = measured.down { words.append("back in \(down.time.milliseconds) ms") }
        words.append(measured.comesBack ? "comes back, and can be applied again" : "not seen to come back")
        if let previous = measured.previous {
            words.append(previous.isEmpty ? "the previous version works" : "the previous version fails")
        }
        return ["  measured: " + plain(words.joined(separator: "; "))]
    }

    private static func run(_ run: RevisionMeasurement.Run) -> String {
        var words = ["\(run.time.milliseconds) ms"]
        let locks = run.strongest.filter { $0.mode >= .shareUpdateExclusive }
        words.append(
            locks.isEmpty
                ? "no lock that keeps anybody out"
                : "locked " + locks.map { "\($0.relation) \($0.mode.name)" }.joined(separator: ", "))
        if !run.isWhole { words[words.count - 1] += " (seen by chance, there may be more)" }
        if !run.rewrites.isEmpty { words.append("wrote anew " + run.rewrites.map(\.description).joined(separator: ", ")) }
        for rows in run.activity {
            words.append("\(rows.table): \(rows.inserted) rows inserted, \(rows.updated) updated, \(rows.deleted) deleted")
        }
        if !run.losses.isEmpty { words.append("gone: " + run.losses.joined(separator: ", ")) }
        if let failure = run.failure { words.append("failed: \(failure)") }
        return words.joined(separator: "; ")
    }

    static func document(_ measured: RevisionMeasurement) -> JSONValue {
        let (kind, reason) = measured.classified
        return .object([
            "up": document(measured.up), "down": measured.down.map(document) ?? .null,
            "again": measured.again.map(document) ?? .null,
            "remains": measured.remains.map { .array($0.map { .string($0) }) } ?? .null,
            "comes_back": .bool(measured.comesBack), "class": .string(kind.rawValue), "reason": .string(reason),
            "empty": .array(measured.empty.map { .string("\($0)") }),
            "previous_version": measured.previous.map { .string($0.isEmpty ? "works" : $0) } ?? .null,
        ])
    }

    private static func document(_ run: RevisionMeasurement.Run) -> JSONValue {
        .object([
            "locks": .array(run.locks.map { .object(["relation": .string("\($0.relation)"), "mode": .string($0.mode.name)]) }),
            "locks_are_all": .bool(run.isWhole), "rewrites": .array(run.rewrites.map { .string("\($0)") }),
            "rows": .array(
                run.activity.map {
                    .object([
                        "table": .string($0.table), "inserted": .integer($0.inserted), "updated": .integer($0.updated),
                        "deleted": .integer($0.deleted),
                    ])
                }),
            "losses": .array(run.losses.map { .string($0) }), "changes": .array(run.changes.map { .string($0) }),
            "milliseconds": .integer(run.time.milliseconds), "error": run.failure.map { .string($0) } ?? .null,
        ])
    }
}
