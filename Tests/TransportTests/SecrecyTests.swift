import Glibc
import SerinModel
import SerinTransport
import Testbed
import Testing

@Suite struct SecrecyTests {
    let transport: Transport

    init() throws { transport = try Transport() }

    @Test(arguments: [
        "http://user:hush@127.0.0.1:1/x?token=hush#hush", "http://user:hu/hush@127.0.0.1:1/", "http://user:hush@",
        "user:hush@host",
        "http://us er:hush@host/", "http://127.0.0.1:1/?key=hush", "gopher://user:hush@host/", "http://user:hush@[::1/",
    ])
    func failuresNameTheAddressWithoutUserPasswordOrQuery(_ url: String) async throws {
        var request = HTTPRequest(url: url, headers: [HTTPHeader("Authorization", "Bearer hush")], timeout: .seconds(2))
        request.basic = (user: "someone", password: "hush")
        let failure = await fault(transport, request)
        #expect(failure != nil)
        #expect(!(failure?.description.contains("hush") ?? true), "\(failure?.description ?? "")")
    }

    @Test(arguments: ["a\r\nX-Evil: 1", "a\nb", "a\0b"]) func aHeaderThatWouldBreakOutIsRefused(_ value: String) async throws {
        let server = try ScriptedServer { _ in [.http(200, "")] }
        defer { server.stop() }
        let request = HTTPRequest(url: server.url, headers: [HTTPHeader("Authorization", value)], timeout: .seconds(2))
        let failure = await fault(transport, request)
        #expect(failure?.kind == .invalid)
        #expect(server.requests.isEmpty)
    }

    @Test func basicAuthenticationIsSentAndDropsOffTheNextRequest() async throws {
        let server = try ScriptedServer { [.http(200, $0.header("authorization") ?? "none")] }
        defer { server.stop() }
        var request = HTTPRequest(url: server.url, timeout: .seconds(5))
        request.basic = (user: "user", password: "päss:word")
        #expect(String(decoding: try await transport.send(request).body, as: UTF8.self) == "Basic dXNlcjpww6Rzczp3b3Jk")
        request.basic = nil
        #expect(String(decoding: try await transport.send(request).body, as: UTF8.self) == "none")
    }

    @Test func statusesAreClassified() {
        func kind(_ status: Int, isWrite: Bool = false) -> FailureClass? {
            HTTPResponse(status: status, headers: [], body: []).failureClass(ofWrite: isWrite)
        }
        for isWrite in [false, true] {
            #expect([200, 204].allSatisfy { kind($0, isWrite: isWrite) == nil })
            #expect([401, 403, 407].allSatisfy { kind($0, isWrite: isWrite) == .denied })
            #expect([409, 412].allSatisfy { kind($0, isWrite: isWrite) == .conflict })
            #expect([301, 400, 404, 405, 422].allSatisfy { kind($0, isWrite: isWrite) == .invalid })
            #expect([425, 500, 503].allSatisfy { kind($0, isWrite: isWrite) == .transient })
            #expect(kind(429, isWrite: isWrite) == .throttled)
        }
        // Carried out or not: only for a write does it matter.
        #expect([408, 502, 504].allSatisfy { kind($0, isWrite: true) == .unknown && kind($0) == .transient })
        let busy = HTTPResponse(status: 503, headers: [HTTPHeader("Retry-After", "3")], body: [])
        #expect(busy.failureClass(ofWrite: true) == .throttled)
        #expect(HTTPResponse(status: 429, headers: [HTTPHeader("retry-after", "7")], body: []).retryAfter == .seconds(7))
        // A moment is one of the server's own clock.
        let dated = [
            HTTPHeader("Date", "Sun, 06 Nov 1994 08:49:37 GMT"), HTTPHeader("Retry-After", "Sun, 06 Nov 1994 08:50:07 GMT"),
        ]
        #expect(HTTPResponse(status: 429, headers: dated, body: []).retryAfter == .seconds(30))
        #expect(HTTPResponse(status: 429, headers: [dated[1]], body: []).retryAfter == .zero, "it is over")
        #expect(HTTPResponse(status: 429, headers: [HTTPHeader("Retry-After", "soon")], body: []).retryAfter == nil)
    }
}

@Suite struct ProxyTests {
    @Test func aProxyOfTheEnvironmentIsNeverUsed() async throws {
        let proxy = try ScriptedServer { [.http(200, "proxy \($0.target)")] }
        let server = try ScriptedServer { [.http(200, "server \($0.target)")] }
        defer {
            proxy.stop()
            server.stop()
        }
        // Left set: every other request of these tests must ignore it too.
        setenv("http_proxy", proxy.url, 1)
        let transport = try Transport()
        let request = HTTPRequest(url: server.url + "/x", timeout: .seconds(5))
        #expect(String(decoding: try await transport.send(request).body, as: UTF8.self) == "server /x")
    }
}
