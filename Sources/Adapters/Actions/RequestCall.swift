internal import SerinModel
internal import SerinPolicies
internal import SerinPorts
internal import SerinProcesses
internal import SerinTransport

/// Sends an action's HTTP request.
struct RequestCall {
    let method: String
    let endpoint: HTTPEndpoint
    let body: String?
    let context: ActionContext
    let deadline: Duration
    let outputLimit: Int
    let transport: Transport
    let passed: [String]
    let secret: @Sendable (SecretReference) throws(Failure) -> String

    /// Sends it once. The key goes along as `Idempotency-Key`, so that a server that knows the header does the work once.
    func result() async -> CallResult {
        let template = Template(context)
        var request = HTTPRequest(method: method, url: template.fill(endpoint.url, in: .url), timeout: deadline)
        request.headers = [HTTPHeader("Idempotency-Key", context.key), HTTPHeader("User-Agent", "serin")]
        request.certificateAuthorityFile = endpoint.certificateAuthorityFile
        if let body {
            let isJSON = body.first { !$0.isWhitespace }.map { "{[".contains($0) } ?? false
            request.headers.append(HTTPHeader("Content-Type", isJSON ? "application/json" : "text/plain; charset=utf-8"))
            request.body = Array(template.fill(body, in: isJSON ? .json : .argument).utf8)
        }
        var secrets = passed
        do throws(Failure) {
            switch endpoint.authentication {
            case nil: break
            case .basic(let username, let reference):
                let password = try secret(reference)
                request.basic = (username, password)
                secrets.append(password)
            case .bearer(let reference):
                let token = try secret(reference)
                guard !token.utf8.contains(where: { $0 < 0x20 || $0 == 0x7F }) else {
                    throw Failure(.invalid, "cannot \(method) \(request.url): the bearer token holds a line break")
                }
                request.headers.append(HTTPHeader("Authorization", "Bearer \(token)"))
                secrets.append(token)
            }
        } catch { return .refused(error, output: "") }
        let redaction = Redaction(secrets: secrets)
        do throws(Failure) {
            return judge(try await transport.send(request), of: request, redaction)
        } catch {
            let failure = Failure(error.kind, redaction(error.message), hint: error.hint, retryAfter: error.retryAfter)
            return failure.kind == .unknown ? .unknown(failure, output: "") : .refused(failure, output: "")
        }
    }

    private func judge(_ response: HTTPResponse, of request: HTTPRequest, _ redaction: Redaction) -> CallResult {
        let output = redaction.tail(response.body, limit: outputLimit, isCut: false)
        func failure(_ kind: FailureClass, hint: String? = nil) -> Failure {
            Failure(kind, redaction("cannot \(method) \(request.url): status \(response.status), expected 2xx"), hint: hint)
        }
        switch response.status {
        case 200...299: return .succeeded(output: output)
        case 300...399:
            return .refused(failure(.invalid, hint: "give the final address: redirects are not followed"), output: output)
        case 401, 403: return .refused(failure(.denied, hint: "check the action's credentials"), output: output)
        case 409: return .failed(failure(.conflict), output: output)
        case 429: return .refused(failure(.throttled), output: output)
        // A gateway that lost its server, or a server that lost its patience: the work may be done.
        case 408, 502, 504: return .unknown(failure(.unknown), output: output)
        case 500...599: return .refused(failure(.transient), output: output)
        case _: return .failed(failure(.invalid), output: output)
        }
    }
}
