import Glibc
import SerinModel
import SerinPolicies
import SerinPorts
import SerinTransport
import Testbed
import Testing

@testable import SerinTraffic

/// What is special about HAProxy: its socket, its words, its reload.
@Suite(.serialized) struct HAProxyMapTests {
    private func settings(_ server: HAProxyServer, _ changes: [String: String] = [:]) -> DriverSettings {
        let values = ["socket": server.socket, "map": server.map, "key": server.key]
        return DriverSettings(driver: "haproxy", settings: values.merging(changes) { $1 })
    }

    private func make(_ settings: DriverSettings) async throws -> any Traffic {
        let transport = try Transport()
        defer { transport.shutdown() }
        return try TrafficDrivers.make(settings, environment: .test(transport))
    }

    private func withServer(canReload: Bool = false, _ body: (HAProxyServer, Scratch) async throws -> Void) async throws {
        let scratch = try Scratch("serin-traffic")
        defer { scratch.remove() }
        let origins = [
            try OriginServer(cohort: "control"), try OriginServer(cohort: "control"), try OriginServer(cohort: "canary"),
        ]
        defer { for origin in origins { origin.stop() } }
        let server = try await HAProxyServer(
            scratch: scratch, control: [origins[0].port, origins[1].port], canary: [origins[2].port], canReload: canReload)
        defer { server.stop() }
        try await body(server, scratch)
    }

    @Test func anOperatorSocketSufficesForEverything() async throws {
        try await withServer { server, _ in
            let changes = ["socket": server.operatorSocket, "canary": "be_canary", "control": "be_control"]
            let driver = try await make(settings(server, changes))
            try await driver.preflight(deadline: .seconds(5))
            try await driver.apply(try #require(Weight(percent: 5)), expected: nil, deadline: .seconds(5))
            #expect(try await driver.read(deadline: .seconds(5)).weight == Weight(percent: 5))
            #expect(try await driver.counts(deadline: .seconds(5)) == TrafficCounts(canary: 0, control: 0))
        }
    }

    @Test func aMissingEntrySaysWhatToPutIntoTheMapFile() async throws {
        try await withServer { server, _ in
            let driver = try await make(settings(server, ["key": "checkout"]))
            #expect(try await driver.read(deadline: .seconds(5)).weight == nil)
            let failure = await outcome { try await driver.zero(deadline: .seconds(5)) }
            #expect(failure?.kind == .invalid && failure?.message.contains("entry not found") == true)
            #expect(failure?.hint == "put the line 'checkout 0' into \(server.map) and reload HAProxy")
            #expect(await server.command("get map \(server.map) checkout").contains("found=no"))
        }
    }

    @Test func aReloadFallsBackToTheMapFileAndIsVisible() async throws {
        try await withServer(canReload: true) { server, _ in
            let driver = try await make(settings(server))
            try await driver.apply(.all, expected: nil, deadline: .seconds(5))
            try await server.reload()
            try await waitUntil("the weight of the map file") {
                // While HAProxy hands over, its socket may be gone for a moment.
                let reading = try? await driver.read(deadline: .seconds(1))
                return reading?.weight == .zero
            }
            try await waitUntil("zero after a reload") { (try? await driver.zero(deadline: .seconds(1))) != nil }
        }
    }

    @Test(.enabled(if: geteuid() != 0, "to root no socket is closed"))
    func aSocketOfSomeoneElseIsDenied() async throws {
        try await withServer { server, _ in
            #expect(chmod(server.socket, 0) == 0)
            let driver = try await make(settings(server))
            let failure = await outcome { try await driver.zero(deadline: .seconds(5)) }
            #expect(failure?.kind == .denied && failure?.message.contains("Permission denied") == true)
        }
    }

    @Test func aSocketThatNeverAnswersIsLeftAtTheDeadline() async throws {
        let scratch = try Scratch("serin-traffic")
        defer { scratch.remove() }
        let path = scratch.file("silent.sock")
        let proxy = try CuttingProxy(before: .path("/nowhere"), mode: .keepsSilent, path: path)
        defer { proxy.stop() }
        let driver = try await make(
            DriverSettings(driver: "haproxy", settings: ["socket": path, "map": "/m", "key": "k"]))
        let clock = ContinuousClock()
        let start = clock.now
        let failure = await outcome { try await driver.zero(deadline: .milliseconds(150)) }
        #expect(failure?.kind == .unknown)
        #expect(start.duration(to: clock.now) < .seconds(2))
        let task = Task { await outcome { try await driver.zero(deadline: .minutes(1)) } }
        task.cancel()
        #expect(await task.value != nil)
        #expect(start.duration(to: clock.now) < .seconds(5), "a cancelled caller does not wait for the deadline")
    }

    @Test(arguments: [
        (["key": "app; shutdown sessions server be/x"], "a name of letters"), (["key": "app\nshow info"], "a name of letters"),
        (["key": ""], "a name of letters"), (["map": "/m;x"], "cannot take"), (["map": "/m show"], "cannot take"),
        (["map": "relative"], "an absolute path"), (["map": "/m\\"], "cannot take"), (["canary": "a"], "both of"),
        (["canary": "a", "control": "a"], "two backends"), (["canary": "a\u{e9}", "control": "b"], "a name of letters"),
    ])
    func whatCouldCarryAnotherCommandIsRefused(_ changes: [String: String], _ words: String) async throws {
        let values = ["socket": "/s", "map": "/m", "key": "k"].merging(changes) { $1 }
        let failure = await outcome { _ = try await make(DriverSettings(driver: "haproxy", settings: values)) }
        #expect(failure?.kind == .invalid)
        #expect(failure?.message.contains(words) == true, "\(failure?.description ?? "no failure")")
    }

    @Test func socketsThatCannotBeReachedAreNamed() async throws {
        let scratch = try Scratch("serin-traffic")
        defer { scratch.remove() }
        func failure(at path: String) async throws -> Failure? {
            let driver = try await make(
                DriverSettings(driver: "haproxy", settings: ["socket": path, "map": "/m", "key": "k"]))
            return await outcome { _ = try await driver.read(deadline: .seconds(1)) }
        }
        let missing = try await failure(at: scratch.file("none.sock"))
        #expect(missing?.kind == .transient && missing?.message.contains("No such file") == true)
        let long = try await failure(at: "/" + String(repeating: "x", count: 200))
        #expect(long?.kind == .invalid)
    }

    @Test func answersAreReadToTheLetter() {
        let found = "type=str, case=sensitive, found=yes, idx=tree, key=\"app\", value=\"2500\", type=\"str\"\n\n"
        #expect(HAProxyAnswers.entry(found) == .value("2500"))
        #expect(HAProxyAnswers.entry("type=str, case=sensitive, found=no\n\n") == .missing)
        #expect(HAProxyAnswers.entry("Permission denied\n\n") == nil)
        #expect(HAProxyAnswers.entry("") == nil)
        #expect(HAProxyAnswers.entry("type=str, found=yes, value=\"25") == nil, "half an answer")
        #expect(HAProxyAnswers.statRows("No such proxy.\n\n") == nil)
        #expect(HAProxyAnswers.statRows("# pxname,svname,lbtot,status,\nbe,BACKEND\n") == nil, "half a row")
        let rows = "# pxname,svname,lbtot,status,\nbe,BACKEND,12,UP,\n\n# pxname,svname,lbtot,status,\nb2,s,3,DOWN 1/2,\n"
        #expect(
            HAProxyAnswers.statRows(rows) == [
                .init(proxy: "be", server: "BACKEND", status: "UP", total: 12),
                .init(proxy: "b2", server: "s", status: "DOWN 1/2", total: 3),
            ])
    }
}
