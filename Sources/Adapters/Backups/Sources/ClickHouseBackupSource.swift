internal import Glibc
public import SerinCatalogue
public import SerinCompression
internal import SerinLocks
public import SerinModel
public import SerinPolicies
public import SerinProcesses
public import SerinTransport

/// ClickHouse, by its own `BACKUP` statement or the program `clickhouse-backup`, as one tar archive of what they wrote.
///
/// The server (or program) writes into a folder that this machine can read; its copy there is removed afterwards. This driver was
/// tested with stand-ins, not with a real server; see docs/decisions/0043.
public struct ClickHouseBackupSource: BackupSource {
    /// What its backups are made of.
    public let kind = BackupKind.clickhouse
    /// What messages call it; holds no secret.
    public let name: String
    private let url: String
    private let source: ClickHouseSource
    private let transport: Transport
    private let folder: String
    private let prefix: String
    private let environment: SourceEnvironment

    /// A source.
    ///
    /// - Parameters:
    ///   - url: `http://user:password@host:8123`, or for `clickhouse-backup` the path of its configuration.
    ///   - target: Whose backups these are: by it the next run knows what one that was killed has left in the folder.
    ///   - transport: For the server's HTTP interface.
    public init(
        url: String, _ source: ClickHouseSource, of target: ServiceName, transport: Transport, environment: SourceEnvironment
    ) throws(Failure) {
        guard let folder = source.folder else {
            throw Failure(.invalid, "clickhouse needs the folder that its backups are written into", hint: "set folder")
        }
        self.url = url
        self.source = source
        self.transport = transport
        self.folder = folder
        prefix = "serin-\(target)-"
        self.environment = environment
        switch source.tool {
        case .sql: name = "clickhouse " + HTTPRequest(url: url, timeout: .zero).publicURL
        case .clickhouseBackup: name = "clickhouse-backup \(url)"
        }
    }

    /// Looks whether a backup can be made.
    public func probe(stop: StopSignal) throws(Failure) -> SourceProbe {
        guard access(folder, R_OK | X_OK) == 0 else { throw problem("read", folder, errno) }
        switch source.tool {
        case .sql:
            // The server makes a copy in it that is to be gone afterwards.
            guard access(folder, W_OK) == 0 else {
                var failure = problem("remove anything from", folder, errno)
                failure.hint =
                    "the server's copies would stay there and fill the disk: let the account of Serin write to the folder"
                throw failure
            }
            let version = try query("SELECT version()", stop)
            guard let major = Int(version.prefix { $0 != "." }), major >= 22 else {
                throw Failure(
                    .invalid, "\(name) is of version \(version), which has no BACKUP statement", hint: "use clickhouse-backup")
            }
            return SourceProbe(
                tool: ToolFacts(name: "clickhouse", version: version, format: "tar"), server: SourceFacts(version: version))
        case .clickhouseBackup: return SourceProbe(tool: try programFacts(stop))
        }
    }

    /// Removes what runs of this target left in the folder. One at a time works on a target, so none of it is in use.
    ///
    /// - Returns: What could not be removed.
    private func sweep(_ stop: StopSignal) throws(Failure) -> [String] {
        // What ends in more than a random name is another target's, whose name begins like this one.
        let left = try nameBytes(in: Array(folder.utf8)).compactMap { String(validating: $0, as: UTF8.self) }.filter {
            $0.hasPrefix(prefix) && !$0.dropFirst(prefix.count).contains("-")
        }
        return left.filter { !remove($0, stop) }.map { id in
            "\(folder)/\(id) could not be removed and takes room: remove it, and let the account of Serin remove what the server "
                + "writes there"
        }
    }

    /// Whether a copy is gone.
    private func remove(_ id: String, _ stop: StopSignal) -> Bool {
        let place = "\(folder)/\(id)"
        switch source.tool {
        case .sql: removeTree(place)
        case .clickhouseBackup:
            // What it says of a copy that is gone is of no interest; of one that is not, that it is there.
            _ = try? program.answer(["--config=\(url)", "delete", "local", id], deadline: .minutes(5), stop: stop)
        }
        var status = stat()
        return lstat(place, &status) != 0 && errno == ENOENT
    }

    /// Gives the backup, once its tools have found it whole.
    public func produce(to sink: ByteSink, stop: StopSignal) throws(Failure) -> SourceProduct {
        let id = prefix + (try randomName())
        // Left by runs that were killed, or could not remove it.
        _ = try sweep(stop)
        do throws(Failure) {
            var product = try make(id, to: sink, stop)
            product.remarks = try sweep(stop)
            return product
        } catch {
            let left = remove(id, stop) ? "" : "; what it had written is left in \(folder)/\(id)"
            throw Failure(error.kind, error.message + left, hint: error.hint, retryAfter: error.retryAfter)
        }
    }

    private func make(_ id: String, to sink: ByteSink, _ stop: StopSignal) throws(Failure) -> SourceProduct {
        let place = "\(folder)/\(id)"
        switch source.tool {
        case .sql:
            let version = try query("SELECT version()", stop)
            try backUpBySQL(id, stop)
            try pack(place, to: sink, stop)
            return SourceProduct(
                tool: ToolFacts(name: "clickhouse", version: version, format: "tar"), server: SourceFacts(version: version))
        case .clickhouseBackup:
            let facts = try programFacts(stop)
            let tables = source.databases.isEmpty ? [] : ["--tables=" + source.databases.map { "\($0).*" }.joined(separator: ",")]
            let made = try program.answer(
                ["--config=\(url)", "create"] + tables + [id], deadline: environment.deadline, stop: stop)
            let evidence = try made.succeeded().evidence
            try pack(place, to: sink, stop)
            return SourceProduct(tool: facts, evidence: [evidence])
        }
    }

    private var program: SourceTool {
        SourceTool(environment.toolFolders.map { "\($0)/clickhouse-backup" }.first { isProgram($0) } ?? "clickhouse-backup")
    }

    private func programFacts(_ stop: StopSignal) throws(Failure) -> ToolFacts {
        ToolFacts(name: "clickhouse-backup", version: try program.version(stop: stop), format: "tar")
    }

    private func pack(_ place: String, to sink: ByteSink, _ stop: StopSignal) throws(Failure) {
        var tar = TarWriter()
        try tar.add(place, as: "") { (bytes) throws(Failure) in
            guard !stop.isRaised else { throw Failure(.transient, "the backup of \(name) was given up") }
            try sink(bytes)
        }
        guard tar.tally.files > 0 else { throw Failure(.transient, "\(name) reported success, but \(place) holds no file") }
        try tar.finish(to: sink)
    }

    /// Starts the backup and asks until the server says what came of it: the statement alone would have to be waited for on one
    /// connection, whose loss says nothing.
    private func backUpBySQL(_ id: String, _ stop: StopSignal) throws(Failure) {
        let what =
            source.databases.isEmpty
            ? "ALL EXCEPT DATABASES system, INFORMATION_SCHEMA, information_schema"
            : source.databases.map { "DATABASE \(ClickHouseBackupSource.name($0))" }.joined(separator: ", ")
        let text = ClickHouseBackupSource.literal(id)
        _ = try query("BACKUP \(what) TO File(\(text)) SETTINGS id = \(text) ASYNC", stop)
        let limit = ContinuousClock.now + .milliseconds(environment.deadline.milliseconds)
        while true {
            let answer = try query("SELECT status, error FROM system.backups WHERE id = \(text) FORMAT TabSeparated", stop)
            let columns = answer.split(separator: "\t", maxSplits: 1, omittingEmptySubsequences: false)
            switch columns.first {
            case "BACKUP_CREATED": return
            case "CREATING_BACKUP": break
            default:
                throw Failure(
                    .transient, "\(name): the backup ended as \(columns.first ?? "nothing"): \(columns.dropFirst().first ?? "")")
            }
            guard ContinuousClock.now < limit else {
                throw Failure(.unknown, "\(name) did not finish its backup within \(environment.deadline)")
            }
            try pause(.milliseconds(200), stop: stop, "the backup of \(name)")
        }
    }

    static func name(_ text: String) -> String { quoted(text, "`") }
    static func literal(_ text: String) -> String { quoted(text, "'") }

    private static func quoted(_ text: String, _ quote: Unicode.Scalar) -> String {
        let escaped = text.rewriting { $0 == quote || $0 == "\\" ? "\\\($0)" : $0 == "\0" ? "\\0" : nil }
        return "\(quote)\(escaped)\(quote)"
    }

    /// The answer to a statement, without the last line's end.
    private func query(_ sql: String, _ stop: StopSignal) throws(Failure) -> String {
        var request = HTTPRequest(method: "POST", url: url, body: Array(sql.utf8), timeout: .seconds(30))
        if let scheme = url.firstRange(of: "://"), let at = url.lastIndex(of: "@") {
            let parts = url[scheme.upperBound..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            request.url = String(url[..<scheme.upperBound] + url[url.index(after: at)...])
            request.basic = (String(parts[0]), parts.count > 1 ? String(parts[1]) : "")
        }
        let answer = Locked<Result<HTTPResponse, Failure>?>(nil)
        transport.start(request) { result in answer.withLock { $0 = result } }
        while true {
            if let result = answer.withLock({ $0 }) {
                let response = try result.get()
                let text = String(decoding: response.body, as: UTF8.self).trimmed
                guard response.status == 200 else {
                    throw Failure(
                        response.failureClass(ofWrite: true) ?? .unknown,
                        "\(name) answered \(response.status): \(text.prefix(300))")
                }
                return text
            }
            try pause(.milliseconds(10), stop: stop, "the question to \(name)")
        }
    }

    /// Judges the bytes of a backup without a server.
    public func examination(of tool: ToolFacts, stop: StopSignal) throws(Failure) -> any PlainConsumer {
        TarExamination(TarInspector())
    }

    /// Restores the bytes of a backup.
    public func restoration(
        of product: SourceProduct, into target: RestoreTarget, stop: StopSignal
    ) throws(Failure) -> any PlainConsumer {
        guard case .folder(let folder) = target.place else {
            throw Failure(
                .invalid, "a backup of clickhouse is restored into an empty folder that the server may read",
                hint: "then RESTORE ALL FROM File('…'), or clickhouse-backup restore")
        }
        return try TarUnpacking(
            into: folder, linksStayInside: true, deadline: target.deadline, stall: environment.stall, stop: stop)
    }
}
