internal import SerinLocks
internal import SerinModel
internal import SerinPolicies
internal import SerinProcesses
internal import SerinTransport

/// The HTTP interface of a load balancer: how it is reached, and what its answers mean.
struct AdminInterface: Sendable {
    /// How requests are let in.
    enum Authentication: Sendable {
        /// No credentials.
        case none
        /// `Authorization: Bearer <secret>`
        case bearer(SecretReference)
        /// `Authorization: Basic <user:secret>`
        case basic(user: String, password: SecretReference)
        /// A header field of its own, such as `X-API-KEY: <secret>`
        case header(name: String, value: SecretReference)
    }

    /// How the balancer is named to people.
    let name: String
    let environment: TrafficEnvironment
    var unixSocket: String?
    var certificateAuthorityFile: String?
    var authentication = Authentication.none
    /// The last value of the secret: lowering to 0 must not fail because the secret's file is gone for a moment.
    private let lastSecret = Locked<String?>(nil)

    init(name: String, environment: TrafficEnvironment) {
        self.name = name
        self.environment = environment
    }

    /// Asks; whatever gets no answer may simply be asked again.
    func read(_ url: String, to goal: String, bodyLimit: Int = 4 << 20, deadline: Duration) async throws(Failure) -> HTTPResponse
    {
        var request = HTTPRequest(url: url, timeout: deadline)
        request.bodyLimit = bodyLimit
        return try await exchange(request, to: goal, isWrite: false)
    }

    /// Changes something. Fails with `unknown` when the request was sent and no answer came, or a gateway answered instead.
    ///
    /// - Parameter mayRepeat: Whether it may reach the balancer twice, as a lowering to 0 may. It goes over a kept connection then,
    ///   which saves connecting, and is sent again when that connection turns out to be closed.
    @discardableResult
    func write(
        _ method: String, _ url: String, headers: [HTTPHeader] = [], body: [UInt8]? = nil, mayRepeat: Bool = false,
        to goal: String, deadline: Duration
    ) async throws(Failure) -> HTTPResponse {
        var request = HTTPRequest(method: method, url: url, headers: headers, body: body, timeout: deadline)
        if mayRepeat { request.isIdempotent = true }
        return try await exchange(request, to: goal, isWrite: true)
    }

    /// A failure in the words of this interface.
    func failure(_ kind: FailureClass, to goal: String, _ reason: String, hint: String? = nil) -> Failure {
        Failure(kind, "cannot \(goal) at \(name): \(redacted(reason))", hint: hint)
    }

    private func exchange(_ plain: HTTPRequest, to goal: String, isWrite: Bool) async throws(Failure) -> HTTPResponse {
        var request = plain
        request.unixSocket = unixSocket
        request.certificateAuthorityFile = certificateAuthorityFile
        try await authenticate(&request, to: goal)
        let response: HTTPResponse
        do throws(Failure) {
            response = try await environment.transport.send(request)
        } catch {
            let kind = error.kind == .unknown && !isWrite ? .transient : error.kind
            let prefix = "cannot \(request.method) \(request.url): "
            let reason = error.message.hasPrefix(prefix) ? String(error.message.dropFirst(prefix.count)) : error.message
            throw failure(kind, to: goal, reason, hint: error.hint)
        }
        guard !(200...299).contains(response.status) else { return response }
        throw refusal(response, to: goal, isWrite: isWrite)
    }

    private func refusal(_ response: HTTPResponse, to goal: String, isWrite: Bool) -> Failure {
        let words = excerpt(redacted(String(decoding: response.body.prefix(2000), as: UTF8.self)), limit: 300)
        let reason = words.isEmpty ? "status \(response.status)" : "status \(response.status): \(words)"
        let kind = response.failureClass(ofWrite: isWrite) ?? .invalid
        var failure = failure(kind, to: goal, reason)
        if kind == .throttled { failure.retryAfter = response.retryAfter }
        return failure
    }

    // MARK: Secrets

    private func authenticate(_ request: inout HTTPRequest, to goal: String) async throws(Failure) {
        switch authentication {
        case .none: return
        case .bearer(let reference):
            request.headers.append(HTTPHeader("Authorization", "Bearer \(try await secret(reference, to: goal))"))
        case .basic(let user, let reference): request.basic = (user, try await secret(reference, to: goal))
        case .header(let name, let reference): request.headers.append(HTTPHeader(name, try await secret(reference, to: goal)))
        }
    }

    private func secret(_ reference: SecretReference, to goal: String) async throws(Failure) -> String {
        do throws(Failure) {
            let value = try await environment.secret(reference)
            guard !value.isEmpty, value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F }) else {
                throw Failure(.denied, "the secret is empty or has a line end or control character")
            }
            lastSecret.withLock { $0 = value }
            return value
        } catch {
            if let last = lastSecret.withLock({ $0 }) { return last }
            throw failure(error.kind, to: goal, error.message, hint: error.hint)
        }
    }

    /// The text without the secret, plain or as basic authentication writes it.
    private func redacted(_ text: String) -> String {
        guard let secret = lastSecret.withLock({ $0 }) else { return text }
        var hidden = [secret]
        if case .basic(let user, _) = authentication { hidden.append(basicCredentials(user: user, password: secret)) }
        return Redaction(secrets: hidden)(text)
    }
}
