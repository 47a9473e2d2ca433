public import SerinCatalogue
public import SerinCompression
public import SerinModel
public import SerinPolicies
public import SerinProcesses

/// A snapshot of Redis: over the network as a replica would get it (`redis-cli --rdb`), or `BGSAVE` and a copy of the file it wrote.
///
/// It is read by `redis-check-rdb`, which checks its sum, before a byte of it is given. A restore puts it as `dump.rdb` into an
/// empty folder; see `RestoredRedis` for the order in which a server must be started on it.
public struct RedisSnapshotSource: BackupSource {
    /// What its backups are made of.
    public let kind = BackupKind.redisRDB
    /// What messages call it; holds no secret.
    public let name: String
    private let address: RedisAddress
    private let snapshot: RedisSource.Snapshot
    private let folder: String?
    private let environment: SourceEnvironment

    /// A source.
    ///
    /// - Parameters:
    ///   - url: `redis://user:password@host:port`.
    ///   - folder: The server's data folder on this machine, for `bgsave`.
    public init(
        url: String, snapshot: RedisSource.Snapshot, folder: String? = nil, environment: SourceEnvironment
    ) throws(Failure) {
        address = try RedisAddress(url)
        name = "redis \(address.host):\(address.port)"
        self.snapshot = snapshot
        self.folder = folder
        self.environment = environment
        if snapshot == .bgsave, folder == nil {
            throw Failure(.invalid, "a snapshot by bgsave needs the server's data folder", hint: "set folder, or snapshot: rdb")
        }
    }

    /// Looks whether a backup can be made.
    public func probe(stop: StopSignal) throws(Failure) -> SourceProbe {
        let server = RedisConversation(address, stop: stop)
        _ = try server.ask("PING")
        let facts = SourceFacts(version: try server.info("server")["redis_version"] ?? "?")
        let state = try server.info("persistence")
        guard state["loading"] == "0" else { throw Failure(.transient, "\(name) is still loading its data") }
        var remarks: [String] = []
        if state["aof_enabled"] == "0" {
            remarks.append("appendonly is no: a crash loses what was written since the last snapshot")
        }
        if state["rdb_last_bgsave_status"] != "ok" { remarks.append("the server's last snapshot of its own failed") }
        let size = try server.info("memory")["used_memory"].flatMap { Int64($0) }
        if let size { try requireSpace(size, in: environment.scratch, for: "the snapshot") }
        return SourceProbe(tool: try tool(stop), server: facts, sizeEstimate: size, remarks: remarks)
    }

    private func tool(_ stop: StopSignal) throws(Failure) -> ToolFacts {
        ToolFacts(name: "redis-cli", version: try SourceTool("redis-cli").version(stop: stop), format: "rdb")
    }

    /// Gives the backup, once its tools have found it whole.
    public func produce(to sink: ByteSink, stop: StopSignal) throws(Failure) -> SourceProduct {
        let server = RedisConversation(address, stop: stop)
        var facts = SourceFacts(version: try server.info("server")["redis_version"] ?? "?")
        let place = try TemporaryFolder(in: environment.scratch)
        let file = place.path + "/dump.rdb"
        // Everything that was written by now is in the snapshot.
        facts.consistentAt = try server.moment()
        var evidence: [ToolEvidence] = []
        switch snapshot {
        case .rdb:
            let copy = try address.client.answer(
                address.arguments + ["--rdb", file], deadline: environment.deadline, stop: stop
            ).succeeded()
            evidence.append(copy.evidence)
        case .bgsave:
            try server.save(within: environment.deadline)
            let name = try server.setting("dbfilename")
            guard !name.has("/"), let folder else { throw Failure(.invalid, "redis names no snapshot file of its folder") }
            try copyFile("\(folder)/\(name)", to: file)
        }
        let check = try RedisChecks.snapshot(file, deadline: environment.deadline, stop: stop)
        evidence.append(check.evidence)
        guard check.isGood else { throw Failure(.transient, "\(name) gave a snapshot that is not whole: \(check.detail)") }
        try readPieces(of: file, sink)
        return SourceProduct(tool: try tool(stop), server: facts, evidence: evidence)
    }

    /// Judges the bytes of a backup without a server.
    public func examination(of tool: ToolFacts, stop: StopSignal) throws(Failure) -> any PlainConsumer {
        let deadline = environment.deadline
        return try FileConsumer(in: environment.scratch, named: "dump.rdb", keeps: false) { (path) throws(Failure) in
            let check = try RedisChecks.snapshot(path, deadline: deadline, stop: stop)
            return ConsumerFindings(
                checks: [BackupCheck("redis-check-rdb", passed: check.isGood, detail: check.detail)], evidence: [check.evidence])
        }
    }

    /// Restores the bytes of a backup.
    public func restoration(
        of product: SourceProduct, into target: RestoreTarget, stop: StopSignal
    ) throws(Failure) -> any PlainConsumer {
        guard case .folder(let folder) = target.place else {
            throw Failure(
                .invalid, "a snapshot of redis is restored into the empty data folder of a server that is stopped",
                hint: "then start it with appendonly no: with appendonly yes it begins empty and ignores the snapshot")
        }
        let deadline = target.deadline
        return try FileConsumer(in: folder, named: "dump.rdb", keeps: true) { (path) throws(Failure) in
            let check = try RedisChecks.snapshot(path, deadline: deadline, stop: stop)
            return ConsumerFindings(
                checks: [BackupCheck("redis-check-rdb", passed: check.isGood, detail: check.detail)], evidence: [check.evidence])
        }
    }
}

/// What Redis' own programs say of its files.
enum RedisChecks {
    struct Verdict {
        var isGood: Bool
        var detail: String
        var evidence: ToolEvidence
    }

    /// Reads a snapshot completely. Both its exit status and its words must say that it is whole.
    static func snapshot(_ path: String, deadline: Duration, stop: StopSignal) throws(Failure) -> Verdict {
        let answer = try SourceTool("redis-check-rdb").answer([path], deadline: deadline, stop: stop)
        let isGood = answer.status == 0 && answer.text.contains("RDB looks OK")
        let keys = answer.text.split(whereSeparator: \.isNewline).first { $0.contains("keys read") }?.trimmed
        return Verdict(
            isGood: isGood, detail: isGood ? keys ?? "whole" : "exit \(answer.status): \(answer.complaint)",
            evidence: answer.evidence)
    }

    /// Reads the append-only files that a manifest names.
    static func appendOnly(_ manifest: String, deadline: Duration, stop: StopSignal) throws(Failure) -> Verdict {
        let answer = try SourceTool("redis-check-aof").answer([manifest], deadline: deadline, stop: stop)
        let isGood = answer.status == 0 && !answer.text.contains("not valid")
        return Verdict(
            isGood: isGood, detail: isGood ? "whole" : "exit \(answer.status): \(answer.complaint)", evidence: answer.evidence)
    }
}
