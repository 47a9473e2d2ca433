internal import CPgQuery
internal import Glibc
internal import SerinModel

/// Why a statement was not parsed.
struct SQLParseError: Error {
    /// What the parser said.
    var message: String
    /// The character at which it stopped, from 1; nil when it did not say.
    var position: Int?
}

/// Postgres' own parser (version 15), as libpg_query offers it. Call it on the thread with a deep stack: see `DeepThread`.
struct SQLParser {
    let limits: SQLLimits

    /// The parse trees of the statements in a text without NUL; each an object whose only key is the kind of the node.
    func trees(of sql: ArraySlice<UInt8>) throws(SQLParseError) -> [JSONValue] {
        guard sql.count <= limits.statement else {
            throw SQLParseError(message: "the statement is longer than \(limits.statement >> 20) MiB", position: nil)
        }
        var text = sql.map { CChar(bitPattern: $0) }
        text.append(0)
        let result = pg_query_parse(text)
        defer { pg_query_free_parse_result(result) }
        if let error = result.error {
            let position = Int(error.pointee.cursorpos)
            throw SQLParseError(
                message: error.pointee.message.map { String(cString: $0) } ?? "no reason given",
                position: position > 0 ? position : nil)
        }
        guard let tree = result.parse_tree else { throw SQLParseError(message: "no answer", position: nil) }
        let length = strlen(tree)
        guard length <= limits.tree else {
            throw SQLParseError(message: "the statement is too large: its tree takes \(length >> 20) MiB", position: nil)
        }
        let document: JSONValue
        do throws(JSONError) {
            document = try tree.withMemoryRebound(to: UInt8.self, capacity: length) { bytes throws(JSONError) in
                try JSONValue(
                    parsing: UnsafeBufferPointer(start: bytes, count: length), depthLimit: limits.depth, byteLimit: limits.tree)
            }
        } catch {
            throw SQLParseError(message: "the statement is too deeply nested (\(error.message))", position: nil)
        }
        return document["stmts"]?.items?.compactMap { $0["stmt"] } ?? []
    }
}

extension SQLParser {
    /// How many statements the parser finds in a text; nil when it refuses it.
    func count(of sql: [UInt8]) -> Int? {
        var text = sql.map { CChar(bitPattern: $0) }
        text.append(0)
        let result = pg_query_split_with_parser(text)
        defer { pg_query_free_split_result(result) }
        return result.error == nil ? Int(result.n_stmts) : nil
    }
}
