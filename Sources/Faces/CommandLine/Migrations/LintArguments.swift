internal import SerinMigrations
internal import SerinModel
internal import SerinSQL

/// What a command line says about the lint.
struct LintArguments: Sendable {
    var settings: LintSettings
    var applied: String?
    var isStrict: Bool
    var junit: String?

    init(_ input: inout Arguments) throws(UsageError) {
        let versions = LintSettings.knownVersions
        let version = try input.option(
            "--server", value: "\(versions.lowerBound)…\(versions.upperBound)", help: "the server's major version (default: 15)"
        ) { Int($0).flatMap { versions.contains($0) ? $0 : nil } }
        let isUTC = try input.flag("--utc", help: "the sessions that migrate have TimeZone UTC")
        let rows = try input.every(
            "--rows", value: "TABLE=COUNT", help: "how many rows a table has; may stand several times"
        ) { text -> (table: String, rows: Int)? in
            let parts = text.split(separator: "=", omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2, !parts[0].isEmpty, let count = Int(parts[1]), count >= 0 else { return nil }
            return (parts[0], count)
        }
        applied = try input.text(
            "--applied", value: "REVISION", help: "what is applied already, up to here, only tells what the schema is")
        isStrict = try input.flag("--strict", help: "a warning fails too")
        junit = try input.text("--junit", value: "FILE", help: "write a JUnit report")
        settings = LintSettings(
            version: version ?? 15, isUTC: isUTC ? true : nil, rows: Dictionary(rows.map { ($0.table, $0.rows) }) { $1 })
    }

    /// Reads and judges the migrations of a place.
    func lint(_ place: String, _ session: Session) async throws -> LintReport {
        let given = try await session.assembly.migrations.read(place, session.globals.timeout ?? .minutes(5))
        var count = 0
        if let applied {
            guard let index = given.scripts.firstIndex(where: { $0.revision == applied }) else {
                throw UsageError("no revision of \(plain(place)) is called '\(plain(applied))'")
            }
            count = index + 1
        }
        var settings = settings
        settings.wantsWayBack = given.wantsWayBack
        let read = await StatementReader().read(given.scripts, applied: count, version: settings.version)
        return Lint(settings).report(read, heads: given.heads)
    }

    /// Whether a report fails the gate.
    func fails(_ report: LintReport) -> Bool {
        !report.isClean || (isStrict && report.allFindings.contains { $0.allowance == nil })
    }
}
