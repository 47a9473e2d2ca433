import SerinCrypto
import SerinLocks
import SerinModel
import Testbed

/// A bucket that follows the documented XML protocol of S3 or Google, in memory, and misbehaves as a test says. It checks no signature.
final class StandInStore: Sendable {
    struct Object: Sendable {
        var bytes: [UInt8]
        var headers: [String]
        var etag: String
    }

    struct State: Sendable {
        var objects: [String: Object] = [:]
        var uploads: [String: [Int: [UInt8]]] = [:]
        var count = 0
        /// What was asked, as `PUT key` or `POST key?uploads`.
        var asked: [String] = []
    }

    /// What is done in place of the right answer; nil: nothing.
    typealias Fault =
        @Sendable (_ request: ScriptedServer.Request, _ asked: [String], _ store: StandInStore) -> [ScriptedServer.Step]?

    let state = Locked(State())
    private let prefix: String
    private let server = Locked<ScriptedServer?>(nil)

    init(prefix: String = "x-amz-", fault: @escaping Fault = { _, _, _ in nil }) throws {
        self.prefix = prefix
        let started = try ScriptedServer { [weak self] request in
            guard let self else { return [] }
            let asked: [String] = state.withLock { state in
                state.asked.append(
                    "\(request.method) \(Self.path(request))\(Self.query(request).map { "?" + $0.key }.sorted().first ?? "")")
                return state.asked
            }
            return fault(request, asked, self) ?? answer(request)
        }
        server.withLock { $0 = started }
    }

    var url: String { server.withLock { $0 }?.url ?? "" }
    var asked: [String] { state.withLock { $0.asked } }
    func stop() { server.withLock { $0 }?.stop() }

    /// Where the path stands behind the bucket.
    static func path(_ request: ScriptedServer.Request) -> String {
        let path = request.target.prefix { $0 != "?" }
        return String(path.split(separator: "/", maxSplits: 1).dropFirst().first ?? "")
    }

    static func query(_ request: ScriptedServer.Request) -> [String: String] {
        var pairs: [String: String] = [:]
        for pair in request.target.drop(while: { $0 != "?" }).dropFirst().split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1)
            pairs[String(parts[0])] = parts.count > 1 ? String(parts[1]).replacing("%2F", with: "/") : ""
        }
        return pairs
    }

    /// The right answer.
    func answer(_ request: ScriptedServer.Request) -> [ScriptedServer.Step] {
        let path = Self.path(request)
        let query = Self.query(request)
        if path.isEmpty { return [.http(200, list(query), type: "application/xml")] }
        switch request.method {
        case "PUT": return put(path, query, request)
        case "POST": return post(path, query)
        case "GET", "HEAD":
            guard let object = state.withLock({ $0.objects[path] }) else { return missing(request) }
            if request.method == "GET" { return [.http(200, bytes: object.bytes, headers: object.headers)] }
            let lines = ["HTTP/1.1 200 OK", "Content-Length: \(object.bytes.count)"] + object.headers
            return [.text(lines.joined(separator: "\r\n") + "\r\n\r\n")]
        case _:
            state.withLock { state in
                if let id = query["uploadId"] { state.uploads[id] = nil } else { state.objects[path] = nil }
            }
            return [.text("HTTP/1.1 204 No Content\r\n\r\n")]
        }
    }

    private func missing(_ request: ScriptedServer.Request) -> [ScriptedServer.Step] {
        if request.method == "HEAD" { return [.text("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")] }
        return [error(404, "NoSuchKey")]
    }

    func error(_ status: Int, _ code: String, headers: [String] = []) -> ScriptedServer.Step {
        .http(
            status, "<Error><Code>\(code)</Code><Message>as the test says</Message></Error>", type: "application/xml",
            headers: headers)
    }

    private func put(_ path: String, _ query: [String: String], _ request: ScriptedServer.Request) -> [ScriptedServer.Step] {
        if let number = query["partNumber"].flatMap({ Int($0) }), let id = query["uploadId"] {
            state.withLock { $0.uploads[id]?[number] = request.body }
            return [.http(200, "", headers: ["ETag: \"part-\(number)\""])]
        }
        if query["retention"] != nil { return [.http(200, "")] }
        let isOnce = request.header("If-None-Match") == "*" || request.header("x-goog-if-generation-match") == "0"
        if isOnce, state.withLock({ $0.objects[path] != nil }) { return [error(412, "PreconditionFailed")] }
        let kept = request.headers.filter { line in
            ["meta-", "object-lock-", "storage-class"].contains { line.lowercased().hasPrefix(prefix + $0) }
        }
        let etag = store(path, request.body, kept)
        return [.http(200, "", headers: ["ETag: \(etag)"])]
    }

    @discardableResult func store(_ path: String, _ bytes: [UInt8], _ headers: [String]) -> String {
        state.withLock { state in
            state.count += 1
            let etag = "\"etag-\(state.count)\""
            let version = prefix == "x-goog-" ? ["x-goog-generation: \(state.count)"] : []
            state.objects[path] = Object(bytes: bytes, headers: headers + ["ETag: \(etag)"] + version, etag: etag)
            return etag
        }
    }

    private func post(_ path: String, _ query: [String: String]) -> [ScriptedServer.Step] {
        guard let id = query["uploadId"] else {
            let id: String = state.withLock { state in
                state.count += 1
                state.uploads["id-\(state.count)"] = [:]
                return "id-\(state.count)"
            }
            return [.http(200, "<R><UploadId>\(id)</UploadId></R>", type: "application/xml")]
        }
        guard let parts = state.withLock({ $0.uploads.removeValue(forKey: id) }) else { return [error(404, "NoSuchUpload")] }
        let bytes = parts.sorted { $0.key < $1.key }.flatMap(\.value)
        let etag = store(path, bytes, [])
        return [.http(200, "<R><ETag>\(etag.replacing("\"", with: "&quot;"))</ETag></R>", type: "application/xml")]
    }

    /// Two objects a page.
    private func list(_ query: [String: String]) -> String {
        state.withLock { state in
            if query["uploads"] != nil {
                return "<R>"
                    + state.uploads.keys.sorted().map { "<Upload><Key>half</Key><UploadId>\($0)</UploadId></Upload>" }.joined()
                    + "</R>"
            }
            let prefix = query["prefix"] ?? ""
            let keys = state.objects.keys.sorted().filter { $0.hasPrefix(prefix) }
            let start = Int(query["continuation-token"] ?? "0") ?? 0
            let page = keys.dropFirst(start).prefix(2)
            let entries = page.map { "<Contents><Key>\($0)</Key><Size>\(state.objects[$0]?.bytes.count ?? 0)</Size></Contents>" }
            let more = start + 2 < keys.count
            return "<R><IsTruncated>\(more)</IsTruncated>\(entries.joined())"
                + (more ? "<NextContinuationToken>\(start + 2)</NextContinuationToken>" : "") + "</R>"
        }
    }
}
