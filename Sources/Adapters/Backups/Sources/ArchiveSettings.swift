internal import Glibc
public import SerinCatalogue
internal import SerinDatabase
public import SerinModel

/// Whether a Postgres server archives its write-ahead log, and in a way that loses none.
public struct ArchiveSettings: Sendable, Hashable {
    /// What was looked at, good and bad.
    public var checks: [BackupCheck]
    /// Whether archiving has stopped until somebody acts: the server tries a file whose name is taken in the archive.
    public var isStopped = false

    /// Asks a server.
    ///
    /// - Parameters:
    ///   - slot: The replication slot by which the log is received, so that the server need not archive it.
    ///   - archiveTimeout: The longest that is accepted: the most that a loss of the server may cost.
    ///   - folder: The log's folder on this machine, to see that it is on another file system; nil when it is elsewhere.
    public init(url: String, slot: String? = nil, archiveTimeout: Duration, folder: String? = nil) throws(Failure) {
        let name = "postgres " + (ConnectionText.name(url) ?? "?")
        let row = try ask(url, as: name) { (connection, limit) throws(DatabaseError) in
            try connection.query(
                """
                SELECT current_setting('wal_level'), current_setting('archive_mode'), current_setting('archive_command'), \
                (SELECT setting FROM pg_settings WHERE name = 'archive_timeout'), \
                (SELECT failed_count FROM pg_stat_archiver WHERE last_failed_time > coalesce(last_archived_time, 'epoch')), \
                (SELECT last_failed_wal FROM pg_stat_archiver), current_setting('data_directory', true), \
                coalesce(current_setting('archive_library', true), ''), \
                (SELECT active FROM pg_replication_slots WHERE slot_name = \(sqlText(slot ?? "")))
                """, limit: limit
            ).first
        }
        guard row.count == 9 else { throw Failure(.unknown, "\(name) does not tell its settings") }
        checks = []
        let level = row[0] ?? ""
        checks.append(BackupCheck("wal_level", passed: level == "replica" || level == "logical", detail: level))
        if let slot {
            checks.append(
                ArchiveSettings.receiving(slot, isActive: row[8].map { $0 == "t" }, newest: folder.flatMap(LogFolder.newest)))
            return
        }
        let mode = row[1] ?? ""
        checks.append(BackupCheck("archive_mode", passed: mode == "on" || mode == "always", detail: mode))
        // Who may not see the command sees an empty one.
        let command = row[7]?.isEmpty == false ? nil : row[2] ?? ""
        if let command { checks.append(ArchiveSettings.judge(command: command)) }
        let seconds = row[3].flatMap { Int64($0) } ?? 0
        checks.append(
            BackupCheck(
                "archive_timeout", passed: seconds > 0 && Duration.seconds(seconds) <= archiveTimeout,
                detail: seconds == 0
                    ? "0: a quiet server archives nothing" : "\(Duration.seconds(seconds)), at most \(archiveTimeout)"))
        let isFailing = row[4] != nil
        let file = row[5] ?? "a file"
        var words = isFailing ? "it fails with \(file), \(row[4] ?? "?") times so far" : ""
        if isFailing, let folder, access("\(folder)/\(file)", F_OK) == 0 {
            isStopped = true
            words +=
                ": \(folder) has a file of that name already, of another server or timeline, and nothing behind it is archived; let this "
                + "server archive into a folder of its own, name that one in the plan, and make a base backup"
        }
        checks.append(BackupCheck("archiving works", passed: !isFailing, detail: words))
        if let folder, let data = row[6], let problem = ArchiveSettings.sharedDevice(data, folder) {
            checks.append(BackupCheck("separate volume", passed: false, detail: problem))
        }
    }

    /// Whether the log is being received.
    ///
    /// - Parameters:
    ///   - isActive: Whether somebody receives by the slot; nil when the server has no such slot.
    ///   - newest: When the newest piece came into the folder.
    static func receiving(_ slot: String, isActive: Bool?, newest: Instant?) -> BackupCheck {
        let last = newest.map { ", the newest of it is of \($0)" } ?? ", and none is here"
        let who =
            "either no serin daemon --backup PLAN runs, which receives it, or it cannot follow: its log says why, and a gap needs a new "
            + "base backup"
        let words =
            switch isActive {
            case true?: "by the slot \(slot)" + last
            case false?: "nobody receives by the slot \(slot)\(last): \(who)"
            case nil: "the server has no slot \(slot)\(last): \(who)"
            }
        return BackupCheck("log is received", passed: isActive == true, detail: words)
    }

    /// Whether a command is a plain copy, which replaces what is there and promises nothing about the disk.
    static func judge(command: String) -> BackupCheck {
        func check(_ passed: Bool, _ detail: String) -> BackupCheck {
            BackupCheck("archive_command", passed: passed, detail: detail)
        }
        let words = command.split { $0 == " " || $0 == "\t" }.map(String.init)
        guard let first = words.first else { return check(false, "it is empty, or this role may not see it") }
        let program = first.split(separator: "/").last.map(String.init) ?? first
        if ["true", ":", "exit", "echo"].contains(program) { return check(false, "it stores nothing") }
        guard command.contains("%p") else { return check(false, "it does not name the file (%p)") }
        let copies = words.contains {
            ["cp", "mv", "rsync", "scp", "install"].contains($0.split(separator: "/").last.map(String.init) ?? $0)
        }
        if copies {
            return check(
                false,
                "a plain copy replaces what is there or leaves half a file, and does not wait for the disk; use archive-wal.sh")
        }
        return check(true, program)
    }

    private static func sharedDevice(_ data: String, _ folder: String) -> String? {
        var first = stat()
        var second = stat()
        guard stat(data, &first) == 0, stat(folder, &second) == 0, first.st_dev == second.st_dev else { return nil }
        return "\(folder) is on the same file system as the data: both are lost together"
    }
}
