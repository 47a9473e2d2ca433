import SerinModel
import SerinPolicies
import SerinPorts
import SerinTransport
import Testing

@testable import SerinTraffic

/// What is special about Envoy, on scripted answers.
@Suite struct EnvoyRuntimeTests {
    private func withDriver(
        _ script: @escaping @Sendable (String) -> String, _ body: (any Traffic, ScriptedAdmin) async throws -> Void
    ) async throws {
        let admin = try ScriptedAdmin(script)
        defer { admin.stop() }
        let transport = try Transport()
        defer { transport.shutdown() }
        let settings = DriverSettings(
            driver: "envoy",
            settings: ["admin": admin.url + "/", "runtime_prefix": "r.app", "canary": "new.one", "control": "old"])
        try await body(try TrafficDrivers.make(settings, environment: .test(transport)), admin)
    }

    @Test func bothWeightsGoInOneRequest() async throws {
        try await withDriver { _ in
            ScriptedAdmin.response(200, "OK\n")
        } _: { driver, admin in
            try await driver.apply(try #require(Weight(basisPoints: 3333)), expected: nil, deadline: .seconds(5))
            #expect(admin.requests.count == 1)
            #expect(admin.requests.first?.hasPrefix("POST /runtime_modify?r.app.new.one=3333&r.app.old=6667 HTTP/1.1") == true)
        }
    }

    @Test func aMissingAdminLayerIsNamed() async throws {
        try await withDriver { _ in
            ScriptedAdmin.response(503, "No admin layer specified")
        } _: { driver, _ in
            let failure = await outcome { try await driver.zero(deadline: .seconds(5)) }
            #expect(failure?.kind == .invalid)
            #expect(failure?.hint?.contains("admin_layer") == true)
        }
    }

    @Test(arguments: ["", "{", "[]", "{}", #"{"entries":[]}"#])
    func anAnswerThatIsNotEnvoysIsAFailure(_ body: String) async throws {
        try await withDriver { _ in
            ScriptedAdmin.response(200, body)
        } _: { driver, _ in
            let failure = await outcome { _ = try await driver.read(deadline: .seconds(5)) }
            #expect(failure?.kind == .invalid)
        }
    }

    @Test(arguments: ["9223372036854775807", "-9223372036854775808", "4294967296", "-1", "1e300"])
    func weightsThatEnvoyCannotHaveMeanNoShare(_ weight: String) async throws {
        let clusters = [
            #"{"name":"old","weight":\#(weight)},{"name":"new.one","weight":\#(weight)},{"name":"c","weight":\#(weight)}"#,
            #"{"name":"old","weight":95},{"name":"new.one","weight":5},{"name":"c","weight":\#(weight)},{"name":"d","weight":\#(weight)}"#,
        ]
        for clusters in clusters {
            try await withDriver { request in
                if request.hasPrefix("GET /runtime") { return ScriptedAdmin.response(200, #"{"entries":{}}"#) }
                let routes = #"[{"route":{"weighted_clusters":{"runtime_key_prefix":"r.app","clusters":[\#(clusters)]}}}]"#
                return ScriptedAdmin.response(200, #"{"configs":[{"route_config":{"virtual_hosts":[{"routes":\#(routes)}]}}]}"#)
            } _: { driver, _ in
                let reading = try await driver.read(deadline: .seconds(5))
                #expect(reading.weight == nil)
            }
        }
    }

    @Test func aClusterWithoutHealthyServersFailsPreflight() async throws {
        try await withDriver { request in
            if request.hasPrefix("GET /stats") {
                let statistics = [("new.one", 0), ("old", 2)].map {
                    #"{"name":"cluster.\#($0.0).membership_healthy","value":\#($0.1)}"#
                }
                return ScriptedAdmin.response(200, #"{"stats":[\#(statistics.joined(separator: ","))]}"#)
            }
            if request.hasPrefix("GET /runtime") { return ScriptedAdmin.response(200, #"{"entries":{}}"#) }
            let clusters = #"[{"name":"old","weight":1},{"name":"new.one","weight":0}]"#
            let routes = #"[{"route":{"weighted_clusters":{"runtime_key_prefix":"r.app","clusters":\#(clusters)}}}]"#
            return ScriptedAdmin.response(200, #"{"configs":[{"route_config":{"virtual_hosts":[{"routes":\#(routes)}]}}]}"#)
        } _: { driver, admin in
            let reading = try await driver.read(deadline: .seconds(5))
            #expect(reading.weight == .zero)
            let failure = await outcome { try await driver.preflight(deadline: .seconds(5)) }
            #expect(failure?.kind == .transient)
            #expect(failure?.message.contains("cannot use cluster new.one") == true, "\(failure?.description ?? "")")
            #expect(!admin.requests.contains { $0.hasPrefix("POST") })
        }
    }

    @Test func routesOfAControlPlaneCountAndTheHighestShareIsReported() throws {
        func dump(_ canary: Int, _ control: Int, other: String = "") throws -> JSONValue {
            let clusters = #"[{"name":"a","weight":\#(canary)},{"name":"b","weight":\#(control)}\#(other)]"#
            let text =
                #"{"route_config":{"virtual_hosts":[{"routes":[{"redirect":{}},{"route":{"cluster":"x"}},"#
                + #"{"route":{"weighted_clusters":{"runtime_key_prefix":"p","clusters":\#(clusters)}}}]}]}}"#
            return try JSONValue(parsing: text.utf8)
        }
        let one = try dump(5, 95)
        let two = try dump(1, 1, other: #",{"name":"c","weight":2}"#)
        #expect(
            EnvoyAnswers.route(in: [one], prefix: "p", canary: "a", control: "b")
                == .init(canary: 5, control: 95, others: 0, hasOtherClusters: false))
        #expect(
            EnvoyAnswers.route(in: [one, two], prefix: "p", canary: "a", control: "b")
                == .init(canary: 1, control: 1, others: 2, hasOtherClusters: true))
        #expect(EnvoyAnswers.route(in: [one], prefix: "q", canary: "a", control: "b") == nil)
        #expect(EnvoyAnswers.route(in: [one], prefix: "p", canary: "a", control: "c") == nil)
    }
}
