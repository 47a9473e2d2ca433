import SerinModel
import SerinPolicies
import SerinTransport
import Testbed

/// A real load balancer with one canary and one control origin, as the conformance suite needs it.
protocol ConformanceBalancer: Sendable {
    /// The loopback port on which it serves.
    var port: Int { get }
    /// The settings of its driver.
    var settings: DriverSettings { get }
    /// Where its control requests go.
    var control: CuttingProxy.Target { get }
    /// The same settings with control requests going to another unix socket.
    func settings(socket path: String) -> DriverSettings
    /// Settings that name things which do not exist.
    var wrongSettings: [DriverSettings] { get }
    /// Whether a change can be made conditional on what was read.
    var hasCompareAndSet: Bool { get }
    /// Whether the split is exact rather than random.
    var isExact: Bool { get }
    /// What someone else could write that is no share, or another share than it looks, and the weight it means.
    var oddStates: [(native: String, weight: Weight?)] { get }
    /// Writes a state as someone else would, past the driver.
    func write(native: String) async throws
    /// The native state of a share.
    func native(canary: Int, control: Int) -> String
    /// Everything that a change of the weight must leave alone.
    func unrelated() async throws -> String
    /// Ends it and starts it again.
    func restart() async throws
    /// Ends it.
    func stop()
}

/// The kinds of balancers that the suite runs on. A new driver adds a case and a fixture.
enum BalancerKind: String, CaseIterable, Sendable {
    case haproxy, envoy, caddy

    func start(scratch: Scratch, control: [Int], canary: [Int], transport: Transport) async throws -> any ConformanceBalancer {
        switch self {
        case .haproxy: HAProxyBalancer(server: try await HAProxyServer(scratch: scratch, control: control, canary: canary))
        case .envoy:
            EnvoyBalancer(
                server: try await EnvoyServer(scratch: scratch, control: control, canary: canary), transport: transport)
        case .caddy:
            CaddyBalancer(
                server: try await CaddyServer(scratch: scratch, control: control, canary: canary), transport: transport)
        }
    }
}

struct HAProxyBalancer: ConformanceBalancer {
    let server: HAProxyServer
    var port: Int { server.port }
    var control: CuttingProxy.Target { .path(server.socket) }
    let hasCompareAndSet = false
    let isExact = false

    private func settings(_ changes: [String: String]) -> DriverSettings {
        let values = [
            "socket": server.socket, "map": server.map, "key": server.key, "canary": "be_canary", "control": "be_control",
        ]
        return DriverSettings(driver: "haproxy", settings: values.merging(changes) { $1 })
    }

    var settings: DriverSettings { settings([:]) }
    func settings(socket path: String) -> DriverSettings { settings(["socket": path]) }
    var wrongSettings: [DriverSettings] {
        [
            settings(["map": server.map + ".no"]), settings(["key": "nothing"]), settings(["canary": "be_nothing"]),
            settings(["control": "be_nothing"]),
        ]
    }
    var oddStates: [(native: String, weight: Weight?)] {
        [("banana", nil), ("-5", nil), ("2500.5", nil), ("99999", .all), ("99999999999999999999", .all)]
    }
    func write(native: String) async throws { _ = await server.command("set map \(server.map) \(server.key) \(native)") }
    func native(canary: Int, control: Int) -> String { "\(canary * 10_000 / (canary + control))" }
    func unrelated() async throws -> String {
        let entries = await server.command("get map \(server.map) other")
        let servers = await server.command("show servers state")
        // Columns after the weights count time.
        let states = servers.split(separator: "\n").map { $0.split(separator: " ").prefix(9).joined(separator: " ") }
        return entries + states.joined(separator: "\n")
    }
    func restart() async throws { try await server.restart() }
    func stop() { server.stop() }
}

struct EnvoyBalancer: ConformanceBalancer {
    let server: EnvoyServer
    let transport: Transport
    var port: Int { server.port }
    var control: CuttingProxy.Target { .port(server.adminPort) }
    let hasCompareAndSet = false
    let isExact = false

    private func settings(_ changes: [String: String]) -> DriverSettings {
        let values = ["admin": server.admin, "runtime_prefix": server.prefix, "canary": "canary", "control": "control"]
        return DriverSettings(driver: "envoy", settings: values.merging(changes) { $1 })
    }

    var settings: DriverSettings { settings([:]) }
    func settings(socket path: String) -> DriverSettings { settings(["socket": path]) }
    var wrongSettings: [DriverSettings] {
        [settings(["runtime_prefix": "routing.no"]), settings(["canary": "nothing"]), settings(["control": "nothing"])]
    }
    var oddStates: [(native: String, weight: Weight?)] {
        [
            ("0 0", nil), ("banana 9500", nil), ("500 -5", nil), ("500 95.5", nil), ("4294967296 1", nil),
            ("4294967295 4294967295", nil), ("300 100", Weight(percent: 75)), ("1 4000000000", Weight(basisPoints: 1)),
            ("4000000000 1", Weight(basisPoints: 9_999)), ("- -", .zero), ("100 -", Weight(percent: 50)),
        ]
    }
    func write(native: String) async throws {
        // The canary's value, then the control's; `-` is none.
        let values = native.split(separator: " ").map { $0 == "-" ? "" : String($0) }
        let query = "\(server.prefix).canary=\(values[0])&\(server.prefix).control=\(values[1])&other.key=77"
        _ = try await transport.send(
            HTTPRequest(method: "POST", url: "\(server.admin)/runtime_modify?\(query)", timeout: .seconds(5)))
    }
    func native(canary: Int, control: Int) -> String { "\(canary) \(control)" }
    func unrelated() async throws -> String {
        let dump = try await transport.send(HTTPRequest(url: server.admin + "/config_dump", timeout: .seconds(5)))
        let runtime = try await transport.send(HTTPRequest(url: server.admin + "/runtime", timeout: .seconds(5)))
        let entries = try JSONValue(parsing: runtime.body)["entries"]
        guard case .object(let members) = entries else { return "no entries" }
        let others = members.filter { !$0.key.hasPrefix(server.prefix) }
        return try JSONValue(parsing: dump.body).canonicalText + JSONValue.object(others).canonicalText
    }
    func restart() async throws { try await server.restart() }
    func stop() { server.stop() }
}

struct CaddyBalancer: ConformanceBalancer {
    let server: CaddyServer
    let transport: Transport
    var port: Int { server.port }
    var control: CuttingProxy.Target { .port(server.adminPort) }
    let hasCompareAndSet = true
    let isExact = true

    private func settings(_ changes: [String: String]) -> DriverSettings {
        let values = [
            "read_url": server.weights, "canary_pointer": "/1", "control_pointer": "/0", "write_method": "PATCH",
            "write_body": "[{{control_unit}},{{canary_unit}}]", "if_match": "etag",
        ]
        return DriverSettings(driver: "http", settings: values.merging(changes) { $1 })
    }

    var settings: DriverSettings { settings([:]) }
    func settings(socket path: String) -> DriverSettings { settings(["socket": path]) }
    var wrongSettings: [DriverSettings] {
        [
            settings(["read_url": server.weights.replacing("app_weights", with: "nothing")]), settings(["canary_pointer": "/7"]),
            settings(["read_url": server.weights + "/0/1"]),
        ]
    }
    var oddStates: [(native: String, weight: Weight?)] { [("[1]", nil), ("[1,3]", Weight(percent: 75))] }
    func write(native: String) async throws {
        let type = HTTPHeader("Content-Type", "application/json")
        let answer = try await transport.send(
            HTTPRequest(method: "PATCH", url: server.weights, headers: [type], body: Array(native.utf8), timeout: .seconds(5)))
        guard answer.status == 200 else { throw Failure(.invalid, "caddy refused \(native): \(answer.status)") }
    }
    func native(canary: Int, control: Int) -> String { "[\(control),\(canary)]" }
    func unrelated() async throws -> String {
        let answer = try await transport.send(HTTPRequest(url: server.config, timeout: .seconds(5)))
        let text = String(decoding: answer.body, as: UTF8.self)
        let parts = text.split(separator: "\"weights\":[", maxSplits: 1)
        guard parts.count == 2 else { return text }
        return String(parts[0]) + String(parts[1].drop { $0 != "]" })
    }
    func restart() async throws { try await server.restart() }
    func stop() { server.stop() }
}
