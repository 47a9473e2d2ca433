internal import SerinModel
internal import SerinPolicies
internal import SerinTransport

/// The few calls of Telegram's Bot API that storing needs. The token is part of every address, so no failure shows one.
struct TelegramBot: Sendable {
    let place: HTTPPlace
    let chat: String
    let token: SecretReference
    let environment: DestinationEnvironment

    /// Sends a document and answers with the message's number and the file's name at Telegram.
    func send(_ pieces: [BodyPiece], name: String, caption: String) async throws(Failure) -> (message: Int64, file: String) {
        let result = try await call(
            "sendDocument", fields: [("chat_id", chat), ("caption", caption), ("disable_notification", "true")],
            document: (name, pieces))
        return try sent(result)
    }

    /// What stands for the bot in names of files: only one bot can change the directory of a chat, whatever the chat is called.
    func number() async throws(Failure) -> String {
        let token = try await environment.secret(token)
        return String(try digest(of: Array(token.prefix { $0 != ":" }.utf8)).prefix(32))
    }

    /// Puts another document in the place of one that was sent. That it is there already is no failure.
    func edit(_ message: Int64, _ bytes: [UInt8], name: String) async throws(Failure) {
        let media = #"{"type":"document","media":"attach://document"}"#
        do throws(Failure) {
            _ = try await call(
                "editMessageMedia", fields: [("chat_id", chat), ("message_id", "\(message)"), ("media", media)],
                document: (name, [.bytes(bytes)]))
        } catch {
            if error.message.contains("message is not modified") { return }
            throw error
        }
    }

    func pin(_ message: Int64) async throws(Failure) {
        _ = try await call(
            "pinChatMessage", fields: [("chat_id", chat), ("message_id", "\(message)"), ("disable_notification", "true")])
    }

    /// The document of the pinned message; nil when none is pinned.
    func pinned() async throws(Failure) -> (message: Int64, file: String)? {
        let result = try await call("getChat", fields: [("chat_id", chat)])
        guard let message = result["pinned_message"] else { return nil }
        return message["document"] == nil ? nil : try sent(message)
    }

    /// Deletes a message. One that is gone already is no failure.
    func delete(_ message: Int64) async throws(Failure) {
        do throws(Failure) {
            _ = try await call("deleteMessage", fields: [("chat_id", chat), ("message_id", "\(message)")])
        } catch {
            if error.message.contains("message to delete not found") { return }
            throw error
        }
    }

    /// Reads a file, into a new file or only its hash.
    func download(_ file: String, to path: String?, limit: Int64) async throws(Failure) -> Downloaded {
        let result = try await call("getFile", fields: [("file_id", file)])
        guard let remote = result["file_path"]?.text, !remote.isEmpty, !remote.hasPrefix("/"),
            !remote.parts(at: "/").contains(".."),
            remote.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x3F && $0 != 0x23 })
        else {
            throw Failure(
                .invalid, "cannot read a file of the chat \(chat): the Bot API names no path to fetch it by",
                hint: "a server of your own must serve files by HTTP, so not run with --local")
        }
        let token = try await environment.secret(token)
        var request = place.request("GET", path: "\(place.basePath)/file/bot\(token)/\(remote)", headers: [])
        request.download = Download(path: path, limit: limit)
        let answer = try await exchange(request, "download", token)
        guard answer.failureClass(ofWrite: false) == nil, let downloaded = answer.downloaded else {
            throw refusal("download", answer, token)
        }
        return downloaded
    }

    private func sent(_ message: JSONValue) throws(Failure) -> (message: Int64, file: String) {
        guard let number = message["message_id"]?.integer, let file = message["document"]?["file_id"]?.text else {
            throw Failure(.invalid, "the Bot API answered without the document that was sent to the chat \(chat)")
        }
        return (number, file)
    }

    private func call(
        _ method: String, fields: [(String, String)], document: (name: String, pieces: [BodyPiece])? = nil
    ) async throws(Failure) -> JSONValue {
        let token = try await environment.secret(token)
        let boundary = "serin-" + (try randomName())
        var head = fields.map { name, value in
            "--\(boundary)\r\nContent-Disposition: form-data; name=\"\(name)\"\r\n\r\n\(value)\r\n"
        }.joined()
        var pieces: [BodyPiece] = []
        if let document {
            head += "--\(boundary)\r\nContent-Disposition: form-data; name=\"document\"; filename=\"\(document.name)\"\r\n"
            head += "Content-Type: application/octet-stream\r\n\r\n"
            pieces = document.pieces + [.bytes(Array("\r\n".utf8))]
        }
        var request = place.request(
            "POST", path: "\(place.basePath)/bot\(token)/\(method)",
            headers: [HTTPHeader("Content-Type", "multipart/form-data; boundary=\(boundary)")])
        request.upload = [.bytes(Array(head.utf8))] + pieces + [.bytes(Array("--\(boundary)--\r\n".utf8))]
        let answer = try await exchange(request, method, token)
        guard answer.failureClass(ofWrite: true) == nil else { throw refusal(method, answer, token) }
        // What is no JSON is treated like an answer without a result.
        guard let value = try? JSONValue(parsing: answer.body), value["ok"] == .bool(true), let result = value["result"] else {
            throw Failure(.invalid, "the Bot API's answer to \(method) holds no result")
        }
        return result
    }

    private func exchange(_ request: HTTPRequest, _ method: String, _ token: String) async throws(Failure) -> HTTPResponse {
        do throws(Failure) { return try await environment.transport.send(request) } catch {
            var failure = error
            failure.message = "cannot \(method) for the chat \(chat): " + failure.message.rewriting(token, as: "…")
            throw failure
        }
    }

    private func refusal(_ method: String, _ answer: HTTPResponse, _ token: String) -> Failure {
        // An answer that is no JSON has no words to show.
        let value = try? JSONValue(parsing: answer.body)
        let words = String((value?["description"]?.text ?? "").prefix(300)).rewriting(token, as: "…")
        var failure = Failure(
            answer.failureClass(ofWrite: true) ?? .transient, "cannot \(method) for the chat \(chat): \(answer.status) \(words)")
        failure.retryAfter =
            value?.at(pointer: "/parameters/retry_after")?.integer.map { .seconds(min(max($0, 0), 86_400)) }
            ?? answer.retryAfter
        return failure
    }
}
