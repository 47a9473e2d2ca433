internal import Glibc
public import SerinCatalogue
public import SerinCompression
public import SerinModel
public import SerinProcesses

/// A copy of Redis' append-only files (since 7.0: a folder with a manifest), as one tar archive.
///
/// A rewrite that begins or ends while they are copied changes the manifest: the copy is then thrown away and made again. So nothing
/// of the server's settings has to be changed, which a run that is killed could not change back.
public struct RedisAppendOnlySource: BackupSource {
    /// What its backups are made of.
    public let kind = BackupKind.redisAOF
    /// What messages call it; holds no secret.
    public let name: String
    private let address: RedisAddress
    private let folder: String
    private let isRequired: Bool
    private let environment: SourceEnvironment
    private static let attempts = 5

    /// A source.
    ///
    /// - Parameters:
    ///   - folder: The server's data folder on this machine.
    ///   - isRequired: Whether a server that keeps no such files is a failure; otherwise there is nothing to back up: `conflict`.
    public init(url: String, folder: String, isRequired: Bool = true, environment: SourceEnvironment) throws(Failure) {
        address = try RedisAddress(url)
        name = "append-only files of redis \(address.host):\(address.port)"
        self.folder = folder
        self.isRequired = isRequired
        self.environment = environment
    }

    /// Looks whether a backup can be made.
    public func probe(stop: StopSignal) throws(Failure) -> SourceProbe {
        let server = RedisConversation(address, stop: stop)
        let facts = SourceFacts(version: try server.info("server")["redis_version"] ?? "?")
        let (files, _) = try place(server)
        guard access(files, R_OK | X_OK) == 0 else { throw problem("read", files, errno) }
        let state = try server.info("persistence")
        var remarks: [String] = []
        if state["aof_last_write_status"] != "ok" { remarks.append("the server's last write to its append-only file failed") }
        let size = state["aof_current_size"].flatMap { Int64($0) }
        if let size { try requireSpace(size, in: environment.scratch, for: "the copy of the append-only files") }
        return SourceProbe(tool: try tool(stop), server: facts, sizeEstimate: size, remarks: remarks)
    }

    private func tool(_ stop: StopSignal) throws(Failure) -> ToolFacts {
        ToolFacts(name: "redis-check-aof", version: try SourceTool("redis-cli").version(stop: stop), format: "tar")
    }

    /// The folder of the files, and the manifest's name.
    private func place(_ server: RedisConversation) throws(Failure) -> (folder: String, manifest: String) {
        guard try server.setting("appendonly") == "yes" else {
            throw Failure(
                isRequired ? .invalid : .conflict, "\(name): the server keeps none",
                hint: "CONFIG SET appendonly yes and CONFIG REWRITE, or leave them out")
        }
        let sub = try server.setting("appenddirname")
        let file = try server.setting("appendfilename")
        guard !sub.isEmpty, sub != "..", !sub.has("/"), !file.isEmpty, !file.has("/") else {
            throw Failure(.invalid, "\(name): the server names no folder for them", hint: "Redis 7.0 or later is needed")
        }
        return ("\(folder)/\(sub)", file + ".manifest")
    }

    /// Gives the backup, once its tools have found it whole.
    public func produce(to sink: ByteSink, stop: StopSignal) throws(Failure) -> SourceProduct {
        let server = RedisConversation(address, stop: stop)
        var facts = SourceFacts(version: try server.info("server")["redis_version"] ?? "?")
        let (source, manifest) = try place(server)
        var last = "they were rewritten each time"
        for _ in 0..<RedisAppendOnlySource.attempts {
            let copy = try TemporaryFolder(in: environment.scratch)
            facts.consistentAt = try server.moment()
            guard try copyFiles(source, manifest, to: copy.path) else {
                try pause(.milliseconds(500), stop: stop, "the copy of the append-only files")
                continue
            }
            // A command that was half written when its file was copied is found here.
            let check = try RedisChecks.appendOnly("\(copy.path)/\(manifest)", deadline: environment.deadline, stop: stop)
            guard check.isGood else {
                last = check.detail
                continue
            }
            var tar = TarWriter()
            try tar.add(copy.path, as: "", to: sink)
            try tar.finish(to: sink)
            return SourceProduct(tool: try tool(stop), server: facts, evidence: [check.evidence])
        }
        throw Failure(.transient, "\(name): no whole copy in \(RedisAppendOnlySource.attempts) attempts: \(last)")
    }

    /// Copies what the manifest names, then the manifest.
    ///
    /// - Returns: Whether it named the same before and after.
    private func copyFiles(_ source: String, _ manifest: String, to target: String) throws(Failure) -> Bool {
        let before = try bytes(of: "\(source)/\(manifest)", limit: 1 << 20)
        for line in String(decoding: before, as: UTF8.self).split(whereSeparator: \.isNewline) {
            // `file NAME seq N type b|h|i`; history files wait for their deletion.
            let words = line.split(separator: " ").map(String.init)
            guard words.count >= 6, words[0] == "file", words[4] == "type", !words[1].has("/") else {
                throw Failure(.invalid, "cannot read \(source)/\(manifest): \(line)")
            }
            if words[5] == "h" { continue }
            do throws(Failure) { try copyFile("\(source)/\(words[1])", to: "\(target)/\(words[1])") } catch {
                if error.kind == .invalid { return false }
                throw error
            }
        }
        try write(String(decoding: before, as: UTF8.self), to: "\(target)/\(manifest)")
        return try bytes(of: "\(source)/\(manifest)", limit: 1 << 20) == before
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
            throw Failure(.invalid, "append-only files are restored into the empty appendonlydir of a server that is stopped")
        }
        let deadline = target.deadline
        return try TarUnpacking(
            into: folder, linksStayInside: true, deadline: deadline, stall: environment.stall, stop: stop
        ) { (folder, _) throws(Failure) in
            guard let manifest = try names(in: folder).first(where: { $0.hasSuffix(".manifest") }) else {
                return ConsumerFindings(checks: [BackupCheck("redis-check-aof", passed: false, detail: "there is no manifest")])
            }
            let check = try RedisChecks.appendOnly("\(folder)/\(manifest)", deadline: deadline, stop: stop)
            return ConsumerFindings(
                checks: [BackupCheck("redis-check-aof", passed: check.isGood, detail: check.detail)], evidence: [check.evidence])
        }
    }
}
