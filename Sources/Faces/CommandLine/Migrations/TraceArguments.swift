internal import SerinMigrationTools
internal import SerinMigrations
internal import SerinModel
internal import SerinPolicies

/// What a command line says of a trace.
struct TraceArguments: Sendable {
    private let target: TraceTarget

    /// Nil when none is asked for.
    init?(_ input: inout Arguments) throws(UsageError) {
        let isAsked = try input.flag(
            "--trace", help: "run the pending revisions on a copy too, up, down and up, and measure them")
        let server = try Self.reference(
            &input, "--scratch", "the address of a server, by a role that may make databases there, for --trace")
        let copied = try Self.reference(
            &input, "--url", "the address of a database whose schema the copy begins with (default: it begins with nothing)")
        let template = try input.text(
            "--template", value: "NAME", help: "a database on that server that is copied with its rows, as a restored backup")
        let previous = try input.text(
            "--previous-check", value: "PATH",
            help: "a program that tries the previous version of the application on each new schema")
        guard isAsked else {
            guard server == nil, copied == nil, template == nil, previous == nil || input.isDescribing else {
                throw UsageError("--scratch-env, --url-env, --template and --previous-check are for --trace")
            }
            return nil
        }
        guard let server else {
            throw UsageError("--trace needs a server", hint: "--scratch-env NAME names the variable with its address")
        }
        guard copied == nil || template == nil else { throw UsageError("--url-env and --template exclude each other") }
        target = TraceTarget(server: server, copied: copied, template: template, previous: previous)
    }

    private static func reference(
        _ input: inout Arguments, _ option: String, _ help: String
    ) throws(UsageError) -> SecretReference? {
        let variable = try input.text("\(option)-env", value: "NAME", help: "the environment variable with \(help)")
        let file = try input.text("\(option)-file", value: "PATH", help: "the file with \(help)")
        guard variable == nil || file == nil else { throw UsageError("\(option)-env and \(option)-file exclude each other") }
        return variable.map { .environment($0) } ?? file.map { .file($0) }
    }

    /// Measures and judges; and why the trace ended before the last revision, if it did.
    func lint(
        _ place: LintPlaceArgument, _ arguments: LintArguments, _ session: Session
    ) async throws -> (LintReport, stopped: String?) {
        guard let policy = try place.policy(session) else {
            throw UsageError("--trace needs revisions", hint: "a policy, a folder of SQL files, or an alembic.ini")
        }
        let traced = try await session.assembly.migrations.trace(policy, target).run(
            after: arguments.applied, deadline: session.globals.timeout ?? .minutes(30)
        ) { session.note("trace: \(plain($0))") }
        for note in traced.notes { session.note("note: \(plain(note))") }
        var arguments = arguments
        arguments.applied = arguments.applied ?? traced.place.first?.description
        var report = try await arguments.lint(policy, place.place, session)
        report.take(traced.measurements)
        return (report, traced.stopped)
    }
}
