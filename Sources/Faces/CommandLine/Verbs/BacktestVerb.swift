internal import SerinAPI
internal import SerinController
internal import SerinModel
internal import SerinPolicies
internal import SerinRollouts
internal import SerinTrials
internal import SerinVerdicts

extension Subcommand {
    static let backtest = Subcommand(
        "backtest", summary: "what a policy would have decided on what was read in the past",
        details: """
            Of a rollout: its journal is judged again with this policy's signals, limits and times; steps and actions stay as they were.
            Shown are the verdicts of every poll then and now, and the first decision that differs. What would have come after that is
            not known, because other requests would have reached the canary.
            With --from and --to instead: what Prometheus kept of the policy's cohorts, minute by minute, as if it had been one bake of at
            most 24 hours. Nothing is known of weights then, so nothing is said of steps.
            """,
        examples: [
            "serin backtest policy.yaml checkout", "serin backtest policy.yaml checkout-01k5 -o json",
            "serin backtest policy.yaml --from 2026-03-01T00:00:00Z --to 2026-03-01T01:00:00Z --version 1.9.0 --previous 1.8.3",
        ],
        interruption: .ends
    ) { input throws(UsageError) in
        let from = try input.option(
            "--from", value: "TIME", help: "the beginning of a range in Prometheus, RFC 3339 in UTC", read: Notation.instant)
        let to = try input.option("--to", value: "TIME", help: "the end of that range", read: Notation.instant)
        let arguments = try PolicyArguments(&input, needsVersion: false)
        let name = try input.optionalPositional("ROLLOUT", help: "a rollout, or a service for its last one")
        let range = try rangeAsked(from, to, besides: name, isDescribing: input.isDescribing)
        return { session in
            let source = try await arguments.source()
            guard let name else { return try await judge(range, by: source, session) }
            let loaded = try session.assembly.readPolicy(source)
            let locator = ControllerLocator(session)
            return try await locator.find(name) {
                let operations = try await locator.reader(for: name, assembly: session.assembly)
                let tried = try await session.showingWaits(from: Wait("judging the journal of \(name) again")) { _ in
                    try await Trials.backtest(
                        name, from: operations, named: source.file, read: source.reading(by: session.assembly))
                }
                session.data(TrialDocuments.encode(tried, hash: loaded.hash)) { lines(tried, $0) }
                return .ok
            }
        }
    }

    private static func rangeAsked(
        _ from: Instant?, _ to: Instant?, besides name: String?, isDescribing: Bool
    ) throws(UsageError) -> ClosedRange<Instant> {
        let nothing = Instant(millisecondsSince1970: 0)
        if isDescribing { return nothing...nothing }
        switch (from, to, name) {
        case (nil, nil, .some): return nothing...nothing
        case (let from?, let to?, nil):
            guard from < to, to - from <= RangeBacktest.limit else {
                throw UsageError("--from must lie before --to, at most \(RangeBacktest.limit)")
            }
            return from...to
        case (_, _, .some): throw UsageError("a rollout and --from or --to do not go together: one of them")
        case (nil, nil, nil):
            throw UsageError("missing ROLLOUT", hint: "a rollout or service, or --from and --to for a range in Prometheus")
        case (_, _, nil): throw UsageError("--from and --to go together")
        }
    }

    private static func judge(
        _ range: ClosedRange<Instant>, by source: PolicySource, _ session: Session
    ) async throws -> ExitCode {
        let loaded = try session.assembly.readPolicy(source)
        try loaded.checkVersions()
        let backtest: RangeBacktest
        do throws(TrialError) {
            backtest = try RangeBacktest(loaded.policy, version: source.version ?? "", previous: source.previous ?? "")
        } catch { throw OperationError.cannotTry(error, source.file) }
        let wait = Wait("asking \(loaded.prometheus) for the past")
        let (tried, past) = try await session.showingWaits(from: wait) { _ in
            let past = try await session.assembly.pastReadings(loaded, backtest.request, range)
            let tried = try await Trials.aside {
                var tried = backtest
                tried.judge(past)
                return tried
            }
            return (tried, past)
        }
        var warnings = past.warnings
        if let begin = tried.begin, begin - range.lowerBound > past.control.values.step {
            warnings.append("nothing was kept of both cohorts before \(begin), and it is judged from there on")
        }
        for warning in warnings { session.note("warning: \(plain(warning))") }
        guard tried.polls > 0 else {
            let cohorts =
                past.canary.isEmpty == past.control.isEmpty
                ? "the policy's cohorts" : past.canary.isEmpty ? "the canary" : "the control"
            let words = "\(loaded.prometheus) told nothing of \(cohorts) from \(range.lowerBound) to \(range.upperBound)"
            throw past.warnings.isEmpty ? OperationError.notFound(words) : .unavailable(words)
        }
        session.data(
            TrialDocuments.encode(
                tried, from: range.lowerBound, to: range.upperBound, hash: loaded.hash, warnings: warnings)
        ) { style in
            lines(tried.verdicts, style)
                + [""]
                + tried.signals.map { signal in
                    plain("\(signal.name): \(signal.verdict.rawValue), \(signal.reason)")
                }
        }
        return .ok
    }

    private static func lines(_ tried: Backtest, _ style: Style) -> [String] {
        let charter = tried.charter
        var lines = [
            style.paint(plain("\(charter.id): \(charter.previous) → \(charter.version)"), .bold),
            "  \(tried.polls) poll\(tried.polls == 1 ? "" : "s") judged again until everything was taken back or given to everyone",
            "",
        ]
        if let end = tried.end { lines.append(plain("then  \(end.state) at \(tried.endedAt): \(end.cause)")) }
        if let difference = tried.difference {
            let place = "\(difference.at.timeOfDay), poll \(difference.poll), step \(difference.step) at \(difference.weight)"
            lines.append(plain("now   another decision at \(place)"))
            lines.append(plain("      then: \(difference.then.state), \(difference.then.cause)"))
            lines.append(plain("      now:  \(difference.now.state), \(difference.now.cause)"))
            lines.append("      what would have come after is not known: other requests would have reached the canary")
        } else {
            lines.append("now   the same decisions, to the end")
        }
        if !tried.kept.isEmpty { lines.append("kept  as it was then: \(plain(tried.kept.joined(separator: ", ")))") }
        if !tried.missing.isEmpty {
            lines.append("left out, because what they count was not read then: \(plain(tried.missing.joined(separator: ", ")))")
        }
        return lines + [""] + Self.lines(tried.verdicts, style)
    }

    private static func lines(_ course: VerdictCourse, _ style: Style) -> [String] {
        let hasThen = course.stretches.contains { $0.then != nil }
        var table = Table(
            header: ["POLLS", "FROM", "TO"] + (hasThen ? ["WEIGHT", "THEN"] : []) + ["NOW", "FAILING"])
        for stretch in course.stretches {
            let polls = stretch.first == stretch.last ? "\(stretch.first)" : "\(stretch.first)–\(stretch.last)"
            var row = [Table.Cell(polls), Table.Cell("\(stretch.from)"), Table.Cell("\(stretch.to)")]
            if hasThen {
                row.append(Table.Cell(stretch.weight.map { "\($0)" } ?? "-"))
                row.append(Table.Cell(stretch.then?.rawValue ?? "-"))
            }
            row.append(Table.Cell(stretch.now.rawValue, stretch.now == .fail ? .red : nil))
            row.append(Table.Cell(stretch.failing.isEmpty ? "-" : stretch.failing.joined(separator: ", ")))
            table.rows.append(row)
        }
        return table.lines(style) + (course.isCut ? ["… and more, which are left out"] : [])
    }
}

extension PolicySource {
    /// Reads the policy with the versions of a rollout.
    func reading(by assembly: Assembly) -> @Sendable (Charter) throws(OperationError) -> Policy {
        { charter throws(OperationError) in
            var source = self
            // As a rollout has it: what it names by relative paths is the same then and now.
            source.file = startRequest.policyFile
            (source.version, source.previous) = (charter.version, charter.previous)
            return try assembly.readPolicy(source).policy
        }
    }
}
