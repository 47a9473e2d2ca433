internal import SerinLocks
public import SerinModel
public import SerinPolicies
internal import SerinProcesses
internal import SerinTransport

/// Finds the value of a secret; its failures name the reference, never the value.
public typealias SecretReader = @Sendable (SecretReference) throws(Failure) -> String

/// How one Prometheus or Alertmanager is reached, and what its answers mean.
struct QueryServer: Sendable {
    /// `prometheus` or `alertmanager`, for messages.
    let name: String
    let endpoint: HTTPEndpoint
    /// For one answer.
    let timeout: Duration
    let secrets: SecretReader
    let limits: AnswerLimits
    /// The secrets of the last request, which an answer may echo.
    private let sent = Locked<[String]>([])

    init(name: String, endpoint: HTTPEndpoint, timeout: Duration, secrets: @escaping SecretReader, limits: AnswerLimits) {
        self.name = name
        self.endpoint = endpoint
        self.timeout = timeout
        self.secrets = secrets
        self.limits = limits
    }

    /// A POST of form fields; the form is the only way that has no limit on a query's length.
    func form(_ path: String, _ fields: [(name: String, value: String)]) throws(Failure) -> HTTPRequest {
        let body = fields.map { "\($0.name)=\(percentEncoded($0.value))" }.joined(separator: "&")
        var request = try request("POST", path)
        request.body = Array(body.utf8)
        request.headers.append(HTTPHeader("Content-Type", "application/x-www-form-urlencoded"))
        // A query changes nothing: connections may be used again.
        request.isIdempotent = true
        return request
    }

    /// A request with the server's credentials.
    func request(_ method: String, _ path: String) throws(Failure) -> HTTPRequest {
        let base = endpoint.url.hasSuffix("/") ? String(endpoint.url.dropLast()) : endpoint.url
        var request = HTTPRequest(method: method, url: base + path, timeout: timeout, bodyLimit: limits.bytes)
        request.certificateAuthorityFile = endpoint.certificateAuthorityFile
        switch endpoint.authentication {
        case .basic(let username, let reference):
            let password = try secrets(reference)
            request.basic = (user: username, password: password)
            sent.withLock { $0 = [password, basicCredentials(user: username, password: password)] }
        case .bearer(let reference):
            let token = try secrets(reference)
            request.headers.append(HTTPHeader("Authorization", "Bearer \(token)"))
            sent.withLock { $0 = [token] }
        case nil: break
        }
        return request
    }

    /// The server's own time, which is the time of evaluation when none is named.
    func now() throws(Failure) -> HTTPRequest {
        try form("/api/v1/query", [("query", "time()"), ("timeout", "\(timeout.milliseconds)ms")])
    }

    /// An instant query at one time of the server's clock.
    func instant(_ query: String, at time: Instant) throws(Failure) -> HTTPRequest {
        try form("/api/v1/query", [("query", query), ("time", timeText(time)), ("timeout", "\(timeout.milliseconds)ms")])
    }

    /// A range query between two times of the server's clock.
    func range(_ query: String, from start: Instant, to end: Instant, step: Duration) throws(Failure) -> HTTPRequest {
        try form(
            "/api/v1/query_range",
            [
                ("query", query), ("start", timeText(start)), ("end", timeText(end)), ("step", "\(step.milliseconds / 1000)"),
                ("timeout", "\(timeout.milliseconds)ms"),
            ])
    }

    /// Reads what came back for a query, classifying every way in which it is no answer.
    func answer(_ result: Result<HTTPResponse, Failure>) -> Result<Answer, Failure> {
        switch result {
        case .failure(let failure): return .failure(named(failure))
        case .success(let response):
            do throws(AnswerError) {
                let answer = try AnswerParser.parse(response.body, limits: limits)
                if let kind = response.failureClass(ofWrite: false) {
                    return .failure(
                        refusal(response, kind, "its body has data, but this status says that it is no answer; expected 200"))
                }
                return .success(answer)
            } catch {
                return .failure(failure(error, response))
            }
        }
    }

    private func failure(_ error: AnswerError, _ response: HTTPResponse) -> Failure {
        if case .refused(let type, let message) = error {
            let kind: FailureClass =
                switch type {
                case "timeout", "canceled", "internal", "unavailable": .transient
                case "bad_data", "execution", "not_acceptable", "not_found": .invalid
                default: response.failureClass(ofWrite: false) ?? .invalid
                }
            return refusal(response, kind, "\(type): \(message)")
        }
        if let kind = response.failureClass(ofWrite: false) {
            return refusal(response, kind, excerpt(response.body))
        }
        let place = "\(name) \(endpoint.publicURL)"
        switch error {
        case .truncated: return Failure(.transient, "cannot read from \(place): \(error)")
        case .tooLarge:
            return Failure(
                .invalid, "cannot read from \(place): \(error)", hint: "narrow the signal's matchers or group by fewer labels")
        case .malformed, .refused:
            return Failure(.invalid, "cannot read from \(place): \(error)", hint: "check that the url is a Prometheus API")
        }
    }

    /// A failure made of a status that is no success.
    func refusal(_ response: HTTPResponse, _ kind: FailureClass, _ words: String) -> Failure {
        let hint: String? =
            switch response.status {
            case 401, 403: "check the \(name) credentials, and what they may read"
            case 404, 405, 300..<400: "check that the url is the base of a \(name) API; redirects are not followed"
            case 422: "the query fails while it runs; a limit on samples asks for narrower matchers"
            default: nil
            }
        let text = words.isEmpty ? "" : ": \(redacted(words))"
        return Failure(
            kind, "cannot read from \(name) \(endpoint.publicURL): status \(response.status)\(text)", hint: hint,
            retryAfter: response.retryAfter)
    }

    /// A failure of the exchange itself, with the server's name.
    func named(_ failure: Failure) -> Failure {
        var named = failure
        named.message = "\(name): \(failure.message)"
        return named
    }

    /// The beginning of a body that is no answer, in one line and without secrets.
    func excerpt(_ body: [UInt8]) -> String {
        // Secrets go first: a cut could leave a piece of one that nobody recognises.
        let text = redacted(String(decoding: body.prefix(4000), as: UTF8.self))
        return text.prefix(200).split(whereSeparator: \.isWhitespace).joined(separator: " ")
    }

    private func redacted(_ text: String) -> String { Redaction(secrets: sent.withLock { $0 })(text) }
}

extension HTTPEndpoint {
    /// The address without user, password and query.
    var publicURL: String { HTTPRequest(url: url, timeout: .zero).publicURL }
}

/// A time in seconds with three decimals.
func timeText(_ time: Instant) -> String {
    let (whole, rest) = time.millisecondsSince1970.quotientAndRemainder(dividingBy: 1000)
    return "\(whole).\(String(String(1000 + abs(rest)).dropFirst()))"
}
