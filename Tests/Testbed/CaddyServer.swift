internal import SerinLocks
internal import SerinModel

/// A real Caddy 2.11 with one weighted route whose weights, `[control, canary]`, are at `/id/app_weights/weights` of its admin API.
///
/// A request with the header field `X-Canary: always` goes to the canary. A cohort of several servers gets a listener of its own
/// inside Caddy, so that the weights are always two numbers.
public final class CaddyServer: Sendable {
    /// The loopback port it serves on.
    public let port: Int
    /// The loopback port of its admin API.
    public let adminPort: Int
    private let program: String
    private let configuration: String
    private let log: String
    private let home: String
    private let process: Locked<ServerProcess?>

    /// Where the weights are read and written.
    public var weights: String { "http://127.0.0.1:\(adminPort)/id/app_weights/weights" }
    /// The whole configuration.
    public var config: String { "http://127.0.0.1:\(adminPort)/config/" }

    /// Starts it in a folder with the ports of the origins, and waits until it serves.
    public init(scratch: Scratch, name: String = "caddy", control: [Int], canary: [Int]) async throws {
        program = try toolPath("caddy")
        port = try freePort()
        adminPort = try freePort()
        log = scratch.file(name + ".log")
        home = scratch.path
        var inner: [String] = []
        func dial(_ cohort: String, _ ports: [Int]) -> String {
            if ports.count == 1 { return "127.0.0.1:\(ports[0])" }
            let path = "unix/" + scratch.file("\(name)-\(cohort).sock")
            let proxy = Self.proxy(ports.map { "127.0.0.1:\($0)" }, policy: #"{"policy": "round_robin"}"#)
            inner.append(Self.server(cohort, listen: path, routes: #"{"handle": [\#(proxy)]}"#))
            return path
        }
        let addresses = [dial("control", control), dial("canary", canary)]
        let split = Self.proxy(
            addresses, policy: #"{"@id": "app_weights", "policy": "weighted_round_robin", "weights": [1, 0]}"#)
        let forced = Self.proxy([addresses[1]], policy: #"{"policy": "round_robin"}"#)
        let routes =
            #"{"match": [{"header": {"X-Canary": ["always"]}}], "handle": [\#(forced)]}, {"handle": [\#(split)]}"#
        let servers = inner + [Self.server("app", listen: "127.0.0.1:\(port)", routes: routes)]
        configuration = try scratch.write(
            name + ".json",
            """
            {"admin": {"listen": "127.0.0.1:\(adminPort)", "config": {"persist": false}},
             "logging": {"logs": {"default": {"level": "ERROR"}}},
             "apps": {"http": {"grace_period": "5s", "servers": {\(servers.joined(separator: ", "))}}}}

            """)
        process = Locked(nil)
        try await start()
    }

    /// Starts it, with the weights of its file, and waits until it serves.
    public func start() async throws {
        let next = try ServerProcess(
            program, ["run", "--config", configuration],
            environment: ["HOME": home, "XDG_CONFIG_HOME": home, "XDG_DATA_HOME": home],
            log: log)
        process.withLock { $0 = next }
        try await waitUntil("Caddy's start") { [port, adminPort] in
            guard next.isRunning else { throw Failure(.invalid, "caddy ended: \(next.logTail())") }
            return canConnect(port: adminPort) && canConnect(port: port)
        }
    }

    /// Ends it.
    public func stop() { process.withLock { $0 }?.stop() }

    /// Ends it and starts it again.
    public func restart() async throws {
        stop()
        try await start()
    }

    private static func server(_ name: String, listen: String, routes: String) -> String {
        #""\#(name)": {"listen": ["\#(listen)"], "automatic_https": {"disable": true}, "routes": [\#(routes)]}"#
    }

    private static func proxy(_ addresses: [String], policy: String) -> String {
        let upstreams = addresses.map { #"{"dial": "\#($0)"}"# }.joined(separator: ", ")
        return #"""
            {"handler": "reverse_proxy", "load_balancing": {"selection_policy": \#(policy)}, "upstreams": [\#(upstreams)]}
            """#
    }
}
