internal import SerinModel
internal import SerinPolicies
internal import Testbed

/// A real load balancer with the settings of its driver.
struct BenchBalancer: Sendable {
    enum Kind: String, CaseIterable, Sendable {
        case haproxy = "HAProxy"
        case envoy = "Envoy"
        case caddy = "Caddy (http)"
    }

    var settings: DriverSettings
    var stop: @Sendable () -> Void

    static func start(_ kind: Kind, scratch: Scratch, control: Int, canary: Int) async throws -> BenchBalancer {
        switch kind {
        case .haproxy:
            let server = try await HAProxyServer(scratch: scratch, control: [control], canary: [canary])
            return BenchBalancer(
                settings: DriverSettings(
                    driver: "haproxy",
                    settings: [
                        "socket": server.socket, "map": server.map, "key": server.key, "canary": "be_canary",
                        "control": "be_control",
                    ]), stop: { server.stop() })
        case .envoy:
            let server = try await EnvoyServer(scratch: scratch, control: [control], canary: [canary])
            return BenchBalancer(
                settings: DriverSettings(
                    driver: "envoy",
                    settings: [
                        "admin": server.admin, "runtime_prefix": server.prefix, "canary": "canary", "control": "control",
                    ]), stop: { server.stop() })
        case .caddy:
            let server = try await CaddyServer(scratch: scratch, control: [control], canary: [canary])
            return BenchBalancer(
                settings: DriverSettings(
                    driver: "http",
                    settings: [
                        "read_url": server.weights, "canary_pointer": "/1", "control_pointer": "/0", "write_method": "PATCH",
                        "write_body": "[{{control_unit}},{{canary_unit}}]", "if_match": "etag",
                    ]), stop: { server.stop() })
        }
    }
}
