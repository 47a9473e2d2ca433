internal import FoundationEssentials
internal import SerinDatabase
internal import SerinModel

/// Copies the schema of a database, and the rows of the tables in which a migration tool keeps where it is, by pg_dump and pg_restore.
/// The database that is copied is only read.
struct SchemaCopy {
    let source: MigrationDatabase
    let target: MigrationDatabase
    /// The tables of the tool, without a schema.
    let ownTables: [String]
    let call: ToolCall

    /// Copies.
    ///
    /// - Returns: The major version of the server that was copied from.
    func run() throws(Failure) -> Int {
        let session = try source.connect()
        let major = session.version / 10_000
        let folder = FileManager.default.temporaryDirectory.path + "/serin-trace-\(UInt64.random(in: .min ... .max))"
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        } catch { throw Failure(.transient, "cannot make a folder for the schema in \(folder): \(error)") }
        // What is left of it is a folder of temporary files.
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let schema = "\(folder)/schema.dump"
        try program("pg_dump", major, ["--schema-only", "--exclude-schema=serin"] + dumping(schema), source)
        try program("pg_restore", major, restoring(schema), target)
        let tables = try versionTables(session)
        guard !tables.isEmpty else { return major }
        let rows = "\(folder)/rows.dump"
        try program("pg_dump", major, ["--data-only"] + tables.map { "--table=\($0)" } + dumping(rows), source)
        try program("pg_restore", major, restoring(rows), target)
        return major
    }

    private func dumping(_ file: String) -> [String] {
        ["--format=custom", "--no-owner", "--no-privileges", "--no-password", "--lock-wait-timeout=2s", "--file=\(file)"]
    }

    private func restoring(_ file: String) -> [String] {
        [
            "--no-owner", "--no-privileges", "--no-password", "--exit-on-error", "--single-transaction",
            "--dbname=\(target.variables["PGDATABASE"] ?? "")", file,
        ]
    }

    /// As patterns of pg_dump.
    private func versionTables(_ session: Connection) throws(Failure) -> [String] {
        let names = ownTables.map(sqlText).joined(separator: ", ")
        return try session.rows(
            """
            SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) FROM pg_class c
            JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind = 'r' AND c.relname IN (\(names.isEmpty ? "''" : names)) AND n.nspname !~ '^pg_'
            """
        ).compactMap { $0.first ?? nil }
    }

    private func program(_ name: String, _ major: Int, _ arguments: [String], _ database: MigrationDatabase) throws(Failure) {
        var call = call
        call.database = database
        // Debian's wrapper in /usr/bin chooses a version by itself.
        let path = "/usr/lib/postgresql/\(major)/bin/\(name)"
        let known = FileManager.default.isExecutableFile(atPath: path) ? path : name
        do throws(ToolFailure) { _ = try ToolProgram(words: [known] + arguments).run(call) } catch {
            throw Failure(
                error.failure.kind, "the schema of \(source.name) cannot be copied: \(error.failure.message)",
                hint: "the server for traces needs the extensions and roles that the schema names")
        }
    }
}
