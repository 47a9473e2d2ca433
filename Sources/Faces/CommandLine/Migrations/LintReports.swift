internal import SerinMigrations

/// What pipelines read of the lint: annotations of GitHub Actions and JUnit's XML.
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
