internal import SerinModel
internal import SerinProcesses

/// Runs an action's program.
struct ProgramCall {
    let command: [String]
    let environment: [String: String]
    let deadline: Duration
    let redaction: Redaction
    let outputLimit: Int

    /// Runs it once. A program that was cut off or killed may have done its work; one that was not started has not.
    func result() async -> CallResult {
        guard let path = command.first else {
            return .refused(Failure(.invalid, "cannot run an action: its command is empty"), output: "")
        }
        // Somewhat more than is shown is kept, so that a secret is recognised even where the output is cut.
        let program = Program(
            path, Array(command.dropFirst()), environment: environment, deadline: deadline, outputLimit: outputLimit + 8192,
            kept: .end)
        let completion: Completion
        do throws(Failure) { completion = try await program.run() } catch {
            return .refused(Failure(error.kind, redaction(error.message), hint: error.hint.map { redaction($0) }), output: "")
        }
        let output = redaction.tail(completion.output, limit: outputLimit, isCut: completion.isTruncated)
        let name = redaction(path)
        switch completion.termination {
        case .exited(0): return .succeeded(output: output)
        case .exited(let status):
            return .failed(Failure(.invalid, "\(name) ended with exit status \(status), expected 0"), output: output)
        case .signalled(let number):
            return .unknown(Failure(.unknown, "\(name) was ended by signal \(number) before it was done"), output: output)
        case .timedOut:
            let reason = Task.isCancelled ? "was given up by the caller" : "took longer than its deadline of \(deadline)"
            return .unknown(
                Failure(
                    .unknown, "\(name) \(reason) and was ended", hint: Task.isCancelled ? nil : "raise the action's deadline"),
                output: output)
        }
    }
}
