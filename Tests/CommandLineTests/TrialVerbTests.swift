import FakeController
import SerinAPI
import SerinController
import SerinCrypto
import SerinLocks
import SerinModel
import SerinPolicies
import SerinRecords
import SerinRollouts
import SerinTrials
import Testing

@testable import SerinCommandLine

/// `serin simulate`, `serin backtest`, and the same over the API.
@Suite struct TrialVerbTests {
    /// One signal, one step, and a bake of five minutes.
    private func policy(tolerance: Double = 0.1) throws -> Policy {
        var policy = Policy.sample()
        policy.traffic.steps = [StepPolicy(weight: try #require(Weight(percent: 25)))]
        policy.prometheus.canary = [Label("version", "2")]
        policy.prometheus.control = [Label("version", "1")]
        policy.timing.bake = .minutes(5)
        policy.signals = [
            SignalPolicy(
                name: "errors", source: .ratio(counter: "http_requests_total", bad: [LabelMatcher("code", .matches, "5..")]),
                tolerance: tolerance, assureTolerance: max(1, tolerance), assureFloor: 0.005)
        ]
        return policy
    }

    /// The journal of a promoted rollout whose canary had twice the errors, which its policy tolerated.
    private func journal() throws -> (entries: [Entry], id: RolloutID) {
        let simulation = try Simulation(
            try policy(tolerance: 5), SimulatedLoad(requestsPerSecond: 1000, canary: 2), seed: 3)
        var drafts = [Draft(rollout: nil, at: .init(millisecondsSince1970: 0), record: .opened(epoch: 1, engine: engineVersion))]
        _ = simulation.run(0) { drafts.append($0) }
        return (
            try Chain(digest: SHA256.digestOrEmpty).link(drafts, after: nil, epoch: 1), try #require(drafts.last?.rollout)
        )
    }

    private func ask(_ path: String, _ body: String, of program: TestProgram) async throws -> (status: Int, JSONValue) {
        struct Viewer: Authenticator {
            func identify(_: Request) -> Identity? { Identity(.uid(7), roles: [.viewer], isPerson: true, how: .unix) }
        }
        let routes = PolicyAPI(program.operations, try program.session()).routes
        let response = await Router(routes, authenticator: Viewer()).respond(
            to: Request(method: "POST", path: path, body: Array(body.utf8)))
        return (response.status, try JSONValue(parsing: response.bytes ?? []))
    }

    @Test func simulateSaysHowOftenAndHowSoonAndNamesItsSeed() async throws {
        let program = try TestProgram()
        program.tried.withLock { $0 = try? policy() }
        let file = program.policy()
        let arguments = ["simulate", file, "--requests", "1000/s", "--errors", "1%", "--canary", "5x", "--runs", "3"]
        #expect(await program.run(arguments) == .ok, "\(program.messages.withLock { $0 })")
        let text = program.takeOutput()
        for words in ["rolled back  100.0%  (3)", "promoted     0.0%  (0)", "seed 1", "decided after", "met a fault"] {
            #expect(text.contains(words), "\(text)")
        }
        #expect(await program.run(arguments + ["-o", "json"]) == .ok)
        let first = program.takeOutput()
        let document = try JSONValue(parsing: Array(first.utf8))
        #expect(document["schema"]?.text == "serin.dev/simulation/v1" && document["rolled_back"]?.integer == 3)
        #expect(await program.run(arguments + ["-o", "json"]) == .ok)
        #expect(program.takeOutput() == first)
    }

    @Test func simulateRefusesWhatItCannotDraw() async throws {
        let program = try TestProgram()
        program.tried.withLock { $0 = try? policy() }
        let file = program.policy()
        let wrong: [(arguments: [String], words: String)] = [
            ([], "missing --requests N/s"), (["--requests", "0/s"], "--requests does not accept '0/s'"),
            (["--requests", "9", "--errors", "1"], "--errors does not accept '1'"),
            (["--requests", "9", "--errors", "60%"], "--errors does not accept '60%'"),
            (["--requests", "9", "--canary", "nanx"], "--canary does not accept 'nanx'"),
            (["--requests", "9", "--runs", "0"], "--runs does not accept '0'"),
            (["--requests", "9", "--scenario", "storm"], "--scenario does not accept 'storm'"),
            (["--requests", "9", "--signal", "latency"], "the policy has no signal 'latency'"),
        ]
        for (arguments, words) in wrong {
            #expect(await program.run(["simulate", file] + arguments) == .usage)
            #expect(program.messages.withLock { $0 }.contains(words), "\(program.messages.withLock { $0 })")
        }
        #expect(await program.run("simulate", program.policy("wrong"), "--requests", "9") == .usage)
        #expect(program.takeOutput().isEmpty)
    }

    @Test func backtestNamesTheFirstDecisionThatDiffers() async throws {
        let program = try TestProgram(hasJournal: true)
        let (entries, id) = try journal()
        program.tried.withLock { $0 = try? policy() }
        program.operations.state.withLock { $0.entries = entries }
        let file = program.policy()
        #expect(await program.run("backtest", file, id.description) == .ok, "\(program.messages.withLock { $0 })")
        let text = program.takeOutput()
        for words in ["now   another decision at", "now:  rolling back", "is not known", "pass", "fail"] {
            #expect(text.contains(words), "\(text)")
        }
        program.tried.withLock { $0 = try? policy(tolerance: 5) }
        #expect(await program.run("backtest", file, id.description) == .ok)
        #expect(program.takeOutput().contains("now   the same decisions, to the end"))
        #expect(await program.run("backtest", file, "checkout-nothing") == .usage)
    }

    @Test func backtestAsksForARolloutOrARangeAndNotForBoth() async throws {
        let program = try TestProgram()
        program.tried.withLock { $0 = try? policy() }
        let file = program.policy()
        let (from, to) = ("2026-03-01T00:00:00Z", "2026-03-01T01:00:00Z")
        let wrong: [(arguments: [String], words: String)] = [
            ([], "missing ROLLOUT"), (["checkout", "--from", from], "do not go together"),
            (["--from", from], "--from and --to go"),
            (["--from", to, "--to", from], "--from must lie before --to"),
            (["--from", "yesterday", "--to", to], "does not accept"),
        ]
        for (arguments, words) in wrong {
            #expect(await program.run(["backtest", file] + arguments) == .usage)
            #expect(program.messages.withLock { $0 }.contains(words), "\(program.messages.withLock { $0 })")
        }
        #expect(await program.run("backtest", file, "--from", from, "--to", to, "--version", "2", "--previous", "1") == .usage)
        #expect(program.messages.withLock { $0 }.contains("told nothing of the policy's cohorts from \(from) to \(to)"))
    }

    @Test func aViewerMayTryAPolicyOverTheAPI() async throws {
        let program = try TestProgram()
        let (entries, id) = try journal()
        program.tried.withLock { $0 = try? policy() }
        program.operations.state.withLock { $0.entries = entries }
        let simulated = try await ask(
            "/v1/policies:simulate",
            #"{"policy": {"text": "x"}, "requests_per_second": 1000, "errors": 0.01, "canary": 5, "runs": 2, "seed": 4}"#,
            of: program)
        #expect(simulated.status == 200 && simulated.1["rolled_back"]?.integer == 2, "\(simulated.1)")
        let tried = try await ask(
            "/v1/policies:backtest", #"{"policy": {"text": "x"}, "rollout": "\#(id)"}"#, of: program)
        #expect(tried.status == 200 && tried.1["difference"]?["now"]?["ending"]?.text == "failed", "\(tried.1)")
        #expect(tried.1["known_after"] == .bool(false))
    }

    @Test func whatIsAskedWronglyOverTheAPIIsNamed() async throws {
        let program = try TestProgram()
        program.tried.withLock { $0 = try? policy() }
        let wrong: [(path: String, members: String, status: Int, words: String)] = [
            ("simulate", "", 400, "requests_per_second"),
            ("simulate", #", "requests_per_second": -1"#, 400, "'requests_per_second' of request is not a number from 0.01"),
            ("simulate", #", "requests_per_second": 9, "errors": 0.6"#, 400, "'errors'"),
            ("simulate", #", "requests_per_second": 9, "runs": 1001"#, 400, "'runs'"),
            ("simulate", #", "requests_per_second": 9, "scenario": "storm""#, 400, "one of poisson, drift, bursty, lasting"),
            ("simulate", #", "requests_per_second": 9, "runns": 1"#, 400, "request has no 'runns'"),
            ("simulate", #", "requests_per_second": 9, "signal": "latency""#, 422, "the policy has no signal 'latency'"),
            ("simulate", #", "requests_per_second": 9, "runs": 1000"#, 422, "ask for at most"),
            ("backtest", "", 400, "'rollout'"), ("backtest", #", "rollout": "nothing-1""#, 404, "nothing-1"),
        ]
        for (path, members, status, words) in wrong {
            let answer = try await ask("/v1/policies:\(path)", #"{"policy": {"text": "x"}\#(members)}"#, of: program)
            #expect(answer.status == status, "\(path)\(members): \(answer.1)")
            let said = (answer.1["detail"]?.text ?? "") + (answer.1["hint"]?.text ?? "")
            #expect(said.contains(words), "\(path)\(members): \(said)")
        }
        let invalid = try await ask(
            "/v1/policies:simulate", #"{"policy": {"text": "wrong"}, "requests_per_second": 9}"#, of: program)
        #expect(invalid.status == 422 && invalid.1["diagnostics"]?.items?.count == 2)
    }

    @Test func onePolicyIsTriedAtATime() async throws {
        let trials = Trials()
        let answer = try await trials.alone { () async throws(OperationError) in
            do throws(OperationError) { return try await trials.alone { () throws(OperationError) in .bool(true) } } catch {
                guard case .unavailable = error else { throw error }
                return .bool(false)
            }
        }
        #expect(answer == .bool(false))
        #expect(try await trials.alone { () throws(OperationError) in .bool(true) } == .bool(true))
    }
}
