internal import SerinCrypto
internal import SerinMigrations
internal import SerinModel

/// What pipelines read of the lint: annotations of GitHub Actions, JUnit's XML, and GitLab's code quality.
enum LintReports {
    /// Workflow commands, one a finding.
    static func annotations(_ report: LintReport) -> [String] {
        report.allFindings.filter { $0.allowance == nil }.map { finding in
            let kind = finding.severity == .warning ? "warning" : "error"
            let place = finding.place
            // Lines of generated SQL are no lines of the file.
            let mark = place.generated ? "line=1" : "line=\(place.line),col=\(place.column)"
            let title = "serin \(finding.rule.rawValue) \(finding.severity.rawValue)"
            return
                "::\(kind) file=\(GitHubReport.property(place.file)),\(mark),title=\(GitHubReport.property(title))::\(GitHubReport.message("\(finding.message). Instead: \(finding.safeForm)"))"
        }
    }

    /// One test case a revision.
    static func junit(_ report: LintReport) -> String {
        let failing = report.revisions.count { $0.findings.contains(where: \.failsGate) } + (report.findings.isEmpty ? 0 : 1)
        var lines = [
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
            "<testsuite name=\"serin migrate lint\" tests=\"\(report.revisions.count + 1)\" failures=\"\(failing)\" errors=\"0\" skipped=\"0\">",
        ]
        lines += testCase("revisions", report.findings)
        for revision in report.revisions { lines += testCase("\(revision.revision) \(revision.name)", revision.findings) }
        return (lines + ["</testsuite>"]).joined(separator: "\n") + "\n"
    }

    /// One issue a finding (GitLab documentation, "Code Quality report format").
    static func codeQuality(_ report: LintReport) -> String {
        var seen: [String: Int] = [:]
        let issues = report.allFindings.filter { $0.allowance == nil }.map { finding in
            let severity =
                switch finding.severity {
                case .warning: "minor"
                case .error: "major"
                case .block: "blocker"
                }
            // Not of the line: a finding that moves is the same one. What occurs twice is told apart by its number.
            let key = "\(finding.rule.rawValue)\n\(finding.place.file)\n\(finding.message)"
            let number = seen[key, default: 0]
            seen[key] = number + 1
            let digest = SHA256.digestOrEmpty(Array("\(key)\n\(number)".utf8))
            return JSONValue.object([
                "description": .string("\(finding.message). Instead: \(finding.safeForm)"),
                "check_name": .string("serin \(finding.rule.rawValue)"), "fingerprint": .string(Hexadecimal.text(of: digest)),
                "severity": .string(severity),
                "location": .object([
                    "path": .string(finding.place.file),
                    "lines": .object(["begin": .integer(Int64(finding.place.generated ? 1 : finding.place.line))]),
                ]),
            ])
        }
        return JSONValue.array(issues).canonicalText + "\n"
    }

    private static func testCase(_ name: String, _ findings: [LintFinding]) -> [String] {
        let failing = findings.filter(\.failsGate)
        let head = "  <testcase classname=\"migrations\" name=\"\(JUnitReport.escaped(name))\""
        guard !failing.isEmpty else { return [head + "/>"] }
        return [head + ">"]
            + failing.map { finding in
                let place = "\(finding.place.file):\(finding.place.line):\(finding.place.column)"
                return
                    "    <failure type=\"\(finding.rule.rawValue)\" message=\"\(JUnitReport.escaped("\(place): \(finding.message)"))\">\(JUnitReport.escaped("instead: \(finding.safeForm)"))</failure>"
            } + ["  </testcase>"]
    }
}
