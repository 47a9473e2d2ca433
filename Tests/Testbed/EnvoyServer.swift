internal import SerinLocks
internal import SerinModel

/// A real Envoy with one route of weighted clusters, `control` 100 and `canary` 0, whose weights are runtime values.
///
/// A request with the header field `X-Canary: always` goes to the canary.
public final class EnvoyServer: Sendable {
    /// The loopback port it serves on.
    public let port: Int
    /// The loopback port of its administration interface.
    public let adminPort: Int
    /// The route's `runtime_key_prefix`.
    public let prefix: String
    private let program: String
    private let configuration: String
    private let log: String
    private let process: Locked<ServerProcess?>

    /// The administration interface's address.
    public var admin: String { "http://127.0.0.1:\(adminPort)" }

    /// Starts it in a folder with the ports of the origins, and waits until it serves.
    public init(
        scratch: Scratch, name: String = "envoy", control: [Int], canary: [Int], prefix: String = "routing.app"
    ) async throws {
        program = try toolPath("envoy")
        port = try freePort()
        adminPort = try freePort()
        self.prefix = prefix
        log = scratch.file(name + ".log")
        configuration = try scratch.write(
            name + ".yaml",
            Self.configuration(port: port, adminPort: adminPort, prefix: prefix, control: control, canary: canary))
        process = Locked(nil)
        try await start()
    }

    /// Starts it, with the weights of its file, and waits until it serves.
    public func start() async throws {
        let next = try ServerProcess(
            program, ["-c", configuration, "--disable-hot-restart", "--concurrency", "1", "-l", "warning"], log: log)
        process.withLock { $0 = next }
        try await waitUntil("Envoy's start") { [port, adminPort] in
            guard next.isRunning else { throw Failure(.invalid, "envoy ended: \(next.logTail())") }
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

    private static func cluster(_ name: String, _ ports: [Int]) -> String {
        let endpoints = ports.map {
            "{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: \($0)}}}}"
        }
        return """
              - name: \(name)
                type: STATIC
                connect_timeout: 2s
                load_assignment:
                  cluster_name: \(name)
                  endpoints: [{lb_endpoints: [\(endpoints.joined(separator: ", "))]}]
            """
    }

    private static func configuration(port: Int, adminPort: Int, prefix: String, control: [Int], canary: [Int]) -> String {
        let manager = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
        let router = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
        return """
            admin: {address: {socket_address: {address: 127.0.0.1, port_value: \(adminPort)}}}
            layered_runtime:
              layers:
              - {name: static, static_layer: {}}
              - {name: admin, admin_layer: {}}
            static_resources:
              listeners:
              - name: web
                address: {socket_address: {address: 127.0.0.1, port_value: \(port)}}
                filter_chains:
                - filters:
                  - name: envoy.filters.network.http_connection_manager
                    typed_config:
                      "@type": \(manager)
                      stat_prefix: web
                      http_filters: [{name: router, typed_config: {"@type": \(router)}}]
                      route_config:
                        name: web
                        virtual_hosts:
                        - name: app
                          domains: ["*"]
                          routes:
                          - match: {prefix: "/", headers: [{name: x-canary, string_match: {exact: always}}]}
                            route: {cluster: canary, timeout: 0s}
                          - match: {prefix: "/"}
                            route:
                              timeout: 0s
                              weighted_clusters:
                                runtime_key_prefix: \(prefix)
                                clusters: [{name: control, weight: 100}, {name: canary, weight: 0}]
              clusters:
            \(cluster("control", control))
            \(cluster("canary", canary))

            """
    }
}
