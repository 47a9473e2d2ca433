internal import Glibc
public import SerinCatalogue
public import SerinCompression
internal import SerinDatabase
public import SerinModel
public import SerinPolicies
public import SerinProcesses

/// A logical dump of a Postgres database by `pg_dump`.
public struct PostgresLogical: BackupSource {
    /// What its backups are made of.
    public let kind = BackupKind.logical
    /// What messages call it.
    public var name: String { client.name }

    private let client: PostgresClient
    private let settings: PostgresDumpSource
    private let environment: SourceEnvironment
    private let selection: PostgresSelection

    /// A source.
    ///
    /// - Parameter url: The value of `settings.url`.
    public init(_ settings: PostgresDumpSource, url: String, environment: SourceEnvironment) throws(Failure) {
        client = try PostgresClient(url, environment)
        self.settings = settings
        self.environment = environment
        selection = PostgresSelection(settings)
    }

    /// Looks at versions, rights and sizes.
    public func probe(stop: StopSignal) throws(Failure) -> SourceProbe {
        let dump = try client.trustedVersion(of: "pg_dump", stop: stop)
        let session = try client.session(PostgresSnapshot.purpose)
        let server = PostgresVersion(number: session.version)
        guard dump.major >= server.major else {
            throw Failure(
                .invalid, "pg_dump \(dump) cannot dump \(name): the server is \(server)",
                hint: "install the client programs of Postgres \(server.major) or later")
        }
        guard try client.version(of: "pg_restore", stop: stop) == dump else {
            throw Failure(.invalid, "pg_dump is \(dump), and pg_restore another version", hint: "install both from one package")
        }
        try checkRights(session)
        let size = try session.value(
            """
            SELECT coalesce(sum(pg_table_size(c.oid)), 0)::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'm') AND n.nspname !~ '^pg_' AND \(selection.condition)
            """)
        var remarks: [String] = []
        if try session.value("SELECT rolsuper FROM pg_roles WHERE rolname = current_user") == "t" {
            remarks.append("the role is a superuser: one with pg_read_all_data is enough")
        }
        if !settings.globals {
            let inventory = PostgresInventory(session, patience: environment.deadline)
            let roles = try inventory.owners(of: selection).map(\.role) + inventory.grantees(of: selection)
            if !roles.isEmpty {
                remarks.append(
                    "the dump names roles that no backup of this plan holds (globals: true): \(Set(roles).sorted().prefix(10).joined(separator: ", "))"
                )
            }
        }
        for schema in try PostgresInventory(session, patience: environment.deadline).leftMerges() {
            remarks.append(
                "the schema \(schema) is of a merge that was killed, or still works, and is dumped with the rest; it goes "
                    + "with the next backup or restore, or by hand: DROP SCHEMA \(sqlName(schema)) CASCADE")
        }
        if let part = selection.part {
            remarks.append(
                "only a part of the database is dumped, \(part.words): it is restored beside the live one, from which rows can be "
                    + "merged back, and takes no live one's place")
            let open = try PostgresInventory(session, patience: environment.deadline).openKeys(of: selection)
            if !open.isEmpty {
                remarks.append(
                    "foreign keys refer to rows that are not dumped, and are left out by a restore: \(open.prefix(5).joined(separator: ", "))"
                )
            }
        }
        return SourceProbe(
            tool: tool(dump), server: SourceFacts(version: server.description), sizeEstimate: size.flatMap { Int64($0) },
            remarks: remarks)
    }

    private func checkRights(_ session: Connection) throws(Failure) {
        let refused = try session.rows(
            """
            SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p', 'm', 'S') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
            AND c.relpersistence <> 't' AND \(selection.condition)
            AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')) ORDER BY 1 LIMIT 5
            """
        ).compactMap { $0.first ?? nil }
        guard refused.isEmpty else {
            throw Failure(
                .denied, "the role may not read everything of \(name): \(refused.joined(separator: ", "))",
                hint: "GRANT pg_read_all_data TO the role")
        }
        if !selection.isPart { try checkLargeObjects(session) }
        let hidden = try session.rows(
            """
            SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relrowsecurity AND row_security_active(c.oid) AND \(selection.conditionOfRows) ORDER BY 1 LIMIT 5
            """
        ).compactMap { $0.first ?? nil }
        guard hidden.isEmpty else {
            throw Failure(
                .denied, "row-level security hides rows of \(name) from the role: \(hidden.joined(separator: ", "))",
                hint: "as a superuser: ALTER ROLE \(sqlName(try session.value("SELECT current_user") ?? "")) BYPASSRLS")
        }
    }

    /// The right to read all tables is none to read large objects, before Postgres 19.
    private func checkLargeObjects(_ session: Connection) throws(Failure) {
        let mayRead =
            session.version >= 180_000
            ? "has_largeobject_privilege(m.oid, 'SELECT')"
            : """
            (current_setting('lo_compat_privileges') = 'on' OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
                OR pg_has_role(m.lomowner, 'USAGE') OR EXISTS (SELECT FROM aclexplode(m.lomacl) a WHERE a.privilege_type = 'SELECT'
                    AND CASE WHEN a.grantee = 0 THEN true ELSE pg_has_role(a.grantee, 'USAGE') END))
            """
        let refused = try session.rows(
            "SELECT m.oid, current_user FROM pg_largeobject_metadata m WHERE NOT \(mayRead) ORDER BY 1 LIMIT 5")
        guard let role = refused.first?.last ?? nil else { return }
        throw Failure(
            .denied,
            "the role may not read large objects of \(name): \(refused.compactMap { $0.first ?? nil }.joined(separator: ", "))",
            hint: "as a superuser, in psql: SELECT format('GRANT SELECT ON LARGE OBJECT %s TO %I', oid, \(sqlText(role))) "
                + "FROM pg_largeobject_metadata \\gexec; or dump the schemas that are wanted")
    }

    /// Dumps and counts in one snapshot.
    public func produce(to sink: ByteSink, stop: StopSignal) throws(Failure) -> SourceProduct {
        let version = try client.version(of: "pg_dump", stop: stop)
        let snapshot = try PostgresSnapshot(
            client, selection, lockTimeout: settings.lockTimeout, patience: environment.deadline, stop: stop)
        var arguments = ["--format=\(settings.format.rawValue)", "--snapshot=\(snapshot.identifier)", "--no-password"]
        arguments.append("--lock-wait-timeout=\(max(1, settings.lockTimeout.milliseconds))")
        arguments += selection.arguments
        var evidence: [ToolEvidence]
        switch settings.format {
        case .directory: evidence = try dumpFolder(arguments, to: sink, stop: stop)
        // The stream is compressed here, better and faster than pg_dump does it.
        case .custom: evidence = [try dump(arguments + ["--compress=0"], to: sink, stop: stop)]
        case .plain, .tar: evidence = [try dump(arguments, to: sink, stop: stop)]
        }
        try snapshot.end()
        var tool = tool(version)
        // The snapshot's name is another one each time, and says nothing about how the dump was made.
        let lasting = arguments.filter { !$0.hasPrefix("--snapshot=") }
        tool.argumentsSHA256 = try digest(of: Array(lasting.joined(separator: "\n").utf8))
        return SourceProduct(
            tool: tool, server: snapshot.server, schemaRevision: snapshot.revision, rows: snapshot.rows, evidence: evidence)
    }

    private func tool(_ version: PostgresVersion) -> ToolFacts {
        ToolFacts(name: "pg_dump", version: version.description, format: settings.format.rawValue)
    }

    private func dump(_ arguments: [String], to sink: ByteSink, stop: StopSignal) throws(Failure) -> ToolEvidence {
        let program = client.program("pg_dump", arguments)
        let stream = try client.start(program, .reading, stop: stop)
        try stream.readAll(sink)
        return try client.evidence(of: program, stream)
    }

    /// A folder of files has to be there whole before it can be one stream.
    private func dumpFolder(_ arguments: [String], to sink: ByteSink, stop: StopSignal) throws(Failure) -> [ToolEvidence] {
        let folder = try TemporaryFolder(in: environment.scratch)
        let dump = client.program(
            "pg_dump", arguments + ["--compress=1", "--jobs=\(settings.jobs)", "--file=\(folder.path)/dump"])
        // It prints nothing for as long as it works.
        let (_, evidence) = try client.output(dump, isSilent: true, stop: stop)
        let tar = Program(
            "tar",
            ["--create", "--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--directory=\(folder.path)/dump", "."],
            environment: ["PATH": "/usr/bin:/bin", "LC_ALL": "C"], deadline: environment.deadline, outputLimit: 1 << 16,
            kept: .end)
        let stream = try ProgramStream(tar, .reading, stall: environment.stall, stop: stop)
        try stream.readAll(sink)
        return [evidence, try client.evidence(of: tar, stream)]
    }

    /// Judges a dump.
    public func examination(of tool: ToolFacts, stop: StopSignal) throws(Failure) -> any PlainConsumer {
        switch PostgresDumpSource.Format(rawValue: tool.format) {
        case .custom: try ArchiveExamination(client, isTar: false, stop: stop)
        case .tar: try ArchiveExamination(client, isTar: true, stop: stop)
        case .directory: try FolderExamination(client, environment, stop: stop)
        case .plain: TextExamination()
        case nil: throw unknown(tool)
        }
    }

    /// Restores a dump.
    public func restoration(
        of product: SourceProduct, into target: RestoreTarget, stop: StopSignal
    ) throws(Failure) -> any PlainConsumer {
        guard case .database(let url) = target.place else {
            throw Failure(.invalid, "a dump of \(name) is restored into a database")
        }
        let client = try PostgresClient(url, environment)
        let openKeys = OpenKeys(product, target)
        switch PostgresDumpSource.Format(rawValue: product.tool.format) {
        case .custom: return try ArchiveRestoration(client, target, isTar: false, openKeys, stop: stop)
        case .tar: return try ArchiveRestoration(client, target, isTar: true, openKeys, stop: stop)
        case .directory: return try FolderRestoration(client, target, openKeys, stop: stop)
        case .plain: return try TextRestoration(client, target, openKeys, stop: stop)
        case nil: throw unknown(product.tool)
        }
    }

    private func unknown(_ tool: ToolFacts) -> Failure {
        Failure(.invalid, "a dump of the form '\(tool.format)' by \(tool.name) is not known here")
    }
}
