public import SerinCatalogue
public import SerinCompression
internal import SerinDatabase
public import SerinModel
public import SerinPolicies
public import SerinProcesses

/// Rows of a log table of Postgres by date: one JSON object a line, or one line of text a row (tabs between columns, as `COPY`
/// writes them).
///
/// They are copied by `psql` in one read-only snapshot that counts them first; the lines given are compared with that count, so a
/// connection that is cut cannot pass for an end.
public struct LogRowsSource: BackupSource {
    /// What its backups are made of.
    public let kind = BackupKind.logs
    /// What messages call it; holds no secret.
    public let name: String
    private let url: String
    private let source: LogsSource
    private let project: String?
    private let range: Range<Instant>
    private let environment: SourceEnvironment

    /// A source.
    ///
    /// - Parameters:
    ///   - url: The connection string.
    ///   - project: Whose rows, where the table holds those of several projects.
    ///   - range: The times of the rows, the upper one excluded.
    public init(
        url: String, _ source: LogsSource, project: String?, range: Range<Instant>, environment: SourceEnvironment
    ) throws(Failure) {
        self.url = url
        self.source = source
        self.project = project
        self.range = range
        self.environment = environment
        name = "rows of \(source.table) at postgres " + (ConnectionText.name(url) ?? "?")
        guard source.projectColumn == nil || project?.isEmpty == false else {
            throw Failure(.invalid, "\(name): the table holds several projects and none is named")
        }
    }

    /// From an hour before the newest good export ended, so that none that was late or left out leaves a gap, and what was dated before
    /// that end and committed after it comes too; at least the span.
    static func range(of span: Duration, after continuation: LogContinuation, at now: Instant) -> Range<Instant> {
        min(now - span, continuation.newest?.consistentAt.map { $0 - .hours(1) } ?? now)..<now
    }

    private var table: String { source.table.split(separator: ".").map { sqlName(String($0)) }.joined(separator: ".") }

    /// Rows that are in no range of dates, and so come with every export.
    private var undated: String {
        let column = sqlName(source.dateColumn)
        return "(\(column) IS NULL OR \(column) IN ('infinity', '-infinity'))"
    }

    /// The rows' condition. Names and values are quoted here, for the script has no parameters.
    private var condition: String {
        let column = sqlName(source.dateColumn)
        var text =
            "(\(column) >= \(sqlText(range.lowerBound.postgresText)) "
            + "AND \(column) < \(sqlText(range.upperBound.postgresText)) OR \(undated))"
        if let name = source.projectColumn, let project {
            text += " AND \(sqlName(name)) = \(sqlText(project))"
        }
        return text
    }

    /// What `psql` runs.
    var script: String {
        // A JSON text holds no control character, so quoted as CSV with such characters it comes out as it is.
        let order = "ORDER BY \(sqlName(source.dateColumn))"
        let copy =
            switch source.format {
            case .json:
                "COPY (SELECT row_to_json(r)::text FROM \(table) AS r WHERE \(condition) \(order)) TO STDOUT "
                    + "WITH (FORMAT csv, QUOTE E'\\x01', DELIMITER E'\\x02')"
            case .text: "COPY (SELECT * FROM \(table) WHERE \(condition) \(order)) TO STDOUT"
            }
        return """
            \\set ON_ERROR_STOP on
            SET client_encoding = 'UTF8';
            SET TimeZone = 'UTC';
            SET lock_timeout = '30s';
            BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;
            SELECT count(*) AS serin_rows, count(*) FILTER (WHERE \(undated)) AS serin_undated
            FROM \(table) WHERE \(condition) \\gset
            \(copy);
            COMMIT;
            \\warn serin-rows :serin_rows
            \\warn serin-undated :serin_undated

            """
    }

    /// Looks whether a backup can be made.
    public func probe(stop: StopSignal) throws(Failure) -> SourceProbe {
        let (table, condition) = (table, condition)
        let (version, estimate) = try ask(url, as: name) { (connection, limit) throws(DatabaseError) in
            // A name without its schema means what it means to the role.
            _ = try connection.query("RESET search_path", limit: limit)
            // Fails when the table or a column is not there, or may not be read.
            _ = try connection.query("SELECT 1 FROM \(table) WHERE \(condition) LIMIT 1", limit: limit)
            let size = try connection.query("SELECT pg_table_size(\(sqlText(table))::regclass)", limit: limit)
            return (connection.version, size.first.first?.flatMap { Int64($0) })
        }
        let tools = try PostgresTools(major: version / 10_000, url: url, folders: environment.toolFolders)
        return SourceProbe(
            tool: ToolFacts(name: "psql", version: try tools.tool("psql").version(stop: stop), format: format),
            server: SourceFacts(version: "\(version / 10_000).\(version % 10_000)"), sizeEstimate: estimate)
    }

    private var format: String { source.format == .json ? "jsonl" : "text" }

    /// Gives the backup, once its tools have found it whole.
    public func produce(to sink: ByteSink, stop: StopSignal) throws(Failure) -> SourceProduct {
        let version = try ask(url, as: name) { (connection, _) throws(DatabaseError) in connection.version }
        let tools = try PostgresTools(major: version / 10_000, url: url, folders: environment.toolFolders)
        let tool = tools.tool("psql")
        let place = try TemporaryFolder(in: environment.scratch)
        let file = place.path + "/export.sql"
        try write(script, to: file)
        let arguments = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--no-password", "--file=\(file)"]
        let stream = try ProgramStream(
            tool.program(arguments, deadline: environment.deadline), .reading, stall: environment.stall,
            redaction: Redaction(secrets: tool.secrets), stop: stop)
        var lines = Int64(0)
        try stream.readAll { (piece) throws(Failure) in
            for byte in piece where byte == 0x0A { lines += 1 }
            try sink(piece)
        }
        let said = stream.end?.diagnostics ?? ""
        func count(_ word: String) -> Int64? {
            said.firstRange(of: word).flatMap { Int64(said[$0.upperBound...].prefix { $0.isNumber }) }
        }
        let counted = count("serin-rows ")
        guard let counted, counted == lines else {
            throw Failure(.transient, "\(name): \(lines) lines came of \(counted.map { "\($0)" } ?? "an unknown number of") rows")
        }
        let names = source.table.split(separator: ".").map(String.init)
        let rows = RowManifest(tables: [
            RowManifest.Table(schema: names.count > 1 ? names[0] : "", table: names[names.count - 1], count: counted)
        ])
        var facts = SourceFacts(version: "\(version / 10_000).\(version % 10_000)")
        facts.consistentAt = range.upperBound
        facts.undated = count("serin-undated ")
        let evidence = ToolEvidence(
            command: [tool.path] + arguments, end: "exit 0", bytes: Int64(stream.bytes), diagnostics: said)
        return SourceProduct(
            tool: ToolFacts(name: "psql", version: try tool.version(stop: stop), format: format), server: facts, rows: rows,
            evidence: [evidence])
    }

    /// Judges the bytes of a backup without a server.
    public func examination(of tool: ToolFacts, stop: StopSignal) throws(Failure) -> any PlainConsumer {
        LineExamination(isJSON: tool.format == "jsonl")
    }

    /// Restores the bytes of a backup.
    public func restoration(
        of product: SourceProduct, into target: RestoreTarget, stop: StopSignal
    ) throws(Failure) -> any PlainConsumer {
        guard case .folder(let folder) = target.place else {
            throw Failure(
                .invalid, "rows of logs are restored as a file into an empty folder",
                hint: "load them from there into a table of your choice with COPY")
        }
        let examination = LineExamination(isJSON: product.tool.format == "jsonl")
        return try FileConsumer(in: folder, named: product.tool.format == "jsonl" ? "rows.jsonl" : "rows.txt", keeps: true) {
            (path) throws(Failure) in
            try readPieces(of: path) { (piece) throws(Failure) in try examination.write(piece) }
            return try examination.finish(comparing: product)
        }
    }
}

/// Counts lines, and reads each one as a JSON object where it should be one.
final class LineExamination: PlainConsumer {
    private let isJSON: Bool
    private var lines = Int64(0)
    private var line: [UInt8] = []
    private var fault: String?

    init(isJSON: Bool) { self.isJSON = isJSON }

    func write(_ bytes: UnsafeRawBufferPointer) throws(Failure) {
        for piece in bytes.split(separator: 0x0A, maxSplits: .max, omittingEmptySubsequences: false).enumerated() {
            if piece.offset > 0 { endLine() }
            line += piece.element
        }
    }

    private func endLine() {
        lines += 1
        defer { line.removeAll(keepingCapacity: true) }
        guard isJSON, fault == nil else { return }
        do throws(JSONError) {
            guard case .object = try JSONValue(parsing: line) else {
                fault = "line \(lines) is no object"
                return
            }
        } catch { fault = "line \(lines): \(error)" }
    }

    func finish(comparing product: SourceProduct) throws(Failure) -> ConsumerFindings {
        var checks = [BackupCheck("end marker", passed: line.isEmpty, detail: line.isEmpty ? "" : "the last line is cut")]
        if isJSON { checks.append(BackupCheck("every line is JSON", passed: fault == nil, detail: fault ?? "\(lines) lines")) }
        if let rows = product.rows {
            checks.append(BackupCheck("rows", passed: lines == rows.total, detail: "\(lines) of \(rows.total)"))
        }
        return ConsumerFindings(checks: checks)
    }
}
