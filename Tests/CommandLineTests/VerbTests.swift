import FakeController
import Glibc
import SerinAPI
import SerinController
import SerinCrypto
import SerinLocks
import SerinModel
import SerinPolicies
import SerinRecords
import SerinRollouts
import SerinServer
import Testbed
import Testing

@testable import SerinCommandLine

/// Takes everyone for another user who may do everything.
private struct SecondPerson: Authenticator {
    func identify(_: Request) -> Identity? {
        Identity(.uid(4242), roles: Set(Role.allCases), isPerson: true, how: .unix)
    }
}

@Suite struct VerbTests {
    private func promote(_ program: TestProgram) {
        program.operations.state.withLock { $0.status = .sample(state: "promoted", isFinal: true, ending: .promoted) }
    }

    @Test(arguments: [
        ("halt", Command.Verb.halt), ("hold", .hold), ("resume", .resume), ("promote", .promote), ("rollback", .rollback),
        ("approve", .approve),
    ])
    func everyCommandReachesTheControllerOverItsSocket(_ word: String, verb: Command.Verb) async throws {
        let program = try TestProgram()
        try await program.serve {
            let code = await program.run(word, "checkout", "--reason", "because")
            #expect(code == .ok)
            #expect(program.operations.state.withLock { $0.commands } == [Command(verb, by: .uid(geteuid()), reason: "because")])
            #expect(program.output.withLock { $0 }.contains("checkout-01k5 baking"))
        }
    }

    @Test func aRolloutIsFoundByItsIdentifierToo() async throws {
        let program = try TestProgram()
        try await program.serve {
            #expect(await program.run("halt", "checkout-01k5", "--security") == .ok)
            #expect(program.operations.state.withLock { $0.commands.first?.verb } == .haltForSecurity)
        }
    }

    @Test func theDaemonIsAskedWhenTheServiceHasNoController() async throws {
        let program = try TestProgram()
        try await program.serve(at: program.state.daemonSocket) {
            #expect(await program.run("hold", "checkout") == .ok)
        }
    }

    @Test func aSecondPersonIsWhoeverTheBorderSays() async throws {
        let program = try TestProgram()
        try await program.serve(authenticator: SecondPerson()) {
            #expect(await program.run("approve", "checkout") == .ok)
            #expect(program.operations.state.withLock { $0.commands.first?.by } == .uid(4242))
        }
    }

    @Test func aLiveRolloutThatNobodyControlsIsNotCalledWatched() async throws {
        let program = try TestProgram(hasJournal: true)
        try program.state.create(for: program.service)
        #expect(await program.run("why", "checkout") == .ok)
        #expect(!program.output.withLock { $0 }.contains("is watched"))
        #expect(program.output.withLock { $0 }.contains("no controller is in charge"))
        for arguments in [["status", "checkout"], ["status"]] {
            program.messages.withLock { $0 = "" }
            #expect(await program.run(arguments[0], arguments.count > 1 ? arguments[1] : "-q") == .ok)
            #expect(program.messages.withLock { $0 }.contains("no controller is in charge of checkout-01k5"))
        }
    }

    @Test func whyReadsTheJournalWhereTheControllerStandsStill() async throws {
        let program = try TestProgram(hasJournal: true)
        try program.state.create(for: program.service)
        // It takes connections and answers none of them.
        let silent = try UnixSocket(listeningAt: program.state.socket(of: program.service))
        defer { _ = silent }
        let began = ContinuousClock().now
        #expect(await program.run("why", "checkout") == .ok)
        #expect(ContinuousClock().now - began < .seconds(15))
        #expect(program.output.withLock { $0 }.contains("no controller is in charge"))
        #expect(program.messages.withLock { $0 }.contains("the controller does not answer"))
    }

    @Test func aRolloutOfTheDaemonIsListedOnce() async throws {
        let program = try TestProgram()
        try await program.serve(at: program.state.daemonSocket) {
            try await program.serve { #expect(await program.run("status") == .ok) }
        }
        let lines = program.output.withLock { $0 }.split(separator: "\n")
        #expect(lines.count { $0.contains("checkout-01k5") } == 1)
    }

    @Test func aRefusalIsExit7WithItsHint() async throws {
        let program = try TestProgram()
        program.operations.state.withLock { $0.failure = .refused(Refusal("errors is inconclusive", hint: "wait for it")) }
        try await program.serve {
            #expect(await program.run("promote", "checkout") == .refused)
        }
        #expect(program.messages.withLock { $0 } == "serin: refused: errors is inconclusive\nhint: wait for it\n")
        #expect(program.output.withLock { $0 }.isEmpty)
    }

    @Test func s19AHaltWithoutAnAnswerInTimeIsLeftAsAFile() async throws {
        let program = try TestProgram()
        let file = HaltFile(path: program.state.haltFile(of: program.service))
        defer { file.remove() }
        try await program.serve {
            program.operations.state.withLock { $0.failure = .unavailable("it stands still") }
            #expect(await program.run("halt", "checkout-01k5", "--reason", "payments fail") == .unreachable)
        }
        #expect(file.command() == Command(.halt, by: .uid(getuid()), reason: "payments fail"))
        let message = program.messages.withLock { $0 }
        #expect(message.contains("it stands still\nthe halt may or may not have happened; left the halt file \(file.path)"))
        #expect(message.contains("set the canary's weight to 0 at the load balancer"))
    }

    @Test func s19AHaltOfAnUnfinishedRolloutWithoutAControllerWaitsForTheNextOne() async throws {
        let program = try TestProgram(hasJournal: true)
        try program.state.create(for: program.service)
        let file = HaltFile(path: program.state.haltFile(of: program.service))
        defer { file.remove() }
        #expect(await program.run("halt", "checkout") == .unreachable)
        #expect(file.exists)
    }

    @Test func whereNoHaltFileCanBeLeftTheBalancerIsNamed() async throws {
        let program = try TestProgram()
        try await program.serve(at: program.state.daemonSocket) {
            rmdir(program.state.folder(of: program.service))
            program.operations.state.withLock { $0.failure = .unavailable("it stands still") }
            #expect(await program.run("halt", "checkout") == .unreachable)
        }
        #expect(
            program.messages.withLock { $0 }.contains(
                "the halt may or may not have happened\nhint: set the canary's weight to 0 at the load balancer itself"))
    }

    @Test func whatIsOverCannotBeHaltedWithoutAController() async throws {
        let program = try TestProgram(hasJournal: true)
        try program.state.create(for: program.service)
        promote(program)
        #expect(await program.run("halt", "checkout") == .refused)
        #expect(program.messages.withLock { $0 }.contains("rollout checkout-01k5 is over (promoted"))
        #expect(!HaltFile(path: program.state.haltFile(of: program.service)).exists)
    }

    @Test(arguments: [true, false]) func aControllerThatStandsStillHidesNoOther(_ otherAnswers: Bool) async throws {
        let program = try TestProgram()
        let other = try #require(ServiceName("other"))
        try program.state.create(for: other)
        // It takes connections and never answers.
        let silent = try UnixSocket(listeningAt: program.state.socket(of: other))
        if otherAnswers {
            try await program.serve { #expect(await program.run("status") == .ok) }
            #expect(program.output.withLock { $0 }.contains("checkout-01k5"))
        } else {
            #expect(await program.run("status") == .unreachable)
        }
        #expect(program.messages.withLock { $0 }.contains("the controller of other does not answer: "))
        _ = silent
    }

    @Test func aHaltThatNobodyAnswersIsExit75WithWhatToDoByHand() async throws {
        let program = try TestProgram()
        try program.state.create(for: program.service)
        #expect(await program.run("halt", "checkout") == .unreachable)
        let message = program.messages.withLock { $0 }
        #expect(message.contains("no controller answers for 'checkout' (tried \(program.state.path)/checkout/serin.sock"))
        #expect(message.contains("touch \(program.state.path)/checkout/halt"))
        #expect(message.contains("set the canary's weight to 0 at the load balancer"))
    }

    @Test func anUnknownRolloutIsExit2() async throws {
        let program = try TestProgram()
        try await program.serve(at: program.state.daemonSocket) {
            #expect(await program.run("status", "nothing") == .usage)
            #expect(await program.run("status", "../../etc") == .usage)
        }
    }

    @Test func statusIsWrittenInEveryForm() async throws {
        let program = try TestProgram()
        try await program.serve {
            #expect(await program.run("status", "checkout", "-o", "json") == .ok)
            let document = try JSONValue(parsing: program.output.withLock { $0 }.utf8)
            #expect(try StatusDocument.decode(document) == .sample())
            program.output.withLock { $0 = "" }
            #expect(await program.run("status", "-o", "jsonl") == .ok)
            #expect(program.output.withLock { $0 } == StatusDocument.encode(.sample()).canonicalText + "\n")
            program.output.withLock { $0 = "" }
            #expect(await program.run("status", "checkout", "-o", "yaml") == .ok)
            #expect(program.output.withLock { $0 }.contains("\nstate: baking\n"))
            program.output.withLock { $0 = "" }
            #expect(await program.run("status") == .ok)
            #expect(program.output.withLock { $0 }.hasPrefix("ROLLOUT"))
        }
    }

    @Test func aFinishedRolloutIsReadFromItsJournal() async throws {
        let program = try TestProgram(hasJournal: true)
        promote(program)
        try program.state.create(for: program.service)
        for verb in ["status", "why", "log"] { #expect(await program.run(verb, "checkout") == .ok) }
        #expect(await program.run("wait", "checkout") == .ok)
        #expect(await program.run("status") == .ok)
    }

    @Test func withoutControllerAndJournalItIsExit75() async throws {
        let program = try TestProgram()
        for verb in ["status", "why", "log", "wait"] { #expect(await program.run(verb, "checkout") == .unreachable) }
        #expect(await program.run("status") == .ok)
        #expect(await program.run("start", program.policy(), "--version", "1") == .unreachable)
    }

    @Test func theLogIsWrittenInEveryForm() async throws {
        let program = try TestProgram()
        program.operations.state.withLock { $0.decisions = (1...3).map { LoggedDecision.sample($0, "one\u{1B}[1m\ntwo") } }
        try await program.serve {
            #expect(await program.run("log", "checkout", "--after", "1") == .ok)
            #expect(
                program.output.withLock { $0 } == """
                    2026-03-01T00:42:17Z one\\u{1b}[1m two
                    2026-03-01T00:42:18Z one\\u{1b}[1m two

                    """)
            program.output.withLock { $0 = "" }
            #expect(await program.run("log", "checkout", "-o", "jsonl") == .ok)
            #expect(program.output.withLock { $0 }.split(separator: "\n").count == 3)
            program.output.withLock { $0 = "" }
            #expect(await program.run("log", "checkout", "-o", "json") == .ok)
            let document = try JSONValue(parsing: program.output.withLock { $0 }.utf8)
            #expect(try DecisionDocument.decodeList(document).count == 3)
        }
    }

    @Test func aFollowedLogEndsWithTheRollout() async throws {
        let program = try TestProgram()
        program.operations.state.withLock { $0.decisions = [.sample(1)] }
        try await program.serve {
            async let code = program.run("log", "checkout", "-f")
            try await waitUntil("the first line is written") { program.output.withLock { $0 }.contains("00:42:16Z") }
            program.operations.state.withLock { $0.decisions.append(.sample(2)) }
            promote(program)
            #expect(await code == .ok)
            #expect(program.output.withLock { $0 }.contains("00:42:17Z"))
        }
    }

    @Test func whyPrintsThePage() async throws {
        let program = try TestProgram()
        program.operations.state.withLock { $0.decisions = (1...1500).map { LoggedDecision.sample($0) } }
        try await program.serve {
            #expect(await program.run("why", "checkout") == .ok)
            let page = program.output.withLock { $0 }
            #expect(page.contains("safe now  the canary receives 25% and is watched"))
            #expect(page.split(separator: "\n").count { $0.contains("FAIL errors") } == 10)
        }
    }

    @Test(arguments: [
        (Ending.promoted, ExitCode.ok), (.failed, .failed), (.halted, .halted), (.inconclusive, .inconclusive),
        (.refused, .refused),
    ])
    func waitEndsWithTheRolloutsExitCode(_ ending: Ending, code: ExitCode) async throws {
        let program = try TestProgram()
        program.operations.state.withLock { $0.status = .sample(state: "over", isFinal: true, ending: ending) }
        try await program.serve { #expect(await program.run("wait", "checkout") == code) }
    }

    @Test func waitEndsWith6WhenTheRollbackIsIncomplete() async throws {
        let program = try TestProgram()
        program.operations.state.withLock { $0.status.isRollbackIncomplete = true }
        try await program.serve { #expect(await program.run("wait", "checkout") == .rollbackIncomplete) }
        #expect(program.messages.withLock { $0 }.contains("ROLLBACK INCOMPLETE"))
    }

    @Test func anIncompleteRollbackAtWeightZeroAsksForThePreviousVersionAndNotForTheWeight() async throws {
        let program = try TestProgram()
        program.operations.state.withLock {
            $0.status.isRollbackIncomplete = true
            ($0.status.wantedWeight, $0.status.observedWeight) = (.zero, .zero)
        }
        try await program.serve { #expect(await program.run("wait", "checkout") == .rollbackIncomplete) }
        let messages = program.messages.withLock { $0 }
        #expect(messages.contains("the weight is 0, but 1.8.3 is not back: step 2 entered"), "\(messages)")
        #expect(messages.contains("serin rollback checkout-01k5 tries again; serin resume checkout-01k5"), "\(messages)")
        #expect(!messages.contains("not confirmed at 0"), "\(messages)")
    }

    @Test func waitEndsWith124AfterItsTimeout() async throws {
        let program = try TestProgram()
        try await program.serve { #expect(await program.run("wait", "checkout", "--timeout", "300ms") == .timedOut) }
        #expect(program.messages.withLock { $0 }.contains("stopped waiting; the rollout goes on"))
    }

    @Test func waitForAStepEndsWith0() async throws {
        let program = try TestProgram()
        try await program.serve { #expect(await program.run("wait", "checkout", "--for", "step=2") == .ok) }
    }

    @Test func anInterruptedClientSaysThatTheRolloutGoesOn() async throws {
        let program = try TestProgram()
        try await program.serve {
            async let code = program.run("wait", "checkout")
            try await waitUntil("it waits") { program.messages.withLock { $0 }.contains("baking") }
            program.interrupt()
            #expect(await code == .interrupted)
            #expect(program.operations.state.withLock { $0.commands.isEmpty })
        }
        #expect(program.messages.withLock { $0 }.contains("interrupted by SIGINT; the rollout goes on"))
    }

    @Test func startIsCarriedOutByTheDaemon() async throws {
        let program = try TestProgram()
        try await program.serve(at: program.state.daemonSocket) {
            let code = await program.run(
                "start", program.policy("text"), "--version", "1.9.0", "--override", "bake=40s", "--reason", "a demo")
            #expect(code == .ok)
            #expect(program.output.withLock { $0 } == "checkout-01k5\n")
            let request = program.operations.state.withLock { $0.started.first }
            #expect(request?.policyText == "text")
            #expect(request?.version == "1.9.0")
            #expect(request?.overrides == [Override(key: "bake", value: "40s", reason: "a demo")])
        }
    }

    @Test func aWrongPolicyIsExit2WithEveryComplaint() async throws {
        let program = try TestProgram()
        let path = program.policy("wrong: 1")
        for verb in ["check", "plan"] {
            program.messages.withLock { $0 = "" }
            #expect(await program.run(verb, path) == .usage)
            #expect(
                program.messages.withLock { $0 } == """
                    serin: \(path):1:1: unknown key 'wrong'
                      hint: did you mean bake?
                    serin: \(path):2:3: missing unit

                    """)
        }
    }

    @Test func aPolicyThatIsTooLongOrNoTextIsRefused() async throws {
        let program = try TestProgram()
        #expect(await program.run("check", program.policy(String(repeating: "x", count: (1 << 20) + 1))) == .usage)
        #expect(program.messages.withLock { $0 }.contains("is longer than 1048576 bytes"))
        #expect(program.messages.withLock { $0 }.contains("hint: "))
        for (bytes, hint) in [([0xFF, 0xFE, 0x76, 0x00], "iconv -f UTF-16"), ([0x76, 0xE9, 0x0A], "save the file as UTF-8")]
            as [([UInt8], String)]
        {
            let path = program.policy("")
            let descriptor = open(path, O_WRONLY)
            write(descriptor, bytes, bytes.count)
            close(descriptor)
            #expect(await program.run("check", path) == .usage)
            #expect(program.messages.withLock { $0 }.contains(hint))
        }
        #expect(await program.run("check", "/dev/null/none") == .usage)
    }

    @Test func checkSaysWhatWasTried() async throws {
        let program = try TestProgram()
        program.probes.withLock { $0 = [Probe("traffic", .ok, "weight 0%"), Probe("postgres", .warning, "no replica")] }
        #expect(await program.run("check", program.policy()) == .ok)
        #expect(program.messages.withLock { $0 }.hasSuffix("and what it names answers, with 1 warning\n"))
        program.probes.withLock { $0.append(Probe("prometheus", .failed, "connection refused\u{1B}[2J")) }
        program.output.withLock { $0 = "" }
        #expect(await program.run("check", program.policy()) == .refused)
        #expect(
            program.output.withLock { $0 } == """
                PROBE       RESULT   DETAIL
                traffic     ok       weight 0%
                postgres    warning  no replica
                prometheus  FAILED   connection refused\\u{1b}[2J

                """)
    }

    @Test func planTellsTheWayForwardAndBack() async throws {
        let program = try TestProgram()
        #expect(await program.run("plan", program.policy(), "--version", "1.9.0", "--previous", "1.8.3") == .ok)
        #expect(
            program.output.withLock { $0 } == """
                checkout: 1.8.3 → 1.9.0

                  preflight: try everything needed, weight 0 read, written and read back
                  deploy: deploy.sh 'the canary'
                  step 1: 5%; warm-up 2m, then 15m of healthy time
                  step 2: 25%, after an approval; warm-up 2m, then 15m of healthy time
                  step 3: 100%, entered only when every signal passes; watched for 5m
                  promote: left to the pipeline, then weight 0

                earliest promotion  39m after the first raise

                Way back
                  traffic: weight 0, read back; tried until it holds, a person is called after 10m
                  code: nothing to do, control still runs 1.8.3

                Forecast
                  errors: at the present 50 req/s and 5% this takes 4.0 h

                policy hash  ab12

                """)
        #expect(program.messages.withLock { $0 } == "warning: thin traffic\n")
    }

    @Test func planPutsKnownVersionsIntoActionsAndLeavesOthersAsTheyStand() {
        var policy = Policy.sample()
        policy.deploy = ActionPolicy(
            call: .run(["deploy.sh", "--to={{version}}", "{{previous}}"]), check: nil, deadline: .minutes(5))
        let known = Plan(policy, version: "1.9.0", previous: "1.8.3")
        #expect(known.stages[1] == "deploy: deploy.sh '--to=1.9.0' 1.8.3")
        #expect(Plan.openPlaceholders(in: known.document(hash: "ab12")) == [])
        let open = Plan(policy, version: nil, previous: "1.8.3")
        #expect(open.stages[1] == "deploy: deploy.sh '--to={{version}}' 1.8.3")
        #expect(Plan.openPlaceholders(in: open.document(hash: "ab12")) == ["version"])
    }

    @Test func planSaysWhatBackupStandsBeforeTheRelease() {
        var policy = Policy.sample()
        func plan() -> Plan { Plan(policy, version: "1.9.0", previous: "1.8.3") }
        policy.backup = RolloutBackupPolicy(before: .always, plan: .file("/etc/serin/checkout.yaml"))
        #expect(
            plan().stages[1] == "backup: by the plan /etc/serin/checkout.yaml, verified within 1h, else the rollout is refused")
        #expect(plan().wayBack.last?.contains("restore point") == true)
        policy.backup?.plan = .short(destinations: ["file:///b"], key: .file("/k"))
        #expect(plan().stages[1].hasPrefix("backup: a dump of postgres to file:///b, kept until somebody deletes it, verified"))
        policy.backup?.before = .migrations
        #expect(plan().stages[1] == "backup: none is taken: it is asked for before migrations, and the policy migrates nothing")
        #expect(plan().wayBack.last?.contains("restore point") == false)
    }

    @Test func aStateFolderThatCannotBeReadIsAnErrorNotAnAbsenceOfRollouts() async throws {
        let program = try TestProgram()
        let file = program.policy()
        #expect(await program.run("status", "--state", file) == .refused)
        #expect(
            program.messages.withLock { $0 }
                == "serin: cannot read the state folder \(file): Not a directory\nhint: run as its owner, name one service, or name "
                + "another folder with --state or SERIN_STATE\n")
        #expect(await program.run("verify", "--state", file) == .refused)
        #expect(await program.run("status", "--state", program.file("nothing/here")) == .ok)
    }

    @Test func theSmallVerbsAnswer() async throws {
        let program = try TestProgram()
        #expect(await program.run("schema", "policy") == .ok)
        #expect(await program.run("version") == .ok)
        #expect(await program.run("--version") == .ok)
        #expect(await program.run("watchdog", "checkout", "--after", "5s") == .ok)
        #expect(program.output.withLock { $0 } == "{\"title\":\"policy\"}\nserin \(Release.version)\nserin \(Release.version)\n")
    }

    @Test func reportsAreWrittenWhereTheyAreAskedFor() async throws {
        let folder = try TestProgram()
        let program = try TestProgram(environment: [
            "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": folder.file("summary.md"), "GITHUB_OUTPUT": folder.file("outputs"),
        ])
        program.operations.state.withLock { $0.status = .sample(state: "rolled back", isFinal: true, ending: .failed) }
        try await program.serve {
            #expect(await program.run("wait", "checkout", "--junit", folder.file("junit.xml")) == .failed)
        }
        #expect(folder.contents("junit.xml").contains("<failure message=\"rolled back, exit 3\">"))
        #expect(folder.contents("summary.md").hasPrefix("## Serin: checkout 1.9.0 rolled back\n"))
        #expect(folder.contents("outputs").contains("rollout=checkout-01k5\n"))
        #expect(program.messages.withLock { $0 }.contains("::error title=serin checkout 1.9.0::rolled back: step 2 entered"))
    }

    @Test(arguments: ["/no/such/folder/junit.xml", "/"]) func aReportThatCannotBeWrittenIsRefusedBeforeTheWait(file: String)
        async throws
    {
        let program = try TestProgram()
        #expect(await program.run("wait", "checkout", "--junit", file) == .usage)
        #expect(program.messages.withLock { $0 }.contains("a report cannot be written to \(file): "))
    }
}
