internal import SerinAPI
internal import SerinController
internal import SerinModel
internal import SerinRecords
internal import SerinRollouts
internal import SerinTransport

/// A controller in another process, asked over its unix socket.
struct RemoteController: RolloutOperations {
    let transport: Transport
    /// The socket's path.
    let socket: String
    /// For one answer.
    let timeout: Duration

    func start(_ request: StartRequest, by principal: Principal) async throws(OperationError) -> RolloutStatus {
        // The controller reads the principal from the socket's peer; what a client says of itself is not sent.
        try await status("POST", "/v1/rollouts", body: StartDocument.encode(request), key: request.requestKey)
    }

    func statuses() async throws(OperationError) -> [RolloutStatus] {
        var all: [RolloutStatus] = []
        var page = "?limit=500"
        while true {
            let document = try await ask("GET", "/v1/rollouts" + page)
            all += try decode(document, StatusDocument.decodeList)
            guard let next = document["next"]?.text else { return all }
            page = "?limit=500&cursor=\(next)"
        }
    }

    func status(of name: String) async throws(OperationError) -> RolloutStatus { try await status("GET", try path(name)) }

    func perform(_ command: Command, on name: String) async throws(OperationError) -> RolloutStatus {
        let isSecurity = command.verb == .haltForSecurity
        let word = isSecurity ? "halt" : command.verb.rawValue
        let words = CommandDocument(reason: command.reason, security: isSecurity, plan: command.plan)
        return try await status("POST", try path(name) + ":" + word, body: words.encode())
    }

    func decisions(of name: String, after sequence: Int64, limit: Int) async throws(OperationError) -> [LoggedDecision] {
        let document = try await ask("GET", try path(name) + "/log?after=\(sequence)&limit=\(limit)&format=json")
        return try decode(document, DecisionDocument.decodeList)
    }

    func entries(of service: ServiceName, after sequence: Int64, limit: Int) async throws(OperationError) -> [Entry] {
        let path = "/v1/services/\(service)/journal?after=\(sequence)&limit=\(min(limit, JournalDocument.limit))"
        return try decode(await ask("GET", path), JournalDocument.decode)
    }

    func head(of service: ServiceName) async throws(OperationError) -> Entry? {
        let checkpoint = try await ask("GET", "/v1/services/\(service)/checkpoint")
        guard let size = checkpoint["size"]?.integer, size > 0 else { return nil }
        return try await entries(of: service, after: size - 1, limit: 1).first
    }

    func statusChange(
        of name: String, from seen: RolloutStatus?, timeout: Duration
    ) async throws(OperationError) -> RolloutStatus {
        let token = seen.map { "&seen=\(StatusDocument.token($0))" } ?? ""
        let path = try path(name) + "/wait?timeout=\(max(1, timeout.milliseconds))ms" + token
        return try decode(await ask("GET", path, patience: timeout), StatusDocument.decode)
    }

    /// Approves a swap or merge with a backup, as the user that this process runs as.
    ///
    /// - Parameter name: The backup's identifier, or the end of it.
    func approveBackup(_ name: String, request: String?, reason: String) async throws(OperationError) -> JSONValue {
        // Nothing in it needs escaping.
        guard (4...36).contains(name.utf8.count), name.lowercased().allSatisfy({ "0123456789abcdef-".contains($0) }) else {
            throw .notFound("there is no backup '\(plain(name))'")
        }
        var words = [JSONValue.Member("reason", .string(reason))]
        if let request { words.append(JSONValue.Member("request", .string(request))) }
        return try await ask("POST", "/v1/backups/\(name.lowercased()):approve", body: .sortedObject(words))
    }

    /// What the daemon answers when it is asked about a policy.
    ///
    /// - Parameters:
    ///   - verb: `check` or `plan`.
    ///   - limit: The longest that it is waited for, but at least as long as for any answer.
    /// - Returns: The document of that verb.
    func answer(
        to question: PolicyQuestion, asking verb: String, within limit: Duration
    ) async throws(OperationError) -> JSONValue {
        let document = try await ask(
            "POST", "/v1/policies:" + verb, body: question.encode(), patience: max(.zero, limit - timeout))
        guard document["schema"]?.text == "serin.dev/\(verb)/v1" else {
            throw .unavailable("the controller at \(socket) answered something else than the document of serin \(verb)")
        }
        return document
    }

    /// The signed checkpoint of a journal, or the proof of one of its entries.
    func evidence(of name: String, entry: Int64?) async throws(OperationError) -> JSONValue {
        let place = entry.map { "/proof/\($0)" } ?? "/checkpoints/latest?format=json"
        // A long journal is read once.
        return try await ask("GET", try path(name) + place, patience: .seconds(120))
    }

    /// Names are checked here, so that they need no escaping.
    private func path(_ name: String) throws(OperationError) -> String {
        guard RolloutID(name) != nil else { throw .notFound("there is no rollout or service '\(name)'") }
        return "/v1/rollouts/\(name)"
    }

    private func status(
        _ method: String, _ path: String, body: JSONValue? = nil, key: String? = nil
    ) async throws(OperationError) -> RolloutStatus {
        try decode(await ask(method, path, body: body, key: key), StatusDocument.decode)
    }

    func ask(
        _ method: String, _ path: String, body: JSONValue? = nil, key: String? = nil, patience: Duration = .zero
    ) async throws(OperationError) -> JSONValue {
        var request = HTTPRequest(
            method: method, url: "http://serin" + path, headers: [HTTPHeader("Content-Type", "application/json")],
            body: body?.canonicalBytes, timeout: timeout + patience, bodyLimit: 16 << 20)
        if let key { request.headers.append(HTTPHeader("Idempotency-Key", key)) }
        request.unixSocket = socket
        let response: HTTPResponse
        do throws(Failure) {
            response = try await transport.send(request)
        } catch {
            throw .unavailable("no answer from the controller at \(socket): \(error.message)")
        }
        let document: JSONValue
        do throws(JSONError) {
            document = try JSONValue(parsing: response.body)
        } catch {
            throw .unavailable("the controller at \(socket) answered \(response.status) with no JSON document")
        }
        if (200..<300).contains(response.status) { return document }
        throw Problem.operationError(status: response.status, document: document)
            ?? .unavailable("the controller at \(socket) answered \(response.status)")
    }

    private func decode<Value>(
        _ document: JSONValue, _ read: (JSONValue) throws(DocumentError) -> Value
    ) throws(OperationError) -> Value {
        do throws(DocumentError) {
            return try read(document)
        } catch {
            throw .unavailable("the controller at \(socket) answered something else than expected: \(error)")
        }
    }
}
