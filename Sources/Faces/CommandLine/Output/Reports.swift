internal import Glibc
internal import SerinAPI
internal import SerinModel
internal import SerinRollouts
internal import SerinVerdicts

/// What release pipelines read after a rollout: JUnit XML, and the step summary and outputs of GitHub Actions.
enum Reports {
    /// Writes every report that was asked for. A report that cannot be written is only complained about.
    static func write(_ result: RolloutWatch.Result, junit: String?, session: Session) {
        let (status, code, isAnswered) = (result.status, result.code, result.silentSince == nil)
        write(
            code, junit: junit.map { ($0, JUnitReport.text(status, code: code, isAnswered: isAnswered)) },
            summary: GitHubReport.summary(status, code: code, isAnswered: isAnswered),
            outputs: GitHubReport.outputs(status, code: code),
            annotation: GitHubReport.annotation(status, code: code, isAnswered: isAnswered), session)
    }

    /// Writes every report of a rollout of which nobody told anything.
    static func writeSilence(of name: String, _ text: String, junit: String?, session: Session) {
        let first = text.textLines().first.map(String.init) ?? ""
        write(
            .unreachable, junit: junit.map { ($0, JUnitReport.silence(of: name, first)) },
            summary: GitHubReport.silence(of: name, first), outputs: "exit_code=\(ExitCode.unreachable.rawValue)\n",
            annotation: GitHubReport.annotation(.unreachable, "serin \(name)", "nobody answers: \(first)"), session)
    }

    private static func write(
        _ code: ExitCode, junit: (path: String, text: String)?, summary: String, outputs: String, annotation: String,
        _ session: Session
    ) {
        if let junit { append(junit.text, to: junit.path, replacing: true, session) }
        guard session.isInGitHub else { return }
        if let file = session.environment["GITHUB_STEP_SUMMARY"] { append(summary, to: file, replacing: false, session) }
        if let file = session.environment["GITHUB_OUTPUT"] { append(outputs, to: file, replacing: false, session) }
        if code != .ok { session.console.writeMessage(annotation + "\n") }
    }

    /// Refuses a file that a report could not be written to: said before a rollout rather than after it.
    static func check(_ path: String) throws(UsageError) {
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
        let folder = parts.isEmpty ? "." : parts.joined(separator: "/") + "/"
        var found = stat()
        let exists = stat(path, &found) == 0
        let error =
            exists
            ? (found.st_mode & S_IFMT == S_IFDIR ? EISDIR : access(path, W_OK) == 0 ? 0 : errno)
            : access(folder, W_OK | X_OK) == 0 ? 0 : errno
        guard error != 0 else { return }
        throw UsageError(
            "a report cannot be written to \(plain(path)): \(String(cString: strerror(error)))",
            hint: "name a file in a folder that exists and is writable")
    }

    /// Writes a report to a file.
    static func append(_ text: String, to path: String, replacing: Bool, _ session: Session) {
        let flags = O_WRONLY | O_CREAT | O_CLOEXEC | (replacing ? O_TRUNC : O_APPEND)
        let descriptor = open(path, flags, 0o644)
        guard descriptor >= 0 else { return session.complain("cannot write \(path): \(String(cString: strerror(errno)))") }
        defer { close(descriptor) }
        let bytes = Array(text.utf8)
        if Glibc.write(descriptor, bytes, bytes.count) != bytes.count {
            session.complain("cannot write \(path): \(String(cString: strerror(errno)))")
        }
    }
}

/// A report in JUnit's XML: one test case for the rollout and one for each signal.
enum JUnitReport {
    static func text(_ status: RolloutStatus, code: ExitCode, isAnswered: Bool = true) -> String {
        let release = "\(status.service) \(status.version)"
        let state = isAnswered ? status.state : "nobody answers, \(status.state) was known last"
        let failing = status.signals.filter { $0.verdict == .fail && !$0.isReportOnly }
        let undecided = status.signals.filter {
            $0.verdict == .nodata || $0.verdict == .inconclusive || $0.isReportOnly && $0.verdict == .fail
        }
        var lines = [
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
            "<testsuite name=\"\(escaped("serin " + release))\" tests=\"\(status.signals.count + 1)\" failures=\"\(failing.count + (code == .ok ? 0 : 1))\" errors=\"0\" skipped=\"\(undecided.count)\" timestamp=\"\(status.startedAt.description.dropLast())\">",
        ]
        lines.append(
            "  <testcase classname=\"\(escaped(status.service.description))\" name=\"rollout \(escaped(status.id.description))\">"
        )
        if code != .ok {
            lines.append(
                "    <failure message=\"\(escaped("\(state), exit \(code.rawValue)"))\">\(escaped(status.cause))</failure>"
            )
        }
        lines.append("  </testcase>")
        for signal in status.signals {
            lines.append("  <testcase classname=\"\(escaped(status.service.description))\" name=\"\(escaped(signal.name))\">")
            let reason = escaped(signal.reason)
            if signal.verdict == .fail, !signal.isReportOnly {
                lines.append(
                    "    <failure message=\"\(reason)\">\(escaped(evidence(signal, status.interval(of: signal.name))))</failure>")
            } else if signal.verdict != .pass {
                lines.append("    <skipped message=\"\(escaped(signal.verdict.rawValue)): \(reason)\"/>")
            }
            lines.append("  </testcase>")
        }
        return (lines + ["</testsuite>"]).joined(separator: "\n") + "\n"
    }

    /// A report of a rollout of which nobody told anything.
    static func silence(of name: String, _ text: String) -> String {
        """
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuite name="\(escaped("serin " + name))" tests="1" failures="1" errors="0" skipped="0">
          <testcase classname="\(escaped(name))" name="rollout \(escaped(name))">
            <failure message="nobody answers, exit \(ExitCode.unreachable.rawValue)">\(escaped(text))</failure>
          </testcase>
        </testsuite>

        """
    }

    private static func evidence(_ signal: SignalAssessment, _ computed: ComputedInterval?) -> String {
        let canary = EvidenceNumbers.share(signal.counts.canaryEvents, of: signal.counts.canaryExposure)
        let control = EvidenceNumbers.share(signal.counts.controlEvents, of: signal.counts.controlExposure)
        return
            "canary \(canary) control \(control), ratio \(EvidenceNumbers.ratio(of: signal, computed: computed)) beyond \(Numbers.fixed(signal.boundary, decimals: 2))"
    }

    static func escaped(_ text: String) -> String {
        plain(text).rewriting { scalar in
            switch scalar {
            case "&": "&amp;"
            case "<": "&lt;"
            case ">": "&gt;"
            case "\"": "&quot;"
            case "'": "&apos;"
            default: nil
            }
        }
    }
}

/// The step summary, outputs and annotation of GitHub Actions.
enum GitHubReport {
    static func summary(_ status: RolloutStatus, code: ExitCode, isAnswered: Bool = true) -> String {
        let state = isAnswered ? status.state : "nobody answers, \(status.state) was known last"
        var lines = [
            "## Serin: \(cell("\(status.service) \(status.version)")) \(cell(state))", "",
            "\(cell(status.cause))", "",
            "Exit \(code.rawValue). Safe now: \(cell(Explanation.safety(status, isAttended: isAnswered))).", "",
        ]
        if !status.isFinal {
            // Whoever reads this has no console.
            lines += [
                "\(isAnswered ? "The rollout goes on without this pipeline: \(cell(status.next))" : "The rollout may go on"). `serin wait \(status.id)` waits for its end, `serin halt \(status.id)` takes it back.",
                "",
            ]
        }
        if !status.signals.isEmpty {
            let table = StatusView.signalTable(status)
            lines += [
                "| " + table.header.joined(separator: " | ") + " |", "|" + String(repeating: " --- |", count: table.header.count),
            ]
            lines += table.rows.map { row in "| " + row.map { cell($0.text) }.joined(separator: " | ") + " |" }
        }
        return lines.joined(separator: "\n") + "\n"
    }

    static func outputs(_ status: RolloutStatus, code: ExitCode) -> String {
        let pairs = [
            ("rollout", status.id.description), ("service", status.service.description), ("version", status.version),
            ("state", status.state), ("ending", status.ending?.rawValue ?? ""), ("exit_code", "\(code.rawValue)"),
            ("cause", status.cause),
        ]
        // One line each, and no value may begin a multi-line one.
        return pairs.map { "\($0.0)=\(plain($0.1))\n" }.joined()
    }

    /// A workflow command, with the characters that have a meaning in one escaped.
    static func annotation(_ status: RolloutStatus, code: ExitCode, isAnswered: Bool = true) -> String {
        let lead = !isAnswered ? "nobody answers, known last: " : code == .timedOut ? "not over in time, and goes on: " : ""
        return annotation(code, "serin \(status.service) \(status.version)", "\(lead)\(status.state): \(status.cause)")
    }

    static func annotation(_ code: ExitCode, _ title: String, _ text: String) -> String {
        let kind = code == .inconclusive || code == .timedOut ? "warning" : "error"
        return "::\(kind) title=\(property(title))::\(message(text))"
    }

    /// The summary of a rollout of which nobody told anything.
    static func silence(of name: String, _ text: String) -> String {
        """
        ## Serin: \(cell(name)): nobody answers

        \(cell(text))

        Exit \(ExitCode.unreachable.rawValue). Safe now: not known. The rollout may go on: look at the load balancer, then `serin wait \(cell(name))`.

        """
    }

    static func message(_ text: String) -> String {
        plain(text).rewriting("%", as: "%25")
    }

    static func property(_ text: String) -> String {
        message(text).rewriting { $0 == ":" ? "%3A" : $0 == "," ? "%2C" : nil }
    }

    /// A text inside Markdown: nothing of it is markup, a link, a mention or HTML.
    private static func cell(_ text: String) -> String {
        plain(text).rewriting { scalar in
            switch scalar {
            case "<": "&lt;"
            case ">": "&gt;"
            case "&": "&amp;"
            case "|", "`", "*", "_", "[", "]", "#", "\\", "!", "~", "@": "\\\(scalar)"
            default: nil
            }
        }
    }
}

extension Arguments {
    /// The file that `--junit` names; one that cannot be written is refused.
    mutating func junitFile(help: String) throws(UsageError) -> String? {
        guard let path = try text("--junit", value: "FILE", help: help) else { return nil }
        try Reports.check(path)
        return path
    }
}
