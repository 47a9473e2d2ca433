internal import SerinAPI
internal import SerinModel
internal import SerinPolicies
internal import SerinProcesses
internal import SerinRollouts

extension Subcommand {
    static let plan = Subcommand(
        "plan", summary: "what a rollout would do, how long it takes at least, and its way back",
        examples: [
            "serin plan policy.yaml --version 1.9.0 --previous 1.8.3", "serin plan policy.yaml --offline -o json",
            "serin plan policy.yaml --version 1.9.0 --previous 1.8.3 --daemon",
        ],
        interruption: .ends
    ) { input throws(UsageError) in
        let daemon = try AskedDaemon(&input)
        let offline = try input.flag("--offline", help: "no forecast from present traffic")
        let arguments = try PolicyArguments(&input, needsVersion: false)
        try daemon.refuse(offline: offline, arguments)
        return { session in
            let source = try await arguments.source()
            let document =
                daemon.isAsked
                ? try await daemon.answer(to: "plan", about: source, session)
                : try await planDocument(of: source, session, offline: offline)
            session.data(document) { style in Plan.lines(document, style) }
            for warning in Plan.texts("warnings", in: document) { session.note("warning: \(plain(warning))") }
            for placeholder in Plan.openPlaceholders(in: document) {
                session.note("note: {{\(placeholder)}} stands for what --\(placeholder) names")
            }
            return .ok
        }
    }

    /// What is made of a policy here.
    private static func planDocument(of source: PolicySource, _ session: Session, offline: Bool) async throws -> JSONValue {
        let loaded = try session.assembly.readPolicy(source)
        let forecast =
            offline
            ? Forecast(sentences: [])
            : await session.showingWaits(from: Wait("asking \(loaded.prometheus)")) { note in
                await session.assembly.forecast(loaded, source, session.state, note)
            }
        return Plan(loaded.policy, version: source.version, previous: source.previous, forecast).document(hash: loaded.hash)
    }
}

/// What a policy makes of a rollout, before any of it happens.
struct Plan: Sendable {
    let policy: Policy
    let version: String
    let previous: String
    /// What `{{version}}` and `{{previous}}` stand for, as far as it is known.
    private let values: [(name: String, value: String)]
    /// The least time of each judged step: warm-up, then healthy time.
    let stepFor: Duration
    /// What was found out about it.
    private let forecast: Forecast

    init(_ policy: Policy, version: String?, previous: String?, _ forecast: Forecast = Forecast(sentences: [])) {
        self.policy = policy
        self.forecast = forecast
        self.version = version ?? "the new version"
        self.previous = previous ?? "the previous version"
        values = [("version", version), ("previous", previous)].compactMap { name, value in value.map { (name, $0) } }
        stepFor = policy.effectiveStepFor
    }

    /// The least time from the first raise to the promotion, when nothing is ever missing.
    var earliest: Duration {
        let counted = Weight(percent: 5) ?? .zero
        var total = Duration.zero
        var baked = Duration.zero
        for step in policy.traffic.steps {
            if step.weight == .all {
                total = total + policy.timing.watch
            } else {
                total = total + policy.timing.warmup + stepFor
                if step.weight >= counted { baked = baked + stepFor }
            }
        }
        // Whatever the steps leave of the bake is spent at the last one.
        return baked < policy.timing.bake ? total + (policy.timing.bake - baked) : total
    }

    /// The way forward, a sentence a stage.
    var stages: [String] {
        var stages = ["preflight: try everything needed, weight 0 read, written and read back"]
        if let backup = policy.backup { stages.append("backup: \(words(backup))") }
        if let rules = policy.migrations { stages += words(rules) }
        if let deploy = policy.deploy { stages.append("deploy: \(words(deploy))") }
        for (index, step) in policy.traffic.steps.enumerated() {
            let approval = step.needsApproval ? ", after an approval" : ""
            stages.append(
                step.weight == .all
                    ? "step \(index + 1): 100%\(approval), entered only when every signal passes; watched for \(policy.timing.watch)"
                    : "step \(index + 1): \(step.weight)\(approval); warm-up \(policy.timing.warmup), then \(Numbers.time(stepFor)) of healthy time"
            )
        }
        stages.append("promote: " + (policy.promote.map(words) ?? "left to the pipeline") + ", then weight 0")
        return stages
    }

    /// The way back, a sentence a stage.
    var wayBack: [String] {
        var stages = [
            "traffic: weight 0, read back; tried until it holds, a person is called after \(policy.timing.rollbackDeadline)"
        ]
        switch (policy.onFailure, policy.rollback) {
        case (.rollback, let action?): stages.append("code: \(words(action))")
        case (.rollback, nil): stages.append("code: nothing to do, control still runs \(previous)")
        case (.drain, _): stages.append("code: left as it is (on_failure: drain)")
        }
        if policy.migrations != nil {
            let lines = forecast.migrations.map {
                RollbackQuestion(ahead: $0, policy: policy, backup: forecast.backupKind).plan.lines
            }
            stages += (lines ?? ["decided once it is known what is migrated"]).map { "schema: \($0)" }
        } else if policy.backup?.before == .always {
            stages.append("data: left as it is; the backup is kept as the restore point until the rollout is over")
        }
        return stages
    }

    private func words(_ backup: RolloutBackupPolicy) -> String {
        guard backup.before == .always || policy.migrations != nil else {
            return "none is taken: it is asked for before migrations, and the policy migrates nothing"
        }
        let when = backup.before == .always ? "" : "only where something is migrated: "
        let what =
            switch backup.plan {
            case .file(let path): "by the plan \(path)"
            case .short(let folders, _):
                "a dump of postgres to \(folders.joined(separator: ", ")), kept until somebody deletes it"
            }
        return "\(when)\(what), verified within \(backup.deadline), else the rollout is refused"
            + (forecast.backup.map { "; \($0)" } ?? "")
    }

    private func words(_ rules: MigrationPolicy) -> [String] {
        let limits = "lock_timeout \(rules.lockTimeout), statement_timeout \(rules.statementTimeout), within \(rules.deadline)"
        let tool =
            switch rules.tool {
            case .alembic(let config, _, _): "alembic (\(config))"
            case .folder(let path, _): "the files in \(path)"
            case .commands(let programs): programs.up.joined(separator: " ")
            }
        var stages = ["migrate: by \(tool), \(limits)"]
        guard let migrations = forecast.migrations else { return stages }
        if migrations.beforeCanary.isEmpty { stages[0] = "migrate: nothing is to be migrated before the canary" }
        stages += migrations.beforeCanary.map { "migrate: \($0.words)" }
        if migrations.kind?.mayDestroy ?? false {
            stages.append(
                rules.destructive == .refuse
                    ? "migrate: refused, because data may be destroyed (destructive: refuse)"
                    : "migrate: data may be destroyed: \(rules.approvals) different people agree first, and writes are fenced")
        }
        stages += migrations.afterPromotion.map { "after the promotion: \($0.words)" }
        return stages
    }

    private func words(_ action: ActionPolicy) -> String {
        switch action.call {
        case .run(let arguments): arguments.map { shellWord(filled($0), besides: "{}") }.joined(separator: " ")
        case .http(let method, let endpoint, _): "\(method) \(filled(endpoint.url))"
        }
    }

    private func filled(_ text: String) -> String {
        values.reduce(text) { $0.rewriting("{{\($1.name)}}", as: $1.value) }
    }

    /// What people read of a plan's document, made here or by the daemon.
    static func lines(_ document: JSONValue, _ style: Style) -> [String] {
        func text(_ key: String) -> String { plain(document[key]?.text ?? "") }
        func list(_ key: String) -> [String] { texts(key, in: document).map { "  " + plain($0) } }
        var lines = [style.paint("\(text("service")): \(text("previous")) → \(text("version"))", .bold), ""] + list("stages")
        let earliest = Duration(policyText: text("earliest_promotion")).map(Numbers.time) ?? text("earliest_promotion")
        lines += ["", "earliest promotion  \(earliest) after the first raise"]
        lines += ["", style.paint("Way back", .bold)] + list("way_back")
        let forecast = list("forecast")
        if !forecast.isEmpty { lines += ["", style.paint("Forecast", .bold)] + forecast }
        return lines + ["", "policy hash  \(text("policy_hash"))"]
    }

    /// The texts of a list in a plan's document.
    static func texts(_ key: String, in document: JSONValue) -> [String] { (document[key]?.items ?? []).compactMap(\.text) }

    /// The placeholders that the actions in a plan's document still hold.
    static func openPlaceholders(in document: JSONValue) -> [String] {
        let shown = texts("stages", in: document) + texts("way_back", in: document)
        return ["version", "previous"].filter { name in shown.contains { $0.contains("{{\(name)}}") } }
    }

    func document(hash: String) -> JSONValue {
        .object([
            "schema": .string("serin.dev/plan/v1"), "service": .string(policy.service.description),
            "version": .string(version), "previous": .string(previous), "policy_hash": .string(hash),
            "stages": .array(stages.map { .string($0) }), "way_back": .array(wayBack.map { .string($0) }),
            "steps": .array(
                policy.traffic.steps.map {
                    .object(["weight": .string(Notation.text($0.weight)), "needs_approval": .bool($0.needsApproval)])
                }),
            "earliest_promotion": .string(earliest.description), "step_for": .string(stepFor.description),
            "bake": .string(policy.timing.bake.description),
            "forecast": .array(forecast.sentences.map { .string($0) }), "warnings": .array(forecast.warnings.map { .string($0) }),
        ])
    }
}
