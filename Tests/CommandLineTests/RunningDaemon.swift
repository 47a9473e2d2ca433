import Glibc
import SerinAPI
import SerinLocks
import SerinModel
import SerinServer
import SerinTransport
import Testbed
import Testing

@testable import SerinCommandLine

/// `serin daemon --config` in this process, for as long as somebody asks it.
struct RunningDaemon {
    /// Whose state folder and files it uses.
    let home: TestProgram
    /// What runs it.
    let program: TestProgram
    let transport: Transport

    /// Runs a daemon with `serin.yaml` of a state folder while a body asks it, and expects it to end well when it is told to.
    ///
    /// - Parameter home: Whose state folder it is; nil: the program's own.
    static func run(
        _ program: TestProgram, in home: TestProgram? = nil, while body: (RunningDaemon) async throws -> Void
    ) async throws {
        let daemon = RunningDaemon(home: home ?? program, program: program, transport: try Transport())
        async let code = program.run("daemon", "--config", daemon.home.file("serin.yaml"))
        do {
            try await waitUntil("the daemon", within: .seconds(60)) { UnixSocket.answers(at: daemon.home.state.daemonSocket) }
            try await body(daemon)
        } catch {
            program.interrupt()
            _ = await code
            throw error
        }
        program.interrupt()
        let ended = await code
        #expect(ended == .ok, "\(program.messages.withLock { $0 })")
    }

    /// Whether it has said something.
    func said(_ words: String) -> Bool { program.messages.withLock { $0 }.contains(words) }

    /// The port of the address that it began to listen at last.
    func port() async throws -> Substring {
        let address = /listening at http:\/\/127\.0\.0\.1:(\d+)\n/
        func found() -> Substring? { program.messages.withLock { $0 }.matches(of: address).last?.1 }
        try await waitUntil("the daemon's address", within: .seconds(60)) { found() != nil }
        return try #require(found())
    }

    /// Asks at its socket.
    func send(
        _ method: String, _ path: String, _ headers: [HTTPHeader] = [], _ body: String? = nil,
        type: String = "application/json"
    ) async throws -> HTTPResponse {
        let content = body == nil ? [] : [HTTPHeader("Content-Type", type)]
        var request = HTTPRequest(
            method: method, url: "http://localhost" + path, headers: content + headers, body: body.map { Array($0.utf8) },
            timeout: .seconds(20))
        request.unixSocket = home.state.daemonSocket
        return try await transport.send(request)
    }
}

extension TestProgram {
    /// Writes a file into the state folder, whose path stands where the text says `FOLDER`.
    func write(_ text: String, to name: String) {
        let descriptor = open(file(name), O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        let text = text.replacing("FOLDER", with: state.path)
        _ = Glibc.write(descriptor, text, text.utf8.count)
        close(descriptor)
    }
}
