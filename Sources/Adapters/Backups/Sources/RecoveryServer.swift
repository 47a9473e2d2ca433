internal import Glibc
internal import SerinCatalogue
internal import SerinDatabase
public import SerinModel
internal import SerinProcesses

/// A Postgres server on a restored data folder, reachable over a private socket alone, run by an unprivileged user.
public struct RecoveryServer: Sendable, Hashable {
    /// Its data folder.
    public let data: String
    /// The folder of its socket, and of its log.
    public let place: String
    /// Its process.
    public let pid: Int32
    /// A superuser of it.
    public let role: String

    /// The connection string of one of its databases.
    public func url(database: String = "postgres") -> String {
        let (host, user, name) = (ConnectionText.quoted(place), ConnectionText.quoted(role), ConnectionText.quoted(database))
        return "host=\(host) port=\(RecoveryServer.port) user=\(user) dbname=\(name)"
    }

    static let port = 5432

    /// The file with what it printed.
    public var log: String { place + "/server.log" }

    /// Starts a server. It listens on no network, archives nothing by itself, loads no extension libraries and runs no subscriptions;
    /// the settings that came with the data are kept beside but not read.
    static func start(
        data: String, place: String, role: String, settings: [(name: String, value: String)], tools: PostgresTools
    ) throws(Failure) -> RecoveryServer {
        let fixed: [(name: String, value: String)] = [
            ("listen_addresses", ""), ("port", "\(port)"), ("unix_socket_directories", place),
            ("unix_socket_permissions", "0700"), ("hba_file", place + "/hba.conf"), ("ident_file", place + "/ident.conf"),
            ("data_directory", data), ("external_pid_file", ""), ("shared_preload_libraries", ""),
            // Without a command nothing is archived, but the history of the timeline that a promotion begins, and its log, are marked:
            // once the cluster is the live one its own command archives them. Without the history nothing is recovered across it.
            ("archive_mode", "on"), ("archive_command", ""),
            ("max_logical_replication_workers", "0"), ("ssl", "off"), ("hot_standby", "on"), ("logging_collector", "off"),
            ("log_destination", "stderr"), ("log_timezone", "UTC"), ("timezone", "UTC"), ("lc_messages", "C"),
            ("log_min_messages", "warning"), ("log_line_prefix", "%m [%p] "), ("cluster_name", "serin-restore"),
        ]
        guard !(fixed + settings).contains(where: { $0.value.has("\0") }) else {
            throw Failure(.invalid, "cannot start a server on \(data): one of its settings holds a NUL")
        }
        let text = (fixed + settings).map { "\($0.name) = \(quoted($0.value))\n" }.joined()
        try write(text, to: place + "/server.conf", account: tools.account)
        try write("local all all trust\n", to: place + "/hba.conf", account: tools.account)
        try write("", to: place + "/ident.conf", account: tools.account)
        try setAsideOwnSettings(data, account: tools.account)
        let program = tools.tool("postgres").program(
            ["-D", data, "-c", "config_file=\(place)/server.conf"], deadline: .zero, directory: place)
        let pid = try program.startDetached(log: place + "/server.log")
        return RecoveryServer(data: data, place: place, pid: pid, role: role)
    }

    /// As `postgresql.conf` holds a text: a backslash begins an escape there, and a line's end would end the setting.
    static func quoted(_ value: String) -> String {
        value.rewriting { $0 == "\\" ? "\\\\" : $0 == "\n" ? "\\n" : $0 == "\r" ? "\\r" : nil }.doubling("'")
    }

    /// `postgresql.auto.conf` is read whatever file of settings a server is started with.
    private static func setAsideOwnSettings(_ data: String, account: String?) throws(Failure) {
        let own = data + "/postgresql.auto.conf"
        guard access(own, F_OK) == 0 else { return }
        let kept = own + ".restored"
        if access(kept, F_OK) != 0, rename(own, kept) != 0 { throw problem("rename", own, errno) }
        unlink(own)
        try write("# the settings of the backup are in \(kept)\n", to: own, account: account)
    }

    /// What to know about the settings that were set aside, which `ALTER SYSTEM` made; nil when there are none. Their values may be
    /// secrets, so only their names are told.
    func ownSettings() throws(Failure) -> String? {
        let kept = data + "/postgresql.auto.conf.restored"
        guard access(kept, F_OK) == 0 else { return nil }
        let names = String(decoding: try bytes(of: kept, limit: 1 << 20), as: UTF8.self).split(whereSeparator: \.isNewline)
            .map { $0.prefix { $0 != "=" && $0 != "#" }.trimmed }.filter { !$0.isEmpty }
        guard !names.isEmpty else { return nil }
        return
            "the settings that ALTER SYSTEM made are in \(kept) and not in force: \(Set(names).sorted().joined(separator: ", ")); "
            + "before it goes live take over those that it needs, archive_command above all"
    }

    /// Whether its process is there.
    public var isRunning: Bool { kill(pid, 0) == 0 }

    /// The end of what it printed, with what it says is wrong first.
    public func complaints() -> String {
        // A log that cannot be read has nothing to say.
        let all = (try? bytes(of: log, limit: 64 << 20)).map { String(decoding: $0, as: UTF8.self) } ?? ""
        let lines = all.split(whereSeparator: \.isNewline)
        // Our own questions to a server that is not ready are no cause.
        let fatal = lines.filter {
            ($0.contains("FATAL:") || $0.contains("PANIC:")) && !$0.contains("the database system is")
        }
        let said = fatal.isEmpty ? lines.suffix(3) : fatal.suffix(3)
        return said.map { line in line.firstRange(of: "] ").map { String(line[$0.upperBound...]) } ?? String(line) }
            .joined(separator: "; ")
    }

    /// The first line of its log with these words.
    func logged(_ words: String) -> String? {
        // As above.
        let all = (try? bytes(of: log, limit: 64 << 20)).map { String(decoding: $0, as: UTF8.self) } ?? ""
        return all.split(whereSeparator: \.isNewline).first { $0.contains(words) }.map(String.init)
    }

    /// Stops it: first without hurting it, then at once. Returns when it is gone.
    public func stop(grace: Duration = .seconds(20)) { RecoveryServer.end(pid, grace: grace) }

    private static func end(_ pid: Int32, grace: Duration) {
        // Fast, immediate, and the kernel's own way.
        for signal in [SIGINT, SIGQUIT, SIGKILL] {
            guard kill(pid, signal) == 0 else { return }
            let limit = ContinuousClock.now + .milliseconds(grace.milliseconds)
            while ContinuousClock.now < limit {
                if kill(pid, 0) != 0 { return }
                usleep(20_000)
            }
        }
    }

    /// Stops a server that a run which was killed left behind on this data folder. Nothing else is touched: the process has to be
    /// a `postgres` that was started with it.
    public static func stopLeftover(in data: String) {
        // No file, no server.
        guard let text = try? bytes(of: data + "/postmaster.pid", limit: 1 << 16),
            let pid = Int32(String(decoding: text.prefix { $0 != 0x0A }, as: UTF8.self)), pid > 1,
            let command = try? bytes(of: "/proc/\(pid)/cmdline", limit: 1 << 16)
        else { return }
        let words = command.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        guard words.first?.hasSuffix("postgres") == true, words.contains(data) else { return }
        end(pid, grace: .seconds(20))
    }
}
