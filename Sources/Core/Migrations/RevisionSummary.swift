internal import SerinModel

/// Sums up the statements of a revision.
struct RevisionSummary {
    let script: MigrationScript
    let wantsWayBack: Bool
    let up: DirectionReport
    let down: DirectionReport?

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
        let (kind, reason) = classified
        var up = up
        up.findings += up.idle.filter { down?.idle.contains($0) ?? true }
        up.findings += wayBack(kind)
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

    /// The class, and why.
    private var classified: (MigrationClass, String) {
        if let statement = up.statements.first(where: { $0.mystery != nil && $0.declared == nil }),
            let mystery = statement.mystery
        {
            return (.unclassified, mystery)
        }
        let losses = up.statements.flatMap(\.losses)
        if !losses.isEmpty { return (.destructive, "loses " + Self.list(losses)) }
        if let worse = wayBackHarm { return worse }
        let survival = up.statements.reduce(Survival.survives) { $0.and($1.survival) }
        switch survival {
        case .survives: return (.additive, "the previous version does not notice it")
        case .depends(let how): return wayBackClass("the previous version may break: \(how)")
        case .breaks(let how): return wayBackClass("the previous version breaks: \(how)")
        }
    }

    /// What the way back does to what the way forward did not make; nil when nothing.
    private var wayBackHarm: (MigrationClass, String)? {
        guard let down else { return nil }
        let definitions = down.dropped.subtracting(down.given).map { "the \($0.words) as it was" }.sorted()
        let losses = down.statements.flatMap(\.lossesOfOthers) + definitions
        if !losses.isEmpty {
            return (.destructive, "the way back loses what the way forward is not known to have made: " + Self.list(losses))
        }
        if let statement = down.statements.first(where: { $0.mystery != nil && $0.declared == nil }),
            let mystery = statement.mystery
        {
            return (.unclassified, "nobody can say what the way back does: \(mystery)")
        }
        return nil
    }

    /// The class of what the previous version may not survive: what its way back says.
    private func wayBackClass(_ why: String) -> (MigrationClass, String) {
        guard wantsWayBack else { return (.reversible, why) }
        guard let down, hasDown else { return (.unclassified, why + "; and there is no way back") }
        for save in up.saves {
            guard let missing = save.missing(from: down.restored[save.place]) else { continue }
            return (
                .destructive,
                why
                    + "; and the way back is not known to write \(missing) of \(save.table) back from \(save.place), all of them by the key"
            )
        }
        // A program that a comment vouches for may bring back anything.
        if !down.statements.contains(where: { $0.declared != nil }),
            let missing = up.taken.subtracting(down.given).min(by: { $0.words < $1.words })
        {
            let verb = missing.kind == .other && !missing.name.isEmpty ? "does nothing about" : "does not bring back"
            return (.unclassified, why + "; and the way back \(verb) the \(missing.words)")
        }
        return (.reversible, why)
    }

    private static func list(_ losses: [String]) -> String {
        losses.prefix(3).joined(separator: ", ") + (losses.count > 3 ? " and \(losses.count - 3) more" : "")
    }

    /// What is to be said of the way back.
    private func wayBack(_ kind: MigrationClass) -> [LintFinding] {
        let changesSomething = up.statements.contains { $0.phase != nil || $0.mystery != nil }
        guard wantsWayBack, changesSomething, !hasDown else { return [] }
        let what: String
        var place = LintPlace(file: script.file, line: 1, column: 1)
        switch script.down {
        case .missing: what = "there is no way back from \(script.revision)"
        case .unavailable(_, let words, _): what = "the way back from \(script.revision) cannot be generated: \(words)"
        case .text(let text):
            what = "the way back from \(script.revision) is empty"
            place = LintPlace(file: text.file, line: text.isGenerated ? 1 : text.line, column: 1)
        }
        var finding = LintFinding(.noWayBack, severity: kind == .additive ? .error : .block, at: place, what)
        // A comment in the way forward speaks for the whole revision.
        finding.allowance = up.allowed[.noWayBack] ?? down?.allowed[.noWayBack]
        return [finding]
    }
}
