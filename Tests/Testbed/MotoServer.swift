internal import Glibc
public import SerinModel
public import SerinTransport

/// A real moto that plays S3 on loopback and checks every signature and right.
public final class MotoServer: Sendable {
    /// Its address.
    public let url: String
    /// Keys of an identity that may do everything with S3.
    public let keys: SigningKeys
    private let process: ServerProcess
    private let transport: Transport

    /// Starts it in a folder and makes an identity.
    public init(scratch: Scratch) async throws {
        let port = try freePort()
        url = "http://127.0.0.1:\(port)"
        transport = try Transport()
        // So many calls pass unchecked: the three that make the identity.
        let server = try ServerProcess(
            try Self.program(), ["-H", "127.0.0.1", "-p", "\(port)"],
            environment: [
                "INITIAL_NO_AUTH_ACTION_COUNT": "3", "HOME": scratch.path, "MOTO_S3_CUSTOM_ENDPOINTS": "",
                "PYTHONDONTWRITEBYTECODE": "1",
            ], log: scratch.file("moto.log"))
        process = server
        try await waitUntil("moto's start", within: .seconds(60)) {
            guard server.isRunning else { throw Failure(.invalid, "moto ended: \(server.logTail())") }
            return canConnect(port: port)
        }
        let policy =
            #"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*","kms:*"],"Resource":"*"}]}"#
        _ = try await Self.identity(url, transport, "Action=CreateUser&UserName=serin")
        _ = try await Self.identity(
            url, transport,
            "Action=PutUserPolicy&UserName=serin&PolicyName=all&PolicyDocument=\(SignatureV4.encoded(policy))")
        let answer = try await Self.identity(url, transport, "Action=CreateAccessKey&UserName=serin")
        guard let access = Self.element("AccessKeyId", answer), let secret = Self.element("SecretAccessKey", answer) else {
            throw Failure(.invalid, "moto gave no keys: \(answer)")
        }
        keys = SigningKeys(accessKey: access, secretKey: secret)
    }

    /// Ends it.
    public func stop() { process.stop() }

    /// The end of its log, which names every request.
    public func log(_ bytes: Int = 4000) -> String { process.logTail(bytes) }

    /// Makes a bucket, with versions and object lock or without.
    public func makeBucket(_ name: String, locks: Bool) async throws {
        let headers = locks ? [HTTPHeader("x-amz-bucket-object-lock-enabled", "true")] : []
        let answer = try await send("PUT", "/" + name, headers: headers)
        guard answer.status == 200 else {
            throw Failure(.invalid, "no bucket: \(answer.status) \(String(decoding: answer.body, as: UTF8.self))")
        }
    }

    /// One signed request.
    public func send(
        _ method: String, _ path: String, query: [HTTPHeader] = [], headers: [HTTPHeader] = [], body: [UInt8] = []
    ) async throws -> HTTPResponse {
        let signer = SignatureV4(region: "us-east-1", service: "s3")
        let added = try signer.headers(
            method: method, host: String(url.dropFirst(7)), path: path, query: query, headers: headers,
            payload: SignatureV4.unsignedPayload, keys: keys, at: Self.now)
        var target = url + path
        if !query.isEmpty { target += "?" + SignatureV4.canonicalQuery(query) }
        return try await transport.send(
            HTTPRequest(
                method: method, url: target, headers: headers + added, body: body.isEmpty ? nil : body, timeout: .seconds(20)))
    }

    /// The computer's time.
    public static var now: Instant {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Instant(millisecondsSince1970: Int64(time.tv_sec) * 1000)
    }

    private static func identity(_ url: String, _ transport: Transport, _ form: String) async throws -> String {
        // Moto takes the service from the scope of the credential.
        let scope = "AWS4-HMAC-SHA256 Credential=first/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=none"
        let answer = try await transport.send(
            HTTPRequest(
                method: "POST", url: url + "/",
                headers: [
                    HTTPHeader("Authorization", scope), HTTPHeader("Content-Type", "application/x-www-form-urlencoded"),
                ], body: Array((form + "&Version=2010-05-08").utf8), timeout: .seconds(60)))
        let text = String(decoding: answer.body, as: UTF8.self)
        guard answer.status == 200 else { throw Failure(.invalid, "moto refused \(form.prefix(30)): \(text)") }
        return text
    }

    private static func element(_ name: String, _ text: String) -> String? {
        let pieces = text.split(separator: "<\(name)>", maxSplits: 1)
        guard pieces.count == 2, let value = pieces.last?.split(separator: "</\(name)>", maxSplits: 1).first else { return nil }
        return String(value)
    }

    private static func program() throws(Failure) -> String {
        if let path = getenv("SERIN_MOTO") { return String(cString: path) }
        let path = packageRoot + "/build/tools/venv/bin/moto_server"
        guard access(path, X_OK) == 0 else {
            throw Failure(.invalid, "there is no moto", hint: "run `make setup`, or name the program in SERIN_MOTO")
        }
        return path
    }
}
