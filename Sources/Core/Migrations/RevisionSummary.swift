internal import SerinModel

/// Sums up the statements of a revision.
struct RevisionSummary {
    let script: MigrationScript
    let wantsWayBack: Bool
    let up: DirectionReport
    let down: DirectionReport?
    /// What the way back leaves; nil when there is none.
    let left: LeftBehind?

    /// Whether the way back changes something: a look at a table is none.
    private var hasDown: Bool {
        guard let down else { return false }
        return !leavesSomething || down.statements.contains { $0.phase != nil || $0.mystery != nil }
    }

    /// Whether there is something to take back.
    private var leavesSomething: Bool {
        up.statements.contains { $0.phase != nil && !$0.leavesNothing || $0.mystery != nil }
    }

    var report: RevisionReport {
        let (kind, reason, fault) = classified
        var up = up
        var down = down
        let idle = down?.idle
        up.findings += up.idle.filter { idle?.contains($0) ?? true }
        up.findings += wayBack(kind, fault)
        // A comment in the way forward speaks for the whole revision.
        if let reason = up.allowed[.noWayBack], let found = down?.findings {
            down?.findings = found.map { finding in
                var finding = finding
                if finding.rule == .noWayBack { finding.allowance = finding.allowance ?? reason }
                return finding
            }
        }
        return RevisionReport(
            revision: script.revision, name: script.name, file: script.file, phase: phase, kind: kind, reason: reason, up: up,
            down: down, hasDown: hasDown, downLosses: down?.statements.flatMap(\.losses) ?? [], tables: tables)
    }

    private var phase: MigrationPhase {
        up.statements.compactMap(\.phase).max { $0.order < $1.order } ?? .expand
    }

    private var tables: [String] {
        var names: Set<String> = []
        for lock in up.statements.flatMap(\.locks) where lock.mode >= .rowExclusive { names.insert("\(lock.relation)") }
        return names.sorted()
    }

    /// The class, why, and what of that only the way back is to blame for.
    private var classified: (MigrationClass, String, fault: String?) {
        if let statement = up.statements.first(where: { $0.mystery != nil && $0.declared == nil }),
            let mystery = statement.mystery
        {
            return (.unclassified, mystery, nil)
        }
        let losses = up.statements.flatMap(\.losses)
        if !losses.isEmpty { return (.destructive, "loses " + Self.list(losses), nil) }
        if let worse = wayBackHarm { return worse }
        let survival = up.statements.reduce(Survival.survives) { $0.and($1.survival) }
        switch survival {
        case .survives: return (.additive, "the previous version does not notice it", nil)
        case .depends(let how): return wayBackClass("the previous version may break: \(how)")
        case .breaks(let how): return wayBackClass("the previous version breaks: \(how)")
        }
    }

    /// What the way back does to what the way forward did not make; nil when nothing.
    private var wayBackHarm: (MigrationClass, String, fault: String?)? {
        guard let down else { return nil }
        let definitions = down.dropped.subtracting(down.given).map { "the \($0.words) as it was" }.sorted()
        let losses = down.statements.flatMap(\.lossesOfOthers) + definitions
        if !losses.isEmpty {
            let words = "the way back loses what the way forward is not known to have made: " + Self.list(losses)
            return (.destructive, words, down.findings.contains { $0.severity == .block } ? nil : words)
        }
        if let statement = down.statements.first(where: { $0.mystery != nil && $0.declared == nil }),
            let mystery = statement.mystery
        {
            return (.unclassified, "nobody can say what the way back does: \(mystery)", nil)
        }
        return nil
    }

    /// The class of what the previous version may not survive: what its way back says.
    private func wayBackClass(_ why: String) -> (MigrationClass, String, fault: String?) {
        guard wantsWayBack else { return (.reversible, why, nil) }
        guard let down, hasDown else { return (.unclassified, why + "; and there is no way back", nil) }
        if let (kind, fault) = fault(of: down) { return (kind, "\(why); and \(fault)", fault) }
        // It is said at its place.
        if let other = down.differing.keys.min() { return (.unclassified, "\(why); and \(difference(other))", nil) }
        return (.reversible, why, nil)
    }

    /// Why a way back is none.
    private func fault(of down: DirectionReport) -> (MigrationClass, String)? {
        for save in up.saves {
            guard let missing = save.missing(from: down.restored[save.place]) else { continue }
            return (
                .destructive,
                "the way back is not known to write \(missing) of \(save.table) back from \(save.place), all of them by the key"
            )
        }
        if let (index, constraint) = left?.lostIndex {
            return (
                .unclassified,
                "the way back takes the index \(index) of an earlier revision along with the constraint \(quoted(constraint)) that it became"
            )
        }
        // A program that a comment vouches for may bring back anything.
        if !down.statements.contains(where: { $0.declared != nil }),
            let missing = up.taken.subtracting(down.given).min(by: { $0.words < $1.words })
        {
            let verb = missing.kind == .other && !missing.name.isEmpty ? "does nothing about" : "does not bring back"
            return (.unclassified, "the way back \(verb) the \(missing.words)")
        }
        return nil
    }

    private func difference(_ other: String) -> String {
        "the way back leaves the \(other) otherwise than the revisions show before \(script.revision)"
    }

    private static func list(_ losses: [String]) -> String {
        losses.prefix(3).joined(separator: ", ") + (losses.count > 3 ? " and \(losses.count - 3) more" : "")
    }

    /// What is to be said of the way back.
    private func wayBack(_ kind: MigrationClass, _ fault: String?) -> [LintFinding] {
        let changesSomething = up.statements.contains { $0.phase != nil || $0.mystery != nil }
        guard wantsWayBack, changesSomething else { return [] }
        guard !hasDown else { return halfWayBack(fault) + differences(kind) }
        let what: String
        switch script.down {
        case .missing: what = "there is no way back from \(script.revision)"
        case .unavailable(_, let words, _): what = "the way back from \(script.revision) cannot be generated: \(words)"
        case .text: what = "the way back from \(script.revision) is empty"
        }
        return [finding(kind == .additive ? .error : .block, what)]
    }

    /// What a way back that does something does not do.
    private func halfWayBack(_ fault: String?) -> [LintFinding] {
        var found: [LintFinding] = []
        if let fault {
            var safe: String?
            if left?.lostIndex != nil {
                safe =
                    "CREATE UNIQUE INDEX of the same name again behind DROP CONSTRAINT, as that drops the index too; or leave the unique index as it is, which refuses the same rows without a constraint"
            } else if fault.contains(" the values of ") {
                safe =
                    "a revision of its own for the value, which stays: -- serin: allow R01 because …; or make the type anew without it in the way back"
            }
            found.append(finding(.block, fault, safe: safe))
        }
        if let words = left?.words(without: fault), !words.isEmpty {
            found.append(
                finding(
                    .error, "the way back leaves the \(Self.list(words)), which the way forward makes",
                    why:
                        "serin refuses a way back that leaves another schema, and going forward again fails, as it is there already",
                    safe: "drop it in the way back, too"))
        }
        return found
    }

    /// What the way back leaves otherwise than the revisions show it to have been.
    private func differences(_ kind: MigrationClass) -> [LintFinding] {
        (down?.differing ?? [:]).sorted { $0.key < $1.key }.map { other, place in
            var found = finding(
                kind == .additive ? .error : .block, difference(other), safe: "write back the one that the earlier revision made")
            found.place = place
            return found
        }
    }

    private func finding(_ severity: LintSeverity, _ what: String, why: String? = nil, safe: String? = nil) -> LintFinding {
        var place = LintPlace(file: script.file, line: 1, column: 1)
        if case .text(let text) = script.down {
            place = LintPlace(file: text.file, line: text.isGenerated ? 1 : text.line, column: 1)
        }
        var finding = LintFinding(.noWayBack, severity: severity, at: place, what, reason: why, safeForm: safe)
        // A comment in the way forward speaks for the whole revision.
        finding.allowance = up.allowed[.noWayBack] ?? down?.allowed[.noWayBack]
        return finding
    }
}
