internal import SerinAPI
internal import SerinBackups
internal import SerinCatalogue
internal import SerinController
internal import SerinMigrationTools
internal import SerinMigrations
internal import SerinModel
internal import SerinPolicies

/// What a command line says of a trace.
struct TraceArguments: Sendable {
    private let target: TraceTarget
    /// `PLAN` or `PLAN:BACKUP`.
    private let backup: String?

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
        backup = try input.text(
            "--from-backup", value: "PLAN[:BACKUP]",
            help: "restore a backup of this plan there and run on it (default: the newest verified one)")
        let previous = try input.text(
            "--previous-check", value: "PATH",
            help: "a program that tries the previous version of the application on each new schema")
        guard isAsked else {
            guard server == nil, copied == nil, template == nil, backup == nil, previous == nil || input.isDescribing else {
                throw UsageError("--scratch-env, --url-env, --template, --from-backup and --previous-check are for --trace")
            }
            return nil
        }
        guard let server else {
            throw UsageError("--trace needs a server", hint: "--scratch-env NAME names the variable with its address")
        }
        guard [copied != nil, template != nil, backup != nil].count(where: { $0 }) < 2 else {
            throw UsageError("--url-env, --template and --from-backup exclude each other")
        }
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
        guard let policy = try await place.policy(session) else {
            throw UsageError("--trace needs revisions", hint: "a policy, a folder of SQL files, or an alembic.ini")
        }
        var target = target
        if let backup { target.restored = try await restored(backup, session) }
        let traced = try await session.assembly.migrations.trace(policy, target).run(
            after: arguments.applied, deadline: max(session.globals.timeout ?? .zero, .minutes(30))
        ) { session.note("trace: \(plain($0))") }
        for note in traced.notes { session.note("note: \(plain(note))") }
        var arguments = arguments
        arguments.applied = arguments.applied ?? traced.place.first?.description
        var report = try await arguments.lint(policy, place.place, session)
        report.take(traced.measurements)
        return (report, traced.stopped)
    }

    /// Restores a backup at the server of the trace, and gives the name of its database.
    private func restored(_ word: String, _ session: Session) async throws -> String {
        let cut = word.lastIndex(of: ":")
        var loaded = try await PlanArgument.load(String(word[..<(cut ?? word.endIndex)]), session)
        guard case .postgres = loaded.plan.source else {
            throw UsageError("the plan of --from-backup makes no dumps of a database", hint: "--template takes any database")
        }
        loaded.plan.restore.url = target.server
        loaded.plan.restore.swapURL = nil
        let (plan, wanted) = (loaded, cut.map { String(word[word.index(after: $0)...]) })
        return try await BackupSession.with(session) { backups in
            let record: BackupRecord
            if let wanted {
                record = try await backups.record(wanted, target: plan.plan.target.description)
            } else {
                let all = try await backups.state().history(BackupSelection(target: plan.plan.target.description))
                guard let newest = all.first(where: { $0.kind == .logical && $0.state.isVerified }) else {
                    throw OperationError.notFound("there is no verified dump of \(plan.plan.target)")
                }
                record = newest
            }
            session.note("trace: restoring backup \(record.id) of \(record.consistentAt)")
            let work = try await backups.work(plan, "serin migrate lint")
            let permit = RestorePermit(
                backup: record.id, database: try work.liveDatabase(), scope: .beside, by: backups.principal)
            let restored = try await work.restore(record, RestoreWish(), permit: permit)
            // A check that fails is about the data; the schema is there, and what it leads to is to be seen.
            for check in restored.checks where !check.passed { session.note("warning: \(check.name): \(plain(check.detail))") }
            return restored.name
        }
    }
}
