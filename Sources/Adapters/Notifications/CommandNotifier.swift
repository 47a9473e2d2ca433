public import SerinModel
public import SerinPorts
internal import SerinProcesses

/// Gives every notification to a program: one JSON document and a line feed on its standard input, exit status 0 when it was taken.
public struct CommandNotifier: Notifier {
    /// For one run, so that it ends before whoever reports something gives it up.
    public static let deadline = Duration.seconds(8)

    private let command: [String]
    private let environment: [String: String]
    private let deadline: Duration
    private let report: @Sendable (String) -> Void

    /// A notifier by a program.
    ///
    /// - Parameters:
    ///   - command: The program and its arguments, without a shell.
    ///   - caller: This process' environment, of which the program is given `PATH`, `HOME` and `LANG`; nothing else reaches it.
    ///   - report: Told in a sentence what was not delivered, and why.
    public init(
        _ command: [String], caller: [String: String], deadline: Duration = CommandNotifier.deadline,
        report: @escaping @Sendable (String) -> Void
    ) {
        self.command = command
        environment = caller.filter { ["PATH", "HOME", "LANG"].contains($0.key) }
        self.deadline = deadline
        self.report = report
    }

    /// Runs the program, but not for each step of a rollout. What it is told is never in its arguments.
    public func notify(_ notification: Notification) async {
        guard let path = command.first, notification.kind != .rolloutProgressed else { return }
        let input = Array((notification.document.canonicalText + "\n").utf8)
        let program = Program(
            path, Array(command.dropFirst()), environment: environment, input: input, deadline: deadline, grace: .seconds(1),
            outputLimit: 8192, kept: .end)
        let what = "'\(notification.subject)' was not passed on"
        do throws(Failure) {
            let completion = try await program.run()
            // The last line is where programs say what is wrong.
            let said =
                Redaction().tail(completion.output, limit: 300, isCut: completion.isTruncated)
                .split(whereSeparator: \.isNewline).last.map { ": \($0)" } ?? ""
            switch completion.termination {
            case .exited(0): break
            case .exited(let status): report("\(what): \(path) ended with exit status \(status)\(said)")
            case .signalled(let number): report("\(what): \(path) was ended by signal \(number)")
            case .timedOut: report("\(what): \(path) had not ended after \(deadline)")
            }
        } catch { report("\(what): \(error.message)") }
    }
}
