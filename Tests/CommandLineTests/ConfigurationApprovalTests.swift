import FakeController
import Glibc
import SerinAPI
import SerinAccess
import SerinController
import SerinIdentity
import SerinLocks
import SerinModel
import SerinPorts
import SerinRollouts
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
        let running: RunningDaemon
        var tokens: [String: String]

        var home: TestProgram { running.home }
        var program: TestProgram { running.program }

        func ask(
            _ method: String, _ path: String, as person: String? = nil, _ body: String? = nil
        ) async throws -> (status: Int, document: JSONValue, text: String) {
            let token = person.flatMap { tokens[$0] }.map { [HTTPHeader("Authorization", "Bearer \($0)")] }
            let answer = try await running.send(method, path, token ?? [], body)
            let text = String(decoding: answer.body, as: UTF8.self)
            return (answer.status, (try? JSONValue(parsing: answer.body)) ?? .null, text)
        }

        /// Sends a form, and returns the status.
        func send(_ path: String, as person: String, _ form: String) async throws -> Int {
            try await running.send(
                "POST", path, [HTTPHeader("Authorization", "Bearer \(tokens[person] ?? "")")], form,
                type: "application/x-www-form-urlencoded"
            ).status
        }

        /// Whether the hook of the first configuration is there.
        func hasHook() async throws -> Bool {
            try await running.send(
                "POST", "/hooks/alertmanager/alerts", [HTTPHeader("Authorization", "Bearer not-a-real-token")],
                #"{"version":"4","status":"resolved","alerts":[]}"#
            ).status != 401
        }

        func write(_ text: String, to name: String = "serin.yaml") { home.write(text, to: name) }

        func said(_ words: String) -> Bool { running.said(words) }
    }

    private static func program(in home: TestProgram) throws -> TestProgram {
        try TestProgram(environment: ["TOKEN": "not-a-real-token", "SERIN_STATE": home.state.path])
    }

    private func serve(
        in home: TestProgram? = nil, tokens: [String: String]? = nil, _ body: (Daemon) async throws -> Void
    ) async throws -> (TestProgram, [String: String]) {
        let home = try home ?? TestProgram()
        var made = tokens ?? [:]
        if tokens == nil {
            home.write(Self.hooks, to: "serin.yaml")
            home.write(Self.people, to: "identities.yaml")
            for (person, user, role) in [
                ("anna", "uid:4711", "admin"), ("ben", "uid:4712", "approver"), ("eve", "eve", "releaser"),
            ] {
                let client = try Self.program(in: home)
                #expect(await client.run("token", "create", person, "--owner", user, "--role", role) == .ok)
                made[person] = client.takeToken()
            }
        }
        // A program of its own: the end of one ends what it listens to.
        try await RunningDaemon.run(try Self.program(in: home), in: home) {
            try await body(Daemon(running: $0, tokens: made))
        }
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
        func noteUse(of token: String, at now: Instant) {}
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
            #expect(
                other.status == 409 && other.text.contains("were changed") && other.text.contains("since person:anna"),
                "\(other.text)")
            #expect(try await daemon.hasHook())
        }
    }

    @Test(arguments: ["uid:4713", "chat:ben"])
    func nobodyAgreesToAChangeThatMakesThemItsProposer(_ identity: String) async throws {
        _ = try await serve { daemon in
            var daemon = daemon
            let client = try Self.program(in: daemon.home)
            #expect(await client.run("token", "create", "fay", "--owner", "uid:4713", "--role", "approver") == .ok)
            let text = client.takeToken()
            daemon.tokens["fay"] = text
            let agreed = try await daemon.ask("POST", "/v1/tokens/fay:approve", as: "ben", "{}")
            #expect(agreed.status == 200, "\(agreed.text)")
            let others = identity == "chat:ben" ? "" : ", \"chat:ben\""
            daemon.write(
                "version: 1\npeople: {anna: {is: [\"uid:4711\", \"\(identity)\"]}, ben: {is: [\"uid:4712\"\(others)]}}",
                to: "identities.yaml")
            let proposed = try await daemon.ask("POST", "/v1/configuration:propose", as: "anna", "{}")
            let body = #"{"plan":"\#(try #require(proposed.document["proposal"]?["plan"]?.text))"}"#
            // Whoever becomes anna by it is anna, and whoever does not is another.
            let (own, other) = identity == "chat:ben" ? ("ben", "fay") : ("fay", "ben")
            let refused = try await daemon.ask("POST", "/v1/configuration:approve", as: own, body)
            #expect(refused.status == 409 && refused.text.contains("may be person:anna"), "\(refused.text)")
            let approved = try await daemon.ask("POST", "/v1/configuration:approve", as: other, body)
            #expect(approved.status == 200, "\(approved.text)")
        }
    }

    /// What a token says of the person may be another claim than its subject.
    @Test func anUnknownBearerMayBeWhoeverIsNewlyNamedAtAnIssuer() throws {
        let (anna, ben) = (Person("anna", identities: [.uid(1)]), Person("ben", identities: [.uid(2)]))
        let corp = Principal(channel: "corp", identity: "u-9")
        let next = try People([Person("anna", identities: [.uid(1), corp]), ben])
        func selves(_ principal: Principal) throws -> Set<Principal> {
            try People([anna, ben]).selves(of: principal, by: next, issuers: ["corp"])
        }
        let bearer = Principal.oidc(issuer: "corp", subject: "17")
        #expect(try selves(bearer) == [bearer, .person("anna")])
        #expect(try selves(.person("ben")) == [.person("ben")])
        #expect(try People([anna, ben]).selves(of: bearer, by: next, issuers: []) == [bearer])
    }

    @Test func aStartWithChangedFilesRunsWhatWasAgreedTo() async throws {
        let (home, tokens) = try await serve { daemon in
            #expect(daemon.said("from now on a second person agrees"))
        }
        home.write("version: 1", to: "serin.yaml")
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

    @Test func anAdminSeesEveryTokenAndNoSecret() async throws {
        _ = try await serve { daemon in
            let client = try Self.program(in: daemon.home)
            #expect(await client.run("token", "create", "ci", "--pipeline", "--scope", "backup:read", "--project", "shop") == .ok)
            let secret = client.takeToken()
            #expect(await client.run("token", "revoke", "ci", "--reason", "leaked") == .ok)
            _ = client.takeOutput()
            for person in ["ben", "eve"] { #expect(try await daemon.ask("GET", "/v1/tokens", as: person).status == 403) }
            // A use is written a moment later.
            try await waitUntil("anna's use") {
                try await daemon.ask("GET", "/v1/tokens", as: "anna").document["tokens"]?.items?.first?["last_used"] != .null
            }
            let all = try await daemon.ask("GET", "/v1/tokens", as: "anna")
            #expect(all.status == 200, "\(all.text)")
            let tokens = try #require(all.document["tokens"]?.items)
            #expect(tokens.map { $0["name"]?.text } == ["anna", "ben", "eve", "ci"] && all.document["next"] == .null)
            #expect(tokens[0]["last_used"] != .null && tokens[1]["created_by"]?.text?.hasPrefix("uid:") == true, "\(all.text)")
            let revoked = try #require(tokens.last)
            #expect(revoked["state"]?.text == "revoked" && revoked["revoked"]?["reason"]?.text == "leaked", "\(all.text)")
            #expect(revoked["prefix"]?.text.map { secret.hasPrefix($0) && $0.utf8.count == 15 } == true)
            for text in [secret] + daemon.tokens.values { #expect(!all.text.contains(text.suffix(72))) }
            #expect(!all.text.contains("hash"))
            // The command line shows the same.
            #expect(await client.run("token", "list", "--all", "-o", "json") == .ok)
            let listed = try JSONValue(parsing: Array(client.takeOutput().utf8))
            #expect(listed["tokens"]?.items?.last == revoked)
            // Page by page.
            var (names, cursor) = ([String](), "")
            repeat {
                let page = try await daemon.ask("GET", "/v1/tokens?limit=3\(cursor)", as: "anna").document
                names += page["tokens"]?.items?.compactMap { $0["name"]?.text } ?? []
                cursor = page["next"]?.text.map { "&cursor=\($0)" } ?? ""
            } while !cursor.isEmpty && names.count < 10
            #expect(names == ["anna", "ben", "eve", "ci"])
            let valid = try await daemon.ask("GET", "/v1/tokens?state=valid&limit=3", as: "anna").document
            #expect(valid["tokens"]?.items?.count == 3 && valid["next"] == .null)
            for wrong in ["state=good", "cursor=00000000", "limit=0"] {
                #expect(try await daemon.ask("GET", "/v1/tokens?\(wrong)", as: "anna").status == 400, "\(wrong)")
            }
        }
    }

    @Test func aHaltByTokenWaitsForNobodyWhoWritesToTheTokens() async throws {
        _ = try await serve { daemon in
            let (file, marker) = (daemon.home.file("access.db"), daemon.home.file("locked"))
            defer { unlink(marker) }
            let blocker = try ServerProcess(
                "/usr/bin/sqlite3", [file, "BEGIN EXCLUSIVE;", ".shell touch \(marker); exec sleep 300"],
                log: daemon.home.file("sqlite.log"))
            defer {
                blocker.stop()
                unlink(blocker.log)
            }
            try await waitUntil("the lock", within: .seconds(20)) { access(marker, F_OK) == 0 }
            let clock = ContinuousClock()
            let began = clock.now
            // The first is the one whose use cannot be written.
            #expect(try await daemon.ask("GET", "/v1/rollouts", as: "ben").status == 200)
            let halted = try await daemon.ask("POST", "/v1/rollouts/checkout:halt", as: "anna", #"{"reason":"payments fail"}"#)
            #expect(halted.status == 202, "\(halted.text)")
            // The store waits 10 seconds for whoever writes.
            #expect(clock.now - began < .seconds(8))
            let command = daemon.program.operations.state.withLock { $0.commands.first }
            #expect(command?.verb == .halt && command?.reason == "payments fail")
            blocker.stop()
            try await waitUntil("both uses in the file", within: .seconds(30)) {
                let client = try Self.program(in: daemon.home)
                #expect(await client.run("token", "list", "-o", "json") == .ok)
                let tokens = try JSONValue(parsing: Array(client.takeOutput().utf8))["tokens"]?.items ?? []
                // Anna's is written with the next use, or when the daemon ends.
                _ = try await daemon.ask("GET", "/v1/rollouts", as: "eve")
                return tokens.prefix(2).allSatisfy { $0["last_used"] != .null }
            }
        }
    }

    @Test func aRolloutStartsOnlyByAPolicyThatTwoPeopleAgreedTo() async throws {
        let service = RolloutStatus.sample().service
        func permits(_ daemon: Daemon, _ text: String) throws -> Bool {
            let rule = try #require(daemon.program.startRule.withLock { $0 })
            do throws(OperationError) { try rule(service, text) } catch {
                guard case .refused(let refusal) = error else { throw error }
                #expect(refusal.hint?.contains("serin config propose --policy") == true)
                return false
            }
            return true
        }
        let policy = "version: 1\nservice: checkout\nbake: 30m\n"
        let (home, tokens) = try await serve { daemon in
            #expect(try !permits(daemon, policy), "a name that nothing has is no way around")
            let body = #"{"policy":{"file":"p.yaml","text":"version: 1\nservice: checkout\nbake: 30m\n"},"reason":"first"}"#
            for person in ["ben", "eve"] {
                #expect(try await daemon.ask("POST", "/v1/policies:propose", as: person, body).status == 403)
            }
            let proposed = try await daemon.ask("POST", "/v1/policies:propose", as: "anna", body)
            #expect(proposed.status == 202 && proposed.text.contains("policy checkout bake: 30m"), "\(proposed.text)")
            let plan = try #require(proposed.document["proposal"]?["plan"]?.text)
            #expect(try !permits(daemon, policy), "it was proposed alone")
            #expect(try await daemon.ask("POST", "/v1/configuration:approve", as: "anna", #"{"plan":"\#(plan)"}"#).status == 409)
            let agreed = try await daemon.ask("POST", "/v1/configuration:approve", as: "ben", #"{"plan":"\#(plan)"}"#)
            #expect(agreed.status == 200, "\(agreed.text)")
            #expect(agreed.document["changes"]?.items?.first?["signed"] == .bool(true))
            #expect(try permits(daemon, policy))
            #expect(try permits(daemon, "# other words\nservice: checkout\nversion: 1\nbake:   30m"))
            #expect(try !permits(daemon, policy.replacing("30m", with: "31m")))
            let again = try await daemon.ask("POST", "/v1/policies:propose", as: "anna", body)
            #expect(again.status == 409 && again.text.contains("says what was agreed to"), "\(again.text)")
            // The files of the daemon are another matter, and keep being one.
            #expect(try await daemon.hasHook())
            #expect(try await daemon.ask("GET", "/metrics").text.contains("serin_configuration_unapproved 0\n"))
            let audit = try await daemon.ask("GET", "/audit", as: "anna")
            #expect(audit.text.contains("after: policy checkout bake: 30m"), "\(audit.text)")
        }
        _ = try await serve(in: home, tokens: tokens) { daemon in
            #expect(try permits(daemon, policy))
            #expect(try !permits(daemon, policy + "on_failure: hold"))
            // What changes is shown with before and after.
            let body = #"{"policy":{"text":"version: 1\nservice: checkout\nbake: 5m\n"}}"#
            let proposed = try await daemon.ask("POST", "/v1/policies:propose", as: "anna", body).document["proposal"]
            #expect(proposed?["removed"]?.items == [.string("policy checkout bake: 30m")])
            #expect(proposed?["added"]?.items == [.string("policy checkout bake: 5m")])
            // A change of the files beside it keeps the policies.
            daemon.write(Self.changed)
            let files = try await daemon.ask("POST", "/v1/configuration:propose", as: "anna", "{}")
            let plan = try #require(files.document["proposal"]?["plan"]?.text)
            #expect(!files.text.contains("- policy"))
            #expect(try await daemon.ask("POST", "/v1/configuration:approve", as: "ben", #"{"plan":"\#(plan)"}"#).status == 200)
            let hasHook = try await daemon.hasHook()
            #expect(try !hasHook && permits(daemon, policy))
            // By the command line too; the fake parts read any text as a policy of this service.
            let client = try Self.program(in: daemon.home)
            #expect(await client.run("config", "propose", "--policy", daemon.home.policy("version: 1\nbake: 40m")) == .ok)
            #expect(client.output.withLock { $0 }.contains("+ policy checkout bake: 40m"))
        }
    }

    /// A start can wait until somebody has looked; a halt asks nobody.
    @Test func nothingStartsWhileWhatWasAgreedToCannotBeRead() async throws {
        let service = RolloutStatus.sample().service
        for isTorn in [true, false] {
            let program = try TestProgram()
            program.access.withLock { $0 = isTorn ? .success(TornStore()) : .failure(.unavailable("access.db is no database")) }
            let keeper = await ConfigurationKeeper.opened(try program.session())
            _ = await keeper.choose(ConfigurationSet(files: [], flags: [], asksTwo: true))
            let error = #expect(throws: OperationError.self) { try keeper.permit(service, "version: 1") }
            guard case .unavailable(let text) = error else { throw Failure(.unknown, "\(error.map { "\($0)" } ?? "nothing")") }
            #expect(text.contains("cannot be read"))
            // With one person nobody has to agree.
            let own = await ConfigurationKeeper.opened(try program.session())
            _ = await own.choose(ConfigurationSet(files: [], flags: [], asksTwo: false))
            try own.permit(service, "version: 1")
        }
    }

    /// The page with its button, as another person's browser sends it.
    @Test func whatWaitsIsAgreedToOnThePage() async throws {
        _ = try await serve { daemon in
            daemon.write(Self.changed)
            let proposed = try await daemon.ask("POST", "/v1/configuration:propose", as: "anna", "{}")
            let plan = try #require(proposed.document["proposal"]?["plan"]?.text)
            let client = try Self.program(in: daemon.home)
            #expect(await client.run("token", "create", "more", "--owner", "uid:4711", "--role", "admin") == .ok)
            let looking = try await daemon.ask("GET", "/changes", as: "eve")
            #expect(looking.status == 200 && looking.text.contains("configuration hooks.alerts.kind"), "\(looking.text)")
            #expect(!looking.text.contains("Agree to"), "a releaser agrees to nothing")
            let page = try await daemon.ask("GET", "/changes", as: "ben")
            #expect(page.text.contains("Agree to this change") && page.text.contains("Agree to more"), "\(page.text)")
            let start = try #require(page.text.firstRange(of: "action=\"/changes/agree\"")).upperBound
            let field = try #require(page.text[start...].firstRange(of: "name=\"form_token\" value=\"")).upperBound
            let form = String(page.text[field...].prefix(64))
            #expect(try await daemon.send("/changes/agree", as: "ben", "plan=\(plan)") == 403)
            #expect(try await daemon.send("/changes/agree", as: "ben", "form_token=\(form)") == 409, "to no plan")
            #expect(try await daemon.hasHook())
            #expect(try await daemon.send("/changes/agree", as: "ben", "form_token=\(form)&plan=\(plan)") == 303)
            #expect(try await !daemon.hasHook())
            let place = try #require(page.text.firstRange(of: "action=\"/changes/tokens/")).upperBound
            let token = String(page.text[place...].prefix { $0 != "\"" })
            #expect(try await daemon.send("/changes/tokens/\(token)", as: "ben", "form_token=\(form)") == 303)
            let after = try await daemon.ask("GET", "/changes", as: "ben")
            #expect(after.text.contains("No change waits") && after.text.contains("agreed to by person:ben"), "\(after.text)")
        }
    }

    /// Else what was taken out of a policy could hide in a neighbour's value.
    @Test func aValueOfSeveralLinesIsNotTakenForSeveralValues() {
        func hash(_ text: String) -> String {
            let file = ConfigurationSet.File(.policy, path: "checkout", text: text)
            return ConfigurationLines(ConfigurationSet(files: [file], flags: [], asksTwo: true)).hash
        }
        #expect(hash("a: x\nb: y") == hash("b: 'y'\na: x # why"))
        #expect(hash("a: x\nb: y") != hash("a: \"x\\npolicy checkout b: y\""))
        #expect(hash("a: \"x\\r\\n\"") != hash("a: x"))
        #expect(hash("a: {b: c}") != hash("a.b: c"))
        #expect(hash("a: [c]") != hash("'a[0]': c"))
        // One letter written in two ways can be two files.
        func lines(_ text: String) -> ConfigurationLines {
            ConfigurationLines(
                ConfigurationSet(files: [.init(.plan, path: "p", text: text)], flags: [], asksTwo: true))
        }
        let change = lines("key: /etc/caf\u{E9}").change(to: lines("key: /etc/cafe\u{301}"), before: "")
        #expect(change.removed.count == 1 && change.added.count == 1)
    }

    @Test func oneLinesCredentialsAreNotShown() {
        #expect(
            ConfigurationLines.shown("hooks.a.api: https://user:pass@host/x?key=1")
                == "hooks.a.api: https://[redacted]@host/x?[redacted]")
        // A sign and its accent are one character to readers, and two to whoever uses the address.
        #expect(
            ConfigurationLines.shown("a: https:/\u{2F}\u{301}u:p@\u{301}host http://c:d@e/f")
                .utf8.elementsEqual("a: https:/\u{2F}[redacted]@\u{301}host http://[redacted]@e/f".utf8))
        #expect(ConfigurationLines.shown("people.a.is[0]: uid:1") == "people.a.is[0]: uid:1")
        #expect(ConfigurationLines.shown("keys_url: https://host/@x") == "keys_url: https://host/@x")
    }
}

extension TestProgram {
    /// What was written since the last time, a token and the end of its line.
    fileprivate func takeToken() -> String { String(takeOutput().prefix { !$0.isNewline }) }
}
