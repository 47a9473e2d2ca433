internal import SerinAPI
internal import SerinMigrations
internal import SerinModel
internal import SerinPolicies

extension Subcommand {
    static let check = Subcommand(
        "check", summary: "validate a policy and try everything that it names",
        details: """
            Changes nothing, but makes a folder for backups that is missing. Exit 2 when the policy is invalid, 7 when a rollout would
            be refused. Without --version and --previous nobody's series are looked for where the policy names them by versions. What
            is tried here is tried with the rights, files and environment of whoever asks; with --daemon it is tried by the daemon,
            which would carry the rollout out.
            """,
        examples: [
            "serin check policy.yaml", "serin check policy.yaml --version 1.9.0 --previous 1.8.3",
            "serin check policy.yaml --offline", "serin check policy.yaml --offline --migrations",
            "serin check policy.yaml --version 1.9.0 --previous 1.8.3 --daemon",
        ],
        interruption: .ends
    ) { input throws(UsageError) in
        let daemon = try AskedDaemon(&input)
        let offline = try input.flag("--offline", help: "only validate the file")
        let migrations = try input.flag("--migrations", help: "lint the policy's migrations as well")
        let lint = try LintArguments(&input)
        let arguments = try PolicyArguments(&input, needsVersion: false)
        try daemon.refuse(offline: offline, arguments)
        try daemon.refuse(("--migrations", migrations, "migrations are linted here: serin migrate lint POLICY"))
        return { session in
            let source = try await arguments.source()
            guard !daemon.isAsked else {
                return show(try await daemon.answer(to: "check", about: source, session), of: source, session)
            }
            let loaded = try session.assembly.readPolicy(source)
            let wait = Wait("trying what the policy names: \(loaded.policy.traffic.driver.driver), \(loaded.prometheus)")
            let probes =
                offline
                ? []
                : await session.showingWaits(from: wait) { _ in
                    await session.assembly.probe(loaded, source, session.state)
                }
            var report: LintReport?
            if migrations {
                guard let policy = loaded.policy.migrations else { throw LintPlaceArgument.none(source.file) }
                report = try await lint.lint(policy, source.file, session)
            }
            let lintFails = report.map(lint.fails) ?? false
            let document = checkDocument(loaded, probes, report, lintFails: lintFails)
            let code = show(document, report, of: source, session, isOffline: offline)
            if let report {
                lint.publish(report, session)
                session.note("migrations: \(LintText.summary(report, fails: lintFails))")
            }
            return code
        }
    }

    /// Shows what a check came to, here or in the daemon.
    private static func show(
        _ document: JSONValue, _ report: LintReport? = nil, of source: PolicySource, _ session: Session, isOffline: Bool = false
    ) -> ExitCode {
        let probes = (document["probes"]?.items ?? []).map(Probe.init)
        session.data(document) { style in
            (probes.isEmpty ? [] : table(probes).lines(style)) + (report.map { LintText.lines($0, style) } ?? [])
        }
        session.note("\(plain(source.file)): the policy is valid\(summary(probes, isOffline: isOffline))")
        return document["ok"] == .bool(true) && !probes.contains { $0.outcome == .failed } ? .ok : .refused
    }

    private static func summary(_ probes: [Probe], isOffline: Bool) -> String {
        let failed = probes.count { $0.outcome == .failed }
        let warnings = probes.count { $0.outcome == .warning }
        if failed > 0 { return ", but a rollout would be refused: \(failed) of \(probes.count) probes failed" }
        if isOffline { return "; what it names was not tried (--offline)" }
        return warnings > 0
            ? " and what it names answers, with \(warnings) warning\(warnings == 1 ? "" : "s")" : " and everything it names works"
    }

    private static func table(_ probes: [Probe]) -> Table {
        var table = Table(header: ["PROBE", "RESULT", "DETAIL"])
        for probe in probes {
            let cell: Table.Cell =
                switch probe.outcome {
                case .ok: Table.Cell("ok", .green)
                case .warning: Table.Cell("warning", .yellow)
                case .failed: Table.Cell("FAILED", .red)
                }
            table.rows.append([Table.Cell(probe.name), cell, Table.Cell(probe.detail)])
        }
        return table
    }

    /// What a check came to.
    static func checkDocument(
        _ loaded: LoadedPolicy, _ probes: [Probe], _ report: LintReport?, lintFails: Bool
    ) -> JSONValue {
        .object([
            "schema": .string("serin.dev/check/v1"), "service": .string(loaded.policy.service.description),
            "policy_hash": .string(loaded.hash), "ok": .bool(!lintFails && !probes.contains { $0.outcome == .failed }),
            "migrations": report.map { LintText.document($0, fails: lintFails) } ?? .null,
            "probes": .array(probes.map(\.document)),
        ])
    }
}

extension Probe {
    fileprivate var document: JSONValue {
        .object(["name": .string(name), "outcome": .string(outcome.rawValue), "detail": .string(detail)])
    }

    /// A probe in a document. An outcome that nobody knows is no good one.
    fileprivate init(_ document: JSONValue) {
        self.init(
            document["name"]?.text ?? "", document["outcome"]?.text.flatMap(Outcome.init) ?? .failed,
            document["detail"]?.text ?? "")
    }
}
