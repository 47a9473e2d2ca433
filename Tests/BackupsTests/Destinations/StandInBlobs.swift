import SerinCrypto
import SerinLocks
import SerinModel
import Testbed

/// A container that follows the documented protocol of Azure's Blob service, in memory. It checks that a signature is there, not what it is.
final class StandInBlobs: Sendable {
    struct Blob: Sendable {
        var bytes: [UInt8]
        var headers: [String]
    }

    struct State: Sendable {
        var blobs: [String: Blob] = [:]
        var blocks: [String: [String: [UInt8]]] = [:]
        var count = 0
    }

    let state = Locked(State())
    private let server = Locked<ScriptedServer?>(nil)

    init() throws {
        let started = try ScriptedServer { [self] request in [answer(request)] }
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
            if name.isEmpty {
                if request.method == "HEAD" { return .text("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") }
                return .http(200, Self.list(state, query), type: "application/xml")
            }
            switch request.method {
            case "PUT": return put(&state, name, query, request)
            case "DELETE":
                guard state.blobs.removeValue(forKey: name) != nil else { return error(404, "BlobNotFound") }
                return .http(202, "")
            case _:
                guard let blob = state.blobs[name] else {
                    return request.method == "HEAD"
                        ? .text("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n") : error(404, "BlobNotFound")
                }
                if request.method == "GET" { return .http(200, bytes: blob.bytes, headers: blob.headers) }
                let lines = ["HTTP/1.1 200 OK", "Content-Length: \(blob.bytes.count)"] + blob.headers
                return .text(lines.joined(separator: "\r\n") + "\r\n\r\n")
            }
        }
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
        state.blobs[name] = Blob(bytes: bytes, headers: kept + ["ETag: \"\(state.count)\""])
        return .http(201, "", headers: ["ETag: \"\(state.count)\""])
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

    private func error(_ status: Int, _ code: String) -> ScriptedServer.Step {
        .http(status, "<Error><Code>\(code)</Code></Error>", type: "application/xml", headers: ["x-ms-error-code: \(code)"])
    }
}
