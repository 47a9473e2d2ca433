import Glibc
import SerinModel
import SerinProcesses
import Testbed

/// What tables hold, independent of the order of their rows: for each the number of rows and the sum of a 64-bit hash of each.
struct SnapshotDigest: Sendable {
    let server: PostgresServer
    /// `schema.table`, as SQL names it.
    let tables: [String]

    private var question: String {
        let each = tables.map { table in
            "SELECT '\(table.replacing("'", with: "''"))', count(*), coalesce(sum(hashtextextended(t::text, 0)::numeric), 0) FROM \(table) t"
        }
        return each.joined(separator: " UNION ALL ") + " ORDER BY 1"
    }

    /// Of a database as it is now.
    func now(in database: String) async throws -> String { try await server.sql(question, database: database) }

    /// Of the very snapshot that a backup of this role keeps open, on the calling thread.
    ///
    /// Postgres keeps what was exported in a file that is named after the transaction that did it.
    func ofOpenSnapshot(role: String, in database: String) throws(Failure) -> String {
        let find = """
            SELECT id FROM (SELECT format('%s-%s-1', lpad(upper(to_hex(split_part(virtualtransaction, '/', 1)::int)), 8, '0'),
                lpad(upper(to_hex(split_part(virtualtransaction, '/', 2)::int)), 8, '0')) AS id
            FROM pg_stat_activity a JOIN pg_locks l USING (pid)
            WHERE l.locktype = 'virtualxid' AND l.granted AND a.usename = '\(role)') s
            WHERE id IN (SELECT pg_ls_dir('pg_snapshots')) LIMIT 1
            """
        let id = try ask(find, in: database)
        guard !id.isEmpty else { throw Failure(.invalid, "no snapshot of \(role) is open") }
        return try ask(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '\(id)'; \(question); COMMIT", in: database
        )
    }

    private func ask(_ sql: String, in database: String) throws(Failure) -> String {
        let program = Program(
            "/usr/lib/postgresql/15/bin/psql",
            [
                "-XqAt", "-h", "127.0.0.1", "-p", "\(server.port)", "-U", "postgres", "-d", database, "-v", "ON_ERROR_STOP=1",
                "-c", sql,
            ], environment: ["LC_ALL": "C"], deadline: .seconds(60))
        let stream = try ProgramStream(program, .reading, stall: nil, stop: try StopSignal())
        var bytes: [UInt8] = []
        try stream.readAll { (piece) throws(Failure) in bytes += piece }
        while bytes.last == 0x0A { bytes.removeLast() }
        return String(decoding: bytes, as: UTF8.self)
    }
}
