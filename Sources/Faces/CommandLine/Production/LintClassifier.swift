internal import SerinMigrationTools
internal import SerinMigrations
internal import SerinModel
internal import SerinPolicies
internal import SerinSQL

extension Lint {
    /// Judges the pending revisions of a rollout behind those that are applied, for the server's own version, its own code, and the
    /// TimeZone of the sessions that migrate: where a tool opens them itself, nobody knows it, and the worse is assumed.
    ///
    /// - Parameter policy: How long statements may wait and work.
    static func classifier(_ policy: MigrationPolicy) -> RevisionClassifier {
        { found in
            var settings = LintSettings()
            settings.limit(by: policy)
            let versions = LintSettings.knownVersions
            settings.isUTC = found.isUTC
            settings.server = found.code
            settings.version = min(max(found.serverVersion, versions.lowerBound), versions.upperBound)
            let read = await StatementReader().read(
                found.applied + found.pending.map(\.script), applied: found.applied.count, version: settings.version)
            let report = Lint(settings).report(read)
            return zip(found.pending, report.revisions).map { revision, report in
                var planned = PlannedRevision(
                    id: revision.id, name: report.name, kind: report.kind, phase: report.phase, hasDown: report.hasDown,
                    tables: report.tables, reason: report.reason)
                planned.overwritten = report.overwrittenByDown
                return ClassifiedRevision(
                    planned: planned,
                    findings: report.findings.filter(\.failsGate).map {
                        "\(revision.id): \($0.rule.rawValue) \($0.place.file):\($0.place.line): \($0.message)"
                    }, restored: report.restoredTables)
            }
        }
    }
}

extension LintSettings {
    /// Allows a statement by its own word what a policy allows it.
    mutating func limit(by policy: MigrationPolicy) {
        lockTimeout = policy.lockTimeout.milliseconds
        statementTimeout = policy.statementTimeout.milliseconds
    }
}
