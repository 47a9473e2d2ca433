import SerinModel
import SerinTransport
import Testbed
import Testing

/// What a request comes to: an answer, or a failure as a value.
func outcome(_ transport: Transport, _ request: HTTPRequest) async -> Result<HTTPResponse, Failure> {
    do throws(Failure) { return .success(try await transport.send(request)) } catch { return .failure(error) }
}

/// The failure of a request; nil when there was an answer.
func fault(_ transport: Transport, _ request: HTTPRequest) async -> Failure? {
    switch await outcome(transport, request) {
    case .success: nil
    case .failure(let failure): failure
    }
}

@Suite struct TransportTests {
    let transport: Transport

    init() throws { transport = try Transport() }

    @Test func anAnswerArrivesWholeWithItsHeaders() async throws {
        let server = try ScriptedServer { request in
            [.http(207, "\(request.method) \(request.target) \(request.text)", headers: ["X-One:  two words \t"])]
        }
        defer { server.stop() }
        let request = HTTPRequest(method: "PATCH", url: server.url + "/a?b=c", body: Array("body".utf8), timeout: .seconds(20))
        let response = try await transport.send(request)
        #expect(response.status == 207)
        #expect(response.header("x-one") == "two words")
        #expect(String(decoding: response.body, as: UTF8.self) == "PATCH /a?b=c body")
    }

    @Test func anAnswerInManySmallPiecesIsPutTogether() async throws {
        let pieces = Array("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n".utf8)
        let server = try ScriptedServer { _ in pieces.flatMap { [.send([$0]), .pause(.milliseconds(1))] } }
        defer { server.stop() }
        let response = try await transport.send(HTTPRequest(url: server.url, timeout: .seconds(10)))
        #expect(response.body == Array("hello world".utf8))
    }

    @Test func aHEADAnswerHasNoBodyAndAPOSTWithoutBodySaysSo() async throws {
        let server = try ScriptedServer { request in
            request.method == "HEAD"
                ? [.text("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")]
                : [.http(200, request.header("content-length") ?? "none", headers: ["X-Empty:"])]
        }
        defer { server.stop() }
        let head = try await transport.send(HTTPRequest(method: "HEAD", url: server.url, timeout: .seconds(20)))
        #expect(head.status == 200 && head.body.isEmpty)
        let post = try await transport.send(HTTPRequest(method: "POST", url: server.url, timeout: .seconds(20)))
        #expect(post.body == Array("0".utf8))
        #expect(post.header("x-empty") == "")
    }

    @Test func aServerThatNeverAnswersEndsAtTheTimeoutAsUnknown() async throws {
        let server = try ScriptedServer { _ in [.hang] }
        defer { server.stop() }
        let clock = ContinuousClock()
        let start = clock.now
        let failure = await fault(transport, HTTPRequest(url: server.url, timeout: .seconds(1)))
        #expect(failure?.kind == .unknown)
        #expect(failure?.message == "cannot GET \(server.url): no complete answer within 1s")
        #expect(clock.now - start < .seconds(20))
    }

    @Test func aServerThatStallsInTheMiddleEndsAtTheTimeoutAsUnknown() async throws {
        let server = try ScriptedServer { _ in [.text("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), .hang] }
        defer { server.stop() }
        let failure = await fault(transport, HTTPRequest(url: server.url, timeout: .seconds(1)))
        #expect(failure?.kind == .unknown)
    }

    @Test func aNameThatDoesNotResolveSpoilsNoLaterRequest() async throws {
        let server = try ScriptedServer { _ in [.http(200, "here")] }
        defer { server.stop() }
        for _ in 0..<3 {
            let failure = await fault(transport, HTTPRequest(url: "http://x.invalid/", timeout: .seconds(20)))
            #expect(failure?.kind == .transient)
            let response = try await transport.send(HTTPRequest(url: server.url, timeout: .seconds(20)))
            #expect(response.status == 200)
        }
    }

    @Test func noListenerIsTransientBecauseNothingWasSent() async throws {
        let failure = await fault(transport, HTTPRequest(url: "http://127.0.0.1:\(try freePort())", timeout: .seconds(20)))
        #expect(failure?.kind == .transient)
    }

    @Test(arguments: [
        "garbage\r\n\r\n", "HTTP/9.9 hello\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", "HTTP/1.1 2", "",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nnot gzip",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    ])
    func anAnswerThatIsNoWholeHTTPIsUnknown(_ text: String) async throws {
        let server = try ScriptedServer { _ in [.text(text), .close(reset: false)] }
        defer { server.stop() }
        let failure = await fault(transport, HTTPRequest(url: server.url, timeout: .seconds(20)))
        #expect(failure?.kind == .unknown, "\(failure?.message ?? "an answer")")
    }

    @Test func aResetConnectionIsUnknown() async throws {
        let server = try ScriptedServer { _ in [.text("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), .close(reset: true)] }
        defer { server.stop() }
        #expect(await fault(transport, HTTPRequest(url: server.url, timeout: .seconds(20)))?.kind == .unknown)
    }

    @Test func aBodyOverTheLimitIsRefusedAndOneAtTheLimitTaken() async throws {
        let server = try ScriptedServer { request in
            [.http(200, String(repeating: "x", count: request.target == "/more" ? 1001 : 1000))]
        }
        defer { server.stop() }
        var request = HTTPRequest(url: server.url + "/more", timeout: .seconds(20), bodyLimit: 1000)
        let refused = await fault(transport, request)
        #expect(refused?.kind == .invalid)
        #expect(refused?.message.hasSuffix("the answer is longer than 1000 bytes") ?? false)
        request.method = "POST"
        request.isIdempotent = false
        #expect(await fault(transport, request)?.kind == .unknown, "a write with a long answer may have been carried out")
        request.url = server.url + "/enough"
        #expect(try await transport.send(request).body.count == 1000)
    }

    @Test func aSmallCompressedBodyCannotGrowPastTheLimit() async throws {
        // `gzip` of 100 000 zeros.
        let bomb: [UInt8] = [
            31, 139, 8, 0, 0, 0, 0, 0, 2, 3, 237, 193, 49, 1, 0, 0, 0, 194, 160, 245, 79, 109, 13, 15, 160, 0, 0, 0, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
            0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 128, 87, 3, 125, 149, 17, 212, 160, 134, 1, 0,
        ]
        let server = try ScriptedServer { _ in [.http(200, bytes: bomb, headers: ["Content-Encoding: gzip"])] }
        defer { server.stop() }
        let failure = await fault(transport, HTTPRequest(url: server.url, timeout: .seconds(20), bodyLimit: 1000))
        #expect(failure?.message.hasSuffix("the answer is longer than 1000 bytes") ?? false)
    }

    @Test(arguments: [1, 5000]) func headersOverTheLimitAreRefused(count: Int) async throws {
        let line = "X-Long: " + String(repeating: "h", count: 200_000 / count) + "\r\n"
        let text = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + String(repeating: line, count: count) + "\r\n"
        let server = try ScriptedServer { _ in [.text(text), .close(reset: false)] }
        defer { server.stop() }
        let failure = await fault(transport, HTTPRequest(url: server.url, timeout: .seconds(20)))
        #expect(failure?.kind == .invalid || failure?.kind == .unknown)
    }

    @Test func cancellingGivesUpAtOnceAndSaysThatTheRequestWasSent() async throws {
        let server = try ScriptedServer { _ in [.hang] }
        defer { server.stop() }
        let request = HTTPRequest(url: server.url, timeout: .seconds(60))
        let task = Task { [transport] in await fault(transport, request) }
        try await waitUntil("the request arriving") { !server.requests.isEmpty }
        task.cancel()
        let failure = await task.value
        #expect(failure?.kind == .unknown)
        #expect(failure?.message.hasSuffix("given up by the caller") ?? false)
    }

    @Test func aTaskCancelledBeforehandSendsNothing() async throws {
        let server = try ScriptedServer { _ in [.http(200, "")] }
        defer { server.stop() }
        let request = HTTPRequest(url: server.url, timeout: .seconds(60))
        let task = Task { [transport] in
            while !Task.isCancelled { await Task.yield() }
            return await fault(transport, request)
        }
        task.cancel()
        #expect(await task.value?.kind == .transient)
        #expect(server.requests.isEmpty)
    }

    @Test func redirectsAreNotFollowed() async throws {
        let server = try ScriptedServer { _ in [.http(302, "", headers: ["Location: /elsewhere"])] }
        defer { server.stop() }
        let response = try await transport.send(HTTPRequest(url: server.url + "/here", timeout: .seconds(20)))
        #expect(response.status == 302)
        #expect(response.failureClass(ofWrite: false) == .invalid)
        #expect(server.requests.map(\.target) == ["/here"])
    }

    @Test func aUnixSocketIsSpokenTo() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let server = try ScriptedServer(unixSocket: scratch.file("s")) { [.http(200, $0.target)] }
        defer { server.stop() }
        var request = HTTPRequest(url: "http://localhost/x", timeout: .seconds(20))
        request.unixSocket = scratch.file("s")
        #expect(try await transport.send(request).body == Array("/x".utf8))
        request.unixSocket = scratch.file("none")
        let failure = await fault(transport, request)
        #expect(failure?.kind == .transient)
        #expect(failure?.message.contains(scratch.file("none")) ?? false)
    }

    @Test func connectionsAreUsedAgainForWhatMayBeRepeated() async throws {
        let server = try ScriptedServer { _ in [.http(200, "ok")] }
        defer { server.stop() }
        for _ in 0..<5 { _ = try await transport.send(HTTPRequest(url: server.url, timeout: .seconds(20))) }
        #expect(server.connections == 1)
    }

    @Test func aWriteThatMayNotBeRepeatedIsNeverSentTwice() async throws {
        // The second request on a kept connection finds it closed without an answer: libcurl repeats that by itself.
        let server = try ScriptedServer { $0.method == "GET" ? [.http(200, "ok")] : [.close(reset: false)] }
        defer { server.stop() }
        _ = try await transport.send(HTTPRequest(url: server.url, timeout: .seconds(20)))
        let write = HTTPRequest(method: "POST", url: server.url, body: [], timeout: .seconds(20))
        #expect(await fault(transport, write)?.kind == .unknown)
        #expect(server.requests.filter { $0.method == "POST" }.count == 1)
    }

    @Test func manyExchangesAtOnceAllEnd() async throws {
        let server = try ScriptedServer { [.pause(.milliseconds(20)), .http(200, $0.target)] }
        defer { server.stop() }
        let answers = await withTaskGroup(of: String?.self) { group in
            for number in 0..<100 {
                group.addTask { [transport] in
                    let request = HTTPRequest(url: server.url + "/\(number)", timeout: .seconds(30))
                    guard case .success(let response) = await outcome(transport, request) else { return nil }
                    return String(decoding: response.body, as: UTF8.self)
                }
            }
            return await group.reduce(into: Set<String>()) { if let answer = $1 { $0.insert(answer) } }
        }
        #expect(answers.count == 100)
    }

    @Test func afterShutdownRequestsFailAndThoseUnderWayFinish() async throws {
        let server = try ScriptedServer { _ in [.pause(.milliseconds(300)), .http(200, "late")] }
        defer { server.stop() }
        let own = try Transport()
        let request = HTTPRequest(url: server.url, timeout: .seconds(10))
        let task = Task { await outcome(own, request) }
        try await waitUntil("the request arriving") { !server.requests.isEmpty }
        own.shutdown()
        #expect(await fault(own, request)?.kind == .transient)
        #expect(try await task.value.get().status == 200)
    }
}
