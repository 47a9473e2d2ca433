internal import SerinAPI
internal import SerinMigrations
internal import SerinModel

/// What the lint found, for people.
enum LintText {
    static func lines(_ report: LintReport, _ style: Style) -> [String] {
        report.findings.flatMap { finding($0, style) }
            + report.revisions.flatMap { revision in
                [style.paint(heading(revision), .bold)] + revision.up.statements.compactMap(statement)
                    + TraceText.lines(revision.measured) + revision.findings.flatMap { finding($0, style) }
            }
    }

    private static func heading(_ revision: RevisionReport) -> String {
        let name = revision.name.isEmpty ? "" : " \(revision.name)"
        var text = plain("\(revision.revision)\(name)") + ": \(revision.phase.rawValue), \(revision.kind.rawValue)"
        text += " (\(plain(revision.reason)))"
        let locks = strongest(revision.up)
        if !locks.isEmpty { text += "; locks " + plain(locks.map { "\($0.relation) \($0.mode.name)" }.joined(separator: ", ")) }
        if !revision.downLosses.isEmpty { text += "; going back loses " + plain(revision.downLosses.joined(separator: ", ")) }
        return text
    }

    /// What one statement does; nil when that is nothing.
    private static func statement(_ found: StatementReport) -> String? {
        guard found.phase != nil || found.mystery != nil || !found.locks.isEmpty else { return nil }
        var words = found.locks.map { "locks \($0.relation) \($0.mode.name)" }
        words += found.rewrites.map { "writes every row of \($0) anew" } + found.scans.map { "reads every row of \($0)" }
        words.append(found.losses.isEmpty ? "destroys nothing" : "loses " + found.losses.joined(separator: ", "))
        let (survival, how) = survival(found)
        words.append("the previous version \(previous[survival] ?? survival)\(how.isEmpty ? "" : ": \(how)")")
        if survival == "unknown" { words = ["nobody can say what it does: \(how)"] }
        let text = String(found.text.prefix(70)).split(whereSeparator: \.isWhitespace).joined(separator: " ")
        return plain("    \(text)\(found.text.count > 70 ? "…" : ""): \(words.joined(separator: "; "))")
    }

    private static let previous = ["survives": "survives it", "depends": "may not survive it", "breaks": "does not survive it"]

    /// Whether the previous version survives a statement, and why; of what nobody can classify, and no comment speaks for, nobody knows.
    private static func survival(_ statement: StatementReport) -> (word: String, how: String) {
        if let mystery = statement.mystery, statement.declared == nil { return ("unknown", mystery) }
        return switch statement.survival {
        case .survives: ("survives", "")
        case .depends(let how): ("depends", how)
        case .breaks(let how): ("breaks", how)
        }
    }

    /// The strongest lock on each relation; plain reads and writes are left out.
    static func strongest(_ direction: DirectionReport) -> [RelationLock] {
        var found: [RelationLock] = []
        for lock in direction.statements.flatMap(\.locks) where lock.mode >= .shareUpdateExclusive {
            if let index = found.firstIndex(where: { $0.relation == lock.relation }) {
                found[index].mode = max(found[index].mode, lock.mode)
            } else {
                found.append(lock)
            }
        }
        return found
    }

    private static func finding(_ finding: LintFinding, _ style: Style) -> [String] {
        let colour: Style.Colour = finding.failsGate ? .red : finding.allowance == nil ? .yellow : .green
        let severity = finding.allowance == nil ? finding.severity.rawValue : "allowed"
        var lines = [
            "  \(plain(place(finding.place))): \(style.paint(severity, colour)) \(finding.rule.rawValue): \(plain(finding.message))"
        ]
        if let allowance = finding.allowance { return lines + ["      allowed because \(plain(allowance))"] }
        lines.append("      why: \(plain(finding.reason))")
        lines.append("      instead: \(plain(finding.safeForm))")
        return lines
    }

    private static func place(_ place: LintPlace) -> String {
        place.generated
            ? "\(place.file) (generated SQL \(place.line):\(place.column))" : "\(place.file):\(place.line):\(place.column)"
    }

    /// One sentence about all of it.
    static func summary(_ report: LintReport, fails: Bool) -> String {
        let all = report.allFindings.filter { $0.allowance == nil }
        let counts = LintSeverity.allCases.reversed().map { severity in (severity, all.count { $0.severity == severity }) }
        let words = counts.filter { $0.1 > 0 }.map { "\($0.1) \($0.0.rawValue)" }
        let revisions = "\(report.revisions.count) revision\(report.revisions.count == 1 ? "" : "s")"
        let allowed = report.allFindings.compactMap { finding in
            finding.allowance.map {
                let place = finding.place
                let line = place.generated ? " (generated SQL \(place.line))" : ":\(place.line)"
                return "\(finding.rule.rawValue) at \(plain(place.file))\(line) (\(plain($0)))"
            }
        }
        let found = words.isEmpty ? allowed.isEmpty ? "nothing found" : "nothing else found" : words.joined(separator: ", ")
        let without = allowed.isEmpty ? "" : "\(allowed.count) allowed by comments: \(allowed.joined(separator: ", ")); "
        return "\(revisions): \(without)\(found)\(fails ? "; the gate fails" : "")"
    }

    static func document(_ report: LintReport, fails: Bool) -> JSONValue {
        .object([
            "schema": .string("serin.dev/migrate-lint/v1"), "ok": .bool(!fails),
            "findings": .array(report.findings.map { document($0, revision: nil) }),
            "revisions": .array(report.revisions.map(document)),
        ])
    }

    private static func document(_ revision: RevisionReport) -> JSONValue {
        .object([
            "revision": .string(revision.revision), "name": .string(revision.name), "file": .string(revision.file),
            "phase": .string(revision.phase.rawValue), "class": .string(revision.kind.rawValue),
            "reason": .string(revision.reason),
            "has_down": .bool(revision.hasDown), "down_losses": .array(revision.downLosses.map { .string($0) }),
            "tables": .array(revision.tables.map { .string($0) }),
            "findings": .array(revision.findings.map { document($0, revision: revision.revision) }),
            "statements": .array(revision.up.statements.map(document)),
            "down_statements": .array((revision.down?.statements ?? []).map(document)),
            "measured": revision.measured.map(TraceText.document) ?? .null,
        ])
    }

    private static func document(_ statement: StatementReport) -> JSONValue {
        let survival = survival(statement)
        return .object([
            "line": .integer(statement.place.line), "column": .integer(statement.place.column), "text": .string(statement.text),
            "locks": .array(
                statement.locks.map { .object(["relation": .string("\($0.relation)"), "mode": .string($0.mode.name)]) }),
            "rewrites": .array(statement.rewrites.map { .string("\($0)") }),
            "scans": .array(statement.scans.map { .string("\($0)") }),
            "losses": .array(statement.losses.map { .string($0) }), "previous_version": .string(survival.word),
            "previous_version_reason": .string(survival.how), "phase": statement.phase.map { .string($0.rawValue) } ?? .null,
            "unclassified": statement.mystery.map { .string($0) } ?? .null,
        ])
    }

    private static func document(_ finding: LintFinding, revision: String?) -> JSONValue {
        .object([
            "rule": .string(finding.rule.rawValue), "severity": .string(finding.severity.rawValue),
            "file": .string(finding.place.file), "line": .integer(finding.place.line), "column": .integer(finding.place.column),
            "generated": .bool(finding.place.generated), "message": .string(finding.message), "reason": .string(finding.reason),
            "safe_form": .string(finding.safeForm), "allowed_because": finding.allowance.map { .string($0) } ?? .null,
        ])
    }
}
