internal import FoundationEssentials
internal import SerinDatabase
internal import SerinModel
internal import SerinProcesses

/// A tool's program: started without a shell, with an environment of its own, and with nothing secret in its arguments.
struct ToolProgram: Sendable {
    /// The program and its arguments.
    var words: [String]
    /// The program that starts it, with arguments, of which messages say nothing; empty where it is started itself.
    var starter: [String] = []
    /// Where it is started; nil is where Serin was.
    var directory: String?
    /// The names of further variables of Serin's own environment that it is given. Their values are secrets.
    var passed: [String] = []
    /// Variables beside the fixed ones.
    var added: [String: String] = [:]

    /// By this variable an earlier run's programs are known: its value names the database.
    static let mark = "SERIN_MIGRATION"
    private static let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    /// The file that a name on the fixed `PATH` means; nil when there is none.
    static func file(of name: String) -> String? {
        path.split(separator: ":").map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }

    private static let outputLimit = 16 << 20

    /// Runs it and returns what it printed. Its whole process group is ended at the call's end or when its signal is raised.
    func run(_ call: ToolCall) throws(ToolFailure) -> String {
        guard let program = words.first else { throw ToolFailure(.other, Failure(.invalid, "a tool's command is empty")) }
        let redaction = Redaction(secrets: secrets(call))
        var bytes: [UInt8] = []
        var stream: ProgramStream?
        do throws(Failure) {
            let started = try ProgramStream(
                Program(
                    (starter + words)[0], Array((starter + words).dropFirst()), environment: variables(call),
                    directory: directory,
                    deadline: call.end.left, outputLimit: 1 << 16, kept: .end),
                .reading, stall: nil, redaction: redaction, stop: call.stop)
            stream = started
            try started.readAll { (piece) throws(Failure) in
                guard bytes.count + piece.count <= ToolProgram.outputLimit else {
                    throw Failure(.invalid, "\(program) printed more than 16 MiB")
                }
                bytes += piece
            }
            return String(decoding: bytes, as: UTF8.self)
        } catch {
            guard let end = stream?.end, error.kind != .invalid else { throw ToolFailure(.other, error) }
            let printed = redaction(String(decoding: bytes.suffix(1 << 16), as: UTF8.self))
            throw ToolFailure(
                Failure(
                    end.cause == .itself ? .invalid : .unknown,
                    "\(words.joined(separator: " ")): \(way(end, call))" + excerpt(end.diagnostics, printed)),
                said: end.diagnostics + printed)
        }
    }

    private func way(_ end: StreamEnd, _ call: ToolCall) -> String {
        switch end.cause {
        case .deadline: "was ended, as its time was over"
        case .givenUp: "was given up"
        case .itself, .stall, .outputHeldOpen, .inputRefused:
            switch end.termination {
            case .exited(let status): "exit \(status)"
            case .signalled(let signal): "was ended by signal \(signal)"
            case .timedOut: "was ended"
            }
        }
    }

    /// The last lines of what it said, errors first; a trace of calls says nothing to the people who read this.
    private func excerpt(_ diagnostics: String, _ printed: String) -> String {
        let text = diagnostics.contains { !$0.isWhitespace } ? diagnostics : printed
        let lines = text.split(whereSeparator: \.isNewline).filter { line in
            !["  ", "(Background on", "INFO ", "Traceback", "The above exception", "During handling"].contains {
                line.hasPrefix($0)
            }
        }
        return lines.isEmpty ? "" : ": " + lines.suffix(8).joined(separator: "\n")
    }

    private func secrets(_ call: ToolCall) -> [String] {
        passed.compactMap { call.environment[$0] } + [call.database.given] + [call.database.variables["PGPASSWORD"] ?? ""]
    }

    /// The whole environment: where programs are, where the database is, its limits, what is passed on, and the marks.
    private func variables(_ call: ToolCall) -> [String: String] {
        var all = ["PATH": ToolProgram.path, "LC_ALL": "C.UTF-8", "PYTHONUNBUFFERED": "1", "PGCONNECT_TIMEOUT": "10"]
        for name in ["HOME", "TMPDIR"] + passed { if let value = call.environment[name] { all[name] = value } }
        all.merge(call.database.variables) { _, given in given }
        all["PGOPTIONS"] = ([call.database.variables["PGOPTIONS"] ?? ""] + [ToolProgram.options(call)])
            .filter { !$0.isEmpty }.joined(separator: " ")
        all["PGAPPNAME"] = call.session
        all["DATABASE_URL"] = call.database.given
        all.merge(added) { _, given in given }
        all["SERIN_IDEMPOTENCY_KEY"] = call.key
        // Who only looks is not to be ended by who migrates.
        if call.session != MigrationDatabase.ownSession { all[ToolProgram.mark] = call.database.name }
        return all
    }

    /// The limits as a server is told them at the start of a session.
    static func options(_ call: ToolCall) -> String {
        "-c lock_timeout=\(call.lockTimeout.milliseconds) -c statement_timeout=\(call.statementTimeout.milliseconds)"
    }
}
