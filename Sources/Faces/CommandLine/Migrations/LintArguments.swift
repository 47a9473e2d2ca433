internal import SerinMigrations
internal import SerinModel
internal import SerinPolicies
internal import SerinSQL

/// What a command line says about the lint.
struct LintArguments: Sendable {
    var settings: LintSettings
    var applied: String?
    var isStrict: Bool
    var junit: String?
    var codeQuality: String?

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
        junit = try input.junitFile(help: "write a JUnit report of the migrations")
        codeQuality = try input.text("--code-quality", value: "FILE", help: "write a code quality report, as GitLab reads it")
        settings = LintSettings(
            version: version ?? 15, isUTC: isUTC ? true : nil, rows: Dictionary(rows.map { ($0.table, $0.rows) }) { $1 })
    }

    /// Judges migrations.
    ///
    /// - Parameter name: What messages call them.
    func lint(_ given: GivenMigrations, _ name: String) async throws(UsageError) -> LintReport {
        var count = 0
        if let applied {
            guard let index = given.scripts.firstIndex(where: { $0.revision == applied }) else {
                throw UsageError("no revision of \(plain(name)) is called '\(plain(applied))'")
            }
            count = index + 1
        }
        var settings = settings
        settings.wantsWayBack = given.wantsWayBack
        let read = await StatementReader().read(given.scripts, applied: count, version: settings.version)
        return Lint(settings).report(read, heads: given.heads)
    }

    /// Judges the migrations of a policy.
    func lint(_ policy: MigrationPolicy, _ name: String, _ session: Session) async throws -> LintReport {
        let given = try await session.assembly.migrationScripts.read(
            policy, applied, max(session.globals.timeout ?? .zero, .minutes(10)))
        var limited = self
        limited.settings.limit(by: policy)
        return try await limited.lint(given, name)
    }

    /// Whether a report fails the gate.
    func fails(_ report: LintReport) -> Bool {
        !report.isClean || (isStrict && report.allFindings.contains { $0.allowance == nil })
    }
}

/// Where the migrations are, as one word says it.
struct LintPlaceArgument: Sendable {
    static let help = "a policy, a folder of SQL files, an alembic.ini, one SQL file, or - for SQL on standard input"

    var place: String
    var program: String?

    init(_ input: inout Arguments) throws(UsageError) {
        program = try input.text("--alembic-program", value: "PATH", help: "such as venv/bin/alembic (default: alembic)")
        place = try input.positional("PLACE", help: LintPlaceArgument.help)
    }

    /// How the revisions that are there are found; nil for one text of SQL, which has none.
    func policy(_ session: Session) async throws -> MigrationPolicy? {
        if place.hasSuffix(".yaml") || place.hasSuffix(".yml") {
            let source = PolicySource(file: place, text: try await PolicyArguments.text(of: place))
            guard let migrations = try session.assembly.readPolicy(source).policy.migrations else { throw Self.none(place) }
            return migrations
        }
        if place.hasSuffix(".ini") {
            return MigrationPolicy(tool: .alembic(config: place, program: program ?? "alembic", directory: nil))
        }
        guard place != "-", !place.hasSuffix(".sql") else { return nil }
        return MigrationPolicy(tool: .folder(path: place, table: "schema_migrations"))
    }

    /// Reads and judges what is there.
    func lint(_ arguments: LintArguments, _ session: Session) async throws -> LintReport {
        guard let policy = try await policy(session) else {
            return try await arguments.lint(try await GivenMigrations.plainFile(place), place)
        }
        return try await arguments.lint(policy, place, session)
    }

    static func none(_ file: String) -> UsageError {
        UsageError("\(plain(file)) has no 'migrations:'", hint: "serin migrate lint PLACE reads \(help)")
    }
}
