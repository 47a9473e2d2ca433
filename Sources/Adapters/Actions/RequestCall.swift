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
        guard let kind = response.failureClass(ofWrite: true) else { return .succeeded(output: output) }
        let isRedirect = (300..<400).contains(response.status)
        let hint =
            isRedirect
            ? "give the final address: redirects are not followed" : kind == .denied ? "check the action's credentials" : nil
        let failure = Failure(
            kind, redaction("cannot \(method) \(request.url): status \(response.status), expected 2xx"), hint: hint)
        switch kind {
        case .denied, .throttled, .transient: return .refused(failure, output: output)
        case .invalid, .conflict: return isRedirect ? .refused(failure, output: output) : .failed(failure, output: output)
        case .unknown: return .unknown(failure, output: output)
        }
    }
}
