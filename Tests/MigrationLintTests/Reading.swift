import SerinMigrations
import SerinSQL

/// The way forward of one revision of plain SQL, judged without asking for a way back.
func lint(
    _ up: String, history: [String] = [], wrapping: MigrationText.Wrapping = .separate, settings: LintSettings = LintSettings()
) async -> RevisionReport {
    var settings = settings
    settings.wantsWayBack = false
    return await revision(up, down: nil, history: history, wrapping: wrapping, settings: settings)
}

/// One revision of plain SQL, judged; with `source` as generated from a program of that text.
func revision(
    _ up: String, down: String?, history: [String] = [], wrapping: MigrationText.Wrapping = .separate,
    settings: LintSettings = LintSettings(), source: String? = nil
) async -> RevisionReport {
    func text(_ sql: String) -> MigrationSide {
        .text(
            MigrationText(
                file: "db/0001.sql", sql: Array(sql.utf8), wrapping: wrapping, isGenerated: source != nil,
                source: source.map { Array($0.utf8) }))
    }
    var scripts = history.enumerated().map {
        MigrationScript(revision: "h\($0.offset)", name: "", up: text($0.element), down: .missing)
    }
    scripts.append(MigrationScript(revision: "0001", name: "test", up: text(up), down: down.map(text) ?? .missing))
    let read = await StatementReader().read(scripts, applied: history.count, version: settings.version)
    return Lint(settings).report(read).revisions[0]
}

/// The rules that fail or warn about the way forward, each once, in the order found.
func rules(_ report: RevisionReport) -> [String] {
    report.up.findings.map(\.rule.rawValue).reduce(into: []) {
        if !$0.contains($1) { $0.append($1) }
    }
}
