import Glibc
import SerinAPI
import SerinModel
import SerinServer
import SerinTransport
import Testbed
import Testing

/// A server under test with its socket in a scratch folder.
struct TestServer: Sendable {
    let scratch: Scratch
    let server: HTTPServer
    let path: String
    let transport: Transport

    init(
        limits: Limits = Limits(), authenticator: any Authenticator = SocketPeers(), _ routes: [Route]
    ) throws {
        scratch = try Scratch("serin-http")
        path = scratch.file("s.sock")
        server = try HTTPServer(
            socket: try UnixSocket(listeningAt: path), router: Router(routes, authenticator: authenticator), limits: limits)
        transport = try Transport()
    }

    /// Serves while the body runs, then stops in order.
    func serve(_ body: (TestServer) async throws -> Void) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await server.run() }
            do { try await body(self) } catch {
                server.stop()
                try await group.waitForAll()
                throw error
            }
            server.stop()
            try await group.waitForAll()
        }
        transport.shutdown()
        scratch.remove()
    }

    func send(_ method: String, _ target: String, body: [UInt8]? = nil, headers: [HTTPHeader] = []) async throws -> HTTPResponse {
        var request = HTTPRequest(
            method: method, url: "http://serin" + target, headers: headers, body: body, timeout: .seconds(10), bodyLimit: 8 << 20)
        request.unixSocket = path
        return try await transport.send(request)
    }

    /// A raw connection to the socket.
    func connect() -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let code = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        return code == 0 ? descriptor : -1
    }
}

private func text(_ response: HTTPResponse) -> String { String(decoding: response.body, as: UTF8.self) }

private let echo = Route("POST", "/echo", summary: "", access: .open) { request, _ in
    Response(status: 200, body: .bytes(request.body))
}

private let whoAmI = Route("GET", "/me", summary: "", access: .any(of: [.viewer])) { request, _ in
    .json(200, .object(["me": .string(request.principal?.description ?? "nobody")]))
}

/// Takes everyone for one user.
private struct Someone: Authenticator {
    let uid: UInt32
    func identify(_: Request) -> Identity? { Identity(.uid(uid), roles: [.viewer], isPerson: true, how: .unix) }
}

/// Answers once the task is cancelled or the time is over.
private let slow = Route("GET", "/slow", summary: "", access: .open) { request, _ in
    let time = request.parameter("ms").flatMap { Int64($0) } ?? 60_000
    // Cancelled, it answers early, which is the point.
    // sleeps: a slow answer is simulated
    try? await Task.sleep(for: .milliseconds(time))
    return .json(200, .object(["cancelled": .bool(Task.isCancelled)]))
}

/// Returns when a request has most likely reached its handler.
private func isAsked() async throws {
    // sleeps: nothing outside shows that a request has arrived
    try await Task.sleep(for: .milliseconds(200))
}

@Suite struct HTTPServerTests {
    @Test func theBodyArrivesWhole() async throws {
        try await TestServer([echo]).serve { server async throws in
            let body = (0..<700_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            let response = try await server.send("POST", "/echo", body: body)
            #expect(response.status == 200)
            #expect(response.body == body)
        }
    }

    @Test func pathQueryAndHeadersAreDecoded() async throws {
        let route = Route("GET", "/a/{name}", summary: "", access: .open) { request, names in
            .json(
                200,
                .object([
                    "name": .string(names[0]), "q": .string(request.parameter("q") ?? ""),
                    "h": .string(request.header("x-thing") ?? ""),
                ]))
        }
        try await TestServer([route]).serve { server async throws in
            let response = try await server.send("GET", "/a/b%20c?q=1%2B1", headers: [HTTPHeader("X-Thing", "yes")])
            #expect(text(response) == "{\"h\":\"yes\",\"name\":\"b c\",\"q\":\"1+1\"}\n")
        }
    }

    @Test func nothingIsCutOffAnAddressWithANUL() async throws {
        try await TestServer([whoAmI]).serve { server async throws in
            for target in ["/me%00x", "/me%00", "/me?a=%00"] {
                #expect(try await server.send("GET", target).status == 400, "\(target)")
            }
            #expect(try await server.send("GET", "/me%2500").status == 404)
            let head = try await server.send("HEAD", "/me")
            #expect(head.status == 200 && head.body.isEmpty && head.header("Content-Length") != "0")
        }
    }

    @Test func aBodyOverTheLimitIsAnsweredWith413() async throws {
        var limits = Limits()
        limits.body = 1000
        try await TestServer(limits: limits, [echo]).serve { server async throws in
            let fitting = try await server.send("POST", "/echo", body: [UInt8](repeating: 7, count: 1000))
            #expect(fitting.status == 200)
            let response = try await server.send("POST", "/echo", body: [UInt8](repeating: 7, count: 1001))
            #expect(response.status == 413)
            #expect(text(response).contains("https://serin.dev/problems/too-long"))
        }
    }

    @Test func tooManyHeaderFieldsEndTheConnection() async throws {
        try await TestServer([whoAmI]).serve { server async throws in
            let headers = (0..<100).map { HTTPHeader("X-\($0)", "1") }
            await #expect(throws: Failure.self) { try await server.send("GET", "/me", headers: headers) }
            try await waitUntil("another request is answered") {
                do throws(any Error) { return try await server.send("GET", "/me").status == 200 } catch { return false }
            }
        }
    }

    @Test func aHeaderOverTheLimitIsRefused() async throws {
        try await TestServer([whoAmI]).serve { server async throws in
            let long = String(repeating: "a", count: 100_000)
            let status: Int
            do throws(any Error) {
                status = try await server.send("GET", "/me", headers: [HTTPHeader("X-Long", long)]).status
            } catch {
                status = 0
            }
            #expect([0, 400, 413, 431].contains(status))
            // The refused connection may still be in the pool while the server closes it.
            try await waitUntil("another request is answered") {
                do throws(any Error) { return try await server.send("GET", "/me").status == 200 } catch { return false }
            }
        }
    }

    @Test func aSilentClientIsDisconnected() async throws {
        var limits = Limits()
        limits.idle = .seconds(1)
        try await TestServer(limits: limits, [whoAmI]).serve { server async throws in
            let descriptor = server.connect()
            try #require(descriptor >= 0)
            defer { close(descriptor) }
            let part = Array("GET /me HTTP/1.1\r\nHost:".utf8)
            #expect(write(descriptor, part, part.count) == part.count)
            _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
            try await waitUntil("the silent client is disconnected", within: .seconds(10)) {
                var byte: UInt8 = 0
                return read(descriptor, &byte, 1) == 0
            }
        }
    }

    @Test func whoDripsHeadersKeepsNobodyOut() async throws {
        var limits = Limits()
        limits.connections = 4
        limits.header = .seconds(5)
        try await TestServer(limits: limits, [echo]).serve { server async throws in
            let slow = (0..<4).map { _ in server.connect() }
            try #require(slow.allSatisfy { $0 >= 0 })
            defer { for descriptor in slow { close(descriptor) } }
            for descriptor in slow { #expect(send(descriptor, "POST /echo HTTP/1.1\r\nX-A: ", 24, 0) == 24) }
            let dripping = Task {
                while !Task.isCancelled {
                    for descriptor in slow { _ = send(descriptor, "-", 1, Int32(MSG_NOSIGNAL)) }
                    // sleeps: the pace of the drops
                    try await Task.sleep(for: .milliseconds(100))
                }
            }
            defer { dripping.cancel() }
            // More than half of the places are taken, so each has a second.
            let response = try await server.send("POST", "/echo", body: Array("halt".utf8))
            #expect(text(response) == "halt")
        }
    }

    @Test func aConnectionThatIsKeptMayBeSilentBetweenRequests() async throws {
        var limits = Limits()
        limits.header = .milliseconds(300)
        try await TestServer(limits: limits, [whoAmI]).serve { server async throws in
            let descriptor = server.connect()
            try #require(descriptor >= 0)
            defer { close(descriptor) }
            let ask = "GET /me HTTP/1.1\r\nHost: serin\r\n\r\n"
            for _ in 0..<2 {
                #expect(send(descriptor, ask, ask.utf8.count, 0) == ask.utf8.count)
                var bytes = [UInt8](repeating: 0, count: 4096)
                let count = recv(descriptor, &bytes, bytes.count, 0)
                #expect(String(decoding: bytes.prefix(max(0, count)), as: UTF8.self).hasPrefix("HTTP/1.1 "))
                // sleeps: longer than a header may take
                try await Task.sleep(for: .seconds(1))
            }
        }
    }

    @Test func aHundredRequestsAreAnsweredAtOnce() async throws {
        try await TestServer([slow]).serve { server async throws in
            let clock = ContinuousClock()
            let begun = clock.now
            let answered = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<100 { group.addTask { try await server.send("GET", "/slow?ms=300").status } }
                return try await group.reduce(into: 0) { $0 += $1 == 200 ? 1 : 0 }
            }
            #expect(answered == 100)
            // One after the other they would take 30 s.
            #expect(clock.now - begun < .seconds(15))
        }
    }

    @Test func connectionsOverTheLimitAreNotServedUntilOneEnds() async throws {
        var limits = Limits()
        limits.connections = 4
        try await TestServer(limits: limits, [whoAmI]).serve { server async throws in
            let idle = (0..<4).map { _ in server.connect() }
            try await waitUntil("all places are taken") {
                do throws(any Error) {
                    var request = HTTPRequest(url: "http://serin/me", timeout: .milliseconds(300))
                    request.unixSocket = server.path
                    return try await server.transport.send(request).status != 200
                } catch { return true }
            }
            for descriptor in idle { close(descriptor) }
            try await waitUntil("a place is free again") {
                do throws(any Error) { return try await server.send("GET", "/me").status == 200 } catch { return false }
            }
        }
    }

    @Test func thePeerIsTheUserOfTheSocket() async throws {
        try await TestServer([whoAmI]).serve { server async throws in
            #expect(text(try await server.send("GET", "/me")) == "{\"me\":\"uid:\(geteuid())\"}\n")
        }
    }

    @Test func whoAsksIsWhatTheAuthenticatorSays() async throws {
        try await TestServer(authenticator: Someone(uid: 4242), [whoAmI]).serve { server async throws in
            #expect(text(try await server.send("GET", "/me")) == "{\"me\":\"uid:4242\"}\n")
        }
    }

    @Test func aGrowingAnswerIsSentAsItGrows() async throws {
        let route = Route("GET", "/grow", summary: "", access: .open) { _, _ in
            Response(
                status: 200,
                body: .stream { sink in
                    for number in 0..<5 {
                        guard await sink.send(Array("line \(number)\n".utf8)) else { return }
                        // sleeps: the connection is to be suspended between the lines
                        try? await Task.sleep(for: .milliseconds(20))
                    }
                })
        }
        try await TestServer([route]).serve { server async throws in
            let response = try await server.send("GET", "/grow")
            #expect(text(response) == (0..<5).map { "line \($0)\n" }.joined())
        }
    }

    @Test func aLongGrowingAnswerWaitsForItsReader() async throws {
        var limits = Limits()
        limits.backlog = 10_000
        let route = Route("GET", "/long", summary: "", access: .open) { _, _ in
            Response(
                status: 200,
                body: .stream { sink in
                    for _ in 0..<400 { guard await sink.send([UInt8](repeating: 0x61, count: 5000)) else { return } }
                })
        }
        try await TestServer(limits: limits, [route]).serve { server async throws in
            #expect(try await server.send("GET", "/long").body.count == 2_000_000)
        }
    }

    @Test func answersThatStayOpenLeaveConnectionsForHalts() async throws {
        var limits = Limits()
        limits.connections = 16
        let route = Route("GET", "/endless", summary: "", access: .open) { _, _ in
            Response(
                status: 200,
                body: .stream { sink in
                    while await sink.send([0x61]) {
                        // sleeps: a quiet stream
                        try? await Task.sleep(for: .milliseconds(20))
                    }
                })
        }
        try await TestServer(limits: limits, [route, whoAmI]).serve { server async throws in
            let request = Array("GET /endless HTTP/1.1\r\nHost: serin\r\n\r\n".utf8)
            var readers: [Int32] = []
            for _ in 0..<limits.streams {
                let reader = server.connect()
                readers.append(reader)
                #expect(write(reader, request, request.count) == request.count)
                var byte: UInt8 = 0
                #expect(read(reader, &byte, 1) == 1)
            }
            #expect(try await server.send("GET", "/endless").status == 503)
            #expect(try await server.send("GET", "/me").status == 200)
            for reader in readers { close(reader) }
            try await waitUntil("a reader's place is free again") {
                let reader = server.connect()
                defer { close(reader) }
                guard write(reader, request, request.count) == request.count else { return false }
                var answer = [UInt8](repeating: 0, count: 12)
                return read(reader, &answer, 12) == 12 && String(decoding: answer, as: UTF8.self) == "HTTP/1.1 200"
            }
        }
    }

    @Test func aReaderThatGoesAwayEndsTheGrowingAnswer() async throws {
        let (ended, inlet) = AsyncStream.makeStream(of: Bool.self)
        let route = Route("GET", "/endless", summary: "", access: .open) { _, _ in
            Response(
                status: 200,
                body: .stream { sink in
                    while await sink.send([UInt8](repeating: 0x61, count: 5000)) {}
                    inlet.yield(true)
                    inlet.finish()
                })
        }
        try await TestServer([route]).serve { server async throws in
            let descriptor = server.connect()
            let request = Array("GET /endless HTTP/1.1\r\nHost: serin\r\n\r\n".utf8)
            #expect(write(descriptor, request, request.count) == request.count)
            var byte: UInt8 = 0
            #expect(read(descriptor, &byte, 1) == 1)
            close(descriptor)
            var answers = ended.makeAsyncIterator()
            #expect(await answers.next() == true)
        }
    }

    @Test func requestsUnderWayAreAnsweredBeforeTheServerStops() async throws {
        let server = try TestServer([slow])
        try await server.serve { server async throws in
            try await withThrowingTaskGroup(of: Int.self) { group in
                group.addTask { try await server.send("GET", "/slow?ms=500").status }
                group.addTask {
                    try await isAsked()
                    server.server.stop()
                    return 200
                }
                for try await status in group { #expect(status == 200) }
            }
        }
        #expect(!UnixSocket.answers(at: server.path))
    }

    @Test func requestsThatOutlastTheGraceAreCancelled() async throws {
        var limits = Limits()
        limits.grace = .milliseconds(200)
        let server = try TestServer(limits: limits, [slow])
        try await server.serve { server async throws in
            try await withThrowingTaskGroup(of: String.self) { group in
                group.addTask { text(try await server.send("GET", "/slow?ms=60000")) }
                group.addTask {
                    try await isAsked()
                    server.server.stop()
                    return ""
                }
                for try await body in group where !body.isEmpty { #expect(body == "{\"cancelled\":true}\n") }
            }
        }
    }

    @Test func aCancelledServerLeavesNoConnectionWaiting() async throws {
        let scratch = try Scratch("serin-http")
        defer { scratch.remove() }
        let path = scratch.file("s.sock")
        let server = try HTTPServer(socket: try UnixSocket(listeningAt: path), router: Router([slow]))
        let transport = try Transport()
        defer { transport.shutdown() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                var request = HTTPRequest(url: "http://serin/slow", timeout: .seconds(20))
                request.unixSocket = path
                _ = try await transport.send(request)
            }
            group.addTask {
                try await withThrowingTaskGroup(of: Void.self) { inner in
                    inner.addTask { await server.run() }
                    try await isAsked()
                    inner.cancelAll()
                    try await inner.waitForAll()
                }
            }
            try await group.waitForAll()
        }
    }
}
