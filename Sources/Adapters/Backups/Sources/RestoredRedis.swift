internal import Glibc
public import SerinModel
public import SerinProcesses

/// A Redis server on a restored data folder, reachable over a private socket alone, to look at what came back or to prepare the
/// folder for the real one.
///
/// A server that is started on a snapshot with `appendonly yes` finds no append-only files, begins empty and writes new ones that
/// win over the snapshot at every later start. So it is always started with `appendonly no`, loads the snapshot, and turns the
/// append-only files on while it runs.
public struct RestoredRedis: Sendable, Hashable {
    /// Its data folder.
    public let folder: String
    /// Its process.
    public let pid: Int32
    /// How many keys it holds.
    public let keys: Int64

    private var socket: String { folder + "/serin.sock" }

    /// Starts a server on a folder that holds `dump.rdb`, and waits until it has loaded it.
    ///
    /// - Parameter makesAppendOnlyFiles: Whether append-only files are written from what was loaded, for a real server that will
    ///   be started with `appendonly yes`.
    public static func start(
        folder: String, makesAppendOnlyFiles: Bool = false, deadline: Duration, stop: StopSignal
    ) throws(Failure) -> RestoredRedis {
        guard access(folder + "/dump.rdb", R_OK) == 0 else { throw problem("read", folder + "/dump.rdb", errno) }
        let limit = ContinuousClock.now + .milliseconds(deadline.milliseconds)
        let server = SourceTool("redis-server").program(
            [
                "--port", "0", "--unixsocket", folder + "/serin.sock", "--unixsocketperm", "700", "--dir", folder, "--dbfilename",
                "dump.rdb", "--appendonly", "no", "--save", "", "--daemonize", "no", "--protected-mode", "yes",
            ], deadline: .zero, directory: folder)
        let pid = try server.startDetached(log: folder + "/serin.log")
        var started = RestoredRedis(folder: folder, pid: pid, keys: 0)
        do throws(Failure) {
            try started.wait(until: limit, stop, "loading") { $0["loading"] == "0" }
            started = RestoredRedis(folder: folder, pid: pid, keys: try started.count(stop))
            if makesAppendOnlyFiles {
                _ = try started.ask(["CONFIG", "SET", "appendonly", "yes"], stop)
                try started.wait(until: limit, stop, "the append-only files") {
                    $0["aof_enabled"] == "1" && $0["aof_rewrite_in_progress"] == "0" && $0["aof_rewrite_scheduled"] == "0"
                        && $0["aof_last_bgrewrite_status"] == "ok"
                }
            }
            return started
        } catch {
            started.end()
            throw error
        }
    }

    /// Asks the server something; its answer as text.
    public func ask(_ command: [String], _ stop: StopSignal) throws(Failure) -> String {
        try SourceTool("redis-cli").text(["-s", socket, "-e"] + command, deadline: .seconds(20), stop: stop).trimmed
    }

    private func count(_ stop: StopSignal) throws(Failure) -> Int64 {
        let lines = try ask(["INFO", "keyspace"], stop).split(whereSeparator: \.isNewline)
        return saturatingSum(
            lines.compactMap { line in
                line.firstRange(of: "keys=").flatMap { Int64(line[$0.upperBound...].prefix { $0.isNumber }) }
            })
    }

    private func wait(
        until limit: ContinuousClock.Instant, _ stop: StopSignal, _ what: String, _ condition: ([String: String]) -> Bool
    ) throws(Failure) {
        while true {
            guard kill(pid, 0) == 0 else { throw Failure(.invalid, "redis ended during \(what); see \(folder)/serin.log") }
            // Until its socket is there it cannot answer.
            let text = (try? ask(["INFO", "persistence"], stop)) ?? ""
            var fields: [String: String] = [:]
            for line in text.split(whereSeparator: \.isNewline) {
                if let colon = line.firstIndex(of: ":") {
                    fields[String(line[..<colon])] = line[line.index(after: colon)...].trimmed
                }
            }
            if condition(fields) { return }
            guard ContinuousClock.now < limit else { throw Failure(.transient, "redis did not finish \(what) in time") }
            try pause(.milliseconds(50), stop: stop, what)
        }
    }

    /// Stops it without another snapshot; its files stay.
    public func end() {
        for signal in [SIGTERM, SIGKILL] {
            guard kill(pid, signal) == 0 else { return }
            for _ in 0..<500 {
                if kill(pid, 0) != 0 { return }
                usleep(20_000)
            }
        }
    }
}
