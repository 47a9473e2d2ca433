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

/// Postgres' own parser (version 15), as libpg_query offers it. Call it on a thread with a deep stack: see `onDeepThread`.
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

/// Runs a body on a thread of its own with a stack of so many bytes; nil when the system has no room for one.
///
/// The parser recurses on the C stack for every operator of a chain; a cooperative thread's stack would not do. Only what is used of
/// the stack takes memory.
nonisolated func onDeepThread<Value: Sendable>(stack: Int, _ body: @escaping @Sendable () -> Value) async -> Value? {
    return await withCheckedContinuation { (continuation: CheckedContinuation<Value?, Never>) in
        var attributes = pthread_attr_t()
        var thread = pthread_t()
        let box = Unmanaged.passRetained(ThreadBody { continuation.resume(returning: body()) })
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, stack)
        let code = pthread_create(
            &thread, &attributes,
            { context in
                guard let context else { return nil }
                Unmanaged<ThreadBody>.fromOpaque(context).takeRetainedValue().body()
                return nil
            }, box.toOpaque())
        if code != 0 {
            box.release()
            continuation.resume(returning: nil)
        }
    }
}

private final class ThreadBody: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}
