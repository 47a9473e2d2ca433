import SerinAPI
import SerinModel
import Testing

@testable import SerinCommandLine

@Suite struct ParsingTests {
    private func mistake(_ arguments: [String]) -> String? {
        do throws(UsageError) {
            _ = try CommandLineProgram.table.resolve(arguments)
            return nil
        } catch {
            return error.description
        }
    }

    @Test(arguments: [
        (["halt"], "missing ROLLOUT\nhint: ROLLOUT: a rollout or a service"),
        (["hlat", "checkout"], "unknown command 'hlat'\nhint: did you mean serin halt?"),
        (["frobnicate"], "unknown command 'frobnicate'\nhint: serin --help lists the commands"),
        (["bakcup"], "unknown command 'bakcup'\nhint: did you mean serin backup?"),
        (["backup", "frob"], "unknown command 'backup frob'\nhint: serin backup --help lists the commands"),
        (["backup", "lst"], "unknown command 'backup lst'\nhint: did you mean serin backup list?"),
        (["halt", "--resaon", "x", "checkout"], "unknown option '--resaon'\nhint: did you mean --reason?"),
        (["run", "p.yaml", "--vesion", "1"], "unknown option '--vesion'\nhint: did you mean --version?"),
        (["run", "p.yaml"], "missing --version VERSION\nhint: the version to release"),
        (
            ["run", "p.yaml", "--version", "1", "--override", "bake=40s"],
            "missing --reason TEXT\nhint: an override is journaled with its reason"
        ),
        (
            ["run", "p.yaml", "--version", "1", "--override", "bake", "--reason", "x"],
            "--override does not accept 'bake'\nhint: --override KEY=VALUE: deviate from the policy, for the log, such as bake=40s; needs --reason"
        ),
        (
            ["run", "p.yaml", "--continue", "--version", "1"],
            "--continue takes up a rollout as it was started, without --version and --override"
        ),
        (["halt", "checkout", "other"], "unexpected argument 'other'"),
        (
            ["halt", "checkout", "--reason"],
            "--reason needs a value: --reason TEXT\nhint: a value that starts with '-' is written --reason=VALUE"
        ),
        (["halt", "checkout", "--security=yes"], "--security takes no value"),
        (["halt", "checkout", "--reason", "a", "-m", "b"], "--reason stands twice"),
        (
            ["wait", "checkout", "--timeout", "90"],
            "--timeout does not accept '90'\nhint: --timeout TIME: give up waiting after this long, such as 90m"
        ),
        (
            ["status", "-o", "xml"],
            "-o does not accept 'xml'\nhint: -o table|json|jsonl|yaml: the form of the data on standard output (default: table)"
        ),
        (
            ["wait", "checkout", "--for", "step=0"],
            "--for does not accept 'step=0'\nhint: --for final|step=N: what to wait for (default: final)"
        ),
        (["--state"], "missing a command\nhint: serin --help lists them"),
        (["--help=x"], "--help takes no value"), (["status", "--help=x"], "--help takes no value"),
        (["--version=2"], "--version takes no value"), (["--halp"], "unknown option '--halp'\nhint: did you mean --help?"),
        (
            ["verify", "--head", "9:" + String(repeating: "0", count: 64)], "--head and --checkpoint need a rollout or a service"
        ),
        (
            ["verify", "checkout", "--head", "9f"],
            "--head does not accept '9f'\nhint: --head SIZE:HASH: a head printed earlier, which the journal must contain"
        ),
        (["schema", "event"], "there is no schema of 'event'\nhint: serin schema policy, backup, config or openapi"),
    ])
    func mistakesSayWhatWasExpected(_ arguments: [String], message: String) {
        #expect(mistake(arguments) == message)
    }

    @Test func globalOptionsStandBeforeOrAfterTheVerb() throws {
        for arguments in [["-o", "json", "--state", "/x", "status"], ["status", "--output=json", "--state=/x"]] {
            guard case .run(let verb, let globals, _) = try CommandLineProgram.table.resolve(arguments) else {
                Issue.record("no verb")
                continue
            }
            #expect(verb.name == "status")
            #expect(globals.output == .json)
            #expect(globals.state == "/x")
        }
    }

    @Test func whatFollowsTwoDashesIsNoOption() throws {
        guard case .run(let verb, _, _) = try CommandLineProgram.table.resolve(["halt", "--", "--help"]) else {
            Issue.record("no verb")
            return
        }
        #expect(verb.name == "halt")
    }

    @Test func everyVerbDescribesItself() throws {
        for verb in CommandLineProgram.table.verbs {
            guard case .help(let page) = try CommandLineProgram.table.resolve([verb.name, "--help"]) else {
                Issue.record("\(verb.name) has no help")
                continue
            }
            #expect(page.hasPrefix(verb.summary))
            for parameter in verb.describe() { #expect(page.contains("  " + parameter.usage), "\(verb.name)") }
            for example in verb.examples { #expect(example.hasPrefix("serin \(verb.name)")) }
        }
    }

    @Test func noVerbTakesAnOptionForItselfThatEveryVerbHas() {
        let globals = Set(Globals.describe().flatMap(\.names))
        for verb in CommandLineProgram.table.verbs {
            #expect(globals.isDisjoint(with: verb.describe().flatMap(\.names)), "\(verb.name)")
        }
    }

    @Test func theHelpOfAVerbLeadsWithExamples() throws {
        guard case .help(let page) = try CommandLineProgram.table.resolve(["wait", "-h"]) else {
            Issue.record("no help")
            return
        }
        #expect(
            page == """
                wait for a rollout and end with its exit code

                Usage: serin wait ROLLOUT [options]

                Examples:
                  serin wait checkout --timeout 90m --away 5m
                  serin wait checkout --for step=2

                Parameters:
                  --for final|step=N  what to wait for (default: final)
                  --junit FILE        write a report in JUnit's XML
                  --away TIME         for how long nobody may answer, as while a daemon starts anew
                  ROLLOUT             a rollout or a service

                Exit 0 promoted or passed, 3 failed, 4 halted, 5 inconclusive, 6 rollback incomplete; 124 when --timeout is over
                first. With --for step=N it ends with 0 once step N is entered. Ctrl-C ends the waiting, never the rollout.
                A rollout that nobody controls ends the wait at once, with 75; with --away it is waited for until somebody does.

                Options of every command:
                  -o, --output table|json|jsonl|yaml
                                                  the form of the data on standard output (default: table)
                  -q, --quiet                     no progress, only data and errors
                  --no-color                      no colours (also NO_COLOR=1)
                  --timeout TIME                  give up waiting after this long, such as 90m
                  --state DIR                     the state folder (default: $SERIN_STATE, else /var/lib/serin for root and ~/.local/state/serin for others)
                """)
    }

    @Test func hiddenVerbsAreNotListed() throws {
        guard case .help(let page) = try CommandLineProgram.table.resolve([]) else {
            Issue.record("no help")
            return
        }
        #expect(page.contains("  halt "))
        #expect(!page.contains("watchdog"))
    }

    /// Whatever stands on a command line, it is understood or refused with a reason, and never half of each.
    @Test func anyCommandLineIsUnderstoodOrRefusedWithAReason() {
        var words = CommandLineProgram.table.verbs.flatMap { verb in
            [verb.name] + (verb.describe() + Globals.describe()).flatMap(\.names)
        }
        words += [
            "", "-", "--", "=", "--=", "-o=", "json", "5s", "-1", "999999999999999999999d", "checkout", "p.yaml", "a=b", "\u{0}",
            "é",
        ]
        var random = SplitMix(seed: 20_261_122)
        print("seed 20261122")
        var understood = 0
        for _ in 0..<20_000 {
            var line = (0..<Int.random(in: 0...7, using: &random)).map { _ in
                words[Int.random(in: 0..<words.count, using: &random)]
            }
            if !line.isEmpty, Bool.random(using: &random) {
                let at = Int.random(in: 0..<line.count, using: &random)
                line[at] += "=" + words[Int.random(in: 0..<words.count, using: &random)]
            }
            do throws(UsageError) {
                if case .help(let text) = try CommandLineProgram.table.resolve(line) {
                    #expect(text.contains("Usage: serin"), "\(line)")
                }
                understood += 1
            } catch {
                #expect(!error.message.isEmpty && error.hint != "", "\(line)")
            }
        }
        #expect(understood > 100, "the lines are too wild to test anything")
    }

    @Test func theStateRootComesFromOptionEnvironmentOrUser() {
        func path(_ option: String?, _ environment: [String: String], isRoot: Bool = false) -> String {
            StateRoot(option: option, environment: environment, isRoot: isRoot).path
        }
        #expect(path("/a", ["SERIN_STATE": "/b"]) == "/a")
        #expect(path(nil, ["SERIN_STATE": "/b"]) == "/b")
        #expect(path(nil, [:], isRoot: true) == "/var/lib/serin")
        #expect(path(nil, ["XDG_STATE_HOME": "/c", "HOME": "/h"]) == "/c/serin")
        #expect(path(nil, ["HOME": "/h"]) == "/h/.local/state/serin")
    }
}

/// A small generator with a seed (Steele, Lea and Flood's SplitMix64).
private struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
