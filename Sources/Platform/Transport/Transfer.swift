internal import CCurl
internal import CSerinCurl
internal import SerinLocks
internal import SerinModel

/// One exchange on its way. Its request is fixed; what comes back is written by the loop's thread only.
final class Transfer: Sendable {
    /// Which limit an answer went over.
    private enum Excess: Sendable {
        case body
        case headers
        /// A file could not be read or written; how, in words.
        case file(String)
    }

    private struct Received: Sendable {
        var status = 0
        var headers: [HTTPHeader] = []
        var headerBytes = 0
        var body: [UInt8] = []
        var excess: Excess?
        /// What a mail server said, the last line of each reply.
        var replies: [String] = []
    }

    // Unchecked: the lists are made in `prepare` and freed in `release`, both on the loop's thread.
    private struct HeaderList: @unchecked Sendable {
        var list: UnsafeMutablePointer<curl_slist>?
        var recipients: UnsafeMutablePointer<curl_slist>?
    }

    // Unchecked: made in `openFiles` and used by the sinks and the source, all on the loop's thread.
    private struct Files: @unchecked Sendable {
        var source: BodySource?
        var sink: DownloadSink?
    }

    let id: UInt64
    let request: HTTPRequest
    /// Called once with the outcome.
    let completion: @Sendable (Result<HTTPResponse, Failure>) -> Void
    private let received = Locked(Received())
    private let headerList = Locked(HeaderList())
    private let files = Locked(Files())

    init(id: UInt64, request: HTTPRequest, completion: @escaping @Sendable (Result<HTTPResponse, Failure>) -> Void) {
        self.id = id
        self.request = request
        self.completion = completion
    }

    /// Opens the files that the body comes from and goes to; a failure when one cannot be.
    func openFiles() -> Failure? {
        do throws(FileFault) {
            let source = request.upload.isEmpty ? nil : try BodySource(request.upload)
            let sink = try request.download.map { download throws(FileFault) in try DownloadSink(download) }
            let opened = Files(source: source, sink: sink)
            files.withLock { $0 = opened }
            return nil
        } catch {
            return failure(.invalid, error.words)
        }
    }

    /// Sets every option of the easy handle; false when libcurl refuses one.
    func prepare(_ easy: UnsafeMutableRawPointer) -> Bool {
        let context = Unmanaged.passUnretained(self).toOpaque()
        var codes = [
            serin_curl_set_text(easy, CURLOPT_URL, request.url),
            serin_curl_set_text(easy, CURLOPT_PROTOCOLS_STR, request.envelope == nil ? "http,https" : "smtp,smtps"),
            serin_curl_set_long(easy, CURLOPT_HTTP_VERSION, 2),  // CURL_HTTP_VERSION_1_1, an enumeration's value
            serin_curl_set_long(easy, CURLOPT_NOSIGNAL, 1),
            serin_curl_set_long(easy, CURLOPT_FOLLOWLOCATION, 0),
            // Without this, giving up on a name that does not resolve would stop the whole loop until the resolver answers.
            serin_curl_set_long(easy, CURLOPT_QUICK_EXIT, 1),
            serin_curl_set_long(easy, CURLOPT_BUFFERSIZE, 64 << 10),
            serin_curl_set_long(easy, CURLOPT_TIMEOUT_MS, Int(max(1, request.timeout.milliseconds))),
            serin_curl_set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, Int(max(1, request.timeout.milliseconds))),
            serin_curl_set_pointer(easy, CURLOPT_PRIVATE, context),
            serin_curl_set_body_sink(easy, bodySink, context),
            serin_curl_set_header_sink(easy, headerSink, context),
        ]
        if request.download == nil, request.envelope == nil {
            codes.append(serin_curl_set_text(easy, CURLOPT_ACCEPT_ENCODING, "gzip"))
        }
        // Else libcurl would take the environment's (`http_proxy`, …).
        codes.append(serin_curl_set_text(easy, CURLOPT_PROXY, ""))
        if !request.isIdempotent { codes.append(serin_curl_set_long(easy, CURLOPT_FRESH_CONNECT, 1)) }
        if let path = request.unixSocket { codes.append(serin_curl_set_text(easy, CURLOPT_UNIX_SOCKET_PATH, path)) }
        if let basic = request.basic {
            codes.append(serin_curl_set_long(easy, CURLOPT_HTTPAUTH, 1))  // CURLAUTH_BASIC
            codes.append(serin_curl_set_text(easy, CURLOPT_USERNAME, basic.user))
            codes.append(serin_curl_set_text(easy, CURLOPT_PASSWORD, basic.password))
        }
        codes += setTrust(easy)
        codes += setPace(easy)
        codes += setMethodAndBody(easy)
        if let envelope = request.envelope { codes += set(envelope, easy) } else { codes.append(setHeaders(easy)) }
        return codes.allSatisfy { $0 == CURLE_OK }
    }

    private func setTrust(_ easy: UnsafeMutableRawPointer) -> [CURLcode] {
        let least = request.tlsMinimum == .v1_3 ? CURL_SSLVERSION_TLSv1_3 : CURL_SSLVERSION_TLSv1_2
        let version = serin_curl_set_long(easy, CURLOPT_SSLVERSION, Int(least))
        guard let file = request.certificateAuthorityFile else { return [version] }
        return [
            version,
            serin_curl_set_text(easy, CURLOPT_CAINFO, file),
            // Debian's libcurl would go on trusting the system's folder of certificates besides the file.
            serin_curl_set_text(easy, CURLOPT_CAPATH, nil),
            // A replaced file counts after a minute instead of after a day.
            serin_curl_set_long(easy, CURLOPT_CA_CACHE_TIMEOUT, 60),
        ]
    }

    private func setPace(_ easy: UnsafeMutableRawPointer) -> [CURLcode] {
        var codes: [CURLcode] = []
        if let stall = request.stall {
            codes.append(serin_curl_set_long(easy, CURLOPT_LOW_SPEED_LIMIT, max(1, stall.bytesPerSecond)))
            codes.append(serin_curl_set_long(easy, CURLOPT_LOW_SPEED_TIME, Int(max(1, stall.lasting.milliseconds / 1000))))
        }
        if let rate = request.rateLimit {
            codes.append(serin_curl_set_large(easy, CURLOPT_MAX_SEND_SPEED_LARGE, max(1, rate)))
            codes.append(serin_curl_set_large(easy, CURLOPT_MAX_RECV_SPEED_LARGE, max(1, rate)))
        }
        return codes
    }

    private func setMethodAndBody(_ easy: UnsafeMutableRawPointer) -> [CURLcode] {
        var codes: [CURLcode] = []
        if request.envelope == nil { codes.append(serin_curl_set_text(easy, CURLOPT_CUSTOMREQUEST, request.method)) }
        if request.method == "HEAD" { codes.append(serin_curl_set_long(easy, CURLOPT_NOBODY, 1)) }
        if !request.upload.isEmpty {
            let context = Unmanaged.passUnretained(self).toOpaque()
            let length = request.upload.reduce(0) { $0 + $1.count }
            return codes + [serin_curl_set_body_source(easy, bodySource, bodySeek, context, length)]
        }
        let needsLength = ["POST", "PUT", "PATCH"].contains(request.method)
        if let body = request.body ?? (needsLength ? [] : nil) {
            codes.append(
                body.withUnsafeBytes { serin_curl_set_body(easy, $0.baseAddress ?? UnsafeRawPointer(easy), Int64($0.count)) })
        }
        return codes
    }

    private func setHeaders(_ easy: UnsafeMutableRawPointer) -> CURLcode {
        // An empty Expect keeps curl from waiting a second for "100 Continue" before a long body. A field with an empty value is
        // written with ';', for with ':' curl would drop it.
        let lines = request.headers.map { $0.value.isEmpty ? "\($0.name);" : "\($0.name): \($0.value)" } + ["Expect:"]
        let list = lines.reduce(nil as UnsafeMutablePointer<curl_slist>?) { curl_slist_append($0, $1) ?? $0 }
        let box = HeaderList(list: list)
        headerList.withLock { $0 = box }
        return serin_curl_set_list(easy, CURLOPT_HTTPHEADER, list)
    }

    private func set(_ envelope: MailEnvelope, _ easy: UnsafeMutableRawPointer) -> [CURLcode] {
        let recipients = envelope.recipients.reduce(nil as UnsafeMutablePointer<curl_slist>?) {
            curl_slist_append($0, "<\($1)>") ?? $0
        }
        let box = HeaderList(list: nil, recipients: recipients)
        headerList.withLock { $0 = box }
        return [
            serin_curl_set_text(easy, CURLOPT_MAIL_FROM, "<\(envelope.sender)>"),
            serin_curl_set_list(easy, CURLOPT_MAIL_RCPT, recipients),
            serin_curl_set_long(easy, CURLOPT_MAIL_RCPT_ALLLOWFAILS, 1),
            // CURLUSESSL_ALL or CURLUSESSL_TRY, an enumeration's values.
            serin_curl_set_long(easy, CURLOPT_USE_SSL, envelope.requiresEncryption ? 3 : 1),
        ]
    }

    /// Frees what belongs to libcurl; called once, after the easy handle forgot it.
    func release() {
        let box = headerList.withLock { held in
            defer { held = HeaderList() }
            return held
        }
        curl_slist_free_all(box.list)
        curl_slist_free_all(box.recipients)
        files.withLock { $0 = Files() }
    }

    /// Fills a buffer with the next bytes of the body; nil when they cannot be read.
    func giveBody(_ buffer: UnsafeMutableRawBufferPointer) -> Int? {
        guard let source = files.withLock({ $0 }).source else { return nil }
        do throws(FileFault) { return try source.read(into: buffer) } catch {
            note(error)
            return nil
        }
    }

    /// Goes back to a place in the body, for a connection that turned out to be closed.
    func seekBody(to offset: Int64) -> Bool { files.withLock { $0 }.source?.seek(to: offset) ?? false }

    private func note(_ fault: FileFault) { received.withLock { $0.excess = .file(fault.words) } }

    func takeBody(_ bytes: UnsafeRawBufferPointer) -> Bool {
        if let sink = files.withLock({ $0 }).sink, (200..<300).contains(received.withLock { $0.status }) {
            do throws(FileFault) { try sink.take(bytes) } catch {
                note(error)
                return false
            }
            return true
        }
        return received.withLock { received in
            guard received.body.count + bytes.count <= request.bodyLimit else {
                received.excess = .body
                return false
            }
            received.body.append(contentsOf: bytes)
            return true
        }
    }

    func takeHeader(_ bytes: UnsafeRawBufferPointer) -> Bool {
        received.withLock { received in
            received.headerBytes += bytes.count
            guard received.headerBytes <= request.headerLimit, received.headers.count < 200 else {
                received.excess = .headers
                return false
            }
            let line = String(decoding: bytes, as: UTF8.self)
            if request.envelope != nil {
                if line.utf8.dropFirst(3).first != 0x2D { received.replies.append(printable(line)) }
                return true
            }
            if line.hasPrefix("HTTP/") {
                received.headers = []
                received.status = line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
            }
            if let colon = line.firstIndex(of: ":"), !line.hasPrefix("HTTP/") {
                let isSpace = { (character: Character) in character == " " || character == "\t" || character.isNewline }
                var value = line[line.index(after: colon)...].drop(while: isSpace)
                while let last = value.last, isSpace(last) { value.removeLast() }
                received.headers.append(HTTPHeader(String(line[..<colon]), String(value)))
            }
            return true
        }
    }
}

// MARK: - What came of it

extension Transfer {
    /// A failure of this exchange in words; user, password and query of the address are left out.
    func failure(_ kind: FailureClass, _ reason: String, hint: String? = nil) -> Failure {
        let place = request.unixSocket.map { " at unix socket \($0)" } ?? ""
        return Failure(kind, "cannot \(request.method) \(request.publicURL)\(place): \(reason)", hint: hint)
    }

    /// The outcome for a caller who no longer waits.
    func givenUp(_ easy: UnsafeMutableRawPointer) -> Result<HTTPResponse, Failure> {
        .failure(failure(wasSent(easy) ? .unknown : .transient, "given up by the caller"))
    }

    /// The result of a finished transfer.
    func result(of easy: UnsafeMutableRawPointer, code: CURLcode) -> Result<HTTPResponse, Failure> {
        let received = self.received.withLock { $0 }
        if code == CURLE_OK {
            var status = 0
            serin_curl_get_status(easy, &status)
            let headers = request.envelope.map { refusals($0, received.replies) } ?? received.headers
            var response = HTTPResponse(status: status, headers: headers, body: received.body)
            if let sink = files.withLock({ $0 }).sink, (200..<300).contains(status) {
                do throws(FileFault) { response.downloaded = try sink.finish() } catch {
                    return .failure(failure(.invalid, error.words))
                }
            }
            return .success(response)
        }
        // A read whose answer is too long is answered so again; a write may have been carried out.
        let tooLong: FailureClass = request.isIdempotent ? .invalid : .unknown
        switch received.excess {
        case .body: return .failure(failure(tooLong, "the answer is longer than \(request.bodyLimit) bytes"))
        case .headers: return .failure(failure(tooLong, "the answer's headers are longer than \(request.headerLimit) bytes"))
        case .file(let words): return .failure(failure(.invalid, words))
        case nil: return .failure(mailFailure(of: easy, code: code, received.replies) ?? failure(of: easy, code: code))
        }
    }

    private func wasSent(_ easy: UnsafeMutableRawPointer) -> Bool {
        var sent = 0
        serin_curl_get_request_size(easy, &sent)
        return sent > 0
    }

    /// What a mail server refused, by the code of its last reply (RFC 5321, section 4.2); nil when that says nothing.
    private func mailFailure(of easy: UnsafeMutableRawPointer, code: CURLcode, _ replies: [String]) -> Failure? {
        guard let envelope = request.envelope else { return nil }
        if code == CURLE_USE_SSL_FAILED {
            return failure(
                .denied, "the server offers no encryption", hint: "use a server that does, or allow mail without encryption")
        }
        var status = 0
        serin_curl_get_status(easy, &status)
        // The farewell says nothing of what went wrong.
        let refusing = replies.last { $0.hasPrefix("4") || $0.hasPrefix("5") }
        let words = refusing ?? replies.last ?? ""
        let mayPass = replies.filter { !$0.hasPrefix("221") }.suffix(envelope.recipients.count).contains { $0.hasPrefix("4") }
        switch status {
        case 530, 534, 535, 538: return failure(.denied, words)
        case 400..<500: return failure(.transient, words)
        case 500..<600: return failure(mayPass ? .transient : .invalid, words)
        default: return nil
        }
    }

    /// The recipients that were refused, each with the reply: those before the server asked for the mail, one a recipient.
    private func refusals(_ envelope: MailEnvelope, _ replies: [String]) -> [HTTPHeader] {
        let asked = replies.firstIndex { $0.hasPrefix("354") } ?? 0
        let own = replies[..<asked].suffix(envelope.recipients.count)
        return zip(envelope.recipients, own).filter { !$0.1.hasPrefix("2") }.map { HTTPHeader($0.0, $0.1) }
    }

    private func timeoutWords(_ easy: UnsafeMutableRawPointer) -> String {
        // A time that is over is measured as up to a moment less.
        let passed = serin_curl_total_milliseconds(easy) + 500
        guard let stall = request.stall, passed >= stall.lasting.milliseconds, passed < request.timeout.milliseconds else {
            return "no complete answer within \(request.timeout)"
        }
        return "slower than \(stall.bytesPerSecond) bytes a second for \(stall.lasting)"
    }

    private func failure(of easy: UnsafeMutableRawPointer, code: CURLcode) -> Failure {
        let words = String(cString: curl_easy_strerror(code))
        if code == CURLE_OPERATION_TIMEDOUT {
            return wasSent(easy)
                ? failure(.unknown, timeoutWords(easy))
                : failure(.transient, "no connection within \(request.timeout)")
        }
        if wasSent(easy) {
            return code == CURLE_UNSUPPORTED_PROTOCOL ? failure(.unknown, "the answer is not HTTP") : failure(.unknown, words)
        }
        switch code {
        case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL: return failure(.invalid, words)
        case CURLE_SSL_CACERT_BADFILE:
            return failure(
                .invalid, "cannot use the certificate file \(request.certificateAuthorityFile ?? "")",
                hint: "it must be readable and hold certificates in PEM form")
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CERTPROBLEM:
            return failure(
                .denied, "the server's certificate is not trusted (\(words))",
                hint: "name the certificate authority's file, and use a host name that the certificate holds")
        default: return failure(.transient, words)
        }
    }
}

/// The first 200 characters of a line without what terminals would act upon.
private func printable(_ line: String) -> String {
    String(line.filter { !$0.isNewline }.unicodeScalars.filter { $0.value >= 0x20 }.map(Character.init).prefix(200))
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

private let bodySource: @convention(c) (UnsafeMutablePointer<CChar>?, Int, Int, UnsafeMutableRawPointer?) -> Int = {
    buffer, size, count, context in
    let abort = 0x1000_0000  // CURL_READFUNC_ABORT
    guard let buffer, let context else { return abort }
    let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
    return transfer.giveBody(UnsafeMutableRawBufferPointer(start: buffer, count: size * count)) ?? abort
}

private let bodySeek: @convention(c) (UnsafeMutableRawPointer?, curl_off_t, Int32) -> Int32 = { context, offset, origin in
    guard let context, origin == 0 else { return 1 }
    return Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue().seekBody(to: Int64(offset)) ? 0 : 1
}
