public import SerinCatalogue
public import SerinCompression
public import SerinModel
public import SerinProcesses

/// MongoDB by `mongodump --archive`.
///
/// The address with its password is in a private configuration file, never among the arguments. This driver was tested with
/// programs that stand in for MongoDB's own, not with a real server; see docs/decisions/0043.
public struct MongoBackupSource: BackupSource {
    /// What its backups are made of.
    public let kind = BackupKind.mongo
    /// What messages call it; holds no secret.
    public let name: String
    private let url: String
    private let database: String?
    private let environment: SourceEnvironment

    /// A source.
    ///
    /// - Parameters:
    ///   - url: `mongodb://…` or `mongodb+srv://…`.
    ///   - database: Only this database; nil for all.
    public init(url: String, database: String? = nil, environment: SourceEnvironment) throws(Failure) {
        name = "mongodb " + (try MongoAddress(url).words)
        self.url = url
        self.database = database
        self.environment = environment
    }

    private func tool(_ name: String, _ url: String) -> SourceTool {
        // The whole address is taken out of messages, and the password where it stands alone.
        let credentials = url.firstRange(of: "://").map { url[$0.upperBound...].prefix { $0 != "@" } } ?? ""
        let password = credentials.firstIndex(of: ":").map { String(credentials[credentials.index(after: $0)...]) }
        let path = environment.toolFolders.map { "\($0)/\(name)" }.first { isProgram($0) } ?? name
        return SourceTool(path, secrets: [url] + (url.contains("@") ? password.map { [$0] } ?? [] : []))
    }

    private func configuration(_ url: String) throws(Failure) -> TemporaryFolder {
        let place = try TemporaryFolder(in: environment.scratch)
        // YAML would fold a line's end, and keeps no other control character.
        guard url.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
            throw Failure(.invalid, "the address of \(name) holds a control character")
        }
        try write("uri: \(url.doubling("'"))\n", to: place.path + "/tool.yaml")
        return place
    }

    private func facts(_ stop: StopSignal) throws(Failure) -> ToolFacts {
        ToolFacts(name: "mongodump", version: try tool("mongodump", url).version(stop: stop), format: "archive")
    }

    /// Looks whether a backup can be made.
    public func probe(stop: StopSignal) throws(Failure) -> SourceProbe { SourceProbe(tool: try facts(stop)) }

    /// Gives the backup, once its tools have found it whole.
    public func produce(to sink: ByteSink, stop: StopSignal) throws(Failure) -> SourceProduct {
        let facts = try facts(stop)
        let place = try configuration(url)
        let arguments = ["--config=\(place.path)/tool.yaml", "--archive"] + (database.map { ["--db=\($0)"] } ?? [])
        let archive = MongoArchive()
        let (_, evidence) = try stream(
            tool("mongodump", url), arguments, environment: environment,
            to: { (bytes) throws(Failure) in
                archive.take(bytes)
                try sink(bytes)
            }, stop: stop)
        if let defect = archive.defect { throw Failure(.transient, "mongodump ended with status 0, but \(defect)") }
        return SourceProduct(tool: facts, evidence: [evidence])
    }

    /// Judges the bytes of a backup without a server.
    public func examination(of tool: ToolFacts, stop: StopSignal) throws(Failure) -> any PlainConsumer { MongoArchive() }

    /// Restores the bytes of a backup, into a server that holds no collection.
    ///
    /// - Throws: `denied` when the server holds one, or does not say; then nothing was written to it.
    public func restoration(
        of product: SourceProduct, into target: RestoreTarget, stop: StopSignal
    ) throws(Failure) -> any PlainConsumer {
        let url: String
        switch target.place {
        case .server(let address), .database(let address): url = address
        case .folder: throw Failure(.invalid, "an archive of mongodump is restored into an empty server")
        }
        try expectEmpty(url, stop)
        let place = try configuration(url)
        return try ProgramConsumer(
            tool("mongorestore", url), ["--config=\(place.path)/tool.yaml", "--archive", "--stopOnError"], isExamination: false,
            deadline: target.deadline, stall: environment.stall, keeps: place, stop: stop)
    }

    /// Asks `mongodump`, which comes with `mongorestore`: what it would dump comes first in its archive.
    private func expectEmpty(_ url: String, _ stop: StopSignal) throws(Failure) {
        let server = "mongodb " + (try MongoAddress(url).words)
        let place = try configuration(url)
        let archive = MongoArchive()
        var found: [MongoArchive.Namespace] = []
        do throws(Failure) {
            _ = try stream(
                tool("mongodump", url), ["--config=\(place.path)/tool.yaml", "--archive"], environment: environment,
                to: { (bytes) throws(Failure) in
                    archive.take(bytes)
                    guard archive.namesAll else { return }
                    found = archive.promised.filter { !$0.isOfServer }
                    // Enough is known: nobody needs the rest.
                    if !found.isEmpty { throw Failure(.denied, "not empty") }
                }, stop: stop)
            if let defect = archive.defect { throw Failure(.unknown, "mongodump ended with status 0, but \(defect)") }
        } catch {
            guard !found.isEmpty else {
                throw Failure(
                    .denied, "whether \(server) is empty is not known, so nothing is restored into it: \(error.message)",
                    hint:
                        "mongodump must be there beside mongorestore, and the account there needs the roles backup and "
                        + "restore")
            }
            let names = found.prefix(3).map(\.description).joined(separator: ", ") + (found.count > 3 ? ", …" : "")
            throw Failure(
                .denied, "\(server), which the plan restores to, is not empty: it holds \(found.count) collections, \(names)",
                hint: "name an empty server in the plan, as restore: {url_env: NAME}")
        }
    }
}
