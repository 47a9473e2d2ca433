internal import Glibc
internal import SerinCatalogue
internal import SerinDatabase
internal import SerinModel
internal import SerinProcesses

/// The programs of Postgres, told of one server through their environment.
struct PostgresClient: Sendable {
    /// What messages call the server.
    let name: String
    private let text: String
    private let variables: [String: String]
    private let environment: SourceEnvironment

    /// - Parameter text: The connection string, with its secrets.
    init(_ text: String, _ environment: SourceEnvironment) throws(Failure) {
        guard let variables = ConnectionText.environment(text), let name = ConnectionText.name(text) else {
            throw Failure(
                .invalid, "the connection string of a Postgres server cannot be read",
                hint: "expected postgresql://user@host:5432/database, or host=… dbname=…")
        }
        self.name = "postgres \(name)"
        self.text = text
        self.variables = variables
        self.environment = environment
    }

    /// The database that the string names; the user's name when it names none.
    var database: String { variables["PGDATABASE"] ?? variables["PGUSER"] ?? "postgres" }

    /// The same server with another database.
    func database(_ database: String) throws(Failure) -> PostgresClient {
        guard let text = ConnectionText.text(text, database: database) else { throw unreadable() }
        return try PostgresClient(text, environment)
    }

    /// A string for `-d` that names the database and nothing secret.
    var databaseArgument: String { "dbname=" + ConnectionText.quoted(database) }

    /// A connection string without the password, for the arguments of programs that are told it through their environment.
    var openURL: String {
        let words = [("host", "PGHOST"), ("port", "PGPORT"), ("user", "PGUSER")]
        let settings = words.compactMap { word, variable in variables[variable].map { "\(word)=\(ConnectionText.quoted($0))" } }
        return (settings + [databaseArgument]).joined(separator: " ")
    }

    /// A session of our own.
    func session(_ purpose: SessionPurpose, within time: Duration = .seconds(30)) throws(Failure) -> Connection {
        do throws(DatabaseError) {
            return try Connection(text, name: name, purpose: purpose, limit: timeLimit(time))
        } catch { throw error.failure }
    }

    /// A run of a program. Nothing is asked for on a terminal, and messages are in English.
    func program(_ tool: String, _ arguments: [String], deadline: Duration? = nil) -> Program {
        var child: [String: String] = [:]
        for name in ["PATH", "HOME", "TMPDIR"] { if let value = getenv(name) { child[name] = String(cString: value) } }
        child["PATH"] = (environment.toolFolders + [child["PATH"] ?? "/usr/bin:/bin"]).joined(separator: ":")
        child["LC_ALL"] = "C"
        child["PGCONNECT_TIMEOUT"] = "10"
        child["PGAPPNAME"] = "serin-backup"
        child.merge(variables) { _, given in given }
        return Program(
            tool, arguments, environment: child, deadline: deadline ?? environment.deadline, outputLimit: 1 << 16, kept: .end)
    }

    /// Starts a program whose output is read or whose input is written.
    func start(
        _ program: Program, _ direction: ProgramStream.Direction, isSilent: Bool = false, stop: StopSignal
    ) throws(Failure) -> ProgramStream {
        // A program that is written to may be busy with what it has, such as building an index.
        try ProgramStream(
            program, direction, stall: direction == .reading && !isSilent ? environment.stall : nil,
            redaction: Redaction(secrets: variables["PGPASSWORD"].map { [$0] } ?? []), stop: stop)
    }

    /// Runs a program for its output, at most 16 MiB of it.
    ///
    /// - Parameter isSilent: Whether it may print nothing for as long as it works.
    func output(
        _ program: Program, isSilent: Bool = false, stop: StopSignal
    ) throws(Failure) -> (bytes: [UInt8], evidence: ToolEvidence) {
        let stream = try start(program, .reading, isSilent: isSilent, stop: stop)
        var bytes: [UInt8] = []
        try stream.readAll { (piece) throws(Failure) in
            guard bytes.count + piece.count <= 1 << 24 else {
                throw Failure(.invalid, "\(program.path) printed more than 16 MiB")
            }
            bytes += piece
        }
        return (bytes, try evidence(of: program, stream, digest: digest(of: bytes)))
    }

    /// What a program said of its version.
    func version(of tool: String, stop: StopSignal) throws(Failure) -> PostgresVersion {
        let printed = try output(program(tool, ["--version"], deadline: .seconds(20)), stop: stop).bytes
        guard let version = PostgresVersion(printed: String(decoding: printed, as: UTF8.self)) else {
            throw Failure(.invalid, "\(tool) says nothing that looks like its version")
        }
        return version
    }

    /// The version of a program that is to be given a dump; fails when it is known to run code of the dump's author.
    func trustedVersion(of tool: String, stop: StopSignal) throws(Failure) -> PostgresVersion {
        let version = try version(of: tool, stop: stop)
        guard version.isTrustedWithDumps else {
            throw Failure(
                .invalid, "\(tool) \(version) can be made to run code by what it restores",
                hint: "install 14.25, 15.20, 16.16, 17.12, 18.7 or later")
        }
        return version
    }

    /// How a program ended.
    func evidence(of program: Program, _ stream: ProgramStream, digest: String? = nil) throws(Failure) -> ToolEvidence {
        ToolEvidence(
            command: [program.path] + program.arguments, end: stream.end?.words ?? "running", bytes: Int64(stream.bytes),
            sha256: digest, diagnostics: stream.end?.diagnostics ?? "")
    }

    private func unreadable() -> Failure { Failure(.invalid, "the connection string of \(name) cannot be read") }
}

extension StreamEnd {
    /// `exit 0`, `signal 9`, `timed out`.
    var words: String {
        switch termination {
        case .exited(let status): "exit \(status)"
        case .signalled(let signal): "signal \(signal)"
        case .timedOut: cause == .givenUp ? "given up" : "timed out"
        }
    }
}
