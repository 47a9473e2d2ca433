import SerinLocks
import SerinModel
import Testbed

/// The few methods of Telegram's Bot API that storing needs, in memory, with its limits: files over 20 MB are not given back, and a
/// test may make it throttle, lose answers or forbid deleting.
final class StandInTelegram: Sendable {
    struct State: Sendable {
        var files: [String: [UInt8]] = [:]
        /// The file of each message.
        var messages: [Int: String] = [:]
        var pinned: Int?
        var count = 0
        var calls: [String] = []
    }

    typealias Fault = @Sendable (_ method: String, _ calls: [String]) -> ScriptedServer.Step?

    static let token = "123456:AAsecretsecret"
    let state = Locked(State())
    /// What another machine does right after a document was put in the place of another.
    let afterEdit = Locked<@Sendable (inout State) -> Void>({ _ in })
    /// What another machine does right after a document was sent.
    let afterSend = Locked<@Sendable (inout State) -> Void>({ _ in })
    private let server = Locked<ScriptedServer?>(nil)

    init(fault: @escaping Fault = { _, _ in nil }) throws {
        let started = try ScriptedServer { [weak self] request in
            guard let self else { return [] }
            let method = request.target.split(separator: "/").last.map(String.init) ?? ""
            if request.target.hasPrefix("/file/bot\(Self.token)/") { return [download(method)] }
            guard request.target == "/bot\(Self.token)/\(method)" else { return [refusal(401, "Unauthorized")] }
            let calls: [String] = state.withLock { state in
                state.calls.append(method)
                return state.calls
            }
            return [fault(method, calls) ?? answer(method, Self.fields(request))]
        }
        server.withLock { $0 = started }
    }

    /// The pinned document.
    var directory: [UInt8]? {
        state.withLock { state in state.pinned.flatMap { state.messages[$0] }.flatMap { state.files[$0] } }
    }

    var url: String { server.withLock { $0 }?.url ?? "" }
    func stop() { server.withLock { $0 }?.stop() }

    func refusal(_ status: Int, _ words: String, more: String = "") -> ScriptedServer.Step {
        .http(status, #"{"ok":false,"error_code":\#(status),"description":"\#(words)"\#(more)}"#)
    }

    private func download(_ file: String) -> ScriptedServer.Step {
        state.withLock { $0.files[file] }.map { .http(200, bytes: $0) } ?? refusal(404, "Not Found")
    }

    private func answer(_ method: String, _ fields: [String: [UInt8]]) -> ScriptedServer.Step {
        func text(_ name: String) -> String { String(decoding: fields[name] ?? [], as: UTF8.self) }
        return state.withLock { state in
            guard method == "getFile" || ["-100", "@backups"].contains(text("chat_id")) else {
                return refusal(400, "Bad Request: chat not found")
            }
            let number = Int(text("message_id")) ?? -1
            switch method {
            case "sendDocument", "editMessageMedia":
                state.count += 1
                let file = "file-\(state.count)"
                state.files[file] = fields["document"] ?? []
                let message = method == "sendDocument" ? state.count : number
                state.messages[message] = file
                (method == "sendDocument" ? afterSend : afterEdit).withLock { $0 }(&state)
                return ok(#"{"message_id":\#(message),"document":{"file_id":"\#(file)"}}"#)
            case "pinChatMessage":
                state.pinned = number
                return ok("true")
            case "getChat":
                guard let pinned = state.pinned, let file = state.messages[pinned] else { return ok(#"{"id":-100}"#) }
                return ok(#"{"id":-100,"pinned_message":{"message_id":\#(pinned),"document":{"file_id":"\#(file)"}}}"#)
            case "deleteMessage":
                guard state.messages.removeValue(forKey: number) != nil else {
                    return refusal(400, "Bad Request: message to delete not found")
                }
                return ok("true")
            case "getFile":
                guard let bytes = state.files[text("file_id")] else { return refusal(400, "Bad Request: invalid file_id") }
                guard bytes.count <= 20_000_000 else { return refusal(400, "Bad Request: file is too big") }
                return ok(#"{"file_id":"\#(text("file_id"))","file_path":"documents/\#(text("file_id"))"}"#)
            case _: return refusal(404, "Not Found")
            }
        }
    }

    private func ok(_ result: String) -> ScriptedServer.Step { .http(200, #"{"ok":true,"result":\#(result)}"#) }

    /// The fields of `multipart/form-data` (RFC 7578).
    private static func fields(_ request: ScriptedServer.Request) -> [String: [UInt8]] {
        guard let boundary = request.header("Content-Type")?.split(separator: "boundary=").last else { return [:] }
        let mark = Array("--\(boundary)".utf8)
        var fields: [String: [UInt8]] = [:]
        for piece in request.body.split(separator: mark) {
            let gap = Array("\r\n\r\n".utf8)
            guard let start = piece.firstRange(of: gap), piece.count > 4 else { continue }
            let head = String(decoding: piece[..<start.lowerBound], as: UTF8.self)
            guard let name = head.split(separator: "name=\"").dropFirst().first?.split(separator: "\"").first else { continue }
            fields[String(name)] = Array(piece[start.upperBound...].dropLast(2))
        }
        return fields
    }
}
