internal import Glibc
internal import SerinCrypto
public import SerinModel
public import SerinProcesses

/// A program that a source drives: where it is, its whole environment, and what must not appear in messages about it.
///
/// Secrets belong into the environment, never into arguments, which every user of the machine can read.
public struct SourceTool: Sendable {
    /// Its path, or a name that is looked up in the `PATH` of its environment.
    public var path: String
    /// Its whole environment.
    public var environment: [String: String]
    /// Values that are taken out of what it prints.
    public var secrets: [String]
    /// The user that it runs as; nil is the caller's. Only root can choose one.
    public var account: String?
    /// Between asking it to end and ending it.
    public var grace: Duration

    /// A tool. `variables` are added to a minimal environment: `PATH`, messages in English and times in UTC.
    public init(
        _ path: String, variables: [String: String] = [:], secrets: [String] = [], account: String? = nil,
        grace: Duration = .seconds(5)
    ) {
        self.path = path
        environment = SourceTool.minimalEnvironment.merging(variables) { _, last in last }
        self.secrets = secrets
        self.account = account
        self.grace = grace
    }

    /// The same tool under another path.
    public func at(_ path: String) -> SourceTool {
        var other = self
        other.path = path
        return other
    }

    /// Its name without folders.
    public var name: String { String(path.split(separator: "/").last ?? "") }

    /// The program to start with these arguments.
    public func program(_ arguments: [String], deadline: Duration, directory: String? = nil) -> Program {
        var command = [path] + arguments
        if let account {
            command =
                [
                    "setpriv", "--reuid=\(account)", "--regid=\(account)", "--clear-groups", "--inh-caps=-all", "--no-new-privs",
                    "--",
                ]
                + command
        }
        return Program(
            command[0], Array(command.dropFirst()), environment: environment, directory: directory, deadline: deadline,
            grace: grace, outputLimit: 16 << 10, kept: .end)
    }

    /// Runs it to its end on the calling thread and gives what it came to, whatever its status.
    ///
    /// - Parameter limit: The longest output that is accepted, in bytes.
    /// - Throws: When it cannot be started, does not end by itself, or writes more than the limit.
    public func answer(
        _ arguments: [String], deadline: Duration, limit: Int = 16 << 20, directory: String? = nil, stop: StopSignal
    ) throws(Failure) -> ToolAnswer {
        let stream = try ProgramStream(
            program(arguments, deadline: deadline, directory: directory), .reading, stall: nil,
            redaction: Redaction(secrets: secrets), stop: stop)
        var output: [UInt8] = []
        do throws(Failure) {
            try stream.readAll { (piece) throws(Failure) in
                guard output.count + piece.count <= limit else {
                    throw Failure(.invalid, "\(name) wrote more than \(limit) bytes, which is no answer to what it was asked")
                }
                output += piece
            }
        } catch {
            guard let end = stream.end, end.cause == .itself, case .exited(let status) = end.termination else { throw error }
            return ToolAnswer(
                tool: name, command: [path] + arguments, status: status, output: output, diagnostics: end.diagnostics,
                secrets: secrets)
        }
        return ToolAnswer(
            tool: name, command: [path] + arguments, status: 0, output: output, diagnostics: stream.end?.diagnostics ?? "",
            secrets: secrets)
    }

    /// Runs it and gives its output as text; any status but 0 is a failure.
    public func text(
        _ arguments: [String], deadline: Duration, limit: Int = 16 << 20, stop: StopSignal
    ) throws(Failure) -> String {
        try answer(arguments, deadline: deadline, limit: limit, stop: stop).succeeded().text
    }

    /// The first version number in what it prints for `--version`, such as `15.20`.
    public func version(_ arguments: [String] = ["--version"], stop: StopSignal) throws(Failure) -> String {
        let text = try text(arguments, deadline: .seconds(20), limit: 64 << 10, stop: stop)
        let words = text.split { $0.isWhitespace || "(),=".contains($0) }
        let numbers = words.map { $0.drop { $0 == "v" } }.filter { $0.first?.isNumber == true && $0.contains(".") }
        guard let version = numbers.first else {
            throw Failure(.invalid, "\(name) reports no version: \(Redaction(secrets: secrets)(String(text.prefix(100))))")
        }
        return String(version)
    }

    private static let minimalEnvironment: [String: String] = {
        let usual = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return ["PATH": getenv("PATH").map { String(cString: $0) } ?? usual, "LC_ALL": "C", "TZ": "UTC"]
    }()
}

/// What a tool that ended by itself came to.
public struct ToolAnswer: Sendable {
    /// The tool's name.
    public var tool: String
    /// Its path and arguments; they hold no secrets.
    public var command: [String]
    /// Its exit status.
    public var status: Int32
    /// Its standard output.
    public var output: [UInt8]
    /// The end of its errors, without secrets.
    public var diagnostics: String
    let secrets: [String]

    /// The output as text; bytes that are no UTF-8 are replaced.
    public var text: String { String(decoding: output, as: UTF8.self) }

    /// Itself when the status is 0.
    ///
    /// - Throws: What it said, errors first.
    public func succeeded() throws(Failure) -> ToolAnswer {
        guard status != 0 else { return self }
        throw Failure(.transient, "\(tool) ended with status \(status): \(complaint)")
    }

    /// For the record of what was run.
    public var evidence: ToolEvidence {
        ToolEvidence(
            command: command, end: "exit \(status)", bytes: Int64(output.count),
            sha256: Hexadecimal.text(of: SHA256.digestOrEmpty(output)), diagnostics: diagnostics)
    }

    /// What it said: the end of its errors, or of its output when it has none, on one line.
    public var complaint: String {
        let said = diagnostics.contains { !$0.isWhitespace } ? diagnostics : Redaction(secrets: secrets)(text)
        let lines = said.split(whereSeparator: \.isNewline).map { $0.trimmed }.filter { !$0.isEmpty }
        return lines.isEmpty ? "no message" : String(lines.suffix(6).joined(separator: "; ").suffix(1000))
    }
}

extension StringProtocol {
    /// Without white space at its ends.
    var trimmed: String {
        var rest = Substring(self).drop { $0.isWhitespace }
        while rest.last?.isWhitespace == true { rest.removeLast() }
        return String(rest)
    }
}

/// Waits a while on the calling thread, in short steps so that a stop is noticed.
///
/// - Throws: When the signal is raised.
func pause(_ length: Duration, stop: StopSignal, _ purpose: String) throws(Failure) {
    var left = length.milliseconds
    while left > 0 {
        guard !stop.isRaised else { throw Failure(.transient, "\(purpose) was given up") }
        let step = min(left, 50)
        usleep(UInt32(step) * 1000)
        left -= step
    }
}
