internal import SerinAPI
internal import SerinMigrations
internal import SerinModel

extension Subcommand {
    static let migrateLint = Subcommand(
        "migrate lint", summary: "say what migrations would do: locks, rewrites, losses, and what the running version survives",
        details: """
            Needs no database and changes nothing. With --trace the pending revisions are also run, forward, back and forward again,
            in a database that is made for it on the server of --scratch-env and dropped at the end: locks, rewrites and losses are
            then what the server did, and what no text can tell is settled. Exit 7 when something fails the gate;
            docs/migrations-lint.md has all rules.
            """,
        examples: [
            "serin migrate lint policy.yaml", "serin migrate lint db/migrations",
            "serin migrate lint alembic.ini --applied 4f0a --server 16 --utc",
            "serin migrate lint - < generated.sql",
            "serin migrate lint db/migrations --trace --scratch-env SCRATCH_URL --url-env DATABASE_URL",
            "serin migrate lint policy.yaml --trace --scratch-env SCRATCH_URL --from-backup backups/checkout.yaml",
        ],
        interruption: .ends
    ) { input throws(UsageError) in
        let arguments = try LintArguments(&input)
        let trace = try TraceArguments(&input)
        let place = try LintPlaceArgument(&input)
        return { session in
            let (report, stopped) =
                if let trace { try await trace.lint(place, arguments, session) } else {
                    (try await place.lint(arguments, session), String?.none)
                }
            let fails = arguments.fails(report) || stopped != nil
            session.data(LintText.document(report, fails: fails)) { LintText.lines(report, $0) }
            arguments.publish(report, session)
            if let stopped { session.complain("the trace ended early: \(stopped)") }
            session.note("\(plain(place.place)): \(LintText.summary(report, fails: fails))")
            return fails ? .refused : .ok
        }
    }
}

extension LintArguments {
    /// Writes what pipelines read.
    func publish(_ report: LintReport, _ session: Session) {
        if let junit { Reports.append(LintReports.junit(report), to: junit, replacing: true, session) }
        if let codeQuality { Reports.append(LintReports.codeQuality(report), to: codeQuality, replacing: true, session) }
        guard session.isInGitHub else { return }
        for line in LintReports.annotations(report) { session.console.writeMessage(line + "\n") }
    }
}
