internal import Glibc
public import SerinCatalogue
public import SerinModel
public import SerinProcesses

/// pgBackRest, told of one stanza, with its answers read instead of its exit status believed where that says nothing.
///
/// Which backups it keeps is left to it and its own settings (`repo1-retention-full` and the like).
public struct PgBackRest: Sendable {
    /// The stanza.
    public let stanza: String
    private let configuration: String?
    private let folders: [String]
    private let account: String?
    private let deadline: Duration

    /// A stanza.
    ///
    /// - Parameters:
    ///   - configuration: The file with its settings, its repositories' secrets among them; nil for its usual place.
    ///   - account: The user that it runs as, usually the server's, when the caller is root.
    public init(
        stanza: String, configuration: String? = nil, folders: [String] = [], account: String? = nil, deadline: Duration
    ) throws(Failure) {
        guard !stanza.isEmpty, !stanza.hasPrefix("-"),
            stanza.utf8.allSatisfy({
                (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x2D || $0 == 0x5F
            })
        else { throw Failure(.invalid, "\"\(stanza)\" is no name of a stanza: letters, digits, '-' and '_'") }
        self.stanza = stanza
        self.configuration = configuration
        self.folders = folders
        self.account = account
        self.deadline = deadline
    }

    private var tool: SourceTool {
        let path = folders.map { "\($0)/pgbackrest" }.first { isProgram($0) } ?? "pgbackrest"
        return SourceTool(path, account: account)
    }

    /// The options that every command gets. Nothing is logged to files, warnings come on standard error.
    private var common: [String] {
        ["--stanza=\(stanza)", "--log-level-console=off", "--log-level-stderr=warn", "--log-level-file=off"]
            + (configuration.map { ["--config=\($0)"] } ?? [])
    }

    /// Its version.
    public func version(stop: StopSignal) throws(Failure) -> String { try tool.version(["version"], stop: stop) }

    /// Creates the stanza, or upgrades nothing when it is there.
    public func createStanza(stop: StopSignal) throws(Failure) -> ToolEvidence { try run("stanza-create", stop: stop) }

    /// Whether the server archives into the repository: it switches to a new file of the log and waits until that arrives.
    public func check(stop: StopSignal) throws(Failure) -> ToolEvidence { try run("check", stop: stop) }

    private func run(_ command: String, _ options: [String] = [], stop: StopSignal) throws(Failure) -> ToolEvidence {
        try accepted(try tool.answer(common + options + [command], deadline: deadline, stop: stop)).evidence
    }

    private func accepted(_ answer: ToolAnswer) throws(Failure) -> ToolAnswer {
        do throws(Failure) { return try answer.succeeded() } catch {
            throw Failure(error.kind, error.message, hint: hint(on: answer.complaint))
        }
    }

    /// What it says when somebody else runs it than who owns its repository, or may not be the user of its sessions.
    private func hint(on complaint: String) -> String? {
        let signs = ["ermission denied", "eer authentication failed", "peration not permitted"]
        let isStranger =
            signs.contains { complaint.contains($0) } || (complaint.contains("role \"") && complaint.contains("not exist"))
        guard isStranger else { return nil }
        let owner = account ?? getpwuid(geteuid()).map { String(cString: $0.pointee.pw_name) } ?? "user \(geteuid())"
        return "pgbackrest ran as \(owner); run this as the owner of its repository and of the server's files, such as postgres"
    }

    /// The `restore_command` by which a server gets its log from the repository. The server hands it to a shell, and takes `%` for
    /// one of its own marks.
    ///
    /// - Parameter data: The server's data folder, which is not the one that the configuration names.
    public func restoreCommand(for data: String) -> String {
        func word(_ text: String) -> String { shellWord(text).rewriting("%", as: "%%") }
        let options =
            ["--stanza=\(word(stanza))", "--pg1-path=\(word(data))"] + (configuration.map { ["--config=\(word($0))"] } ?? [])
        return (["pgbackrest"] + options + ["archive-get", "%f", "\"%p\""]).joined(separator: " ")
    }

    // MARK: backups

    /// One backup in the repository, as `info` tells.
    public struct Backup: Sendable, Hashable {
        /// Its label: `20261121-132738F`, with `_…D` or `_…I` behind for what depends on others.
        public var label: String
        /// Full, differential or incremental.
        public var kind: BackupKind
        /// The labels that it cannot be restored without.
        public var references: [String]
        /// Where it came from.
        public var server: SourceFacts
        /// Bytes of the data, and as stored.
        public var size: (plain: Int64, stored: Int64) { (plainBytes, storedBytes) }
        let plainBytes: Int64
        let storedBytes: Int64
        /// Whether it found pages with a wrong sum while it copied.
        public var hasError: Bool
        /// The version that made it.
        public var toolVersion: String
    }

    /// The backups of the stanza, oldest first.
    ///
    /// - Throws: When the repository does not know the stanza or says that something is wrong with it.
    public func backups(stop: StopSignal) throws(Failure) -> [Backup] {
        try PgBackRest.backups(in: try info(stop), stanza: stanza, hint: hint)
    }

    private func info(_ stop: StopSignal) throws(Failure) -> [UInt8] {
        try accepted(try tool.answer(common + ["--output=json", "info"], deadline: .minutes(5), stop: stop)).output
    }

    /// The last file of the log in the repository, as `info` tells; nil when there is none.
    func lastSegment(stop: StopSignal) throws(Failure) -> LogSegment? {
        let output = try info(stop)
        let document: JSONValue
        do throws(JSONError) { document = try JSONValue(parsing: output) } catch {
            throw Failure(.invalid, "pgbackrest info gave something that is no JSON: \(error)")
        }
        let archives = document.items?.first { $0["name"]?.text == stanza }?["archive"]?.items ?? []
        return archives.compactMap { $0["max"]?.text.flatMap { LogSegment($0) } }.max()
    }

    /// - Parameter hint: What to do about a complaint.
    static func backups(
        in output: [UInt8], stanza name: String, hint: (String) -> String? = { _ in nil }
    ) throws(Failure) -> [Backup] {
        let document: JSONValue
        do throws(JSONError) { document = try JSONValue(parsing: output) } catch {
            throw Failure(.invalid, "pgbackrest info gave something that is no JSON: \(error)")
        }
        guard let stanza = document.items?.first(where: { $0["name"]?.text == name }) else {
            throw Failure(
                .invalid, "pgbackrest does not know the stanza \(name)", hint: "pgbackrest --stanza=\(name) stanza-create")
        }
        // 0: ok; 2: no valid backups yet; everything else is a fault of the stanza.
        guard let code = stanza["status"]?["code"]?.integer, code == 0 || code == 2 else {
            // The reason stands at the repository.
            let words = ([stanza] + (stanza["repo"]?.items ?? [])).compactMap { $0["status"]?["message"]?.text }
            let lines = words.filter { $0 != "ok" }.flatMap { $0.split(whereSeparator: \.isNewline) }
            let complaint = String(lines.joined(separator: "; ").prefix(1000))
            throw Failure(
                .invalid, "pgbackrest says of the stanza \(name): \(complaint.isEmpty ? "no status" : complaint)",
                hint: hint(complaint))
        }
        var servers: [Int64: (version: String, systemIdentifier: String)] = [:]
        for server in stanza["db"]?.items ?? [] {
            guard let id = server["id"]?.integer, let version = server["version"]?.text else { continue }
            // A number that is larger than what a double holds exactly.
            guard case .number(let digits)? = server["system-id"] else { continue }
            servers[id] = (version, digits)
        }
        var backups: [Backup] = []
        for entry in stanza["backup"]?.items ?? [] {
            guard let backup = backup(entry, servers) else {
                throw Failure(.invalid, "pgbackrest info tells of a backup in a form that is not understood")
            }
            backups.append(backup)
        }
        return backups
    }

    private static func backup(
        _ entry: JSONValue, _ servers: [Int64: (version: String, systemIdentifier: String)]
    ) -> Backup? {
        let kinds: [String: BackupKind] = ["full": .baseFull, "diff": .baseDifferential, "incr": .baseIncremental]
        guard let label = entry["label"]?.text, let kind = entry["type"]?.text.flatMap({ kinds[$0] }),
            let start = entry["lsn"]?["start"]?.text.flatMap({ LogPosition($0) }),
            let stop = entry["lsn"]?["stop"]?.text.flatMap({ LogPosition($0) }),
            let end = entry["timestamp"]?["stop"]?.integer, let first = entry["archive"]?["start"]?.text,
            let last = entry["archive"]?["stop"]?.text, let server = entry["database"]?["id"]?.integer.flatMap({ servers[$0] }),
            let version = entry["backrest"]?["version"]?.text, let size = entry["info"]?["size"]?.integer,
            let stored = entry["info"]?["repository"]?["size"]?.integer ?? entry["info"]?["repository"]?["delta"]?.integer,
            // Whole seconds, cut: the end is within the next one.
            case let consistentAt = Instant(secondsSince1970: end, milliseconds: 1000), Instant.plausible.contains(consistentAt)
        else { return nil }
        var facts = SourceFacts(version: server.version, systemIdentifier: server.systemIdentifier)
        facts.timeline = Int(last.prefix(8), radix: 16)
        facts.lsnStart = start
        facts.lsnStop = stop
        facts.consistentAt = consistentAt
        facts.firstSegment = first
        facts.lastSegment = last
        var hasError = false
        if case .bool(true)? = entry["error"] { hasError = true }
        return Backup(
            label: label, kind: kind, references: entry["reference"]?.items?.compactMap(\.text) ?? [], server: facts,
            plainBytes: size, storedBytes: stored, hasError: hasError, toolVersion: version)
    }

    /// Makes a backup and gives what the repository says of it then.
    ///
    /// - Throws: Also when it ended with status 0 but no new backup is there, or one of another kind, or with damaged pages.
    public func backUp(_ kind: BackupKind, stop: StopSignal) throws(Failure) -> (backup: Backup, evidence: ToolEvidence) {
        let word: String
        switch kind {
        case .baseFull: word = "full"
        case .baseDifferential: word = "diff"
        case .baseIncremental: word = "incr"
        default: throw Failure(.invalid, "pgbackrest makes no backup of the kind \(kind.rawValue)")
        }
        let before = Set(try backups(stop: stop).map(\.label))
        let evidence = try run("backup", ["--type=\(word)"], stop: stop)
        guard let backup = try backups(stop: stop).last, !before.contains(backup.label) else {
            throw Failure(.transient, "pgbackrest ended with status 0, but its repository holds no new backup")
        }
        // Without a full one before, it makes a full one whatever it was asked for.
        guard backup.kind == kind || backup.kind == .baseFull else {
            throw Failure(.unknown, "pgbackrest was asked for a \(word) backup and made \(backup.label)")
        }
        guard !backup.hasError else {
            throw Failure(.invalid, "backup \(backup.label) holds pages whose sums are wrong: the server's data is damaged")
        }
        return (backup, evidence)
    }

    /// Has the repository read completely.
    ///
    /// `pgbackrest verify` ends with status 0 also when files are damaged, and only says so in its text: every line of it has to
    /// be understood.
    public func verify(stop: StopSignal) throws(Failure) -> ConsumerFindings {
        let answer = try tool.answer(common + ["--output=text", "--verbose", "verify"], deadline: deadline, stop: stop)
        let check = PgBackRest.judge(verification: answer.text, status: answer.status, complaint: answer.complaint)
        return ConsumerFindings(checks: [check], evidence: [answer.evidence])
    }

    /// Reads the text of `verify`. Good is only what says `status: ok`, counts backups, and counts nothing as missing or invalid.
    static func judge(verification text: String, status: Int32, complaint: String) -> BackupCheck {
        func check(_ passed: Bool, _ detail: String) -> BackupCheck {
            BackupCheck("pgbackrest verify", passed: passed, detail: detail)
        }
        guard status == 0 else { return check(false, "exit \(status): \(complaint)") }
        let lines = text.split(whereSeparator: \.isNewline).map { $0.trimmed }
        guard let verdict = lines.first(where: { $0.hasPrefix("status:") }) else { return check(false, "it gave no verdict") }
        guard verdict == "status: ok" else {
            let reasons = lines.drop { $0 != verdict }.dropFirst().filter { !$0.contains("status: valid") }
            return check(false, ([verdict] + reasons).prefix(6).joined(separator: "; "))
        }
        for line in lines {
            for word in ["missing:", "checksum invalid:", "size invalid:", "other:"] {
                guard let mark = line.firstRange(of: word) else { continue }
                let count = line[mark.upperBound...].drop { $0 == " " }.prefix { $0.isNumber }
                if count != "0" { return check(false, line) }
            }
            if line.hasPrefix("backup:"), !line.contains("status: valid") { return check(false, line) }
        }
        let backups = lines.count { $0.hasPrefix("backup:") }
        return check(backups > 0, backups > 0 ? "\(backups) backups are valid" : "it looked at no backup")
    }

    /// Restores a backup into an empty folder, ready for `PointInTimeRestore` with `restoreCommand` as its supply of log.
    public func restore(_ label: String, into folder: String, stop: StopSignal) throws(Failure) -> ToolEvidence {
        try run("restore", ["--set=\(label)", "--pg1-path=\(folder)", "--type=none", "--archive-mode=off"], stop: stop)
    }
}
