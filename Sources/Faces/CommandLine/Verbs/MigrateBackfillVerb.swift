internal import Glibc
internal import SerinAPI
internal import SerinController
internal import SerinMigrationTools
internal import SerinModel
internal import SerinPolicies

extension Subcommand {
    static let migrateBackfill = Subcommand(
        "migrate backfill", summary: "change many rows in small transactions, and go on after an interruption",
        details: """
            Walks a table by its key. Each batch commits by itself, together with its position; batches grow and shrink until one
            takes about 200 ms. It waits while a standby is behind or sessions wait for locks. It stops behind the present batch
            when it is interrupted, when --stop was given elsewhere, or when the service of --service is halted by its halt file,
            and goes on from there when it is run again. With --complete a query decides in the end, and alone with --check:
            0 or true is complete, anything else exit 8.

            A statement that only fills columns which it demands to be NULL, or only inserts, is free. One that overwrites or deletes,
            or of which nobody can say what it does, has the gate of serin migrate up: by a policy its people, backup, fence and probes;
            without one --may-destroy REASON --database NAME.
            """,
        examples: [
            "serin migrate backfill cents --url-env DATABASE_URL --table orders --key id "
                + "--statement 'UPDATE orders SET cents = amount * 100 WHERE {{range}} AND cents IS NULL'",
            "serin migrate backfill cents --url-env DATABASE_URL --check --complete 'SELECT count(*) FROM orders WHERE cents IS NULL'",
            "serin migrate backfill cents --url-env DATABASE_URL --stop",
        ], interruption: .ends
    ) { input throws(UsageError) in
        let work = try BackfillArguments(&input)
        let consent = try LoneConsent.read(&input)
        let withoutBackup = try input.text(
            "--without-backup", value: "REASON", help: "make no backup, although the policy has one or data may be destroyed")
        let name = try input.positional("NAME", help: "by what it is known, and found again")
        let database = try DatabaseArguments(&input)
        return { session in
            let release = try await database.load(session)
            let policy = release?.policy
            let backfills = session.assembly.migrations.backfills(try database.reference(policy))
            if work.stops {
                guard try await backfills.stop(name) else {
                    throw OperationError.notFound("there is no unfinished backfill '\(plain(name))'")
                }
                session.note("it stops behind its present batch")
                return .ok
            }
            if !work.checks {
                let gate = BackfillGate(
                    release: release, reference: try database.reference(policy), consent: consent, withoutBackup: withoutBackup,
                    session: session)
                let code = try await gate.pass(try await work.danger(name)) {
                    try await work.run(name, backfills, session, policy)
                }
                guard code == .ok else { return code }
            }
            guard let query = work.complete else { return .ok }
            guard let left = try await backfills.whatIsLeft(query) else {
                session.note("complete")
                return .ok
            }
            session.complain("not complete: the query gave \(plain(left)), not 0 or true")
            return .verificationFailed
        }
    }
}

/// What a command line says of a backfill.
struct BackfillArguments: Sendable {
    let stops: Bool
    let checks: Bool
    let complete: String?
    private let table: String?
    private let key: String?
    private let statement: String?
    private let batch: Int?
    private let mostLag: MostLag?
    private let mostWaiting: Int?
    private let service: ServiceName?
    private let restarts: Bool

    private enum MostLag: Sendable {
        case off
        case time(Duration)
    }

    init(_ input: inout Arguments) throws(UsageError) {
        stops = try input.flag("--stop", help: "ask the one that runs to stop")
        checks = try input.flag("--check", help: "only ask whether it is complete")
        restarts = try input.flag("--restart", help: "begin again, although it was begun or done before")
        table = try input.text("--table", value: "TABLE", help: "the table whose keys are walked")
        key = try input.text("--key", value: "COLUMN", help: "its key: not null, and the first column of an index")
        statement = try input.text(
            "--statement", value: "SQL", help: "one UPDATE, INSERT or DELETE with {{range}} among its conditions")
        complete = try input.text("--complete", value: "SQL", help: "a query that gives 0 or true when all is filled in")
        batch = try input.option("--batch", value: "COUNT", help: "keys of the first batch (default: 500)") {
            Int($0).flatMap { (1...1_000_000).contains($0) ? $0 : nil }
        }
        mostLag = try input.option("--max-lag", value: "TIME|off", help: "how far behind a standby may be (default: 10s)") {
            text in
            text == "off" ? MostLag.off : Duration(policyText: text).map { .time($0) }
        }
        mostWaiting = try input.option("--max-waiting", value: "COUNT", help: "how many sessions may wait for locks (default: 5)")
        {
            Int($0).flatMap { $0 >= 0 ? $0 : nil }
        }
        service = try input.option("--service", value: "SERVICE", help: "stop when this service's halt file appears") {
            ServiceName($0)
        }
        guard !input.isDescribing else { return }
        if checks, complete == nil { throw UsageError("--check needs --complete SQL") }
        guard stops || checks || table != nil && key != nil && statement != nil else {
            throw UsageError("missing --table, --key or --statement", hint: "or --stop, or --check with --complete")
        }
    }

    /// What the statement may destroy; nil when it only fills what was empty.
    func danger(_ name: String) async throws -> PlannedRevision? {
        let backfill = try Backfill(name: name, table: table ?? "", key: key ?? "", statement: statement ?? "")
        return await BackfillGate.danger(of: backfill)
    }

    /// Runs it and says what came of it.
    func run(_ name: String, _ backfills: DatabaseBackfill, _ session: Session, _ policy: Policy?) async throws -> ExitCode {
        var backfill = try Backfill(name: name, table: table ?? "", key: key ?? "", statement: statement ?? "")
        backfill.firstBatch = batch ?? backfill.firstBatch
        backfill.mostWaiting = mostWaiting ?? backfill.mostWaiting
        backfill.restarts = restarts
        switch mostLag {
        case .off: backfill.mostLag = nil
        case .time(let time): backfill.mostLag = time
        case nil: break
        }
        let progress = MigrationProgressView(session)
        let halts = (service ?? policy?.service).map { [session.state.haltFile(of: $0), session.state.haltFile] } ?? []
        let report = try await backfills.run(
            backfill,
            stopWanted: { halts.first { HaltFile(path: $0).exists }.map { "its service is halted (\($0))" } },
            progress: { progress.show($0, name) })
        progress.end()
        session.data(MigrationText.document(report, name)) { _ in
            [
                "\(plain(name)): \(report.walked) keys, \(report.changed) rows changed, \(report.batches) batches in "
                    + "\(report.time.milliseconds) ms, of which it waited \(report.waited.milliseconds) ms"
            ]
        }
        guard let reason = report.stopped else { return .ok }
        session.complain("stopped: \(reason)")
        session.note("run it again to go on from there")
        return .halted
    }
}
