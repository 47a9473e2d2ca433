import SerinCrypto
import SerinLocks
import SerinModel
import Testbed

/// A container that follows the documented protocol of Azure's Blob service, in memory, with or without versions. It checks that a
/// signature is there, not what it is.
final class StandInBlobs: Sendable {
    struct Blob: Sendable {
        var bytes: [UInt8]
        var headers: [String]
        var version: String?

        var isLocked: Bool { headers.contains { $0.hasPrefix("x-ms-immutability-policy-mode") } }
        /// What the service answers with it.
        var answered: [String] { headers + (version.map { ["x-ms-version-id: \($0)"] } ?? []) }
    }

    struct State: Sendable {
        var hasContainer = true
        var hasVersions = false
        /// The current ones.
        var blobs: [String: Blob] = [:]
        /// Those that are no longer current.
        var previous: [String: [Blob]] = [:]
        var blocks: [String: [String: [UInt8]]] = [:]
        var count = 0
    }

    let state = Locked(State())
    private let server = Locked<ScriptedServer?>(nil)

    init() throws {
        let started = try ScriptedServer { [weak self] request in (self?.answer(request)).map { [$0] } ?? [] }
        server.withLock { $0 = started }
    }

    var url: String { server.withLock { $0 }?.url ?? "" }
    func stop() { server.withLock { $0 }?.stop() }

    private func answer(_ request: ScriptedServer.Request) -> ScriptedServer.Step {
        guard request.header("x-ms-version") != nil, request.header("Authorization")?.hasPrefix("SharedKey acc:") == true else {
            return error(403, "AuthenticationFailed")
        }
        let name = StandInStore.path(request)
        let query = StandInStore.query(request)
        return state.withLock { state in
            guard state.hasContainer else { return error(404, "ContainerNotFound", of: request) }
            if name.isEmpty {
                if request.method == "HEAD" { return .text("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") }
                return .http(200, Self.list(state, query), type: "application/xml")
            }
            switch request.method {
            case "PUT": return put(&state, name, query, request)
            case "DELETE": return delete(&state, name, Self.version(query), request)
            case _:
                let all = (state.previous[name] ?? []) + (state.blobs[name].map { [$0] } ?? [])
                let version = Self.version(query)
                guard let blob = version == nil ? state.blobs[name] : all.first(where: { $0.version == version }) else {
                    return error(404, "BlobNotFound", of: request)
                }
                if request.method == "GET" { return .http(200, bytes: blob.bytes, headers: blob.answered) }
                let lines = ["HTTP/1.1 200 OK", "Content-Length: \(blob.bytes.count)"] + blob.answered
                return .text(lines.joined(separator: "\r\n") + "\r\n\r\n")
            }
        }
    }

    private static func version(_ query: [String: String]) -> String? { query["versionid"]?.replacing("%3A", with: ":") }

    private func delete(
        _ state: inout State, _ name: String, _ version: String?, _ request: ScriptedServer.Request
    ) -> ScriptedServer.Step {
        let current = state.blobs[name]
        guard let version else {
            guard let current else { return error(404, "BlobNotFound") }
            if let wanted = request.header("If-Match"), !current.headers.contains("ETag: \(wanted)") {
                return error(412, "ConditionNotMet")
            }
            state.blobs[name] = nil
            if current.version != nil { state.previous[name, default: []].append(current) }
            return .http(202, "")
        }
        if current?.version == version { return error(403, "OperationNotAllowedOnRootBlob") }
        guard let index = state.previous[name]?.firstIndex(where: { $0.version == version }) else {
            return error(404, "BlobNotFound")
        }
        if state.previous[name]?[index].isLocked == true { return error(409, "BlobImmutableDueToPolicy") }
        state.previous[name]?.remove(at: index)
        return .http(202, "")
    }

    private func put(
        _ state: inout State, _ name: String, _ query: [String: String], _ request: ScriptedServer.Request
    ) -> ScriptedServer.Step {
        if query["comp"] == "block", let id = query["blockid"]?.replacing("%3D", with: "=") {
            state.blocks[name, default: [:]][id] = request.body
            return .http(201, "")
        }
        if request.header("If-None-Match") == "*", state.blobs[name] != nil { return error(409, "BlobAlreadyExists") }
        var bytes = request.body
        if query["comp"] == "blocklist" {
            let ids = request.text.split(separator: "<Latest>").dropFirst().compactMap {
                $0.split(separator: "<").first.map(String.init)
            }
            let blocks = state.blocks.removeValue(forKey: name) ?? [:]
            guard ids.allSatisfy({ blocks[$0] != nil }) else { return error(400, "InvalidBlockList") }
            bytes = ids.flatMap { blocks[$0] ?? [] }
        }
        state.count += 1
        let kept = request.headers.filter {
            $0.hasPrefix("x-ms-meta-") || $0.hasPrefix("x-ms-immutability-") || $0.hasPrefix("x-ms-access-tier")
        }
        if let replaced = state.blobs[name], replaced.version != nil { state.previous[name, default: []].append(replaced) }
        let version = state.hasVersions ? "2026-11-22T10:00:00.\(1_000_000 + state.count)Z" : nil
        let blob = Blob(bytes: bytes, headers: kept + ["ETag: \"\(state.count)\""], version: version)
        state.blobs[name] = blob
        return .http(201, "", headers: blob.answered)
    }

    private static func list(_ state: State, _ query: [String: String]) -> String {
        var names = Set(state.blobs.keys)
        if query["include"] == "uncommittedblobs" { names.formUnion(state.blocks.keys) }
        let found = names.sorted().filter { $0.hasPrefix(query["prefix"] ?? "") }
        let start = Int(query["marker"] ?? "0") ?? 0
        let entries = found.dropFirst(start).prefix(2).map {
            "<Blob><Name>\($0)</Name><Properties><Content-Length>\(state.blobs[$0]?.bytes.count ?? 0)</Content-Length></Properties></Blob>"
        }
        let more = start + 2 < found.count ? "\(start + 2)" : ""
        return "\u{FEFF}<R><Blobs>\(entries.joined())</Blobs><NextMarker>\(more)</NextMarker></R>"
    }

    /// An answer to a look has no body.
    private func error(_ status: Int, _ code: String, of request: ScriptedServer.Request? = nil) -> ScriptedServer.Step {
        if request?.method == "HEAD" {
            return .text("HTTP/1.1 \(status) Scripted\r\nContent-Length: 0\r\nx-ms-error-code: \(code)\r\n\r\n")
        }
        return .http(
            status, "<Error><Code>\(code)</Code></Error>", type: "application/xml", headers: ["x-ms-error-code: \(code)"])
    }
}
