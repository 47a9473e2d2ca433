internal import FoundationEssentials
internal import Glibc
internal import SerinLocks
public import SerinModel
internal import SerinProcesses

/// A real Postgres server for a test: on loopback, with trust authentication and no fsync; as user `postgres` when the caller is root.
public final class PostgresServer: Sendable {
    /// Its port on 127.0.0.1.
    public let port: Int
    /// Its data folder.
    public let data: String
    /// The name other servers know it by.
    public let name: String
    private let binaries: String
    private let folder: String
    private let settings: [String: String]
    private let process = Locked<ServerProcess?>(nil)
    private let scripts = Locked(0)

    init(name: String, folder: String, port: Int, binaries: String, settings: [String: String]) {
        self.name = name
        self.port = port
        self.data = folder + "/" + name
        self.folder = folder
        self.binaries = binaries
        self.settings = settings
    }

    /// A connection string for a role.
    public func url(user: String = "postgres", database: String = "postgres") -> String {
        "postgresql://\(user)@127.0.0.1:\(port)/\(database)"
    }

    /// Starts the server and waits until it answers.
    public func start() async throws {
        try spawn()
        try await waitUntil("start of postgres \(name) (\(logTail()))", within: .seconds(30)) {
            try await accepts()
        }
    }

    func spawn() throws(Failure) {
        var arguments = ["-D", data]
        let fixed = ["port": "\(port)", "listen_addresses": "127.0.0.1", "unix_socket_directories": folder, "cluster_name": name]
        for (key, value) in settings.merging(fixed, uniquingKeysWith: { _, last in last }).sorted(by: { $0.key < $1.key }) {
            arguments += ["-c", "\(key)=\(value)"]
        }
        let started = try ServerProcess(
            binaries + "/postgres", arguments, environment: ["LC_ALL": "C"], user: "postgres", directory: folder,
            log: data + ".log")
        process.withLock { $0 = started }
    }

    private func accepts() async throws(Failure) -> Bool {
        guard let running = process.withLock({ $0 }), running.isRunning else {
            throw Failure(.invalid, "postgres \(name) ended: \(logTail())")
        }
        guard canConnect(port: port) else { return false }
        let program = Program(
            binaries + "/pg_isready", ["-q", "-h", "127.0.0.1", "-p", "\(port)"], deadline: .seconds(5))
        return try await program.run().termination == .exited(0)
    }

    /// The end of the server's log.
    public func logTail() -> String { process.withLock { $0 }?.logTail() ?? "not started" }

    /// The process id of the postmaster; nil when it does not run.
    public var pid: Int32? { process.withLock { $0 }.flatMap { $0.isRunning ? $0.pid : nil } }

    /// Runs statements and returns the rows as text, fields separated by `|`.
    @discardableResult public func sql(
        _ text: String, user: String = "postgres", database: String = "postgres", deadline: Duration = .seconds(20)
    ) async throws(Failure) -> String {
        let url = url(user: user, database: database)
        do {
            var lines = try await onOwnThread { _ throws(Failure) in try SQLSession.run(text, at: url, within: deadline) }
            while lines.last?.isNewline == true { lines.removeLast() }
            return lines
        } catch {
            throw Failure(error.kind, "cannot run SQL at postgres \(name): \(error.message)")
        }
    }

    /// What `pg_dump` prints of a database, with further arguments.
    public func dump(database: String, _ arguments: [String]) async throws(Failure) -> String {
        let completion = try await Program(
            binaries + "/pg_dump", ["-h", "127.0.0.1", "-p", "\(port)", "-U", "postgres", "-d", database] + arguments,
            environment: ["LC_ALL": "C"], deadline: .seconds(30)
        ).run()
        guard completion.termination == .exited(0) else {
            throw Failure(.invalid, "cannot dump \(database): \(completion.termination): \(completion.text)")
        }
        return completion.text
    }

    private func arguments(user: String, database: String) -> [String] {
        ["-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-p", "\(port)", "-U", user, "-d", database]
    }

    /// Starts a client that runs a script and stays as long as the script does. `\! sleep 60` in it leaves the session idle.
    public func session(_ script: String, user: String = "postgres", database: String = "postgres") throws(Failure)
        -> ServerProcess
    {
        let number = scripts.withLock { count in
            count += 1
            return count
        }
        let file = "\(folder)/\(name)-\(number).sql"
        do { try Data(script.utf8).write(to: URL(filePath: file)) } catch {
            throw Failure(.transient, "cannot write \(file): \(error)")
        }
        return try ServerProcess(
            binaries + "/psql", arguments(user: user, database: database) + ["-f", file], environment: ["LC_ALL": "C"],
            log: file + ".log")
    }

    /// The processes of the server whose title contains the word, such as `walreceiver`; all of them without a word.
    public func processes(_ word: String = "") -> [Int32] {
        guard let pid, let bytes = FileManager.default.contents(atPath: "/proc/\(pid)/task/\(pid)/children") else { return [] }
        return String(decoding: bytes, as: UTF8.self).split(separator: " ").compactMap { Int32($0) }.filter { child in
            guard !word.isEmpty else { return true }
            let title = FileManager.default.contents(atPath: "/proc/\(child)/cmdline") ?? Data()
            return String(decoding: title, as: UTF8.self).contains(word)
        }
    }

    /// Stops the processes with this word in their title without ending them; everything, postmaster included, without a word.
    public func freeze(_ word: String = "") {
        if word.isEmpty, let pid { kill(pid, SIGSTOP) }
        for child in processes(word) { kill(child, SIGSTOP) }
    }

    /// Lets everything that was frozen go on.
    public func thaw() {
        if let pid { kill(pid, SIGCONT) }
        for child in processes() { kill(child, SIGCONT) }
    }

    /// Holds or releases the replay of a standby.
    public func setReplayPaused(_ isPaused: Bool) async throws {
        try await sql(isPaused ? "SELECT pg_wal_replay_pause()" : "SELECT pg_wal_replay_resume()")
        let wanted = isPaused ? "paused" : "not paused"
        try await waitUntil("replay \(wanted)") { try await sql("SELECT pg_get_wal_replay_pause_state()") == wanted }
    }

    /// Kills one process of the server, whose title contains the word; the postmaster then restarts all the others.
    public func crash(_ word: String) {
        if let child = processes(word).first { kill(child, SIGKILL) }
    }

    /// Ends the server at once, as after a crash; its data stays.
    public func stop() {
        thaw()
        let running = process.withLock { process in
            defer { process = nil }
            return process
        }
        running?.stop(signal: SIGQUIT)
    }

    deinit { stop() }
}
