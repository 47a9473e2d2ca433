import CMicroHTTPD
import CSerinHTTPD
import Glibc
import SerinLocks

/// A small instrumented web service to release: it answers requests, counts them, and fails or stalls as told.
///
///     checkout-service --port 8080 --version 1.0 [--fail-permille 30] [--database CONNECTION [--hold-locks]] [--owner PID]
///
/// With an owner it ends when that process has ended.
@main struct CheckoutService {
    static func main() {
        let arguments = CommandLine.arguments
        func value(_ name: String) -> String? {
            guard let index = arguments.firstIndex(of: name), index + 1 < arguments.count else { return nil }
            return arguments[index + 1]
        }
        guard let port = value("--port").flatMap(UInt16.init), let version = value("--version"),
            let failPermille = Int(value("--fail-permille") ?? "0"), (0...1000).contains(failPermille)
        else {
            stop(2, "usage: checkout-service --port PORT --version VERSION [--fail-permille 0...1000]")
        }
        let server = Server(version: version, failPermille: failPermille)
        guard let daemon = server.start(port: port) else {
            stop(1, "checkout-service: cannot listen on 127.0.0.1:\(port)")
        }
        if let connection = value("--database") {
            OrderWriter(connection: connection, holdsLocks: arguments.contains("--hold-locks")).start()
        }
        // Served by libmicrohttpd's threads until a signal ends the process.
        let owner = value("--owner").flatMap(Int32.init)
        withExtendedLifetime(daemon) {
            while owner.map({ kill($0, 0) == 0 }) ?? true { sleep(1) }
        }
    }

    private static func stop(_ status: Int32, _ message: String) -> Never {
        let bytes = Array((message + "\n").utf8)
        write(2, bytes, bytes.count)
        exit(status)
    }
}

/// The service behind the port.
final class Server: Sendable {
    private let version: String
    private let failPermille: Int
    private let metrics: Metrics
    /// Spreads the failures evenly: of a thousand requests exactly so many fail.
    private let served = Locked(0)

    init(version: String, failPermille: Int) {
        self.version = version
        self.failPermille = failPermille
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        metrics = Metrics(version: version, startedAt: Double(now.tv_sec) + Double(now.tv_nsec) / 1e9)
    }

    /// Listens on the loopback interface; nil when the port cannot be had.
    nonisolated func start(port: UInt16) -> OpaquePointer? {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        address.sin_port = port.bigEndian
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard descriptor >= 0, bound == 0, listen(descriptor, 128) == 0 else { return nil }
        var settings = serin_httpd_settings()
        settings.listening = descriptor
        settings.threads = 1
        settings.connections = 500
        settings.timeout_seconds = 30
        return serin_httpd_start(
            settings,
            { context, connection, url, _, _, _, uploadSize, request in
                guard let context, let connection, let url, let request, let uploadSize else { return .NO }
                // The first call of a request announces its headers only.
                if request.pointee == nil {
                    request.pointee = context
                    return .YES
                }
                if uploadSize.pointee > 0 {
                    uploadSize.pointee = 0
                    return .YES
                }
                return Unmanaged<Server>.fromOpaque(context).takeUnretainedValue().answer(connection, path: String(cString: url))
            }, nil, nil, Unmanaged.passRetained(self).toOpaque())
    }

    private func answer(_ connection: OpaquePointer, path: String) -> MHD_Result {
        if path == "/metrics" { return send(connection, 200, metrics.text) }
        if path == "/health" { return send(connection, 200, "version \(version)\n") }
        let number = served.withLock { served in
            served += 1
            return served
        }
        // A step of a prime number modulo 1000 visits every remainder once in a thousand requests.
        let code = number * 617 % 1000 < failPermille ? 500 : 200
        metrics.count(code: code, seconds: Self.duration(of: number))
        return send(connection, code, "checkout \(version)\n")
    }

    /// A plausible spread of durations, in seconds: most short, one in ten longer, one in fifty long.
    private static func duration(of number: Int) -> Double {
        let place = Double(number * 313 % 100)
        if place < 90 { return 0.02 + place / 2_000 }
        return place < 98 ? 0.07 + (place - 90) * 0.016 : 0.3 + (place - 98) * 0.2
    }

    private func send(_ connection: OpaquePointer, _ status: Int, _ text: String) -> MHD_Result {
        var bytes = Array(text.utf8)
        guard let response = MHD_create_response_from_buffer(bytes.count, &bytes, .RESPMEM_MUST_COPY) else { return .NO }
        defer { MHD_destroy_response(response) }
        MHD_add_response_header(response, "Content-Type", "text/plain; charset=utf-8")
        MHD_add_response_header(response, "X-Version", version)
        return MHD_queue_response(connection, UInt32(status), response)
    }
}
