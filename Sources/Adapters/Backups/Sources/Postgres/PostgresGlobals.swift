public import SerinCatalogue
public import SerinCompression
internal import SerinDatabase
public import SerinModel
public import SerinProcesses

/// Roles, their memberships and tablespaces of a Postgres cluster, by `pg_dumpall`.
public struct PostgresGlobals: BackupSource {
    /// What its backups are made of.
    public let kind = BackupKind.globals
    /// What messages call it.
    public var name: String { client.name }

    private let client: PostgresClient

    /// A source.
    public init(url: String, environment: SourceEnvironment) throws(Failure) {
        client = try PostgresClient(url, environment)
    }

    /// Looks at versions and rights.
    public func probe(stop: StopSignal) throws(Failure) -> SourceProbe {
        let version = try client.version(of: "pg_dumpall", stop: stop)
        let session = try client.session(PostgresSnapshot.purpose)
        let server = PostgresVersion(number: session.version)
        guard version.major >= server.major else {
            throw Failure(.invalid, "pg_dumpall \(version) cannot dump \(name): the server is \(server)")
        }
        let remarks = try readsPasswords(session) ? [] : ["the role may not read passwords: roles are dumped without them"]
        return SourceProbe(
            tool: ToolFacts(name: "pg_dumpall", version: version.description, format: "globals"),
            server: SourceFacts(version: server.description), sizeEstimate: 1 << 20, remarks: remarks)
    }

    private func readsPasswords(_ session: Connection) throws(Failure) -> Bool {
        try session.value("SELECT has_table_privilege('pg_authid', 'SELECT')") == "t"
    }

    /// Dumps them.
    public func produce(to sink: ByteSink, stop: StopSignal) throws(Failure) -> SourceProduct {
        let probed = try probe(stop: stop)
        let hasPasswords = try readsPasswords(try client.session(PostgresSnapshot.purpose))
        let arguments =
            ["--globals-only", "--no-password", "--database=\(client.databaseArgument)"]
            + (hasPasswords ? [] : ["--no-role-passwords"])
        let program = client.program("pg_dumpall", arguments)
        let stream = try client.start(program, .reading, stop: stop)
        try stream.readAll(sink)
        return SourceProduct(tool: probed.tool, server: probed.server, evidence: [try client.evidence(of: program, stream)])
    }

    /// Judges them by their end and what must not be in them.
    public func examination(of tool: ToolFacts, stop: StopSignal) throws(Failure) -> any PlainConsumer { TextExamination() }

    /// They are read and run by a person: each cluster has some of these roles already.
    public func restoration(
        of product: SourceProduct, into target: RestoreTarget, stop: StopSignal
    ) throws(Failure) -> any PlainConsumer {
        guard case .folder(let folder) = target.place else {
            throw Failure(
                .invalid, "roles and tablespaces are restored into a folder, as a file to read and run",
                hint: "a cluster has some of these roles already, so a person decides")
        }
        return try TextFileRestoration("\(folder)/globals.sql")
    }
}

/// Writes SQL text to a file, having looked what is in it.
final class TextFileRestoration: PlainConsumer {
    private let file: DurableFile
    private var scanner = DumpScanner()

    init(_ path: String) throws(Failure) {
        do throws(EnvelopeFailure) { file = try DurableFile(path) } catch { throw error.failure }
    }

    func write(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
        try scanner.take(bytes) { (bytes) throws(Failure) in
            do throws(EnvelopeFailure) { try file.write(bytes) } catch { throw error.failure }
        }
    }

    func finish(comparing product: SourceProduct) throws(Failure) -> ConsumerFindings {
        try scanner.finish()
        do throws(EnvelopeFailure) { try file.commit() } catch { throw error.failure }
        return ConsumerFindings(
            checks: [
                BackupCheck("end marker", passed: scanner.isComplete), BackupCheck("written", passed: true, detail: file.path),
            ])
    }
}
