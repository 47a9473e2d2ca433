import Glibc
import SerinAPI
import SerinAccess
import SerinController
import SerinLocks
import SerinModel
import SerinPorts
import SerinServer
import SerinTransport
import Testbed
import Testing

@testable import SerinCommandLine

/// A daemon that several people know, in this process, asked over its socket with their tokens.
@Suite(.timeLimit(.minutes(2))) struct ConfigurationApprovalTests {
    private static let hooks = """
        version: 1
        identities: FOLDER/identities.yaml
        hooks: {alerts: {kind: alertmanager, secret_env: TOKEN, services: [checkout]}}
        """
    private static let people = """
        version: 1
        people: {anna: {is: ["uid:4711"]}, ben: {is: ["uid:4712", "chat:ben"]}}
        """

    private struct Daemon {
        /// Whose state folder and files are used.
        var home: TestProgram
        /// What runs the daemon.
        var program: TestProgram
        var transport: Transport
        var tokens: [String: String]

        func ask(
            _ method: String, _ path: String, as person: String? = nil, _ body: String? = nil
        ) async throws -> (status: Int, document: JSONValue, text: String) {
            var headers = [HTTPHeader("Content-Type", "application/json")]
            if let token = person.flatMap({ tokens[$0] }) { headers.append(HTTPHeader("Authorization", "Bearer \(token)")) }
            var request = HTTPRequest(
                method: method, url: "http://serin" + path, headers: headers, body: body.map { Array($0.utf8) },
                timeout: .seconds(20))
            request.unixSocket = home.state.daemonSocket
            let answer = try await transport.send(request)
            let text = String(decoding: answer.body, as: UTF8.self)
            return (answer.status, (try? JSONValue(parsing: answer.body)) ?? .null, text)
        }

        /// Whether the hook of the first configuration is there.
        func hasHook() async throws -> Bool {
            var request = HTTPRequest(
                method: "POST", url: "http://serin/hooks/alertmanager/alerts",
                headers: [HTTPHeader("Authorization", "Bearer not-a-real-token")],
                body: Array(#"{"version":"4","status":"resolved","alerts":[]}"#.utf8), timeout: .seconds(20))
            request.unixSocket = home.state.daemonSocket
            return try await transport.send(request).status != 401
        }

        func write(_ text: String, to name: String = "serin.yaml") {
            ConfigurationApprovalTests.write(text, to: name, home)
        }

        func said(_ words: String) -> Bool { program.messages.withLock { $0 }.contains(words) }
    }

    private static func write(_ text: String, to name: String, _ program: TestProgram) {
        let descriptor = open(program.file(name), O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        let text = text.replacing("FOLDER", with: program.state.path)
        _ = Glibc.write(descriptor, text, text.utf8.count)
        close(descriptor)
    }

    private static func program(in home: TestProgram) throws -> TestProgram {
        try TestProgram(environment: ["TOKEN": "not-a-real-token", "SERIN_STATE": home.state.path])
    }

    private func serve(
        in home: TestProgram? = nil, tokens: [String: String]? = nil, _ body: (Daemon) async throws -> Void
    ) async throws -> (TestProgram, [String: String]) {
        let home = try home ?? TestProgram()
        // Programs of their own: the end of one ends what it listens to.
        let program = try Self.program(in: home)
        var made = tokens ?? [:]
        if tokens == nil {
            Self.write(Self.hooks, to: "serin.yaml", home)
            Self.write(Self.people, to: "identities.yaml", home)
            for (person, user, role) in [
                ("anna", "uid:4711", "admin"), ("ben", "uid:4712", "approver"), ("eve", "eve", "releaser"),
            ] {
                let client = try Self.program(in: home)
                #expect(await client.run("token", "create", person, "--owner", user, "--role", role) == .ok)
                made[person] = client.takeToken()
            }
        }
        let transport = try Transport()
        async let code = program.run("daemon", "--config", home.file("serin.yaml"))
        try await waitUntil("the daemon") { UnixSocket.answers(at: home.state.daemonSocket) }
        do { try await body(Daemon(home: home, program: program, transport: transport, tokens: made)) } catch {
            program.interrupt()
            _ = await code
            throw error
        }
        program.interrupt()
        let ended = await code
        #expect(ended == .ok, "\(program.messages.withLock { $0 })")
        return (home, made)
    }

    private static let changed = "version: 1\nidentities: FOLDER/identities.yaml\nlimits: {connections: 100}"

    /// One entry, and then nothing more can be read.
    private struct TornStore: AccessStore {
        func append(_ line: AccessLine) async throws(Failure) -> Int64 { throw torn }
        func state() async throws(Failure) -> AccessState { throw torn }
        func entries(after sequence: Int64, limit: Int) async throws(Failure) -> [AccessEntry] {
            guard sequence == 0 else { throw torn }
            let line = AccessLine(at: .init(millisecondsSince1970: 0), by: .uid(1), .tokenApproved(id: "t1"))
            return [AccessEntry(sequence: 1, line: line, hash: "")]
        }
        func noteUse(of token: String, at now: Instant) async throws(Failure) { throw torn }
        func uses() async throws(Failure) -> [String: Instant] { throw torn }
        func close() async {}
        private var torn: Failure { Failure(.transient, "disk I/O error") }
    }

    @Test func entriesThatCannotBeReadToTheirEndAreNotTakenForAllOfThem() async {
        await #expect(throws: Failure(.transient, "disk I/O error")) {
            _ = try await ConfigurationKeeper.entries(in: TornStore())
        }
    }

    @Test func aChangedFileChangesNothingCriticalBeforeASecondPersonAgrees() async throws {
        _ = try await serve { daemon in
            daemon.write(Self.changed)
            daemon.program.interrupt(SIGHUP)
            try await waitUntil("words about it") { daemon.said("no second person agreed") }
            #expect(try await daemon.hasHook())
            let ready = try await daemon.ask("GET", "/readyz")
            #expect(ready.status == 200 && ready.text.contains("no second person agreed"), "\(ready.text)")
            #expect(try await daemon.ask("GET", "/metrics").text.contains("serin_configuration_unapproved 1\n"))
            // Who may not, may not.
            for (person, word) in [("ben", "propose"), ("eve", "propose"), ("eve", "approve")] {
                let answer = try await daemon.ask("POST", "/v1/configuration:\(word)", as: person, "{}")
                #expect(answer.status == 403, "\(person) \(word): \(answer.text)")
            }
            #expect(try await daemon.ask("POST", "/v1/configuration:approve", as: "ben", "{}").status == 409)
            let proposed = try await daemon.ask("POST", "/v1/configuration:propose", as: "anna", #"{"reason":"fewer hooks"}"#)
            #expect(proposed.status == 202, "\(proposed.text)")
            let proposal = try #require(proposed.document["proposal"])
            let plan = try #require(proposal["plan"]?.text)
            #expect(proposal["by"]?.text == "person:anna")
            #expect(proposed.text.contains("configuration hooks.alerts.secret_env: TOKEN"))
            #expect(!proposed.text.contains("connections"), "nobody has to agree to that")
            for (person, body) in [
                ("anna", #"{"plan":"\#(plan)"}"#), ("ben", "{}"), ("ben", #"{"plan":"ffffffffffff"}"#),
                ("ben", #"{"plan":"\#(plan.prefix(11))"}"#),
            ] {
                let answer = try await daemon.ask("POST", "/v1/configuration:approve", as: person, body)
                #expect(answer.status == 409, "\(person) \(body): \(answer.text)")
            }
            #expect(try await daemon.hasHook())
            let approved = try await daemon.ask(
                "POST", "/v1/configuration:approve", as: "ben", #"{"plan":"\#(plan.prefix(12))"}"#)
            #expect(approved.status == 200, "\(approved.text)")
            #expect(try await !daemon.hasHook())
            let last = try #require(approved.document["changes"]?.items?.first)
            #expect(last["by"]?.text == "person:ben" && last["proposed_by"]?.text == "person:anna")
            #expect(last["signed"] == .bool(true) && last["removed"]?.items?.isEmpty == false)
            #expect(try await daemon.ask("GET", "/metrics").text.contains("serin_configuration_unapproved 0\n"))
            let audit = try await daemon.ask("GET", "/audit", as: "anna")
            #expect(audit.text.contains("agreed to by person:ben: before: configuration hooks.alerts"), "\(audit.text)")
            var status = stat()
            #expect(stat(daemon.home.file("signing.key"), &status) == 0 && status.st_mode & 0o777 == 0o600)
        }
    }

    @Test func whatWasChangedAfterItWasProposedIsProposedAgain() async throws {
        _ = try await serve { daemon in
            daemon.write(Self.changed)
            let proposed = try await daemon.ask("POST", "/v1/configuration:propose", as: "anna", "{}")
            let plan = try #require(proposed.document["proposal"]?["plan"]?.text)
            daemon.write(Self.changed + "\nbackups: [FOLDER/none.yaml]")
            let broken = try await daemon.ask("POST", "/v1/configuration:approve", as: "ben", #"{"plan":"\#(plan)"}"#)
            #expect(broken.status >= 400 && broken.status != 500, "\(broken.text)")
            daemon.write("version: 1\nidentities: FOLDER/identities.yaml\npage_hosts: [evil.example]")
            let other = try await daemon.ask("POST", "/v1/configuration:approve", as: "ben", #"{"plan":"\#(plan)"}"#)
            #expect(other.status == 409 && other.text.contains("were changed since person:anna"), "\(other.text)")
            #expect(try await daemon.hasHook())
        }
    }

    @Test func aStartWithChangedFilesRunsWhatWasAgreedTo() async throws {
        let (home, tokens) = try await serve { daemon in
            #expect(daemon.said("from now on a second person agrees"))
        }
        Self.write("version: 1", to: "serin.yaml", home)
        _ = try await serve(in: home, tokens: tokens) { daemon in
            #expect(daemon.said("no second person agreed"))
            let hasHook = try await daemon.hasHook()
            // The people are those of before as well.
            let standing = try await daemon.ask("GET", "/v1/configuration", as: "anna").document
            #expect(hasHook && standing["two_people"] == .bool(true))
        }
    }

    @Test func whatIsNotCriticalIsTakenOverAtOnce() async throws {
        _ = try await serve { daemon in
            daemon.write(Self.hooks + "\nlimits: {connections: 100}\nlog: text")
            daemon.program.interrupt(SIGHUP)
            try await waitUntil("the reload") { daemon.said("is in force") }
            #expect(try await daemon.ask("GET", "/metrics").text.contains("serin_configuration_unapproved 0\n"))
            let nothing = try await daemon.ask("POST", "/v1/configuration:propose", as: "anna", "{}")
            #expect(nothing.status == 409, "\(nothing.text)")
        }
    }

    @Test func aTokenThatGivesMuchWaitsForAnotherPerson() async throws {
        _ = try await serve { daemon in
            var daemon = daemon
            let client = try Self.program(in: daemon.home)
            #expect(await client.run("token", "create", "more", "--owner", "uid:4711", "--role", "admin") == .ok)
            let text = client.takeToken()
            daemon.tokens["more"] = text
            #expect(client.messages.withLock { $0 }.contains("before another person agrees"))
            let waiting = try await daemon.ask("GET", "/v1/rollouts", as: "more")
            #expect(waiting.status == 401 && waiting.text.contains("waits for a second person"), "\(waiting.text)")
            #expect(try await daemon.ask("POST", "/v1/tokens/more:approve", as: "eve", "{}").status == 403)
            let agreed = try await daemon.ask("POST", "/v1/tokens/more:approve", as: "ben", "{}")
            #expect(agreed.status == 200, "\(agreed.text)")
            #expect(try await daemon.ask("GET", "/v1/rollouts", as: "more").status == 200)
        }
    }

    @Test func oneLinesCredentialsAreNotShown() {
        #expect(
            ConfigurationLines.shown("hooks.a.api: https://user:pass@host/x?key=1")
                == "hooks.a.api: https://[redacted]@host/x?[redacted]")
        #expect(ConfigurationLines.shown("people.a.is[0]: uid:1") == "people.a.is[0]: uid:1")
        #expect(ConfigurationLines.shown("keys_url: https://host/@x") == "keys_url: https://host/@x")
    }
}

extension TestProgram {
    /// What was written since the last time, a token and the end of its line.
    fileprivate func takeToken() -> String { String(takeOutput().prefix { !$0.isNewline }) }
}
