internal import SerinModel

extension LintReport {
    /// Puts what was measured on a copy beside what the texts said: what nobody could classify is settled where the copy could tell,
    /// and what was not foretold is found.
    public mutating func take(_ measurements: [RevisionMeasurement]) {
        for index in revisions.indices {
            guard let measured = measurements.first(where: { $0.revisions.contains(revisions[index].revision) }) else { continue }
            revisions[index].take(measured)
        }
    }
}

extension RevisionReport {
    fileprivate mutating func take(_ measured: RevisionMeasurement) {
        self.measured = measured
        let isUnknown = up.statements.contains { $0.mystery != nil && $0.declared == nil }
        // A comment that vouches for what nobody can read vouches for its locks as well.
        let vouched = up.findings.first { $0.rule == .unknown }?.allowance
        if let failure = measured.up.failure {
            up.findings.append(LintFinding(.measured, at: place, "it fails on the copy: \(failure)"))
        } else {
            if isUnknown { settle(measured) } else { raise(measured) }
            compare(measured, isUnknown: isUnknown, vouched)
        }
        judgeLossesOfWayBack(measured)
        judgeWayBack(measured)
        judgePrevious(measured)
    }

    private var place: LintPlace { LintPlace(file: file, line: 1, column: 1) }

    /// What nobody could say of the text is what was seen on the copy; what is known of the rest of the text counts as before.
    private mutating func settle(_ measured: RevisionMeasurement) {
        let (seen, why) = measured.classified
        guard seen != .unclassified else {
            reason += "; the copy does not settle it: \(why)"
            return
        }
        let survives = up.statements.allSatisfy { $0.survival == .survives || $0.mystery != nil }
        var known: MigrationClass = survives ? .additive : measured.comesBack ? .reversible : .unclassified
        if !up.statements.flatMap(\.losses).isEmpty { known = .destructive }
        kind = max(seen, known)
        reason = why
        for index in up.findings.indices where up.findings[index].rule == .unknown && up.findings[index].allowance == nil {
            up.findings[index].allowance = why
        }
        if seen == .destructive { up.findings.append(LintFinding(.destroys, at: place, why)) }
        if seen != .additive { phase = measured.up.losses.isEmpty && seen == .destructive ? .migrate : .contract }
    }

    /// What the copy lost and the text does not speak of: what was read as harmless is not.
    private mutating func raise(_ measured: RevisionMeasurement) {
        let run = measured.up
        func isForetold(_ table: String, _ names: [RelationName]) -> Bool { names.contains { "\($0)" == table } }
        let known = Set(up.statements.flatMap(\.rewrites).map(\.full))
        // A change of type that is known to keep every value writes them anew all the same.
        let gone = run.losses.filter { loss in
            !known.contains { loss.hasPrefix("the values of \($0).") } || !up.statements.flatMap(\.losses).isEmpty
        }
        let (updates, deletes) = (up.statements.flatMap(\.updates), up.statements.flatMap(\.deletes))
        let changed = run.activity.first {
            ($0.updated > 0 && !isForetold($0.table, updates)) || ($0.deleted > 0 && !isForetold($0.table, deletes))
        }
        let thrownAway = measured.thrownAway.filter { !known.contains($0.full) }
        let (rule, words): (LintRule, String)
        if !gone.isEmpty {
            (rule, words) = (.destroys, "measured: \(gone.prefix(3).joined(separator: ", ")) is gone")
        } else if let table = thrownAway.first {
            (rule, words) = (.destroys, "measured: \(table) has a new file and the same columns")
        } else if let changed {
            (rule, words) = (
                .overwrites, "measured: \(changed.updated) rows updated and \(changed.deleted) deleted in \(changed.table)"
            )
        } else {
            return
        }
        up.findings.append(LintFinding(rule, at: place, words))
        guard kind != .destructive else { return }
        kind = .destructive
        reason = words
        phase = rule == .overwrites && phase == .expand ? .migrate : .contract
    }

    /// Stronger locks and rewrites than the text foretold.
    private mutating func compare(_ measured: RevisionMeasurement, isUnknown: Bool, _ vouched: String?) {
        func find(_ severity: LintSeverity, _ words: String) {
            var finding = LintFinding(.measured, severity: severity, at: place, words)
            finding.allowance = vouched
            up.findings.append(finding)
        }
        let foretold = up.statements.flatMap(\.locks)
        for lock in measured.up.strongest where lock.mode >= .shareUpdateExclusive {
            let known = foretold.filter { $0.relation.full == lock.relation.full }.map(\.mode).max()
            guard known.map({ $0 < lock.mode }) ?? true, lock.mode.blocksWrites || !isUnknown else { continue }
            let said = known.map { ", and its text says \($0.name)" } ?? ""
            find(lock.mode.blocksWrites ? .error : .warning, "it locked \(lock.relation) \(lock.mode.name)\(said)")
        }
        let rewrites = Set(up.statements.flatMap(\.rewrites).map(\.full))
        for table in measured.up.rewrites where !rewrites.contains(table.full) && kind != .destructive {
            find(.error, "it wrote every row of \(table) anew")
        }
    }

    /// Rows that the way back changed on the copy and that its text does not speak of.
    private mutating func judgeLossesOfWayBack(_ measured: RevisionMeasurement) {
        guard let run = measured.down, let down else { return }
        let touched = Set(down.statements.flatMap { $0.updates + $0.deletes }.map { "\($0)" })
        guard kind != .destructive,
            let changed = run.activity.first(where: { $0.updated + $0.deleted > 0 && !touched.contains($0.table) })
        else { return }
        kind = .destructive
        reason = "measured: the way back updates \(changed.updated) and deletes \(changed.deleted) rows of \(changed.table)"
        up.findings.append(LintFinding(.overwrites, at: place, reason))
    }

    private mutating func judgeWayBack(_ measured: RevisionMeasurement) {
        let severity: LintSeverity = kind == .additive ? .error : .block
        func found(_ words: String) -> LintFinding {
            var finding = LintFinding(.noWayBack, severity: severity, at: place, words)
            finding.allowance = up.allowed[.noWayBack] ?? down?.allowed[.noWayBack]
            return finding
        }
        if let failure = measured.down?.failure { up.findings.append(found("the way back fails on the copy: \(failure)")) }
        if let remains = measured.remains, !remains.isEmpty {
            up.findings.append(found("forward and back leaves another schema: \(remains.joined(separator: "; "))"))
        }
        if let failure = measured.again?.failure {
            up.findings.append(found("after the way back it fails on the copy: \(failure)"))
        } else if let again = measured.again, again.changes != measured.up.changes {
            up.findings.append(found("after the way back it makes another schema than the first time"))
        }
    }

    /// A previous version that was tried on the new schema counts more than what its text might need.
    private mutating func judgePrevious(_ measured: RevisionMeasurement) {
        guard let words = measured.previous else { return }
        guard words.isEmpty else {
            up.findings.append(LintFinding(.breaksPrevious, at: place, "the previous version fails on the new schema: \(words)"))
            if kind == .additive { kind = measured.comesBack ? .reversible : .unclassified }
            reason = "the previous version fails on the new schema"
            return
        }
        for index in up.findings.indices where up.findings[index].rule == .breaksPrevious && up.findings[index].allowance == nil {
            up.findings[index].allowance = "the previous version was tried on the new schema"
        }
    }
}

extension RevisionMeasurement.Run {
    /// The strongest lock on each relation, by name.
    public var strongest: [RelationLock] {
        var found: [RelationLock] = []
        for lock in locks {
            if let index = found.firstIndex(where: { $0.relation == lock.relation }) {
                found[index].mode = max(found[index].mode, lock.mode)
            } else {
                found.append(lock)
            }
        }
        return found
    }
}
