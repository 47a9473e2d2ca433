import SerinModel
import SerinPolicies
import SerinPorts
import SerinTransport
import Testing

@testable import SerinTraffic

/// The table of drivers and what they share.
@Suite struct TrafficDriversTests {
    @Test func everyDriverHasANameOfItsOwnAndFieldsOfTheirOwn() {
        let names = TrafficDrivers.schemas.map(\.name)
        #expect(names == ["haproxy", "envoy", "http"])
        for schema in TrafficDrivers.schemas {
            #expect(Set(schema.fields.map(\.key)).count == schema.fields.count)
            for field in schema.fields {
                #expect(!field.help.isEmpty)
                #expect(!field.isRequired || field.fallback == nil)
                let isSecret = ["_env", "_file", "_cred"].contains(where: field.key.hasSuffix) && field.key != "ca_file"
                #expect((field.form == .secret) == isSecret, "\(field.key)")
            }
        }
    }

    @Test func anUnknownDriverIsRefusedWithTheKnownOnes() async throws {
        let transport = try Transport()
        defer { transport.shutdown() }
        let failure = await outcome {
            _ = try TrafficDrivers.make(DriverSettings(driver: "nginx", settings: [:]), environment: .test(transport))
        }
        #expect(failure?.hint == "expected one of haproxy, envoy, http")
    }

    @Test func aShareIsNeverRoundedToNothingOrEverything() {
        #expect(share(canary: 1, control: 3) == Weight(percent: 25))
        #expect(share(canary: 1, control: 1e9) == Weight(basisPoints: 1))
        #expect(share(canary: 1e9, control: 1) == Weight(basisPoints: 9_999))
        #expect(share(canary: 0, control: 1) == .zero)
        #expect(share(canary: 1, control: 0) == .all)
        #expect(share(canary: 0, control: 0) == nil)
        #expect(share(canary: -1, control: 2) == nil)
        #expect(share(canary: .nan, control: 2) == nil)
        #expect(share(canary: .infinity, control: 2) == nil)
        #expect(share(canary: 1e308, control: 1e308) == nil)
    }

    @Test func everyWeightSurvivesEveryNotation() throws {
        let template = try RequestTemplate(
            "{{canary_unit}}:{{control_unit}} {{canary_percent}} {{canary_fraction}} {{canary_scaled}}", words: [:])
        for points in 0...10_000 {
            let weight = try #require(Weight(basisPoints: points))
            let words = try template.filled(with: weight, scale: 10_000).split(separator: " ")
            let units = words[0].split(separator: ":").compactMap { Double($0) }
            #expect(share(canary: units[0], control: units[1]) == weight)
            #expect(Double(words[1]).map { ($0 * 100).rounded() } == Double(points))
            #expect(Double(words[2]).map { ($0 * 10_000).rounded() } == Double(points))
            #expect(Int(words[3]) == points)
        }
    }

    @Test(arguments: [
        (#"{"a":{"b":{{canary_bp}}}}"#, #"{"a":{"b":500}}"#), ("{{ canary_percent }}%", "5%"), ("{{}}{{1}}", "{{}}{{1}}"),
        ("{{canary_bp", "{{canary_bp"), ("", ""), ("{{version}}/{{canary_bp}}", "v2/500"),
    ])
    func templatesLeaveAllElseAlone(_ text: String, _ filled: String) throws {
        let weight = try #require(Weight(percent: 5))
        #expect(try RequestTemplate(text, words: ["version": "v2"]).filled(with: weight, scale: 1) == filled)
    }

    @Test(arguments: [("250ms", 250), ("1s", 1000), ("2.5s", 2500), ("1m", 60_000), ("0s", 0)])
    func theSettleTimeIsTheOneGiven(_ text: String, _ milliseconds: Int64) throws {
        let transport = try Transport()
        defer { transport.shutdown() }
        let values = [
            "read_url": "http://127.0.0.1:1/", "canary_pointer": "", "scale": "100", "write_body": "{{canary_percent}}",
            "settle": text,
        ]
        let driver = try TrafficDrivers.make(DriverSettings(driver: "http", settings: values), environment: .test(transport))
        #expect(driver.settleTime == .milliseconds(milliseconds))
    }
}
