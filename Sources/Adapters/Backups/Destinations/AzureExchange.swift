internal import SerinCatalogue
internal import SerinCrypto
internal import SerinModel
internal import SerinPolicies
internal import SerinTransport

/// Signed exchanges with Azure's Blob service, as "Authorize with Shared Key" and "Service SAS" of its REST API document them.
struct AzureExchange: Sendable {
    /// How an exchange is let in.
    enum Key: Sendable {
        /// The account's key, in base64.
        case shared(SecretReference)
        /// A shared access signature: a query.
        case access(SecretReference)
    }

    let place: HTTPPlace
    let account: String
    let container: String
    let key: Key
    let environment: DestinationEnvironment
    let name: String

    /// One exchange. Only what is no HTTP at all throws; the caller judges the status.
    ///
    /// - Parameter blob: The name in the container; nil: the container itself.
    func send(
        _ method: String, _ blob: String?, query: [HTTPHeader] = [], headers: [HTTPHeader] = [], body: [BodyPiece] = [],
        download: Download? = nil
    ) async throws(Failure) -> HTTPResponse {
        let path = "\(place.basePath)/\(container)" + (blob.map { "/" + SignatureV4.encoded($0, keepsSlashes: true) } ?? "")
        var headers =
            headers + [
                HTTPHeader("x-ms-version", "2021-12-02"), HTTPHeader("x-ms-date", httpDate(environment.now())),
            ]
        var text = SignatureV4.canonicalQuery(query)
        switch key {
        case .shared(let reference):
            let length = body.reduce(0) { $0 + $1.count }
            let secret = try await environment.secret(reference)
            headers.append(HTTPHeader("Authorization", try authorization(method, path, query, headers, length, secret)))
        case .access(let reference):
            let signature = try await environment.secret(reference)
            text += (text.isEmpty ? "" : "&") + (signature.hasPrefix("?") ? String(signature.dropFirst()) : signature)
        }
        var request = place.request(method, path: path, query: text, headers: headers)
        request.upload = body
        request.download = download
        if method == "PUT" { request.isIdempotent = false }
        return try await environment.transport.send(request)
    }

    private func authorization(
        _ method: String, _ path: String, _ query: [HTTPHeader], _ headers: [HTTPHeader], _ length: Int64, _ secret: String
    ) throws(Failure) -> String {
        guard let bytes = Base64.bytes(of: secret), !bytes.isEmpty else {
            throw Failure(.denied, "the key of the account \(account) is no base64")
        }
        func value(_ name: String) -> String { headers.first { $0.name.lowercased() == name.lowercased() }?.value ?? "" }
        // The order is fixed; a length of nothing is written as nothing.
        let fixed = [
            method, "", "", length == 0 ? "" : "\(length)", "", value("Content-Type"), "", "", value("If-Match"),
            value("If-None-Match"), "", "",
        ]
        let named = headers.filter { $0.name.lowercased().hasPrefix("x-ms-") }
            .map { ($0.name.lowercased(), $0.value) }.sorted { $0.0 < $1.0 }.map { "\($0.0):\($0.1)" }
        let resource =
            ["/\(account)\(path)"]
            + query.map { ($0.name.lowercased(), $0.value) }.sorted { $0.0 < $1.0 }.map { "\($0.0):\($0.1)" }
        let text = (fixed + named + resource).joined(separator: "\n")
        let code = try hashing { () throws(CryptoError) in try HMACSHA256.code(for: Array(text.utf8), key: bytes) }
        return "SharedKey \(account):\(Base64.text(of: code))"
    }

    /// The failure that an answer means.
    func refusal(_ method: String, _ what: String, _ answer: HTTPResponse) -> Failure {
        let code = XMLElement.root(of: answer.body)?["Code"]?.text ?? answer.header("x-ms-error-code") ?? ""
        var failure = Failure(
            code == "ServerBusy" ? .throttled : answer.failureClass(ofWrite: true) ?? .transient,
            "cannot \(method) \(what) at \(name): \(answer.status)\(code.isEmpty ? "" : " " + code)")
        failure.retryAfter = answer.retryAfter
        if answer.status == 403 { failure.hint = "the key, its rights or this machine's clock are wrong" }
        return failure
    }
}
