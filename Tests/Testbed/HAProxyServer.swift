internal import Glibc
internal import SerinLocks
internal import SerinModel

/// A real HAProxy that splits requests between two backends by one map entry in basis points.
///
/// Its origins must listen before it starts: a backend whose first health check fails is down until the next one.
/// A request with the header field `X-Canary: always` or `never` chooses its backend itself.
public final class HAProxyServer: Sendable {
    /// The loopback port it serves on.
    public let port: Int
    /// Its runtime socket with `level admin`.
    public let socket: String
    /// A second runtime socket with `level operator`.
    public let operatorSocket: String
    /// The map file, which also holds the entry `other 1234` that is nobody's business.
    public let map: String
    /// The key of the entry with the canary's share.
    public let key: String
    private let canReload: Bool
    private let configuration: String
    private let log: String
    private let process: Locked<ServerProcess?>

    /// Starts it in a folder with the ports of the origins, and waits until it serves; `canReload` gives it a master process.
    /// The entries of `moreKeys` are for more services, whose requests it does not split.
    public init(
        scratch: Scratch, name: String = "haproxy", control: [Int], canary: [Int], key: String = "app", moreKeys: [String] = [],
        threads: Int = 1, canReload: Bool = false
    ) async throws {
        self.canReload = canReload
        port = try freePort()
        socket = scratch.file(name + ".sock")
        operatorSocket = scratch.file(name + "-operator.sock")
        self.key = key
        map = try scratch.write(name + ".map", "\(key) 0\nother 1234\n" + moreKeys.map { "\($0) 0\n" }.joined())
        log = scratch.file(name + ".log")
        func servers(_ cohort: String, _ ports: [Int]) -> String {
            ports.enumerated().map {
                "    server \(cohort)\($0.offset + 1) 127.0.0.1:\($0.element) check inter 250ms fall 2 rise 1"
            }
            .joined(separator: "\n")
        }
        configuration = try scratch.write(
            name + ".cfg",
            """
            global
                log stderr format raw local0 warning
                maxconn 2000
                stats socket unix@\(socket) mode 600 level admin
                stats socket unix@\(operatorSocket) mode 600 level operator
                stats timeout 30s
                hard-stop-after 30s
                nbthread \(threads)
            defaults
                mode http
                timeout connect 2s
                timeout client 60s
                timeout server 60s
                option redispatch
                retries 2
            frontend web
                bind 127.0.0.1:\(port)
                http-request set-var(txn.share) str(\(key)),map(\(map),0)
                http-request set-var(txn.dice) rand(10000)
                acl always req.hdr(x-canary) -m str always
                acl never req.hdr(x-canary) -m str never
                acl below var(txn.dice),sub(txn.share) lt 0
                use_backend be_canary if always
                use_backend be_canary if !never below
                default_backend be_control
            backend be_control
                balance roundrobin
            \(servers("control", control))
            backend be_canary
                balance roundrobin
            \(servers("canary", canary))

            """)
        process = Locked(nil)
        try await start()
    }

    /// Starts it, with the weight of the map file, and waits until it serves.
    public func start() async throws {
        // Only a master process can reload; without one there is a single process, which is simpler to end.
        let next = try ServerProcess("haproxy", (canReload ? ["-W"] : []) + ["-db", "-f", configuration], log: log)
        process.withLock { $0 = next }
        try await waitUntil("HAProxy's start") { [port, socket, operatorSocket] in
            guard next.isRunning else { throw Failure(.invalid, "haproxy ended: \(next.logTail())") }
            return canConnect(port: port) && canConnect(path: socket) && canConnect(path: operatorSocket)
        }
    }

    /// Ends it.
    public func stop() {
        guard let process = process.withLock({ $0 }), process.isRunning else { return }
        process.stop()
        // A master that was ended before it listened to signals leaves its worker behind, in the same process group.
        if canReload { kill(-process.pid, SIGKILL) }
    }

    /// Ends it and starts it again.
    public func restart() async throws {
        stop()
        try await start()
    }

    /// Reads its configuration and map file again without closing the port. Returns when the new worker is on its way.
    public func reload() async throws {
        guard canReload, let process = process.withLock({ $0 }) else {
            throw Failure(.invalid, "this HAProxy was started without a master process and cannot reload")
        }
        let before = reloads(in: process)
        // A master that has only just started does not hear the signal yet, so it is sent until the log speaks of it.
        try await waitUntil("HAProxy's reload") {
            process.signal(SIGUSR2)
            for _ in 0..<20 {
                if reloads(in: process) > before { return true }
                try await Task.sleep(for: .milliseconds(10))
            }
            return false
        }
    }

    /// Sends one line to its runtime socket, as a person with an admin's rights would, and returns the answer.
    public func command(_ line: String) async -> String {
        await withCheckedContinuation { continuation in
            onNewThread { [socket] in continuation.resume(returning: answer(to: line, at: socket)) }
        }
    }

    /// The end of its log.
    public var logTail: String { process.withLock { $0 }?.logTail() ?? "" }
}

private func reloads(in process: ServerProcess) -> Int {
    process.logTail(100_000).split(separator: "\n").count { $0.hasSuffix("Reloading HAProxy") }
}

private func answer(to line: String, at path: String) -> String {
    let descriptor = connected(path: path)
    guard descriptor >= 0 else { return "cannot connect" }
    defer { close(descriptor) }
    var answer: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    guard sendAll(Array((line + "\n").utf8), to: descriptor) else { return "cannot send" }
    while true {
        let count = recv(descriptor, &buffer, buffer.count, 0)
        guard count > 0 else { return String(decoding: answer, as: UTF8.self) }
        answer += buffer[0..<count]
    }
}
