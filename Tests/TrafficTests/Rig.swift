import SerinModel
import SerinPolicies
import SerinPorts
import SerinTraffic
import SerinTransport
import Testbed

/// A balancer with its two origins, its driver and requests to send, all in a folder of their own.
struct Rig: Sendable {
    let kind: BalancerKind
    let scratch: Scratch
    let transport: Transport
    let control: OriginServer
    let canary: OriginServer
    let balancer: any ConformanceBalancer
    let driver: any Traffic
    let deadline = Duration.seconds(5)

    /// Starts a balancer of this kind, hands it to the body and ends everything.
    static func with(_ kind: BalancerKind, _ body: (Rig) async throws -> Void) async throws {
        let scratch = try Scratch("serin-traffic")
        defer { scratch.remove() }
        let transport = try Transport()
        defer { transport.shutdown() }
        let control = try OriginServer(cohort: "control")
        defer { control.stop() }
        let canary = try OriginServer(cohort: "canary")
        defer { canary.stop() }
        let balancer = try await kind.start(
            scratch: scratch, control: [control.port], canary: [canary.port], transport: transport)
        defer { balancer.stop() }
        let driver = try TrafficDrivers.make(balancer.settings, environment: .test(transport))
        try await body(
            Rig(
                kind: kind, scratch: scratch, transport: transport, control: control, canary: canary, balancer: balancer,
                driver: driver))
    }

    func make(_ settings: DriverSettings) throws -> any Traffic {
        try TrafficDrivers.make(settings, environment: .test(transport))
    }

    func load(_ path: String = "/", runners: Int = 8) -> LoadGenerator {
        LoadGenerator(transport: transport, url: "http://127.0.0.1:\(balancer.port)\(path)", runners: runners)
    }

    func weight() async throws -> Weight? { try await driver.read(deadline: deadline).weight }

    func apply(_ weight: Weight) async throws { try await driver.apply(weight, expected: nil, deadline: deadline) }
}

extension TrafficEnvironment {
    /// An environment whose secrets are `secret-` and the reference's own text.
    static func test(_ transport: Transport) -> TrafficEnvironment {
        TrafficEnvironment(transport: transport, version: "v2", previous: "v1") { reference in
            switch reference {
            case .environment(let name), .file(let name), .credential(let name): "secret-" + name
            }
        }
    }
}

/// The failure that a call ends in; nil when it succeeds.
func outcome(of body: () async throws -> Void) async -> Failure? {
    do {
        try await body()
        return nil
    } catch {
        return error as? Failure
    }
}
