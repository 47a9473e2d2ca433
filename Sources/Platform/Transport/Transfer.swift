internal import CCurl
internal import CSerinCurl
internal import SerinLocks
internal import SerinModel

/// One exchange on its way. Its request is fixed; what comes back is written by the loop's thread only.
final class Transfer: Sendable {
    private struct Received: Sendable {
        var headers: [HTTPHeader] = []
        var body: [UInt8] = []
        var isTooLong = false
    }

    // Unchecked: the list is made in `prepare` and freed in `release`, both on the loop's thread.
    private struct HeaderList: @unchecked Sendable { var list: UnsafeMutablePointer<curl_slist>? }

    let id: UInt64
    let request: HTTPRequest
    let continuation: CheckedContinuation<Result<HTTPResponse, Failure>, Never>
    private let received = Locked(Received())
    private let headerList = Locked(HeaderList(list: nil))

    init(id: UInt64, request: HTTPRequest, continuation: CheckedContinuation<Result<HTTPResponse, Failure>, Never>) {
        self.id = id
        self.request = request
        self.continuation = continuation
    }

    /// Sets every option of the easy handle; false when libcurl refuses one.
    func prepare(_ easy: UnsafeMutableRawPointer) -> Bool {
        let context = Unmanaged.passUnretained(self).toOpaque()
        var codes = [
            serin_curl_set_text(easy, CURLOPT_URL, request.url),
            serin_curl_set_text(easy, CURLOPT_PROTOCOLS_STR, "http,https"),
            serin_curl_set_text(easy, CURLOPT_CUSTOMREQUEST, request.method),
            serin_curl_set_text(easy, CURLOPT_ACCEPT_ENCODING, ""),
            serin_curl_set_long(easy, CURLOPT_NOSIGNAL, 1),
            serin_curl_set_long(easy, CURLOPT_FOLLOWLOCATION, 0),
            serin_curl_set_long(easy, CURLOPT_TIMEOUT_MS, Int(max(1, request.timeout.milliseconds))),
            serin_curl_set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, Int(max(1, request.timeout.milliseconds))),
            serin_curl_set_pointer(easy, CURLOPT_PRIVATE, context),
            serin_curl_set_body_sink(easy, bodySink, context),
            serin_curl_set_header_sink(easy, headerSink, context),
        ]
        if let body = request.body {
            codes.append(
                body.withUnsafeBytes { serin_curl_set_body(easy, $0.baseAddress ?? UnsafeRawPointer(easy), Int64($0.count)) })
        }
        if let path = request.unixSocket { codes.append(serin_curl_set_text(easy, CURLOPT_UNIX_SOCKET_PATH, path)) }
        if let file = request.certificateAuthorityFile { codes.append(serin_curl_set_text(easy, CURLOPT_CAINFO, file)) }
        if let basic = request.basic {
            codes.append(serin_curl_set_long(easy, CURLOPT_HTTPAUTH, 1))
            codes.append(serin_curl_set_text(easy, CURLOPT_USERNAME, basic.user))
            codes.append(serin_curl_set_text(easy, CURLOPT_PASSWORD, basic.password))
        }
        codes.append(setHeaders(easy))
        return codes.allSatisfy { $0 == CURLE_OK }
    }

    private func setHeaders(_ easy: UnsafeMutableRawPointer) -> CURLcode {
        // An empty Expect keeps curl from waiting a second for "100 Continue" before a long body.
        let lines = request.headers.map { "\($0.name): \($0.value)" } + ["Expect:"]
        let list = lines.reduce(nil as UnsafeMutablePointer<curl_slist>?) { curl_slist_append($0, $1) ?? $0 }
        let box = HeaderList(list: list)
        headerList.withLock { $0 = box }
        return serin_curl_set_list(easy, CURLOPT_HTTPHEADER, list)
    }

    /// Frees what belongs to libcurl; called once, after the easy handle is gone.
    func release() {
        let box = headerList.withLock { held in
            defer { held.list = nil }
            return held
        }
        curl_slist_free_all(box.list)
    }

    func takeBody(_ bytes: UnsafeRawBufferPointer) -> Bool {
        received.withLock { received in
            guard received.body.count + bytes.count <= request.bodyLimit else {
                received.isTooLong = true
                return false
            }
            received.body.append(contentsOf: bytes)
            return true
        }
    }

    func takeHeader(_ bytes: UnsafeRawBufferPointer) -> Bool {
        let line = String(decoding: bytes, as: UTF8.self)
        return received.withLock { received in
            if line.hasPrefix("HTTP/") { received.headers = [] }
            guard received.headers.count < 200 else { return false }
            if let colon = line.firstIndex(of: ":") {
                let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
                received.headers.append(
                    HTTPHeader(String(line[..<colon]), String(value.prefix { $0 != "\r\n" && $0 != "\r" && $0 != "\n" })))
            }
            return true
        }
    }

    func failure(_ kind: FailureClass, _ reason: String) -> Failure {
        Failure(kind, "cannot \(request.method) \(request.url): \(reason)")
    }

    /// The result of a finished transfer.
    func result(of easy: UnsafeMutableRawPointer, code: CURLcode) -> Result<HTTPResponse, Failure> {
        let received = self.received.withLock { $0 }
        if code == CURLE_OK {
            var status = 0
            serin_curl_get_status(easy, &status)
            return .success(HTTPResponse(status: status, headers: received.headers, body: received.body))
        }
        if received.isTooLong { return .failure(failure(.invalid, "the answer is longer than \(request.bodyLimit) bytes")) }
        return .failure(failure(kind(of: easy, code: code), String(cString: curl_easy_strerror(code))))
    }

    private func kind(of easy: UnsafeMutableRawPointer, code: CURLcode) -> FailureClass {
        switch code {
        case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL: return .invalid
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CERTPROBLEM: return .denied
        default:
            // Nothing was sent when no request bytes left: then it certainly did not happen.
            var sent = 0
            serin_curl_get_request_size(easy, &sent)
            return sent > 0 ? .unknown : .transient
        }
    }
}

private let bodySink: @convention(c) (UnsafeMutablePointer<CChar>?, Int, Int, UnsafeMutableRawPointer?) -> Int = {
    bytes, size, count, context in
    guard let bytes, let context else { return 0 }
    let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
    return transfer.takeBody(UnsafeRawBufferPointer(start: bytes, count: size * count)) ? size * count : 0
}

private let headerSink: @convention(c) (UnsafeMutablePointer<CChar>?, Int, Int, UnsafeMutableRawPointer?) -> Int = {
    bytes, size, count, context in
    guard let bytes, let context else { return 0 }
    let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
    return transfer.takeHeader(UnsafeRawBufferPointer(start: bytes, count: size * count)) ? size * count : 0
}
