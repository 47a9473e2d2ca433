import Glibc
import SerinAPI
import SerinController
import SerinLocks
import SerinModel
import SerinPolicies
import SerinRollouts
import SerinSQLite
import Testbed
import Testing

@testable import SerinCommandLine

/// The parts that the program is really made of.
@Suite struct ProductionTests {
    @Test func aSecretIsReadFromRegularFilesOnly() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let secrets = Secrets(environment: [:])
        #expect(try secrets.read(.file(scratch.write("secret", "hunter2\n"))) == "hunter2")
        // Whoever opened a pipe would wait for its writer.
        try #require(mkfifo(scratch.file("pipe"), 0o600) == 0)
        for path in [scratch.file("pipe"), scratch.path, scratch.file("none"), try scratch.write("empty", "")] {
            #expect(throws: Failure.self, "\(path)") { _ = try secrets.read(.file(path)) }
        }
    }

    @Test func onlyAMissingHandoverMeansThatTheRolloutHasEnded() throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let folder = SerinSQLite.StateFolder(under: scratch.path, service: try #require(ServiceName("checkout")))
        #expect(try WatchdogKeeper.handover(folder) == nil)
        try folder.create()
        let path = WatchdogKeeper.handoverPath(folder)
        for text in ["{", "{}", String(repeating: " ", count: 65 << 10)] {
            _ = try scratch.write("checkout/handover.json", text)
            #expect(throws: Failure.self) { _ = try WatchdogKeeper.handover(folder) }
        }
        unlink(path)
        try #require(mkdir(path, 0o700) == 0)
        #expect(throws: Failure.self) { _ = try WatchdogKeeper.handover(folder) }
    }

    @Test func aStateFolderThatCannotBeListedIsNotReady() async {
        // It may be written to, and is no folder.
        let daemon = OpenedDaemon(
            state: StateRoot(path: "/dev/null"), peers: Authenticators([]), retries: RetryBudget(clock: SystemClock()) { 0.5 },
            measures: ControllerMeasures(), unwrittenHalts: UnwrittenHalts(),
            report: { _ in }, open: { _, _ throws(OperationError) in throw .unavailable("nothing is opened") },
            readPolicy: { _ throws(OperationError) in throw .unavailable("nothing is read") })
        let checks = await daemon.readiness()
        #expect(checks.contains { $0.complaint?.contains("cannot read the state folder /dev/null") == true }, "\(checks)")
    }

    @Test func noServiceIsOpenedForAPolicyThatMayNotStart() async throws {
        let scratch = try Scratch()
        defer { scratch.remove() }
        let state = StateRoot(path: scratch.path)
        let assembly = Assembly.production(environment: [:], output: Output())
        let daemon = try await assembly.openDaemon(state, Authenticators([]), nil) { service, text throws(OperationError) in
            throw .refused(Refusal("not \(service) by \(text.utf8.count) bytes"))
        }
        let text = """
            version: 1
            service: checkout
            traffic: {http: {read_url: "http://127.0.0.1:9/w", canary_pointer: /c, write_body: "{{canary}}"}, steps: [5]}
            prometheus: {url: "http://127.0.0.1:9", canary: {version: "2"}, control: {version: "1"}}
            bake: 30m
            signals: {errors: {counter: a, bad: {code: "5.."}}}
            """
        let request = StartRequest(policyText: text, policyFile: "p.yaml", version: "2", previous: "1", overrides: [])
        let error = try await #require(throws: OperationError.self) {
            try await daemon.operations.start(request, by: .uid(1))
        }
        #expect(error == .refused(Refusal("not checkout by \(text.utf8.count) bytes")))
        #expect(try state.services().isEmpty)
        await daemon.abandon()
    }

    @Test func l6AWatchdogLowersABalancerWhoseSettingsNameTheVersions() async throws {
        let weight = Locked("25")
        let balancer = try ScriptedServer { request in
            guard request.target.contains("v=1.9.0") && request.target.contains("p=1.8.3") else { return [.http(404, "{}")] }
            if request.method != "GET" { weight.withLock { $0 = request.text } }
            return [.http(200, #"{"canary":\#(weight.withLock { $0 })}"#)]
        }
        defer { balancer.stop() }
        let scratch = try Scratch()
        defer { scratch.remove() }
        let service = try #require(ServiceName("checkout"))
        let folder = SerinSQLite.StateFolder(under: scratch.path, service: service)
        try folder.create()
        let handover = Handover(
            rollout: try #require(RolloutID("checkout-1")),
            driver: DriverSettings(
                driver: "http",
                settings: [
                    "read_url": balancer.url + "/w?v={{version}}&p={{previous}}", "canary_pointer": "/canary", "scale": "100",
                    "write_method": "POST", "write_body": "{{canary_scaled}}",
                ]), version: "1.9.0", previous: "1.8.3", after: .seconds(1), controller: 1)
        #expect(Handover(handover.document) == handover)
        _ = try scratch.write("checkout/handover.json", handover.document.canonicalText)
        let assembly = Assembly.production(environment: [:], output: Output())
        let code = try await assembly.watchdog(service, StateRoot(path: scratch.path), .seconds(1))
        #expect(code == .ok)
        #expect(weight.withLock { $0 } == "0")
    }

    @Test func whatIsInterruptedIsNotSaidToHaveTakenTooLong() async {
        let (begun, begin) = AsyncStream.makeStream(of: Void.self)
        let run = Task {
            await within(.hours(4), "the restore") { () throws(Failure) in
                begin.yield()
                while !Task.isCancelled { await Task.yield() }
                throw Failure(.unknown, "the program was ended")
            }
        }
        for await _ in begun { break }
        run.cancel()
        let ended = await run.value
        #expect(throws: Failure(.unknown, "the restore was interrupted: the program was ended")) { try ended.get() }
        let slow = await within(.milliseconds(1), "the restore") { () throws(Failure) in
            while !Task.isCancelled { await Task.yield() }
            throw Failure(.unknown, "given up")
        }
        #expect(throws: Failure(.unknown, "the restore took longer than \(Duration.milliseconds(1)): given up")) {
            try slow.get()
        }
    }

    @Test func aFileThatIsNoSecretIsNotCalledOne() {
        let failure = #expect(throws: Failure.self) { try Secrets(environment: [:]).read(plansFile: "/nowhere/checks.sql") }
        #expect(failure?.message == "cannot read the plan's file /nowhere/checks.sql: no such file")
    }
}
