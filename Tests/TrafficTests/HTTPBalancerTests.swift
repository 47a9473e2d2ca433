import SerinLocks
import SerinModel
import SerinPolicies
import SerinPorts
import SerinTransport
import Testing

@testable import SerinTraffic

/// The driver `http` against an interface that answers what a test says.
@Suite struct HTTPBalancerTests {
    private func withDriver(
        _ changes: [String: String] = [:], script: @escaping @Sendable (String) -> String,
        _ body: (any Traffic, ScriptedAdmin) async throws -> Void
    ) async throws {
        let admin = try ScriptedAdmin(script)
        defer { admin.stop() }
        let transport = try Transport()
        defer { transport.shutdown() }
        let values = [
            "read_url": admin.url + "/weights?view={{version}}", "canary_pointer": "/canary", "control_pointer": "/control",
            "write_url": admin.url + "/weights/{{canary_bp}}", "write_method": "POST",
            "write_body": #"{"to":{"canary":{{ canary_percent }},"control":{{control_percent}}},"version":"{{version}}"}"#,
        ]
        let settings = DriverSettings(driver: "http", settings: values.merging(changes) { $1 })
        try await body(try TrafficDrivers.make(settings, environment: .test(transport)), admin)
    }

    @Test func placesAreFilledInAddressAndBody() async throws {
        try await withDriver { _ in
            ScriptedAdmin.response(204)
        } _: { driver, admin in
            try await driver.apply(try #require(Weight(basisPoints: 3333)), expected: nil, deadline: .seconds(5))
            let request = try #require(admin.requests.first)
            #expect(request.hasPrefix("POST /weights/3333 HTTP/1.1\r\n"))
            #expect(request.hasSuffix(#"{"to":{"canary":33.33,"control":66.67},"version":"v2"}"#))
            #expect(request.contains("Content-Type: application/json\r\n"))
        }
    }

    @Test func aSingleAmountIsReadAgainstItsScale() async throws {
        let changes = ["scale": "1000", "canary_pointer": "/w/0", "write_body": "{{canary_scaled}} of 1000"]
        let admin = try ScriptedAdmin { _ in ScriptedAdmin.response(200, #"{"w":["25"]}"#) }
        defer { admin.stop() }
        let transport = try Transport()
        defer { transport.shutdown() }
        let values = ["read_url": admin.url].merging(changes) { $1 }
        let driver = try TrafficDrivers.make(
            DriverSettings(driver: "http", settings: values), environment: .test(transport))
        let reading = try await driver.read(deadline: .seconds(5))
        #expect(reading == WeightReading(weight: Weight(basisPoints: 250), raw: "canary 25 of 1000"))
        try await driver.apply(try #require(Weight(basisPoints: 250)), expected: nil, deadline: .seconds(5))
        #expect(admin.requests.last?.hasSuffix("25 of 1000") == true)
        let failure = await outcome {
            try await driver.apply(try #require(Weight(basisPoints: 3333)), expected: nil, deadline: .seconds(5))
        }
        #expect(failure?.kind == .invalid && failure?.message.contains("33.33% is no whole part of scale 1000") == true)
        #expect(admin.requests.count == 2, "a weight that cannot be held is never sent")
    }

    @Test func anAskedForPauseIsHandedOn() async throws {
        try await withDriver { _ in
            ScriptedAdmin.response(429, "slow down", headers: ["Retry-After: 7"])
        } _: { driver, _ in
            let failure = await outcome { try await driver.zero(deadline: .seconds(5)) }
            #expect(failure?.kind == .throttled)
            #expect(failure?.retryAfter == .seconds(7))
        }
        try await withDriver { _ in
            ScriptedAdmin.response(503, "", headers: ["Retry-After: 2"])
        } _: { driver, _ in
            let failure = await outcome { try await driver.zero(deadline: .seconds(5)) }
            #expect(failure?.kind == .throttled && failure?.retryAfter == .seconds(2))
        }
    }

    @Test(arguments: [
        (400, FailureClass.invalid), (401, .denied), (403, .denied), (404, .invalid), (409, .conflict), (412, .conflict),
        (422, .invalid), (429, .throttled), (500, .transient), (502, .unknown), (503, .transient), (504, .unknown),
        (302, .invalid),
    ])
    func aRefusedWriteIsClassifiedByItsStatus(_ status: Int, _ kind: FailureClass) async throws {
        try await withDriver { _ in
            ScriptedAdmin.response(status, "no\r\nway")
        } _: { driver, _ in
            let failure = await outcome { try await driver.apply(.zero, expected: nil, deadline: .seconds(5)) }
            #expect(failure?.kind == kind)
            #expect(failure?.message.contains("status \(status): no way") == true)
            let reading = await outcome { _ = try await driver.read(deadline: .seconds(5)) }
            #expect(reading?.kind != .unknown, "reading changes nothing, so it may be repeated")
        }
    }

    @Test(arguments: [
        (["bearer_env": "TOKEN"], "Authorization: Bearer secret-TOKEN", "secret-TOKEN"),
        (["username": "serin", "password_file": "/key"], "Authorization: Basic c2VyaW46c2VjcmV0LS9rZXk=", "secret-/key"),
        (["header": "X-API-KEY", "header_value_cred": "api"], "X-API-KEY: secret-api", "secret-api"),
    ])
    func aSecretIsSentAndNeverRepeated(_ changes: [String: String], _ header: String, _ secret: String) async throws {
        try await withDriver(changes) { request in
            ScriptedAdmin.response(403, "you sent \(request)")
        } _: { driver, admin in
            let failure = await outcome { try await driver.zero(deadline: .seconds(5)) }
            #expect(admin.requests.first?.contains(header) == true)
            let words = try #require(failure).description
            #expect(words.contains("[redacted]"))
            #expect(!words.contains(secret) && !words.contains("c2VyaW46c2VjcmV0LS9rZXk="))
            #expect(!driver.name.contains(secret))
        }
    }

    @Test(arguments: ["", "[", "<html>", "null", #"{"canary":5}"#, #"{"canary":-5,"control":5}"#, #"{"canary":0,"control":0}"#])
    func anAnswerThatMeansNoShareIsNoWeight(_ body: String) async throws {
        try await withDriver { _ in
            ScriptedAdmin.response(200, body)
        } _: { driver, _ in
            let result = try? await driver.read(deadline: .seconds(5)).weight
            #expect(result == .some(nil) || result == nil)
            let failure = await outcome { try await driver.preflight(deadline: .seconds(5)) }
            #expect(failure?.kind == .invalid)
        }
    }

    @Test func countsComeFromTheirOwnAddress() async throws {
        try await withDriver { request in
            ScriptedAdmin.response(200, request.contains("/counts") ? #"{"a":12,"b":"34.5"}"# : #"{"canary":1,"control":3}"#)
        } _: { driver, admin in
            #expect(try await driver.counts(deadline: .seconds(5)) == nil)
            let changes = ["counts_url": admin.url + "/counts", "canary_count_pointer": "/a", "control_count_pointer": "/b"]
            let values = [
                "read_url": admin.url, "canary_pointer": "/canary", "control_pointer": "/control",
                "write_body": "{{canary_unit}}",
            ]
            let transport = try Transport()
            defer { transport.shutdown() }
            let settings = DriverSettings(driver: "http", settings: values.merging(changes) { $1 })
            let counting = try TrafficDrivers.make(settings, environment: .test(transport))
            try await counting.preflight(deadline: .seconds(5))
            #expect(try await counting.counts(deadline: .seconds(5)) == TrafficCounts(canary: 12, control: 34.5))
        }
    }

    @Test func aMissingEntityTagIsFoundBeforeAnythingChanges() async throws {
        try await withDriver(["if_match": "etag"]) { _ in
            ScriptedAdmin.response(200, #"{"canary":0,"control":1}"#)
        } _: { driver, admin in
            let failure = await outcome { try await driver.preflight(deadline: .seconds(5)) }
            #expect(failure?.kind == .invalid && failure?.message.contains("no ETag") == true)
            let reading = WeightReading(weight: .zero, raw: "")
            let write = await outcome { try await driver.apply(.all, expected: reading, deadline: .seconds(5)) }
            #expect(write?.kind == .invalid)
            #expect(!admin.requests.contains { $0.hasPrefix("POST") })
        }
    }

    @Test(arguments: [
        (["write_url": "http://127.0.0.1:1/", "write_body": "nothing"], "neither write_url nor write_body"),
        (["write_body": "{{canary_bq}}"], "unknown place '{{canary_bq}}'"),
        (["read_url": "http://127.0.0.1:1/{{canary_bp}}"], "cannot depend on the weight"),
        (["read_url": "http://user:pass@127.0.0.1:1/"], "without user, password"),
        (["read_url": "file:///etc/passwd"], "http:// or https://"),
        (["bearer_env": "A", "bearer_file": "/b"], "more than one of bearer_env"),
        (["bearer_env": "A", "username": "u"], "expected one of bearer_"),
        (["username": "u"], "expected one of bearer_"),
        (["counts_url": "http://127.0.0.1:1/"], "go together"),
        (["colour": "red"], "has no setting 'colour'"),
        (["scale": "0"], "whole number"),
        (["settle": "soon"], "a time with a unit"),
        (["if_match": "yes"], "one of none, etag"),
        (["canary_pointer": "weights"], "a JSON pointer"),
        (["header": "X\r\nY", "header_value_env": "E"], "a name of letters"),
    ])
    func settingsThatCannotWorkAreRefused(_ changes: [String: String], _ words: String) async throws {
        let failure = await outcome {
            try await withDriver(changes) { _ in
                ""
            } _: { _, _ in
                Issue.record("the driver was made")
            }
        }
        #expect(failure?.kind == .invalid)
        #expect(failure?.description.contains(words) == true, "\(failure?.description ?? "no failure")")
    }

    @Test func aVersionThatNeedsEscapesIsRefusedOnlyWhereItIsUsed() async throws {
        let transport = try Transport()
        defer { transport.shutdown() }
        let environment = TrafficEnvironment(transport: transport, version: #"v"2"#) { _ in "" }
        var values = [
            "read_url": "http://127.0.0.1:1/", "canary_pointer": "", "scale": "100", "write_body": "{{canary_percent}}",
        ]
        _ = try TrafficDrivers.make(DriverSettings(driver: "http", settings: values), environment: environment)
        values["write_body"] = "{{canary_percent}} {{version}}"
        let settings = DriverSettings(driver: "http", settings: values)
        let failure = await outcome { _ = try TrafficDrivers.make(settings, environment: environment) }
        #expect(failure?.message.contains("cannot be used in a request") == true)
    }

    @Test func aSecretThatCannotBeReadStopsTheFirstRequestAndNoLaterOne() async throws {
        let admin = try ScriptedAdmin { _ in ScriptedAdmin.response(200) }
        defer { admin.stop() }
        let transport = try Transport()
        defer { transport.shutdown() }
        let isGone = Locked(true)
        let environment = TrafficEnvironment(transport: transport) { _ throws(Failure) in
            if isGone.withLock({ $0 }) { throw Failure(.denied, "cannot read /key") }
            return "old"
        }
        let values = [
            "read_url": admin.url, "canary_pointer": "", "scale": "100", "write_body": "{{canary_percent}}",
            "bearer_file": "/key",
        ]
        let driver = try TrafficDrivers.make(DriverSettings(driver: "http", settings: values), environment: environment)
        let failure = await outcome { try await driver.zero(deadline: .seconds(5)) }
        #expect(failure?.kind == .denied && failure?.message.hasSuffix("cannot read /key") == true)
        #expect(admin.requests.isEmpty)
        isGone.withLock { $0 = false }
        try await driver.zero(deadline: .seconds(5))
        isGone.withLock { $0 = true }
        try await driver.zero(deadline: .seconds(5))
        #expect(admin.requests.count { $0.contains("Authorization: Bearer old") } == 2)
    }
}
