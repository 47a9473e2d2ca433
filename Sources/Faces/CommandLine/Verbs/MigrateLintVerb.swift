internal import SerinAPI
internal import SerinMigrations
internal import SerinModel

extension Subcommand {
    static let migrateLint = Subcommand(
        "migrate lint", summary: "say what migrations would do: locks, rewrites, losses, and what the running version survives",
        details:
            "Needs no database and changes nothing. Exit 7 when something fails the gate; docs/migrations-lint.md has all rules.",
        examples: [
            "serin migrate lint policy.yaml", "serin migrate lint db/migrations",
            "serin migrate lint alembic.ini --applied 4f0a --server 16 --utc",
            "alembic upgrade head --sql | serin migrate lint -",
        ],
        interruption: .ends
    ) { input throws(UsageError) in
        let arguments = try LintArguments(&input)
        let place = try LintPlaceArgument(&input)
        return { session in
            let report = try await place.lint(arguments, session)
            let fails = arguments.fails(report)
            session.data(LintText.document(report, fails: fails)) { LintText.lines(report, $0) }
            arguments.publish(report, session)
            session.note("\(plain(place.place)): \(LintText.summary(report, fails: fails))")
            return fails ? .refused : .ok
        }
    }
}

extension LintArguments {
    /// Writes what pipelines read.
    func publish(_ report: LintReport, _ session: Session) {
        if let junit { Reports.append(LintReports.junit(report), to: junit, replacing: true, session) }
        guard session.isInGitHub else { return }
        for line in LintReports.annotations(report) { session.console.writeMessage(line + "\n") }
    }
}
