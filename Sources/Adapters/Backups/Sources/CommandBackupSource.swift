public import SerinCatalogue
public import SerinCompression
public import SerinModel
public import SerinPolicies
public import SerinProcesses

/// Whatever a command of the owner writes to its standard output.
///
/// Status 0 means that everything was written, any other that nothing of it counts. `verify` and `restore` read the bytes from
/// standard input and end with 0 when they are whole, or restored. In `restore`, `{{folder}}` stands for the target's folder; a server's
/// connection string is in the variable `SERIN_TARGET_URL`, never in an argument. No shell is involved.
public struct CommandBackupSource: BackupSource {
    /// What its backups are made of.
    public let kind = BackupKind.command
    /// What messages call it; holds no secret.
    public let name: String
    private let source: CommandSource
    private let variables: [String: String]
    private let secrets: [String]
    private let environment: SourceEnvironment

    /// A source.
    ///
    /// - Parameters:
    ///   - variables: What the commands find in their environment beside `PATH`.
    ///   - secrets: Those values that must not be shown.
    public init(
        _ source: CommandSource, variables: [String: String] = [:], secrets: [String] = [], environment: SourceEnvironment
    ) throws(Failure) {
        guard let program = source.run.first, !program.isEmpty else {
            throw Failure(.invalid, "the source names no command that would write a backup")
        }
        self.source = source
        self.variables = variables
        self.secrets = secrets
        self.environment = environment
        name = "command \(program)"
    }

    private func tool(_ command: [String], adding more: [String: String] = [:]) -> SourceTool {
        SourceTool(
            command.first ?? "", variables: variables.merging(more) { _, last in last }, secrets: secrets + Array(more.values))
    }

    private func facts(_ stop: StopSignal) throws(Failure) -> ToolFacts {
        var version = "unknown"
        if let command = source.version {
            let answer = try tool(command).text(
                Array(command.dropFirst()), deadline: .seconds(30), limit: 64 << 10, stop: stop)
            version = String(answer.split(whereSeparator: \.isNewline).first?.prefix(200) ?? "unknown")
        }
        return ToolFacts(name: tool(source.run).name, version: version, format: "command")
    }

    /// Looks whether a backup can be made.
    public func probe(stop: StopSignal) throws(Failure) -> SourceProbe {
        let remarks = source.verify == nil ? ["nothing can check what it writes: set verify"] : []
        return SourceProbe(tool: try facts(stop), remarks: remarks)
    }

    /// Gives the backup, once its tools have found it whole.
    public func produce(to sink: ByteSink, stop: StopSignal) throws(Failure) -> SourceProduct {
        let tool = tool(source.run)
        let (product, evidence) = try stream(
            tool, Array(source.run.dropFirst()), environment: environment, to: sink, stop: stop)
        guard product > 0 else { throw Failure(.transient, "\(name) ended with status 0 but wrote nothing") }
        return SourceProduct(tool: try facts(stop), evidence: [evidence])
    }

    /// Judges the bytes of a backup without a server.
    public func examination(of tool: ToolFacts, stop: StopSignal) throws(Failure) -> any PlainConsumer {
        guard let command = source.verify else { return UncheckedConsumer() }
        return try ProgramConsumer(
            self.tool(command), Array(command.dropFirst()), isExamination: true, deadline: environment.deadline,
            stall: environment.stall, keeps: nil, stop: stop)
    }

    /// Restores the bytes of a backup.
    public func restoration(
        of product: SourceProduct, into target: RestoreTarget, stop: StopSignal
    ) throws(Failure) -> any PlainConsumer {
        guard let command = source.restore, !command.isEmpty else {
            throw Failure(.invalid, "\(name) names no command that would restore it", hint: "set restore")
        }
        var folder = ""
        var more: [String: String] = [:]
        switch target.place {
        case .folder(let path):
            // One that does not ask where to would restore into what it knows, which may be live.
            guard source.restoresIntoFolder else { throw source.refusal }
            folder = path
        case .database(let url), .server(let url):
            guard !source.restoresIntoFolder else {
                throw Failure(
                    .invalid, "\(name) restores into a folder, but a server was named", hint: "--into FOLDER")
            }
            more["SERIN_TARGET_URL"] = url
        }
        let arguments = command.dropFirst().map { $0.rewriting("{{folder}}", as: folder) }
        return try ProgramConsumer(
            tool(command, adding: more), arguments, isExamination: false, deadline: target.deadline, stall: environment.stall,
            keeps: nil, stop: stop)
    }
}

/// Gives a program's standard output to a sink and says how many bytes it was.
func stream(
    _ tool: SourceTool, _ arguments: [String], environment: SourceEnvironment, to sink: ByteSink, stop: StopSignal
) throws(Failure) -> (bytes: Int, evidence: ToolEvidence) {
    let stream = try ProgramStream(
        tool.program(arguments, deadline: environment.deadline), .reading, stall: environment.stall,
        redaction: Redaction(secrets: tool.secrets), stop: stop)
    try stream.readAll(sink)
    let evidence = ToolEvidence(
        command: [tool.path] + arguments, end: "exit 0", bytes: Int64(stream.bytes), diagnostics: stream.end?.diagnostics ?? "")
    return (stream.bytes, evidence)
}

/// Stands for an examination that nobody can make: counts bytes, and claims nothing but that there were some.
final class UncheckedConsumer: PlainConsumer {
    private var bytes = Int64(0)

    func write(_ piece: UnsafeRawBufferPointer) throws(Failure) { bytes += Int64(piece.count) }

    func finish(comparing product: SourceProduct) throws(Failure) -> ConsumerFindings {
        ConsumerFindings(checks: [
            BackupCheck("not empty", passed: bytes > 0, detail: "\(bytes) bytes; nothing reads them further")
        ])
    }
}
