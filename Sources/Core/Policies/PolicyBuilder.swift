internal import SerinModel

/// Makes policy values from sections that have their shape, and checks what no single value shows.
struct PolicyBuilder {
    let file: String
    let drivers: [DriverSchema]
    let placeholders: Placeholders
    private(set) var diagnostics: [Diagnostic] = []

    init(file: String, drivers: [DriverSchema], placeholders: Placeholders) {
        self.file = file
        self.drivers = drivers
        self.placeholders = placeholders
    }

    mutating func complain(_ mark: Mark, _ message: String, hint: String? = nil) {
        diagnostics.append(Diagnostic(file: file, mark: mark, message: message, hint: hint))
    }

    /// The policy; nil when a part is missing, which was complained about. Its checks as a whole are made all the same, with
    /// stand-ins for what is missing, so that no complaint waits for another to be repaired; times are compared only when all of
    /// them could be read.
    mutating func policy(from root: ReadSection, hasTimes: Bool) -> Policy? {
        checkVersions()
        let timing = timing(from: root)
        let traffic = root.section("traffic").flatMap { self.traffic(from: $0) }
        let prometheus = root.section("prometheus").flatMap { self.prometheus(from: $0, poll: timing.poll) }
        let signals = signals(from: root)
        let alerts = root.section("alerts").map { self.alerts(from: $0) }
        let postgres = root.section("postgres").flatMap { self.postgres(from: $0) }
        let backup = root.section("backup").flatMap { self.backup(from: $0, root: root) }
        let migrations = root.section("migrations").flatMap { self.migrations(from: $0, root: root) }
        let deploy = root.section("deploy").flatMap { action(from: $0) }
        let promote = root.section("promote").flatMap { action(from: $0) }
        let rollback = root.section("rollback").flatMap { action(from: $0) }
        let environment = root.text("environment").flatMap(Policy.Environment.init(rawValue:)) ?? .production
        let service = root.text("service").flatMap(ServiceName.init)
        guard let standIn = ServiceName("unknown") else { return nil }
        let policy = Policy(
            service: service ?? standIn, environment: environment,
            traffic: traffic ?? TrafficPolicy(driver: DriverSettings(driver: "", settings: [:]), steps: []),
            prometheus: prometheus
                ?? PrometheusPolicy(
                    endpoint: HTTPEndpoint(url: ""), instanceLabel: "", canary: [], control: [], staleAfter: nil, timeout: .zero),
            signals: signals,
            alerts: alerts,
            postgres: postgres, deploy: deploy, promote: promote, rollback: rollback,
            onFailure: word(root, "on_failure") ?? .rollback, onInconclusive: word(root, "on_inconclusive") ?? .hold,
            onTelemetryLoss: word(root, "on_telemetry_loss") ?? .hold, onDrift: word(root, "on_drift") ?? .hold, timing: timing,
            securityApprovals: root.number("security_approvals").map { Int($0) } ?? 2, backup: backup, migrations: migrations,
            notify: root.section("notify").map { RolloutNotifyPolicy(run: texts($0.list("run"))) })
        // For a time that could not be read its default would be blamed.
        for finding in policy.findings + policy.safeguardFindings where hasTimes || !finding.comparesTimes {
            let place = root.mark(ofPath: finding.key)
            complain(place, "\(finding.key): \(finding.message)", hint: finding.hint)
        }
        let isWhole =
            service != nil && !policy.traffic.driver.driver.isEmpty && !policy.traffic.steps.isEmpty
            && !policy.prometheus.endpoint.url.isEmpty && !policy.prometheus.canary.isEmpty && !policy.signals.isEmpty
        return isWhole ? policy : nil
    }

    /// A word of a closed list, whose form was checked.
    func word<Word: RawRepresentable>(_ section: ReadSection, _ key: String) -> Word? where Word.RawValue == String {
        section.text(key).flatMap(Word.init(rawValue:))
    }

    /// The texts of a list.
    func texts(_ items: [ReadValue]) -> [String] {
        items.compactMap { if case .scalar(let scalar) = $0 { scalar.text } else { nil } }
    }

    private mutating func checkVersions() {
        for (option, value) in [("--version", placeholders.version), ("--previous", placeholders.previous)] {
            if let value, let problem = Placeholders.complaint(about: value) {
                diagnostics.append(
                    Diagnostic(
                        file: option, mark: Mark(line: 1, column: 1), message: "the version \(problem)", hint: "such as 1.4.2"))
            }
        }
        if let version = placeholders.version, version == placeholders.previous {
            diagnostics.append(
                Diagnostic(
                    file: "--version", mark: Mark(line: 1, column: 1),
                    message: "'\(shown(version))' is also the previous version",
                    hint: "a release compares two different versions"))
        }
    }

    private func timing(from root: ReadSection) -> TimingPolicy {
        var timing = TimingPolicy()
        for time in TimingKey.allCases {
            if let duration = root.duration(time.rawValue) { time.set(duration, in: &timing) }
        }
        return timing
    }

    // MARK: Traffic

    private mutating func traffic(from section: ReadSection) -> TrafficPolicy? {
        let steps = section.list("steps").compactMap { step(from: $0) }
        guard let driver = drivers.first(where: { section.section($0.name) != nil }), let own = section.section(driver.name)
        else { return TrafficPolicy(driver: DriverSettings(driver: "", settings: [:]), steps: steps) }
        var settings: [String: String] = [:]
        for entry in own.entries { if case .scalar(let scalar) = entry.value { settings[entry.key] = scalar.text } }
        if let canary = own.text("canary"), canary == own.text("control") {
            complain(
                own.mark(of: "control"), "traffic.\(driver.name).control: is also the canary",
                hint: "name two different pools: a shared one cannot be weighed against itself")
        }
        for step in steps where step.weight.basisPoints % max(1, driver.granularity) != 0 {
            let unit = Weight(basisPoints: driver.granularity)?.description ?? "\(driver.granularity) basis points"
            complain(
                section.mark(of: "steps"), "traffic.steps: \(driver.name) cannot hold \(step.weight), only multiples of \(unit)",
                hint: "round the step")
        }
        return TrafficPolicy(driver: DriverSettings(driver: driver.name, settings: settings), steps: steps)
    }

    private func step(from value: ReadValue) -> StepPolicy? {
        switch value {
        case .scalar(let scalar):
            return weight(scalar).map { StepPolicy(weight: $0) }
        case .section(let section):
            return section.scalar("weight").flatMap(weight).map {
                StepPolicy(weight: $0, needsApproval: section.flag("approval"))
            }
        case .list, .map: return nil
        }
    }

    private func weight(_ scalar: ReadScalar) -> Weight? { scalar.number.flatMap { Weight(basisPoints: Int($0)) } }

    // MARK: Evidence

    private mutating func prometheus(from section: ReadSection, poll: Duration) -> PrometheusPolicy? {
        let canary = labels(section.map("canary"), path: "prometheus.canary")
        let control = labels(section.map("control"), path: "prometheus.control")
        checkCohorts(section, canary: canary, control: control)
        return PrometheusPolicy(
            endpoint: endpoint(from: section) ?? HTTPEndpoint(url: ""),
            instanceLabel: section.text("instance_label") ?? "instance",
            canary: canary.map { Label($0.name, placeholders.fill($0.value)) },
            control: control.map { Label($0.name, placeholders.fill($0.value)) }, staleAfter: section.duration("stale_after"),
            timeout: section.duration("timeout") ?? min(.seconds(5), Duration(milliseconds: poll.milliseconds / 2)))
    }

    private mutating func labels(_ entries: [ReadSection.Entry], path: String) -> [Label] {
        entries.compactMap { entry in
            guard case .scalar(let scalar) = entry.value else { return nil }
            check(placeholdersIn: scalar.text, at: scalar.mark, path: "\(path).\(entry.key)")
            return Label(entry.key, scalar.text)
        }
    }

    /// Cohorts are disjoint only when one same label has different values on both sides.
    private mutating func checkCohorts(_ section: ReadSection, canary: [Label], control: [Label]) {
        guard !canary.isEmpty, !control.isEmpty else { return }
        let differ = canary.contains { label in control.contains { $0.name == label.name && $0.value != label.value } }
        if !differ {
            complain(
                section.mark(of: "control"),
                canary.sorted() == control.sorted()
                    ? "prometheus.control: has the same labels as the canary"
                    : "prometheus.control: no label tells control and canary apart",
                hint:
                    "give one same label different values, such as canary: {version: \"{{version}}\"} and control: {version: \"{{previous}}\"}"
            )
        }
        for label in section.map("canary") + section.map("control") where label.key == section.text("instance_label") {
            complain(
                label.mark, "prometheus: the instance label '\(label.key)' cannot tell the cohorts apart",
                hint: "use another label")
        }
    }

    /// Complains about placeholders that mean nothing.
    mutating func check(placeholdersIn text: String, at mark: Mark, path: String) {
        for name in Placeholders.unknownNames(in: text) {
            complain(
                mark, "\(path): unknown placeholder '{{\(shown(name))}}'",
                hint: closest(to: name, among: ["version", "previous"]).map { "did you mean '{{\($0)}}'?" }
                    ?? "known are {{version}} and {{previous}}")
        }
    }

    private mutating func alerts(from section: ReadSection) -> AlertsPolicy {
        AlertsPolicy(
            match: matchers(section.map("match"), path: "alerts.match"),
            alertmanager: section.section("alertmanager").flatMap { endpoint(from: $0) })
    }

    /// Conditions on labels with placeholders filled in. A text without special characters is compared as it is.
    mutating func matchers(_ entries: [ReadSection.Entry], path: String) -> [LabelMatcher] {
        entries.compactMap { entry in
            var patterns: [String] = []
            switch entry.value {
            case .scalar(let scalar): patterns = [scalar.text]
            case .list(let items):
                patterns = items.compactMap { if case .scalar(let scalar) = $0 { scalar.text } else { nil } }
            case .section, .map: return nil
            }
            for pattern in patterns { check(placeholdersIn: pattern, at: entry.mark, path: "\(path).\(entry.key)") }
            guard let only = patterns.first else { return nil }
            if patterns.count == 1, isLiteral(Placeholders(version: "", previous: "").fill(only)) {
                return LabelMatcher(entry.key, .equal, placeholders.fill(only))
            }
            let filled = patterns.map { fill(pattern: $0) }
            return LabelMatcher(
                entry.key, .matches, filled.count == 1 ? filled[0] : filled.map { "(?:\($0))" }.joined(separator: "|"))
        }
    }

    /// Puts versions into a regular expression as literal text.
    private func fill(pattern: String) -> String {
        Placeholders(version: placeholders.version.map(escaped), previous: placeholders.previous.map(escaped)).fill(
            pattern)
    }

    /// The server that a section names.
    func endpoint(from section: ReadSection) -> HTTPEndpoint? {
        guard var url = section.text("url") else { return nil }
        while url.hasSuffix("/") { url.removeLast() }
        var authentication: HTTPAuthentication?
        if let basic = section.section("basic"), let username = basic.text("username"),
            let password = secret("password", in: basic)
        {
            authentication = .basic(username: username, password: password)
        } else if let bearer = secret("bearer", in: section) {
            authentication = .bearer(bearer)
        }
        return HTTPEndpoint(url: url, authentication: authentication, certificateAuthorityFile: section.text("ca_file"))
    }

    /// The reference to a secret under one of its three keys.
    func secret(_ key: String, in section: ReadSection) -> SecretReference? {
        if let name = section.text(key + "_env") { return .environment(name) }
        if let path = section.text(key + "_file") { return .file(path) }
        return section.text(key + "_cred").map(SecretReference.credential)
    }
}

private let specialCharacters = "\\.+*?()|[]{}^$"

private func isLiteral(_ pattern: String) -> Bool { !pattern.unicodeScalars.contains { specialCharacters.has($0) } }

private func escaped(_ text: String) -> String {
    text.rewriting { specialCharacters.has($0) ? "\\\($0)" : nil }
}

extension ReadSection {
    /// Where the last key of a dotted path that is there stands.
    func mark(ofPath path: String) -> Mark {
        let keys = path.split(separator: ".").map(String.init)
        guard let first = keys.first, let entry = self[first] else { return mark }
        if keys.count > 1, case .section(let section) = entry.value {
            return section[keys[1]] == nil ? entry.mark : section.mark(ofPath: keys.dropFirst().joined(separator: "."))
        }
        if keys.count > 1, case .map(let entries) = entry.value, let inner = entries.first(where: { $0.key == keys[1] }) {
            if keys.count > 2, case .section(let section) = inner.value, section.isGiven(keys[2]) {
                return section.mark(of: keys[2])
            }
            return inner.mark
        }
        return entry.mark
    }
}
