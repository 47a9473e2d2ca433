internal import Glibc
internal import SerinAPI
internal import SerinController
internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinRollouts

/// What a verb works with: where it writes, what it was told, and how a controller is put together.
struct Session: Sendable {
    let console: Console
    let environment: [String: String]
    let globals: Globals
    let state: StateRoot
    let assembly: Assembly
    /// The signals that ask this process to end, in the order received.
    var interruptions: AsyncStream<Int32>
    /// Ends the process at once.
    let endNow: @Sendable (ExitCode) -> Void
    /// Who is told of backups, besides the program of their plan; nil for nobody.
    var notifier: (any Notifier)?

    /// The present moment by the computer's clock; only ever shown.
    var now: Instant {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Instant(millisecondsSince1970: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }

    /// Whether colours may be used at all.
    private var mayColour: Bool {
        !globals.noColor && (environment["NO_COLOR"] ?? "").isEmpty && environment["TERM"] != "dumb"
    }

    /// The style of data on standard output.
    var dataStyle: Style { Style(isColoured: console.isDataTerminal && mayColour) }

    /// The style of messages on standard error.
    var messageStyle: Style { Style(isColoured: console.isMessageTerminal && mayColour) }

    /// Whether a block on standard error may be redrawn.
    var mayRedraw: Bool { console.isMessageTerminal && environment["TERM"] != "dumb" && !isInGitHub && environment["CI"] == nil }

    /// Whether this runs as a step of GitHub Actions.
    var isInGitHub: Bool { environment["GITHUB_ACTIONS"] == "true" }

    /// Writes lines of data.
    func data(_ lines: [String]) {
        if !lines.isEmpty { console.writeData(lines.joined(separator: "\n") + "\n") }
    }

    /// Writes a document of data in the form asked for, or the lines for people.
    func data(_ document: JSONValue, table: (Style) -> [String]) {
        switch globals.output {
        case .table: data(table(dataStyle))
        case .json, .jsonl: console.writeData(document.canonicalText + "\n")
        case .yaml: console.writeData(YAMLText.text(document))
        }
    }

    /// Writes a message that `--quiet` leaves out.
    func note(_ text: String) {
        if !globals.isQuiet { console.writeMessage(text + "\n") }
    }

    /// Writes an error, whose text may come from outside.
    func complain(_ text: String) {
        console.writeMessage(messageStyle.paint("serin: ", .red) + plainLines(text) + "\n")
    }

    /// Writes why an operation was not done, and returns its exit code.
    func complain(_ error: OperationError) -> ExitCode {
        switch error {
        case .invalid(let diagnostics): for diagnostic in diagnostics { complain(diagnostic.description) }
        case .refused, .notFound, .unavailable: complain(error.description)
        }
        return ExitCode(error)
    }
}
