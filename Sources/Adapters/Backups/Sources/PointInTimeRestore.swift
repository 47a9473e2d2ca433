internal import Glibc
public import SerinCatalogue
internal import SerinDatabase
public import SerinModel
public import SerinProcesses

/// Brings a restored base backup to a moment in the past by replaying write-ahead log.
///
/// A base backup's data folder is recovered in place, beside the server that runs: nothing of that one is touched. Recovery always
/// pauses at the target first; what was reached is compared with what was asked while it can still be refused, and only then the
/// server is let go on. Its end is read from the server's own state and log, never from the start's exit status: a server starts
/// well and fails later when log is missing, and one that is asked for a moment before the end of its base backup comes up with a
/// later state than asked (PostgreSQL documentation, "Continuous Archiving and Point-in-Time Recovery").
public struct PointInTimeRestore: Sendable {
    /// Where recovery stops.
    public enum Target: Sendable, Hashable {
        /// Where the base backup itself is consistent.
        case base
        /// Behind the last commit at or before a moment.
        case time(Instant)
        /// Behind the record at a position, or the next one.
        case position(LogPosition)
        /// At a point that `pg_create_restore_point` named.
        case name(String)
        /// Behind the end of a transaction.
        case transaction(UInt64)
        /// At the end of the log.
        case latest
    }

    /// What happens once the target is reached and was found right; the values of `recovery_target_action`.
    public enum Action: String, Sendable, Hashable, CaseIterable {
        /// The server stays in recovery and answers questions.
        case pause
        /// The server begins a new timeline and can be written.
        case promote
        /// The server stops; started again it would go on recovering.
        case shutdown
    }

    /// From where recovery gets the log.
    public enum LogSupply: Sendable, Hashable {
        /// A folder with its files under their final names.
        case folder(String)
        /// A `restore_command` of a tool, with `%f` and `%p`.
        case command(String)
    }

    /// What was reached.
    public struct Outcome: Sendable, Hashable {
        /// The server; stopped after `shutdown`.
        public var server: RecoveryServer
        /// The last commit that was replayed; nil when there was none behind the base.
        public var lastCommit: Instant?
        /// The position that was reached.
        public var position: LogPosition
        /// The timeline that the server is on.
        public var timeline: Int
        /// What was compared.
        public var checks: [BackupCheck]
    }

    private let data: String
    private let place: String
    private let base: SourceFacts
    private let reach: RecoveryWindow.Reach
    private let target: Target
    private let timeline: Int?
    private let action: Action
    private let log: LogSupply
    private let newest: Int
    private let role: String
    private let tools: PostgresTools
    private let deadline: Duration

    /// A restore that was checked against what can be reached.
    ///
    /// - Parameters:
    ///   - data: The data folder that the base backup was restored into.
    ///   - place: An existing private folder for the socket, settings and log; its path is at most 80 bytes long.
    ///   - base: The facts of that base backup.
    ///   - window: What can be reached from this target's backups.
    ///   - record: The base backup.
    ///   - timeline: The timeline to end on; nil for the live one at a moment, else the newest one that the base leads to.
    ///   - newest: The newest timeline that anything knows: the one that the recovery begins is above it. An archive that is asked by
    ///     a command knows its own.
    ///   - role: A superuser of the cluster.
    ///   - account: The user that the server runs as, when the caller is root; it owns `data` and `place`.
    ///   - deadline: For the whole recovery.
    /// - Throws: When the moment cannot be reached. Nothing was touched then.
    public init(
        data: String, place: String, record: BackupRecord, window: RecoveryWindow, target: Target, timeline: Int? = nil,
        action: Action = .promote, log: LogSupply, newest: Int = 1, role: String = "postgres", account: String? = nil,
        toolFolders: [String] = [],
        deadline: Duration
    ) throws(Failure) {
        guard let base = record.facts?.server, let major = Int(base.version.prefix { $0 != "." }) else {
            throw Failure(.invalid, "backup \(record.id) does not say which server it came from")
        }
        // Only the tool knows the timelines of its archive.
        var line = timeline
        if case .command = log { line = nil }
        do throws(RecoveryRefusal) {
            switch target {
            case .time(let moment): reach = try window.path(to: moment, from: record, timeline: line)
            case .position(let position): reach = try window.path(to: position, from: record, timeline: line)
            case .base, .name, .transaction, .latest: reach = try window.path(from: record, timeline: line)
            }
        } catch { throw Failure(.denied, "cannot recover to \(target.words): \(error.message)", hint: error.hint) }
        guard geteuid() != 0 || account != nil else {
            throw Failure(.invalid, "postgres does not run as root", hint: "name the user that it runs as")
        }
        guard place.utf8.count <= 80 else { throw Failure(.invalid, "the path \(place) is too long for a socket") }
        self.data = data
        self.place = place
        self.base = base
        self.target = target
        self.timeline = timeline
        self.action = action
        self.log = log
        self.newest = newest
        self.role = role
        self.deadline = deadline
        tools = try PostgresTools(major: major, folders: toolFolders, account: account)
    }

    /// Recovers, compares, and does what is to be done then. On failure the server is stopped and its data folder stays as it is,
    /// to look at or to remove.
    ///
    /// - Parameter progress: Told the position again and again.
    public func run(
        stop: StopSignal, progress: (LogPosition) -> Void = { _ in }
    ) throws(Failure) -> Outcome {
        let limit = ContinuousClock.now + .milliseconds(deadline.milliseconds)
        let server = try start(stop)
        do throws(Failure) {
            let state = try follow(server, until: limit, stop, progress)
            let checks = try judge(state, server)
            return try conclude(server, state, checks, until: limit, stop)
        } catch {
            server.stop()
            throw error
        }
    }

    private func start(_ stop: StopSignal) throws(Failure) -> RecoveryServer {
        guard tools.major >= 12 else {
            throw Failure(.invalid, "recovery of Postgres \(tools.major) is not supported: it has no recovery.signal")
        }
        let control = try ControlFile(of: data, tools: tools, stop: stop)
        guard control.systemIdentifier == base.systemIdentifier else {
            throw Failure(.invalid, "\(data) is of another cluster than the base backup")
        }
        // Whatever the catalogue says: before its first checkpoint a base backup leads nowhere, and Postgres would not say so.
        if case .time(let moment) = target, let first = control.checkpointTime, moment < first {
            throw Failure(.invalid, "the base backup began at \(first), after \(moment): it holds a later state than asked")
        }
        guard access(data + "/recovery.conf", F_OK) != 0 else {
            throw Failure(.invalid, "\(data) holds a recovery.conf, with which no supported Postgres starts")
        }
        // What a backup of a standby brings along would win over recovery.
        unlink(data + "/standby.signal")
        if access(data + "/recovery.signal", F_OK) != 0 {
            try write("", to: data + "/recovery.signal", account: tools.account)
        }
        var settings = control.floors.map { (name: $0.name, value: "\($0.value)") }
        settings.append(("restore_command", try restoreCommand()))
        settings.append(("recovery_target_timeline", line))
        if let (name, value) = target.setting {
            settings.append((name, value))
            settings.append(("recovery_target_action", "pause"))
        }
        return try RecoveryServer.start(data: data, place: place, role: role, settings: settings, tools: tools)
    }

    /// The line that was checked, whatever else the supply of log holds.
    private var line: String {
        if target == .base { return "current" }
        if case .command = log { return timeline.map { "\($0)" } ?? "latest" }
        return reach.timeline == base.timeline ?? 1 ? "current" : "\(reach.timeline)"
    }

    private func restoreCommand() throws(Failure) -> String {
        switch log {
        case .command(let command): return command
        case .folder(let folder):
            // The server hands the command to a shell.
            guard folder.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && !"'\"\\$`%;&|<>*?()".utf8.contains($0) }) else {
                throw Failure(.invalid, "the folder \(folder) has a name that a shell would not take literally")
            }
            try completeHistories(in: folder)
            return "cp \(folder)/%f %p"
        }
    }

    /// Recovery asks for the history of its timeline, which may be known without its file: a base backup has it, or another server's
    /// file has its name. A promotion begins the first timeline behind the recovered one that has no history: those that somebody began get one, or two
    /// servers would write log under the same names. They are only asked whether they are there.
    private func completeHistories(in folder: String) throws(Failure) {
        if let history = reach.history, try LogFolder(folder).history(of: reach.timeline) != history {
            let file = "\(folder)/\(RecoveryWindow.historyName(reach.timeline))"
            unlink(file)
            let lines = history.map { "\($0.timeline)\t\($0.end)\tas it was recorded\n" }.joined()
            try write(lines, to: file, account: tools.account)
        }
        // Beyond so many something else is wrong.
        for timeline in reach.timeline + 1..<min(max(newest, reach.timeline), reach.timeline + 10_000) + 1 {
            let file = "\(folder)/\(RecoveryWindow.historyName(timeline))"
            guard access(file, F_OK) != 0 else { continue }
            try write(
                "# timeline \(timeline) was begun by another server; its history is not stored\n", to: file,
                account: tools.account)
        }
    }

    // MARK: following

    /// What the server says about its recovery.
    struct State: Sendable, Hashable {
        var isRecovering: Bool
        var isPaused: Bool
        var position: LogPosition?
        var lastCommit: Instant?
        var timeline: Int?
    }

    /// Waits until recovery is over: paused at the target, or ended where none was set.
    private func follow(
        _ server: RecoveryServer, until limit: ContinuousClock.Instant, _ stop: StopSignal, _ progress: (LogPosition) -> Void
    ) throws(Failure) -> State {
        var last = "it did not answer"
        while true {
            guard server.isRunning else {
                throw Failure(.invalid, "recovery failed: the server ended: \(server.complaints())")
            }
            do throws(Failure) {
                let state = try ask(server)
                last = "it reached \(state.position.map { "\($0)" } ?? "nothing")"
                if let position = state.position { progress(position) }
                if !state.isRecovering || state.isPaused { return state }
            } catch {
                last = error.message
                guard !last.contains("role \"\(role)\" does not exist") else {
                    throw Failure(
                        .invalid, "the cluster has no role \(role) that could look at its recovery",
                        hint: "--role names a superuser of the cluster")
                }
            }
            guard ContinuousClock.now < limit else {
                throw Failure(.transient, "recovery did not end within \(deadline): \(last): \(server.complaints())")
            }
            try pause(.milliseconds(100), stop: stop, "recovery")
        }
    }

    private func ask(_ server: RecoveryServer) throws(Failure) -> State {
        let paused = tools.major >= 14 ? "pg_get_wal_replay_pause_state() = 'paused'" : "pg_is_wal_replay_paused()"
        let sql = """
            SELECT r, CASE WHEN r THEN \(paused) ELSE false END, \
            CASE WHEN r THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, \
            pg_last_xact_replay_timestamp(), \
            CASE WHEN r THEN NULL ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END \
            FROM (SELECT pg_is_in_recovery() AS r) AS state
            """
        let row = try SerinBackups.ask(server.url(), as: "the restored server", within: .seconds(5)) {
            (connection, limit) throws(DatabaseError) in try connection.query(sql, limit: limit).first
        }
        guard row.count == 5 else { throw Failure(.unknown, "the restored server gave no answer about its recovery") }
        return State(
            isRecovering: row[0] == "t", isPaused: row[1] == "t", position: row[2].flatMap { LogPosition($0) },
            lastCommit: row[3].flatMap { Instant(postgres: $0) }, timeline: row[4].flatMap { Int($0, radix: 16) })
    }

    /// Compares what was reached with what was asked.
    private func judge(_ state: State, _ server: RecoveryServer) throws(Failure) -> [BackupCheck] {
        var checks: [BackupCheck] = []
        let reached = state.lastCommit.map { $0.postgresText } ?? "no commit behind the base"
        let beyond = base.lsnStop.map { (state.position ?? LogPosition(bytes: 0)) >= $0 } ?? false
        checks.append(
            BackupCheck("consistent", passed: beyond, detail: "at \(state.position.map { "\($0)" } ?? "an unknown position")"))
        if case .time(let moment) = target {
            let isEarlier = (state.lastCommit ?? reach.earliest) <= moment && reach.earliest <= moment
            checks.append(BackupCheck("not later than asked", passed: isEarlier, detail: reached))
        }
        if target == .latest {
            // The window counts on the last commit that was seen when the log was stored.
            let isWhole = (state.lastCommit ?? reach.earliest) >= reach.latest || reach.log.isEmpty
            checks.append(BackupCheck("up to the end of the log", passed: isWhole, detail: reached))
        } else {
            let stopped = server.logged("recovery stopping")
            let place = stopped.flatMap { line in line.firstRange(of: "LOG:").map { String(line[$0.upperBound...]).trimmed } }
            checks.append(
                BackupCheck(
                    "stopped at the target", passed: state.isPaused && stopped != nil,
                    detail: place ?? "the log names no stop: \(server.complaints())"))
        }
        if let failed = checks.first(where: { !$0.passed }) {
            throw Failure(.invalid, "recovery reached something else than was asked: \(failed.name): \(failed.detail)")
        }
        return checks
    }

    private func conclude(
        _ server: RecoveryServer, _ state: State, _ checks: [BackupCheck], until limit: ContinuousClock.Instant,
        _ stop: StopSignal
    ) throws(Failure) -> Outcome {
        var end = state
        switch action {
        case .pause: break
        case .shutdown: server.stop()
        case .promote:
            if state.isRecovering { try resume(server) }
            while end.isRecovering {
                try pause(.milliseconds(50), stop: stop, "the promotion")
                guard server.isRunning else {
                    throw Failure(.invalid, "the server ended while it was promoted: \(server.complaints())")
                }
                guard ContinuousClock.now < limit else {
                    throw Failure(.transient, "the server was not promoted within \(deadline): \(server.complaints())")
                }
                end = try ask(server)
            }
        }
        return Outcome(
            server: server, lastCommit: state.lastCommit, position: state.position ?? LogPosition(bytes: 0),
            timeline: end.timeline ?? base.timeline ?? 1, checks: checks)
    }

    private func resume(_ server: RecoveryServer) throws(Failure) {
        _ = try SerinBackups.ask(server.url(), as: "the restored server") { (connection, limit) throws(DatabaseError) in
            try connection.query("SELECT pg_wal_replay_resume()", limit: limit)
        }
    }
}

extension PointInTimeRestore.Target {
    /// As people write it.
    public var words: String {
        switch self {
        case .base: "the base backup itself"
        case .time(let moment): moment.postgresText
        case .position(let position): "\(position)"
        case .name(let name): "the restore point \(name)"
        case .transaction(let number): "the end of transaction \(number)"
        case .latest: "the end of the log"
        }
    }

    /// The server's setting; nil where nothing stops the recovery.
    var setting: (name: String, value: String)? {
        switch self {
        case .base: ("recovery_target", "immediate")
        case .time(let moment): ("recovery_target_time", moment.postgresText)
        case .position(let position): ("recovery_target_lsn", "\(position)")
        case .name(let name): ("recovery_target_name", name)
        case .transaction(let number): ("recovery_target_xid", "\(number)")
        case .latest: nil
        }
    }
}
