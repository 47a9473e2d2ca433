public import SerinCatalogue
public import SerinCompression
internal import SerinDatabase
public import SerinModel
public import SerinProcesses

/// A whole Postgres cluster by `pg_basebackup`, with the write-ahead log that it needs to be consistent.
///
/// The backup is made in a private folder, which needs the room of the cluster, judged there by `pg_verifybackup`, and only then
/// given as one tar archive of the data folder. Clusters with tablespaces of their own are refused: pgBackRest knows how to move
/// them.
public struct BaseBackupSource: BackupSource {
    /// What its backups are made of.
    public let kind = BackupKind.baseFull
    /// What messages call it; holds no secret.
    public let name: String
    private let url: String
    private let environment: SourceEnvironment
    private let account: String?

    /// A source.
    ///
    /// - Parameters:
    ///   - url: The connection string of a role that may replicate.
    ///   - account: The user that the tools run as, and to whom a restored data folder belongs, when the caller is root.
    public init(url: String, environment: SourceEnvironment, account: String? = nil) {
        self.url = url
        self.environment = environment
        self.account = account
        name = "postgres " + (ConnectionText.name(url) ?? "?")
    }

    /// What the server says about itself.
    private struct Server {
        var version: String
        var major: Int
        var facts: SourceFacts
        var bytes: Int64?
        var remarks: [String]
    }

    /// Looks whether a backup can be made.
    public func probe(stop: StopSignal) throws(Failure) -> SourceProbe {
        let server = try look()
        let tools = try PostgresTools(major: server.major, url: url, folders: environment.toolFolders, account: account)
        let version = try tools.version(of: "pg_basebackup", stop: stop)
        _ = try tools.version(of: "pg_verifybackup", stop: stop)
        if let bytes = server.bytes { try requireSpace(bytes + bytes / 10, in: environment.scratch, for: "the base backup") }
        return SourceProbe(
            tool: ToolFacts(name: "pg_basebackup", version: version, format: "tar"), server: server.facts,
            sizeEstimate: server.bytes, remarks: server.remarks)
    }

    /// Gives the backup, once its tools have found it whole.
    public func produce(to sink: ByteSink, stop: StopSignal) throws(Failure) -> SourceProduct {
        let server = try look()
        let tools = try PostgresTools(major: server.major, url: url, folders: environment.toolFolders, account: account)
        let version = try tools.version(of: "pg_basebackup", stop: stop)
        let place = try TemporaryFolder(in: environment.scratch)
        if let account { try give(place.path, to: account) }
        let data = place.path + "/data"
        let copy = try tools.tool("pg_basebackup").answer(
            [
                "--pgdata=\(data)", "--format=plain", "--wal-method=stream", "--checkpoint=fast",
                "--manifest-checksums=SHA256", "--label=serin", "--no-password",
            ], deadline: environment.deadline, stop: stop
        ).succeeded()
        // Everything that was committed by now is behind the end of the backup: recovery to this moment begins with it.
        let now = try moment()
        let check = try tools.tool("pg_verifybackup").answer(
            ["--exit-on-error", data], deadline: environment.deadline, stop: stop
        ).succeeded()
        let base = try BaseManifest(
            label: String(decoding: try bytes(of: data + "/backup_label", limit: 1 << 16), as: UTF8.self),
            manifest: try bytes(of: data + "/backup_manifest", limit: 1 << 30))
        let control = try ControlFile(of: data, tools: tools, stop: stop)
        guard control.systemIdentifier == server.facts.systemIdentifier else {
            throw Failure(.conflict, "\(name) became another cluster while it was backed up")
        }
        var tar = TarWriter()
        try tar.add(data, as: "", to: sink)
        try tar.finish(to: sink)
        var facts = server.facts
        facts.timeline = base.timeline
        facts.lsnStart = base.start
        facts.lsnStop = base.stop
        facts.consistentAt = now
        facts.history = try LogFolder(data + "/pg_wal").history(of: base.timeline)
        let size = control.segmentSize ?? LogSegment.usualSize
        facts.firstSegment = "\(LogSegment(timeline: base.timeline, holding: base.start, size: size))"
        facts.lastSegment = "\(LogSegment(timeline: base.timeline, holding: LogPosition(bytes: base.stop.bytes - 1), size: size))"
        return SourceProduct(
            tool: ToolFacts(name: "pg_basebackup", version: version, format: "tar"), server: facts,
            evidence: [copy.evidence, check.evidence])
    }

    /// Judges the bytes of a backup without a server.
    public func examination(of tool: ToolFacts, stop: StopSignal) throws(Failure) -> any PlainConsumer {
        let hashes = BaseBackupHashes()
        let inspector = TarInspector { (name, bytes) throws(Failure) in try hashes.take(name, bytes) }
        return TarExamination(inspector) { (_, product) throws(Failure) in try hashes.judge(product) }
    }

    /// Restores the bytes of a backup.
    public func restoration(
        of product: SourceProduct, into target: RestoreTarget, stop: StopSignal
    ) throws(Failure) -> any PlainConsumer {
        guard case .folder(let folder) = target.place else {
            throw Failure(.invalid, "a base backup is restored into an empty folder, not into a running server")
        }
        guard let server = product.server, let major = Int(server.version.prefix { $0 != "." }) else {
            throw Failure(.invalid, "the base backup does not say which version of Postgres it came from")
        }
        let tools = try PostgresTools(major: major, folders: environment.toolFolders, account: account)
        _ = try tools.version(of: "pg_verifybackup", stop: stop)
        if let account { try give(folder, to: account) }
        let deadline = target.deadline
        return try TarUnpacking(
            into: folder, account: account, linksStayInside: true, deadline: deadline, stall: environment.stall, stop: stop
        ) { (folder, _) throws(Failure) in
            let check = try tools.tool("pg_verifybackup").answer([folder], deadline: deadline, stop: stop)
            let passed = BackupCheck(
                "pg_verifybackup", passed: check.status == 0, detail: "exit \(check.status): \(check.complaint)")
            return ConsumerFindings(checks: [passed], evidence: [check.evidence])
        }
    }

    private func look() throws(Failure) -> Server {
        try ask(url, as: name) { (connection, limit) throws(DatabaseError) in
            let first = try connection.query(
                """
                SELECT current_setting('server_version'), (SELECT system_identifier FROM pg_control_system()), \
                (SELECT timeline_id FROM pg_control_checkpoint()), current_setting('wal_level'), \
                (SELECT rolsuper OR rolreplication FROM pg_roles WHERE rolname = current_user), \
                (SELECT string_agg(spcname, ', ' ORDER BY spcname) FROM pg_tablespace \
                WHERE spcname NOT IN ('pg_default', 'pg_global')), \
                current_setting('max_wal_senders')::int > 1, current_setting('full_page_writes')
                """, limit: limit
            ).first
            func refuse(_ kind: FailureClass, _ message: String, _ hint: String) -> DatabaseError {
                DatabaseError(failure: Failure(kind, message, hint: hint), state: nil, isConnectionLost: false)
            }
            guard first.count == 8, let version = first[0]?.prefix(while: { $0 != " " }) else {
                throw refuse(.unknown, "\(name) gave no answer about itself", "look at the server's log")
            }
            if first[4] != "t" {
                throw refuse(.denied, "the role may not replicate from \(name)", "ALTER ROLE … REPLICATION")
            }
            if first[3] == "minimal" {
                throw refuse(.invalid, "\(name) has wal_level minimal", "set wal_level = replica and restart it")
            }
            if first[6] != "t" {
                throw refuse(.invalid, "\(name) has max_wal_senders below 2", "set max_wal_senders = 10 and restart it")
            }
            if let spaces = first[5] {
                throw refuse(.invalid, "\(name) has tablespaces of its own (\(spaces))", "use pgBackRest for this cluster")
            }
            var remarks: [String] = []
            if first[7] == "off" { remarks.append("full_page_writes is off: pages may be torn after a crash") }
            // A role that may not look into every database gets no estimate, which is no reason to stop.
            let bytes = try? connection.query("SELECT sum(pg_database_size(oid))::bigint FROM pg_database", limit: limit)
            let facts = SourceFacts(
                version: String(version), systemIdentifier: first[1], timeline: first[2].flatMap { Int($0) })
            return Server(
                version: String(version), major: connection.version / 10_000, facts: facts,
                bytes: bytes?.first.first?.flatMap { Int64($0) }, remarks: remarks)
        }
    }

    /// The server's clock, by which its commits are dated.
    private func moment() throws(Failure) -> Instant {
        let text = try ask(url, as: name) { (connection, limit) throws(DatabaseError) in
            try connection.query("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint", limit: limit).first.first
        }
        guard let time = text?.flatMap({ Int64($0) }).map(Instant.init(millisecondsSince1970:)), Instant.plausible.contains(time)
        else { throw Failure(.unknown, "\(name) does not tell the time") }
        // Rounded up: commits within this millisecond are part of the moment.
        return time + .milliseconds(1)
    }
}
