internal import SerinMigrationTools
internal import SerinMigrations
internal import SerinModel
internal import SerinSQL

extension Lint {
    /// Judges the pending revisions of a rollout. A session of the controller's has TimeZone UTC only when the server says so, which is
    /// not asked here: the worse is assumed.
    static func classifier(_ settings: LintSettings = LintSettings()) -> RevisionClassifier {
        { pending in
            let read = await StatementReader().read(pending.map(\.script), version: settings.version)
            let report = Lint(settings).report(read)
            return zip(pending, report.revisions).map { revision, report in
                ClassifiedRevision(
                    planned: PlannedRevision(
                        id: revision.id, name: report.name, kind: report.kind, phase: report.phase, hasDown: report.hasDown,
                        tables: report.tables, reason: report.reason),
                    findings: report.findings.filter(\.failsGate).map {
                        "\(revision.id): \($0.rule.rawValue) \($0.place.file):\($0.place.line): \($0.message)"
                    })
            }
        }
    }
}
