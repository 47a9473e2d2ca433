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
        guard url.hasPrefix("mongodb://") || url.hasPrefix("mongodb+srv://"), !url.contains(where: \.isNewline) else {
            throw Failure(.invalid, "the address of MongoDB does not begin with mongodb:// or mongodb+srv://")
        }
        self.url = url
        self.database = database
        self.environment = environment
        let host = url.drop { $0 != "/" }.drop { $0 == "/" }.prefix { $0 != "/" && $0 != "?" }
        name = "mongodb " + (host.split(separator: "@").last.map(String.init) ?? "?")
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
        let marks = ArchiveMarks()
        let (_, evidence) = try stream(
            tool("mongodump", url), arguments, environment: environment,
            to: { (bytes) throws(Failure) in
                marks.take(bytes)
                try sink(bytes)
            }, stop: stop)
        if let defect = marks.defect { throw Failure(.transient, "mongodump ended with status 0, but \(defect)") }
        return SourceProduct(tool: facts, evidence: [evidence])
    }

    /// Judges the bytes of a backup without a server.
    public func examination(of tool: ToolFacts, stop: StopSignal) throws(Failure) -> any PlainConsumer { ArchiveMarks() }

    /// Restores the bytes of a backup.
    public func restoration(
        of product: SourceProduct, into target: RestoreTarget, stop: StopSignal
    ) throws(Failure) -> any PlainConsumer {
        let url: String
        switch target.place {
        case .server(let address), .database(let address): url = address
        case .folder: throw Failure(.invalid, "an archive of mongodump is restored into an empty server")
        }
        let place = try configuration(url)
        return try ProgramConsumer(
            tool("mongorestore", url), ["--config=\(place.path)/tool.yaml", "--archive", "--stopOnError"], isExamination: false,
            deadline: target.deadline, stall: environment.stall, keeps: place, stop: stop)
    }
}

/// The marks of an archive of `mongodump` (the archive format of the MongoDB database tools): four bytes at its beginning, and
/// the terminator at its end.
final class ArchiveMarks: PlainConsumer {
    private static let magic: [UInt8] = [0x6D, 0xE2, 0x99, 0x81]
    private static let terminator = [UInt8](repeating: 0xFF, count: 4)
    private var first: [UInt8] = []
    private var last: [UInt8] = []

    func take(_ bytes: UnsafeRawBufferPointer) {
        if first.count < 4 { first += bytes.prefix(4 - first.count) }
        last = (last + bytes.suffix(4)).suffix(4)
    }

    /// What is wrong; nil when nothing is.
    var defect: String? {
        if first != ArchiveMarks.magic { return "what it wrote does not begin like an archive" }
        return last == ArchiveMarks.terminator ? nil : "the archive does not end with its terminator"
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(Failure) { take(bytes) }

    func finish(comparing product: SourceProduct) throws(Failure) -> ConsumerFindings {
        ConsumerFindings(checks: [BackupCheck("archive marks", passed: defect == nil, detail: defect ?? "both are there")])
    }
}
