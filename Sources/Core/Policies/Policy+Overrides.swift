internal import SerinModel

extension Policy {
    /// The keys that may be overridden for one rollout: the policy's times.
    public static var overridableKeys: [String] { TimingKey.allCases.map(\.rawValue) }

    /// The policy with deviations such as `bake=40s`. They may go below what a policy file may ask for; combinations that cannot
    /// work are refused all the same. A default that follows from an overridden time follows the new one, and Prometheus' timeout is
    /// lowered to half a shortened poll.
    ///
    /// Complaints bear the file name `--override` and the number of the deviation as their line.
    public func applying(overrides: [(key: String, value: String)]) throws(PolicyError) -> Policy {
        var policy = self
        var diagnostics: [Diagnostic] = []
        var given: [TimingKey] = []
        for (index, override) in overrides.enumerated() {
            func complain(_ message: String, hint: String?) {
                let mark = Mark(line: index + 1, column: 1)
                diagnostics.append(Diagnostic(file: "--override", mark: mark, message: message, hint: hint))
            }
            guard let key = TimingKey(rawValue: override.key) else {
                let near = closest(to: override.key, among: Policy.overridableKeys)
                complain(
                    "'\(shown(override.key))' cannot be overridden",
                    hint: near.map { "did you mean '\($0)'?" } ?? "possible are \(Policy.overridableKeys.joined(separator: ", "))"
                )
                continue
            }
            guard !given.contains(key) else {
                complain("'\(key.rawValue)' is overridden twice", hint: "keep one of them")
                continue
            }
            given.append(key)
            let form = key.form
            let type = ScalarForm.plainType(of: override.value, quoted: false)
            guard let value = form.read(override.value, type: type, mark: Mark(line: 1, column: 1))?.duration else {
                let (message, hint) = refusal(of: override.value, type: type, form: form)
                complain("\(key.rawValue): \(message)", hint: hint)
                continue
            }
            key.set(value, in: &policy.timing)
        }
        policy.prometheus.timeout = min(policy.prometheus.timeout, Duration(milliseconds: policy.timing.poll.milliseconds / 2))
        if diagnostics.isEmpty {
            diagnostics = policy.findings.map { finding in
                let line = given.firstIndex { $0.rawValue == finding.key }.map { $0 + 1 } ?? 1
                return Diagnostic(
                    file: "--override", mark: Mark(line: line, column: 1), message: "\(finding.key): \(finding.message)",
                    hint: finding.hint)
            }
        }
        guard diagnostics.isEmpty else { throw PolicyError(diagnostics: diagnostics) }
        return policy
    }
}
