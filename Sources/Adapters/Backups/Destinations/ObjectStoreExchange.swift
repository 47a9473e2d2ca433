internal import SerinCatalogue
internal import SerinCrypto
internal import SerinModel
internal import SerinTransport

extension ObjectStore {
    /// The SHA-256 of no bytes.
    static let emptyDigest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    /// The keys, read anew for every exchange.
    func keys() async throws(Failure) -> SigningKeys {
        SigningKeys(
            accessKey: try await environment.secret(settings.accessKey),
            secretKey: try await environment.secret(settings.secretKey),
            sessionToken: try await settings.sessionToken.asyncMap(environment.secret))
    }

    /// A signed request.
    ///
    /// - Parameters:
    ///   - key: The object; nil: the bucket itself.
    ///   - digest: The SHA-256 of the body in hexadecimal.
    func request(
        _ method: String, _ key: ObjectKey?, query: [HTTPHeader] = [], headers: [HTTPHeader] = [], digest: String = emptyDigest,
        keys: SigningKeys
    ) throws(Failure) -> HTTPRequest {
        let place = settings.place
        let host = settings.isVirtualHosted ? "\(settings.bucket).\(place.authority)" : place.authority
        let object = key.map { "/" + SignatureV4.encoded(settings.full($0.description), keepsSlashes: true) } ?? ""
        var path = place.basePath + (settings.isVirtualHosted ? "" : "/" + settings.bucket) + object
        if path.isEmpty { path = "/" }
        let signer = SignatureV4(scheme: dialect.signing, region: settings.region, service: dialect.service)
        let signature = try hashing { () throws(CryptoError) in
            try signer.headers(
                method: method, host: host, path: path, query: query, headers: headers, payload: digest, keys: keys,
                at: environment.now())
        }
        return place.request(
            method, host: host, path: path, query: SignatureV4.canonicalQuery(query), headers: headers + signature)
    }

    /// One signed exchange. Only what is no HTTP at all throws; the caller judges the status.
    func send(
        _ method: String, _ key: ObjectKey?, query: [HTTPHeader] = [], headers: [HTTPHeader] = [], body: [BodyPiece] = [],
        digest: String = emptyDigest, download: Download? = nil
    ) async throws(Failure) -> HTTPResponse {
        var request = try request(method, key, query: query, headers: headers, digest: digest, keys: try await keys())
        request.upload = body
        request.download = download
        // Every call repeats by itself, after asking what became of the first try.
        if method == "PUT" || method == "POST" { request.isIdempotent = false }
        return try await environment.transport.send(request)
    }

    /// One signed exchange whose answer is XML; repeated when it fails in a way that passes.
    func document(
        _ method: String, _ key: ObjectKey?, query: [HTTPHeader], headers: [HTTPHeader] = [], body: [UInt8] = []
    ) async throws(Failure) -> XMLElement {
        let digest = body.isEmpty ? Self.emptyDigest : try digest(of: body)
        return try await environment.retries.run { _ throws(Failure) in
            let pieces: [BodyPiece] = body.isEmpty ? [] : [.bytes(body)]
            let answer = try await send(method, key, query: query, headers: headers, body: pieces, digest: digest)
            guard answer.failureClass(ofWrite: method != "GET" && method != "HEAD") == nil else {
                throw refusal(method, key, answer)
            }
            return try root(method, key, answer)
        }
    }

    /// The XML of an answer. One that says 200 and holds an error is a failure.
    func root(_ method: String, _ key: ObjectKey?, _ answer: HTTPResponse) throws(Failure) -> XMLElement {
        guard let root = XMLElement.root(of: answer.body) else {
            throw Failure(.invalid, "cannot \(method) \(what(key)): the answer is no XML")
        }
        guard root.name != "Error" else { throw refusal(method, key, answer) }
        return root
    }

    func what(_ key: ObjectKey?) -> String { key.map { "\($0) at \(name)" } ?? name }

    /// The failure that an answer means, in the store's own words where it has some.
    func refusal(_ method: String, _ key: ObjectKey?, _ answer: HTTPResponse) -> Failure {
        let error = XMLElement.root(of: answer.body)
        let code = error?["Code"]?.text ?? ""
        let words = [code, error?["Message"]?.text ?? ""].filter { !$0.isEmpty }.joined(separator: ": ")
        var failure = Failure(
            kind(of: code) ?? answer.failureClass(ofWrite: method != "GET" && method != "HEAD") ?? .transient,
            "cannot \(method) \(what(key)): \(answer.status)\(words.isEmpty ? "" : " " + String(words.prefix(300)))")
        failure.retryAfter = answer.retryAfter
        if code == "RequestTimeTooSkewed" {
            let theirs = answer.header("Date").map { ", its clock says \($0)" } ?? ""
            failure.hint = "the request was signed at \(environment.now())\(theirs): set this machine's clock"
        } else if code == "NoSuchBucket" {
            failure.hint = "is the bucket's name right? nothing is concluded about what was stored in it"
        } else if code == "SignatureDoesNotMatch" || code == "InvalidAccessKeyId" {
            failure.hint = "are the access key and its secret right?"
        } else if answer.status == 403 {
            failure.hint =
                method == "HEAD"
                ? "the identity needs the right to read; without the right to list, a missing object is answered so too"
                : "the identity lacks a right, or the object is locked"
        }
        return failure
    }

    private func kind(of code: String) -> FailureClass? {
        switch code {
        case "NoSuchBucket": .denied
        case "SlowDown", "TooManyRequests": .throttled
        case "ConditionalRequestConflict", "OperationAborted", "InternalError", "ServiceUnavailable", "RequestTimeout": .transient
        case _: nil
        }
    }
}

extension Optional where Wrapped: Sendable {
    fileprivate func asyncMap<Value>(
        _ body: @Sendable (Wrapped) async throws(Failure) -> Value
    ) async throws(Failure) -> Value? {
        guard let self else { return nil }
        return try await body(self)
    }
}
