import SerinModel
import SerinPolicies
import SerinYAML
import Testing

@Suite struct PolicyDiagnosticsTests {
    @Test(arguments: [("poll: 1", "without a unit"), ("service: *other", "aliases")])
    func whatCouldNotBeReadIsComplainedAboutOnce(_ line: String, words: String) throws {
        let text = changed("service: checkout", line.hasPrefix("service") ? line : "service: checkout\n" + line)
        let complaints = read(text).diagnostics
        #expect(complaints.count == 1 && complaints.first?.message.contains(words) == true, "\(complaints)")
    }

    private func complaints(_ text: String) -> [String] { read(text).diagnostics.map(\.description) }

    /// What is changed in the minimal policy, and what the first complaint must say.
    @Test(arguments: [
        ("service: checkout", "sevice: checkout", "p.yaml:2:1: unknown key 'sevice'\n  hint: did you mean 'service'?"),
        ("version: 1\n", "", "p.yaml:1:1: 'version' is missing"),
        ("version: 1", "version: 2", "p.yaml:1:10: version: expected the number 1, found '2'"),
        (
            "service: checkout", "service: checkout\nbake: 30",
            "p.yaml:3:7: bake: expected a time with a unit from 1s to 720h, like 30m, found 30 without a unit\n  hint: write 30m (or 30s, 30h)"
        ),
        (
            "service: checkout", "service: checkout\nstepFor: 10m",
            "p.yaml:3:1: unknown key 'stepFor'\n  hint: did you mean 'step_for'?"
        ),
        (
            "service: checkout", "service: checkout\ninterval: 10m",
            "p.yaml:3:1: unknown key 'interval'\n  hint: did you mean 'poll'?"
        ),
        (
            "service: checkout", "service: checkout\nmaxWeight: 50",
            "unknown key 'maxWeight'\n  hint: did you mean the last of 'traffic.steps'?"
        ),
        ("service: checkout", "service: checkout\nmigrations: {alembic: {}}", "p.yaml:3:1: 'migrations' is not supported yet"),
        ("service: checkout", "service: checkout\nfreeze: [fri]", "p.yaml:3:1: 'freeze' is not supported yet"),
        (
            "  steps", "  bake: 30m\n  steps",
            "p.yaml:5:3: unknown key 'traffic.bake'\n  hint: 'bake' stands at the top of the policy"
        ),
        (
            "  envoy: {", "  haproxy: {socket: /a, map: /b, key: c}\n  envoy: {",
            "p.yaml:5:3: traffic: only one of envoy, haproxy, http may be given, found haproxy and envoy"
        ),
        ("  envoy: {", "  enovy: {", "unknown key 'traffic.enovy'\n  hint: did you mean 'envoy'?"),
        (", control: control}", ", control: canary}", "traffic.envoy.control: is also the canary"),
        ("[5, 25, 50]", "[25, 5]", "traffic.steps: 5% follows 25%; expected ascending steps"),
        ("[5, 25, 50]", "[25, 25]", "traffic.steps: 25% follows 25%; expected ascending steps"),
        ("[5, 25, 50]", "[0, 50]", "traffic.steps[0]: expected a share above 0 and at most 100 per cent"),
        ("[5, 25, 50]", "[5, 12.5]", "traffic.steps: envoy cannot hold 12.5%, only multiples of 1%"),
        ("[5, 25, 50]", "[1, 4]", "traffic.steps: no step reaches 5%"),
        ("[5, 25, 50]", "[100]", "traffic.steps: 100% alone leaves no step"),
        ("[5, 25, 50]", "[\"5\"]", "hint: remove the quotes"),
        ("{{previous}}", "{{version}}", "p.yaml:9:3: prometheus.control: has the same labels as the canary"),
        (
            "control: {version: \"{{previous}}\"}", "control: {track: stable}",
            "prometheus.control: no label tells control and canary apart"
        ),
        (
            "{{version}}", "{{verison}}",
            "p.yaml:8:21: prometheus.canary.version: unknown placeholder '{{verison}}'\n  hint: did you mean '{{version}}'?"
        ),
        ("{{version}}", "{{commit", "prometheus.canary.version: unknown placeholder '{{commit"),
        ("canary: {version", "canary: {instance", "the instance label 'instance' cannot tell the cohorts apart"),
        (
            "url: http://127.0.0.1:9090", "url: http://127.0.0.1:9090\n  timeout: 8s",
            "p.yaml:8:3: prometheus.timeout: 8s is more than half a poll of 15s"
        ),
        ("service: checkout", "service: checkout\nbake: 29m", "p.yaml:3:1: bake: 29m is below the least of 30m"),
        ("service: checkout", "service: checkout\nwarmup: 10s", "p.yaml:3:1: warmup: 10s is below the least of 30s"),
        ("service: checkout", "service: checkout\nmax_bake: 10m", "p.yaml:3:1: max_bake: 10m is less than the bake of 30m"),
        (
            "service: checkout", "service: checkout\nstep_for: 1h\nmax_bake: 2h",
            "step_for: 3 steps of 1h take 3h, longer than max_bake (2h)"
        ),
        (
            "bad: {code: \"5..\"}}", "bad: {code: 500}}",
            "signals.errors.bad.code: expected a text, found 500\n  hint: put it into quotes: \"500\""
        ),
        ("bad: {code: \"5..\"}}", "bad: {code: \"5..\"}, report_only: true}", "signals: every signal is report_only"),
        (
            "bad: {code: \"5..\"}}", "bad: {code: \"5..\"}, security: true, report_only: true}",
            "a security signal halts, so it cannot be report_only"
        ),
        ("bad: {code: \"5..\"}}", "bad: {code: \"5..\"}, tolerance: 0%}", "signals.errors.tolerance: expected a percentage"),
        ("bad: {code: \"5..\"}}", "bad: {code: \"5..\"}, tolerance: 10}", "found 10 without a unit\n  hint: write 10%"),
        (
            "{counter: http_requests_total, bad: {code: \"5..\"}}", "{histogram: x, quantile: 1}",
            "signals.errors.quantile: expected a number between 0 and 1"
        ),
        (
            "{counter: http_requests_total, bad: {code: \"5..\"}}", "{histogram: x, quantile: 0}",
            "signals.errors.quantile: expected a number between 0 and 1"
        ),
        ("{counter: http_requests_total, bad: {code: \"5..\"}}", "{query: up}", "signals.errors: says not what it is; expected"),
        (
            "service: checkout", "service: checkout\npromote: {run: [x]}",
            "promote: gives the new version to control, but there is no rollback action"
        ),
        ("service: checkout", "service: checkout\npostgres: {url_env: A}", "postgres: limits nothing"),
        (
            "service: checkout", "service: checkout\ndeploy: {run: [x], env: [A=b]}",
            "deploy.env[0]: expected the name of an environment"
        ),
        (
            "service: checkout", "service: checkout\ndeploy: {http: {url: \"http://127.0.0.1/\"}, env: [A]}",
            "env: an HTTP request has no environment"
        ),
        (
            "service: checkout", "service: checkout\non_drift: ignore",
            "on_drift: expected one of hold, rollback, reapply, found 'ignore'"
        ),
        ("service: checkout", "service:", "service: expected a name of letters"),
        (
            "service: checkout", "service: checkout\nraise_deadline: 9s",
            "raise_deadline: expected a time with a unit from 10s to 1h"
        ),
    ])
    func aMistakeIsExplained(old: String, new: String, expected: String) {
        let found = complaints(changed(old, new))
        #expect(found.contains { $0.contains(expected) }, "\(found)")
    }

    /// The values of secrets never appear in any complaint.
    @Test(arguments: [
        ("url: http://127.0.0.1:9090", "url: http://serin:hunter2@127.0.0.1:9090"),
        ("url: http://127.0.0.1:9090", "url: http://127.0.0.1:9090\n  password: hunter2"),
        ("url: http://127.0.0.1:9090", "url: http://127.0.0.1:9090\n  token: hunter2"),
        ("url: http://127.0.0.1:9090", "url: http://127.0.0.1:9090\n  bearer: hunter2"),
        ("url: http://127.0.0.1:9090", "url: http://127.0.0.1:9090\n  bearer_env: \"hunter2!\""),
        ("url: http://127.0.0.1:9090", "url: http://127.0.0.1:9090\n  basic: {username: a, password: hunter2}"),
        ("service: checkout", "service: checkout\npostgres: {url: \"postgres://a:hunter2@db/x\", deadlocks: {max: 0}}"),
        ("service: checkout", "service: checkout\npostgres: {url_env: \"postgres://a:hunter2@db/x\", deadlocks: {max: 0}}"),
        ("service: checkout", "service: checkout\napi_key: hunter2"),
        ("service: checkout", "service: checkout\ndeploy: {run: [x, --password=hunter2]}"),
        ("service: checkout", "service: checkout\ndeploy: {run: [x, \"https://a:hunter2@b/c\"]}"),
        ("service: checkout", "service: \"postgres://a:hunter2@db/x\""),
        ("service: checkout", "service: checkout\non_drift: \"token=hunter2\""),
    ])
    func secretsWrittenInlineAreRefusedAndNeverRepeated(old: String, new: String) {
        let found = complaints(changed(old, new))
        #expect(!found.isEmpty)
        #expect(!found.contains { $0.contains("hunter2") }, "\(found)")
    }

    @Test func anInlineSecretNamesTheThreeWaysToReferToIt() {
        let found = complaints(changed("url: http://127.0.0.1:9090", "url: http://127.0.0.1:9090\n  bearer: hunter2"))
        #expect(found.contains { $0.contains("bearer_env") && $0.contains("bearer_file") && $0.contains("bearer_cred") })
    }

    @Test func everyMistakeIsReportedAtOnceInTheOrderOfTheDocument() {
        let found = read(
            """
            version: 1
            sevice: checkout
            bake: 30
            traffic:
              nginx: {}
              steps: [50, 5]
            prometheus: {url: "127.0.0.1", canary: {version: a}, control: {version: a}}
            signals:
              errors: {counter: a, bad: {code: "5.."}, tolerence: 10%}
              late: {histogram: b, quantile: 99}
            on_failure: promote
            on_failure: rollback

            """
        ).diagnostics
        #expect(found.map(\.mark.line) == found.map(\.mark.line).sorted())
        #expect(Set(found.map(\.mark.line)).isSuperset(of: [2, 3, 5, 6, 7, 9, 10, 11, 12]))
    }

    @Test(arguments: ["[a, b]", "just text", "- version: 1"])
    func aDocumentThatIsNoMappingIsRefused(text: String) {
        #expect(complaints(text).first?.contains("expected a mapping with keys such as version, service") == true)
    }

    @Test func aListOfSectionsWhereOneIsExpectedIsRefused() {
        #expect(
            complaints(changed("url: http://127.0.0.1:9090", "url: [http://127.0.0.1:9090]")).first?.contains("found a list")
                == true)
    }

    @Test(arguments: [
        (minimal, "p.yaml:9:22: the policy uses {{previous}}, and no previous version was given"),
        (
            changed("{{previous}}", "1") + "rollback: {run: [x, \"{{ previous }}\"]}\n",
            "p.yaml:12:21: the policy uses {{previous}}"
        ),
        (
            changed("{{previous}}", "1") + "rollback: {run: [x]}\n",
            "p.yaml:12:1: the action is told the previous version, and none was given"
        ),
    ])
    func aReleaseWithoutAVersionThatThePolicyNeedsIsNamed(text: String, complaint: String) {
        let reading = read(text, previous: nil)
        #expect(reading.policy != nil, "\(reading.diagnostics)")
        #expect(reading.missingVersions.count == 1)
        #expect(reading.missingVersions.first?.description.hasPrefix(complaint) == true, "\(reading.missingVersions)")
        #expect(reading.missingVersions.first?.hint == "give --previous VERSION")
        #expect(read(text).missingVersions.isEmpty)
    }

    @Test func aReleaseThatNeedsNoPreviousVersionMissesNone() {
        // A comment uses nothing.
        #expect(read(changed("{{previous}}", "1") + "# {{previous}}\n", previous: nil).missingVersions.isEmpty)
    }

    @Test func equalVersionsAreRefused() {
        let found = read(minimal, version: "1", previous: "1").diagnostics
        #expect(found.contains { $0.message.contains("'1' is also the previous version") })
    }

    @Test(arguments: ["", "a b", "a\"b", "-rf", "a\nb", "{{previous}}", String(repeating: "a", count: 201)])
    func versionsThatCouldBreakOutOfTheirPlaceAreRefused(version: String) {
        #expect(read(minimal, version: version).diagnostics.contains { $0.file == "--version" })
    }
}
