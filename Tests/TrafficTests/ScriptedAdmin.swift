import Glibc
import SerinLocks
import SerinModel
import Testbed

/// An HTTP interface that answers what a script says and remembers what it was asked; one request a connection.
final class ScriptedAdmin: Sendable {
    /// What it was sent, head and body, in order.
    var requests: [String] { seen.withLock { $0 } }
    var url: String { "http://127.0.0.1:\(port)" }
    let port: Int
    private let listener = LoopbackListener()
    private let seen = Locked<[String]>([])
    private let script: Locked<@Sendable (String) -> String>

    /// Answers each request with the whole text of a response.
    init(_ script: @escaping @Sendable (String) -> String) throws(Failure) {
        self.script = Locked(script)
        let (seen, box) = (self.seen, self.script)
        port = try listener.start(port: 0) { connection in
            var buffer = [UInt8](repeating: 0, count: 65_536)
            var request = ""
            while true {
                var polled = pollfd(fd: connection, events: Int16(POLLIN), revents: 0)
                guard poll(&polled, 1, request.isEmpty ? 5_000 : 20) > 0 else { break }
                let count = recv(connection, &buffer, buffer.count, 0)
                guard count > 0 else { break }
                request += String(decoding: buffer[0..<count], as: UTF8.self)
            }
            guard !request.isEmpty else { return }
            let asked = request
            seen.withLock { $0.append(asked) }
            let answer = box.withLock { $0 }(asked)
            _ = sendAll(Array(answer.utf8), to: connection)
        }
    }

    func stop() { listener.stop() }

    /// A response's text.
    static func response(_ status: Int, _ body: String = "", headers: [String] = []) -> String {
        let fields = (headers + ["Content-Length: \(body.utf8.count)", "Connection: close"]).joined(separator: "\r\n")
        return "HTTP/1.1 \(status) Word\r\n\(fields)\r\n\r\n\(body)"
    }
}
