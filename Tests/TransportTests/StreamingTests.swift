import SerinModel
import SerinTransport
import Testbed
import Testing

@Suite struct StreamingTests {
    let transport: Transport
    let scratch: Scratch

    init() throws {
        transport = try Transport()
        scratch = try Scratch("serin-streaming")
    }

    @Test func aBodyOfBytesAndFileRangesArrivesInOrderWithItsLength() async throws {
        defer { scratch.remove() }
        let server = try ScriptedServer { request in [.http(200, request.header("content-length") ?? "none")] }
        defer { server.stop() }
        let path = try scratch.write("body", "0123456789" + String(repeating: "x", count: 300_000))
        var request = HTTPRequest(method: "POST", url: server.url, timeout: .seconds(20))
        request.upload = [
            .bytes(Array("<".utf8)), .file(path: path, offset: 3, count: 200_000), .bytes([]), .bytes(Array(">".utf8)),
        ]
        let answer = try await transport.send(request)
        #expect(String(decoding: answer.body, as: UTF8.self) == "200002")
        #expect(server.requests.first?.text == "<3456789" + String(repeating: "x", count: 199_993) + ">")
    }

    @Test func aFileThatIsMissingOrTooShortIsInvalidAndNamed() async throws {
        defer { scratch.remove() }
        let server = try ScriptedServer { _ in [.http(200, "")] }
        defer { server.stop() }
        var request = HTTPRequest(method: "PUT", url: server.url, timeout: .seconds(20))
        request.upload = [.file(path: scratch.file("none"), offset: 0, count: 5)]
        let missing = await fault(transport, request)
        #expect(missing?.kind == .invalid)
        #expect(missing?.message.contains("cannot open \(scratch.file("none")): No such file") == true)
        request.upload = [.file(path: try scratch.write("short", "123"), offset: 0, count: 5)]
        let short = await fault(transport, request)
        #expect(short?.kind == .invalid)
        #expect(short?.message.contains("has become shorter while it was sent") == true)
    }

    @Test func anAnswerGoesToAPrivateFileWithItsHashAndAnErrorDoesNot() async throws {
        defer { scratch.remove() }
        let server = try ScriptedServer { request in
            request.target == "/error" ? [.http(404, "no such thing")] : [.http(200, "abc", headers: ["Content-Encoding: gzip"])]
        }
        defer { server.stop() }
        var request = HTTPRequest(url: server.url, timeout: .seconds(20))
        request.download = Download(path: scratch.file("got"), limit: 3)
        let answer = try await transport.send(request)
        #expect(answer.body.isEmpty)
        #expect(answer.downloaded?.byteCount == 3)
        // The digest of "abc" in FIPS 180-4's examples.
        #expect(answer.downloaded?.sha256.prefix(4) == [0xBA, 0x78, 0x16, 0xBF])
        let again = await fault(transport, request)
        #expect(again?.message.contains("cannot make \(scratch.file("got")): File exists") == true)
        request.url = server.url + "/error"
        request.download = Download(path: nil, limit: 3)
        let error = try await transport.send(request)
        #expect(error.status == 404 && error.downloaded == nil && String(decoding: error.body, as: UTF8.self) == "no such thing")
    }

    @Test func aDownloadOverItsLimitIsRefused() async throws {
        defer { scratch.remove() }
        let server = try ScriptedServer { _ in [.http(200, "abcd")] }
        defer { server.stop() }
        var request = HTTPRequest(url: server.url, timeout: .seconds(20))
        request.download = Download(path: nil, limit: 3)
        let failure = await fault(transport, request)
        #expect(failure?.kind == .invalid)
        #expect(failure?.message.hasSuffix("the answer is longer than 3 bytes") == true)
    }

    @Test func aStalledExchangeIsGivenUpLongBeforeItsTimeout() async throws {
        defer { scratch.remove() }
        let server = try ScriptedServer { _ in [.text("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), .hang] }
        defer { server.stop() }
        var request = HTTPRequest(url: server.url, timeout: .minutes(10))
        request.stall = StallLimit(bytesPerSecond: 100, lasting: .seconds(1))
        let failure = await fault(transport, request)
        #expect(failure?.kind == .unknown)
        #expect(failure?.message.hasSuffix("slower than 100 bytes a second for 1s") == true)
    }

    @Test func anExchangeThatItsTimeoutEndsIsNotCalledSlow() async throws {
        defer { scratch.remove() }
        let server = try ScriptedServer { _ in [.text("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"), .hang] }
        defer { server.stop() }
        for lasting in [Duration.minutes(1), .seconds(1)] {
            var request = HTTPRequest(url: server.url, timeout: .seconds(1))
            request.stall = StallLimit(bytesPerSecond: 1, lasting: lasting)
            let failure = await fault(transport, request)
            #expect(failure?.kind == .unknown)
            #expect(failure?.message.hasSuffix("no complete answer within 1s") == true, "\(failure?.message ?? "")")
        }
    }

    @Test func aBodyIsSentAgainFromItsStartWhenAKeptConnectionTurnsOutClosed() async throws {
        defer { scratch.remove() }
        // The first connection is kept after one answer, and is closed when the next request was read from it.
        let server = try ScriptedServer { request in
            request.target == "/second" && request.connection == 0 ? [.close(reset: false)] : [.http(200, "ok")]
        }
        defer { server.stop() }
        for path in ["/first", "/second"] {
            var request = HTTPRequest(method: "PUT", url: server.url + path, timeout: .seconds(20))
            request.upload = [.file(path: try scratch.write("body", "0123456789"), offset: 0, count: 10)]
            #expect(try await transport.send(request).status == 200)
        }
        #expect(server.requests.map(\.target) == ["/first", "/second", "/second"])
        #expect(server.requests.map(\.connection) == [0, 0, 1])
        #expect(server.requests.allSatisfy { $0.text == "0123456789" })
    }
}
