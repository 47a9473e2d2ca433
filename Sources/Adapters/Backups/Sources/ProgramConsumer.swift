internal import SerinCatalogue
internal import SerinModel
internal import SerinProcesses

/// Hands what it takes to a program, whose status decides.
final class ProgramConsumer: PlainConsumer {
    private let tool: SourceTool
    private let arguments: [String]
    private let stream: ProgramStream
    private let isExamination: Bool
    private let keeps: TemporaryFolder?
    private var refusal: Failure?

    /// - Parameters:
    ///   - isExamination: Whether a refusal is a finding about the bytes and no error.
    ///   - keeps: What must stay until the program has ended, such as its configuration.
    init(
        _ tool: SourceTool, _ arguments: [String], isExamination: Bool, deadline: Duration, stall: Duration,
        keeps: TemporaryFolder?,
        stop: StopSignal
    ) throws(Failure) {
        self.tool = tool
        self.arguments = arguments
        self.isExamination = isExamination
        self.keeps = keeps
        stream = try ProgramStream(
            tool.program(arguments, deadline: deadline), .writing, stall: stall, redaction: Redaction(secrets: tool.secrets),
            stop: stop)
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
        guard refusal == nil else { return }
        do throws(Failure) { try stream.write(bytes) } catch { try note(error) }
    }

    func finish(comparing product: SourceProduct) throws(Failure) -> ConsumerFindings {
        if refusal == nil { do throws(Failure) { try stream.finish() } catch { try note(error) } }
        let end = stream.end
        let status = end?.words ?? "running"
        return ConsumerFindings(
            checks: [BackupCheck(tool.name, passed: refusal == nil, detail: refusal?.message ?? status)],
            evidence: [
                ToolEvidence(
                    command: [tool.path] + arguments, end: status, bytes: Int64(end?.bytes ?? 0),
                    diagnostics: end?.diagnostics ?? "")
            ])
    }

    /// Only a program that ended by itself with a status has said something about the bytes.
    private func note(_ failure: Failure) throws(Failure) {
        guard isExamination, stream.end?.isStatement == true else { throw failure }
        refusal = failure
    }
}
