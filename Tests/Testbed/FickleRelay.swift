internal import Glibc
internal import SerinLocks
public import SerinModel

/// A relay in front of a real HTTP server on loopback that answers as a failing server does when it is told to.
public final class FickleRelay: Sendable {
    /// How it answers.
    public enum Mode: String, Sendable, Hashable, CaseIterable {
        /// As the server behind it does.
        case faithful
        /// Bytes that are no HTTP.
        case garbage
        /// The right answer's head and half of its body, then the end of the connection.
        case half
        /// Nothing, ever.
        case silence
        /// The right answer of a Prometheus, with a warning.
        case warnings
        /// 503 Service Unavailable.
        case unavailable
    }

    private let mode = Locked(Mode.faithful)
    private let server: ScriptedServer

    /// Starts a relay in front of a port.
    public init(to port: Int) throws(Failure) {
        let mode = self.mode
        server = try ScriptedServer { request in
            let present = mode.withLock { $0 }
            switch present {
            case .garbage: return [.text("\u{1}\u{2} this is no HTTP\r\n\r\n"), .close(reset: false)]
            case .silence: return [.hang]
            case .unavailable: return [.http(503, "try later")]
            case .faithful, .half, .warnings: break
            }
            guard let answer = forward(request, to: port) else { return [.close(reset: true)] }
            switch present {
            case .half:
                let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: \(answer.body.count)\r\n\r\n"
                return [.text(head), .send(Array(answer.body.prefix(answer.body.count / 2))), .close(reset: false)]
            case .warnings:
                let text = String(decoding: answer.body, as: UTF8.self)
                let start = #"{"status":"success","#
                guard text.hasPrefix(start) else { return [.http(answer.status, text)] }
                return [
                    .http(answer.status, start + #""warnings":["a part of the data is missing"],"# + text.dropFirst(start.count))
                ]
            case .faithful, .garbage, .silence, .unavailable: return [.http(answer.status, bytes: answer.body)]
            }
        }
    }

    /// `http://127.0.0.1:port`.
    public var url: String { server.url }

    /// How it answers from the next request on.
    public func set(_ next: Mode) { mode.withLock { $0 = next } }

    /// Closes every connection and stops listening.
    public func stop() { server.stop() }
}

/// Asks the server behind by HTTP/1.0, whose answers end with the connection.
private func forward(_ request: ScriptedServer.Request, to port: Int) -> (status: Int, body: [UInt8])? {
    let descriptor = connected(port: port)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    let type = request.header("Content-Type").map { "Content-Type: \($0)\r\n" } ?? ""
    let head =
        "\(request.method) \(request.target) HTTP/1.0\r\nHost: 127.0.0.1:\(port)\r\n\(type)Content-Length: \(request.body.count)\r\n\r\n"
    guard sendAll(Array(head.utf8) + request.body, to: descriptor) else { return nil }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
        let count = recv(descriptor, &buffer, buffer.count, 0)
        if count <= 0 { break }
        bytes += buffer[0..<count]
    }
    let end: [UInt8] = [13, 10, 13, 10]
    guard let split = bytes.indices.first(where: { bytes[$0...].starts(with: end) }) else { return nil }
    let status = String(decoding: bytes.prefix(15), as: UTF8.self).split(separator: " ").dropFirst().first.flatMap { Int($0) }
    return status.map { ($0, Array(bytes[(split + 4)...])) }
}
