internal import Glibc
internal import SerinCatalogue
internal import SerinDatabase
internal import SerinLocks
public import SerinModel
internal import SerinProcesses

/// Keeps `pg_receivewal` running, which follows a server's write-ahead log into a folder.
///
/// With a replication slot the server keeps what was not received; without one, or when the slot was lost, the follower may find
/// that log is gone, which `pg_receivewal` only prints and then tries again for ever: that is found and said here.
///
/// It goes on from the newest file in its folder. After a recovery went live that may be one that the server never had: such files
/// are moved into a folder `aside-1`, `aside-2`, … beside the others, and nothing is deleted.
public final class LogFollower: Sendable {
    /// How it goes.
    public enum Status: Sendable, Hashable {
        /// It was not started, or was stopped.
        case stopped
        /// It runs.
        case following
        /// It ended or cannot go on, and is tried again; why.
        case failing(Failure)
        /// Log is gone from the server that was not received: nothing before a new base backup can be trusted to reach the present.
        case gap(Failure)

        /// Whether it is of the same kind as another, and for the same reason, whatever the numbers in its words.
        public func isLike(_ other: Status) -> Bool {
            func reason(_ failure: Failure) -> [Substring] {
                failure.message.split(separator: " ").filter { word in !word.contains { $0.isNumber } }
            }
            return switch (self, other) {
            case (.stopped, .stopped), (.following, .following): true
            case (.failing(let one), .failing(let two)), (.gap(let one), .gap(let two)): reason(one) == reason(two)
            case (.stopped, _), (.following, _), (.failing, _), (.gap, _): false
            }
        }
    }

    private struct State {
        var status = Status.stopped
        var stop: StopSignal?
        var isOver = true
    }

    private let url: String
    private let slot: String
    private let folder: String
    private let isSynchronous: Bool
    private let account: String?
    private let toolFolders: [String]
    private let state = Locked(State())

    /// A follower.
    ///
    /// - Parameters:
    ///   - slot: The replication slot, which is created where it is missing: lower-case letters, digits and '_'.
    ///   - folder: Where the files go; exists.
    ///   - isSynchronous: Whether each piece is put on the disk as it comes, so that nothing committed is lost.
    public init(
        url: String, slot: String, folder: String, isSynchronous: Bool, account: String? = nil, toolFolders: [String] = []
    ) throws(Failure) {
        guard (1...63).contains(slot.utf8.count),
            slot.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x5F })
        else { throw Failure(.invalid, "\"\(slot)\" is no name of a replication slot: lower-case letters, digits and '_'") }
        self.url = url
        self.slot = slot
        self.folder = folder
        self.isSynchronous = isSynchronous
        self.account = account
        self.toolFolders = toolFolders
    }

    deinit { state.withLock { $0.stop }?.raise() }

    /// How it goes.
    public var status: Status { state.withLock { $0.status } }

    /// Starts following, on a thread of its own. Does nothing when it was started already.
    public func start() throws(Failure) {
        let stop = try StopSignal()
        let isNew = state.withLock { state in
            guard state.isOver else { return false }
            state = State(status: .following, stop: stop, isOver: false)
            return true
        }
        guard isNew else { return }
        let (url, slot, folder, account, toolFolders) = (url, slot, folder, account, toolFolders)
        let arguments =
            ["--directory=\(folder)", "--slot=\(slot)", "--no-loop", "--no-password", "--status-interval=5"]
            + (isSynchronous ? ["--synchronous"] : [])
        onNewThread { [weak self] in
            var wait = Duration.milliseconds(500)
            var hasFailed = false
            while !stop.isRaised {
                let began = ContinuousClock.now
                do throws(Failure) {
                    let tools = try LogFollower.prepare(url, slot, folder, toolFolders, account)
                    // After a failure it has to have run for a while: else a gap would look mended at each new try.
                    let trial = try StopSignal()
                    defer { trial.raise() }
                    if hasFailed { self?.noteFollowing(unless: trial) } else { self?.note(.following) }
                    try LogFollower.follow(tools.tool("pg_receivewal"), arguments, stop)
                } catch {
                    hasFailed = true
                    self?.note(LogFollower.status(after: error, in: folder))
                }
                // What ran well for a while is tried again soon.
                wait = ContinuousClock.now - began > .seconds(60) ? .milliseconds(500) : min(wait * 2, .seconds(15))
                // Only a stop ends the pause early.
                try? pause(wait, stop: stop, "the follower")
            }
            self?.state.withLock { state in
                state.status = .stopped
                state.isOver = true
            }
        }
    }

    /// Stops it and waits until its process is gone; the file under way stays as `.partial` and is gone on with later.
    public func stop(within time: Duration = .seconds(20)) throws(Failure) {
        state.withLock { $0.stop }?.raise()
        let limit = ContinuousClock.now + .milliseconds(time.milliseconds)
        while !state.withLock({ $0.isOver }) {
            guard ContinuousClock.now < limit else { throw Failure(.transient, "pg_receivewal did not end within \(time)") }
            usleep(10_000)
        }
    }

    /// Begins anew where the server is now, once a base backup makes the log behind a gap unneeded: what the folder has is set aside,
    /// and a slot that the server gave up is made again.
    ///
    /// - Returns: The folder with what was set aside; nil when there was nothing.
    public func renew() throws(Failure) -> String? {
        try stop()
        let aside = try LogFolder(folder).setAside { _ in true }
        try ask(url, as: "postgres " + (ConnectionText.name(url) ?? "?")) { (connection, limit) throws(DatabaseError) in
            guard connection.version >= 130_000 else { return }
            _ = try connection.query("SET default_transaction_read_only = off", limit: limit)
            _ = try connection.query(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = \(sqlText(slot)) "
                    + "AND NOT active AND wal_status = 'lost'", limit: limit)
        }
        try start()
        return aside
    }

    /// How many bytes of log a server has that a slot's receiver has not said to have: what would be lost with it, and what it keeps.
    ///
    /// - Returns: Nil when there is no such slot, or it was never used.
    public static func lag(behind url: String, slot: String, within limit: Duration) throws(Failure) -> Int64? {
        try ask(url, as: "postgres " + (ConnectionText.name(url) ?? "?"), within: limit) {
            (connection, limit) throws(DatabaseError) in
            try connection.query(
                """
                SELECT pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, \
                restart_lsn)::bigint FROM pg_replication_slots WHERE slot_name = \(sqlText(slot)) AND restart_lsn IS NOT NULL
                """, limit: limit
            ).first.first?.flatMap { Int64($0) }
        }
    }

    /// Says that it follows once it has for three seconds.
    private func noteFollowing(unless trial: StopSignal) {
        onNewThread { [weak self] in
            do throws(Failure) { try pause(.seconds(3), stop: trial, "the trial of the follower") } catch { return }
            self?.note(.following)
        }
    }

    private func note(_ status: Status) { state.withLock { if !$0.isOver { $0.status = status } } }

    private static func isGap(_ failure: Failure) -> Bool {
        failure.message.contains("has already been removed") || failure.message.contains("cannot read from replication slot")
            || failure.message.contains("has been invalidated")
            // Without a timeline of its own the server was set back: what it writes now is other log under the same names.
            || failure.message.contains("is ahead of the WAL flush position")
    }

    /// What a failure means. Files that are not of the server's history are set aside, for with them it would fail for ever.
    private static func status(after failure: Failure, in folder: String) -> Status {
        guard let stale = stale(failure.message) else { return isGap(failure) ? .gap(failure) : .failing(failure) }
        do throws(Failure) {
            let aside = try LogFolder(folder).setAside { $0.timeline == stale.timeline && $0.end > stale.end }
            guard let aside else { return .failing(failure) }
            return .failing(
                Failure(
                    .transient,
                    "the server left timeline \(stale.timeline) at \(stale.end): the files behind that were moved from \(folder) to "
                        + "\(aside), nothing was deleted, and the log is followed from there",
                    hint: "make a base backup now; what was moved leads to moments of the timeline that was left"))
        } catch { return .failing(error) }
    }

    /// Which timeline the server left, and where, by what it answers (PostgreSQL sources, walsender.c, timeline.c, receivelog.c).
    static func stale(_ message: String) -> (timeline: Int, end: LogPosition)? {
        func word(after mark: String) -> String? {
            message.firstRange(of: mark).map { range in
                String(message[range.upperBound...].prefix { !$0.isWhitespace && $0 != ";" && $0 != "," })
            }
        }
        if message.contains("is not in this server's history") {
            if let fork = message.firstRange(of: "forked from timeline "),
                let timeline = Int(message[fork.upperBound...].prefix { $0.isNumber }),
                let place = message[fork.upperBound...].firstRange(of: " at "),
                let end = LogPosition(String(message[place.upperBound...].prefix { $0.isHexDigit || $0 == "/" }))
            {
                return (timeline, end)
            }
            return word(after: "requested timeline ").flatMap { Int($0) }.map { ($0, LogPosition(bytes: 0)) }
        }
        guard message.contains("is not present in the server") else { return nil }
        return word(after: "starting timeline ").flatMap { Int($0) }.map { ($0, LogPosition(bytes: 0)) }
    }

    /// Sees that the slot is there. Without `immediately reserve` the server would keep log only from the first connection on.
    private static func prepare(
        _ url: String, _ slot: String, _ folder: String, _ folders: [String], _ account: String?
    ) throws(Failure) -> PostgresTools {
        let (version, system) = try ask(url, as: "postgres " + (ConnectionText.name(url) ?? "?")) {
            (connection, limit) throws(DatabaseError) in
            _ = try connection.query("SET default_transaction_read_only = off", limit: limit)
            _ = try connection.query(
                """
                SELECT pg_create_physical_replication_slot(\(sqlText(slot)), true) \
                WHERE NOT EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = \(sqlText(slot)))
                """, limit: limit)
            let system = try connection.query("SELECT system_identifier FROM pg_control_system()", limit: limit).first.first
            return (connection.version, system ?? nil)
        }
        if let last = try LogFolder(folder).content().segments.last {
            let known = try LogFolder(folder).origin(of: last).systemIdentifier
            guard known == system else {
                throw Failure(
                    .invalid,
                    "the server is another cluster (\(system ?? "?")) than the one whose log is in \(folder) (\(known))",
                    hint: "name another folder in receivewal")
            }
        }
        return try PostgresTools(major: version / 10_000, url: url, folders: folders, account: account)
    }

    private static func follow(_ tool: SourceTool, _ arguments: [String], _ stop: StopSignal) throws(Failure) {
        let stream = try ProgramStream(
            tool.program(arguments, deadline: .hours(24 * 365)), .reading, stall: nil,
            redaction: Redaction(secrets: tool.secrets), stop: stop)
        try stream.readAll { (_) throws(Failure) in }
        throw Failure(.transient, "pg_receivewal ended by itself")
    }
}
