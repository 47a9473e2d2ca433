import SerinModel
import SerinPolicies
import SerinYAML
import Testing

@Suite struct PolicyReadingTests {
    private func policy(_ text: String) throws -> Policy {
        let reading = read(text)
        #expect(reading.diagnostics.map(\.description) == [])
        return try #require(reading.policy)
    }

    @Test func theMinimalPolicyGetsEveryDefault() throws {
        let policy = try policy(minimal)
        #expect(policy.timing == TimingPolicy())
        #expect(policy.environment == .production)
        #expect(policy.onFailure == .rollback)
        #expect(policy.onInconclusive == .hold)
        #expect(policy.onTelemetryLoss == .hold)
        #expect(policy.onDrift == .hold)
        #expect(policy.traffic.steps.map(\.weight.basisPoints) == [500, 2500, 5000])
        #expect(policy.traffic.steps.allSatisfy { !$0.needsApproval })
        #expect(policy.prometheus.timeout == .seconds(5))
        #expect(policy.prometheus.staleAfter == nil)
        #expect(policy.prometheus.instanceLabel == "instance")
        #expect(policy.alerts == nil && policy.postgres == nil && policy.deploy == nil && policy.promote == nil)
        let expected = SignalPolicy(
            name: "errors", source: .ratio(counter: "http_requests_total", bad: [LabelMatcher("code", .matches, "5..")]))
        #expect(policy.signals == [expected])
    }

    @Test func aDriversDefaultsAreFilledIn() throws {
        let driver = try policy(minimal).traffic.driver
        #expect(driver.driver == "envoy")
        #expect(driver["admin"] == "http://127.0.0.1:9901")
        #expect(driver["settle"] == "1s")
    }

    @Test func versionsTakeTheirPlaceInLabels() throws {
        let policy = try policy(changed("{{version}}", "v{{ version }}-{{previous}}"))
        #expect(policy.prometheus.canary == [Label("version", "v2.0.0-1.9.0")])
        #expect(policy.prometheus.control == [Label("version", "1.9.0")])
    }

    @Test func withoutAVersionThePlaceholdersStay() throws {
        let policy = try #require(read(minimal, version: nil, previous: nil).policy)
        #expect(policy.prometheus.canary == [Label("version", "{{version}}")])
    }

    @Test func aVersionInARegularExpressionIsLiteral() throws {
        let policy = try policy(
            changed(
                "bad: {code: \"5..\"}", "bad: {code: \"5..\"}, exclude: {build: \"{{version}}|dev.*\", plain: \"{{version}}\"}"))
        #expect(
            policy.signals[0].exclude == [
                LabelMatcher("build", .matches, "2\\.0\\.0|dev.*"), LabelMatcher("plain", .equal, "2.0.0"),
            ])
        #expect(
            policy.signals[0].conditions == [
                LabelMatcher("build", .notMatches, "2\\.0\\.0|dev.*"), LabelMatcher("plain", .notEqual, "2.0.0"),
            ])
    }

    @Test func stepsMayBeNumbersPercentagesOrSections() throws {
        let policy = try policy(
            changed("[5, 25, 50]", "[5, 6e0, 7%, {weight: 50%, approval: true}, {weight: 100}]"))
        #expect(policy.traffic.steps.map(\.weight.basisPoints) == [500, 600, 700, 5000, 10_000])
        #expect(policy.traffic.steps.map(\.needsApproval) == [false, false, false, true, false])
        #expect(policy.judgedSteps.count == 4)
        #expect(policy.effectiveStepFor == .milliseconds(450_000))
        #expect(policy.effectiveMaxBake == .hours(2))
    }

    @Test func hundredthsOfAPercentAreHeldWhereTheBalancerCan() throws {
        let text = changed(
            "envoy: {admin: \"http://127.0.0.1:9901\", runtime_prefix: routing.checkout, canary: canary, control: control}",
            "haproxy: {socket: /run/a.sock, map: /etc/m, key: k}"
        ).replacing("[5, 25, 50]", with: "[0.01, 2.5%, 33.33]")
        #expect(try policy(text).traffic.steps.map(\.weight.basisPoints) == [1, 250, 3333])
    }

    @Test func wordsThatOtherReadersTakeForTruthOrNumbersStayText() throws {
        let policy = try policy(
            changed(
                "canary: {version: \"{{version}}\"}",
                "canary: {version: no, a: on, b: 1:30, c: 010, d: 0x1F, e: .5, f: 1_000, g: True}"))
        #expect(policy.prometheus.canary.map(\.value) == ["on", "1:30", "010", "0x1F", ".5", "1_000", "True", "no"])
    }

    @Test func everyKindOfSignalIsRead() throws {
        let policy = try policy(
            adding(
                """
                  b: {counter: x, per: y, security: true, hard_limit: 150%, exclude: {client: [a, "b.*"]}}
                  c: {counter: x, floor: 6/m, hard_limit: 1/s, direction: decrease}
                  d: {histogram: h, quantile: 0.99, hard_limit: 1.5s, slack: 10ms, assurance: {tolerance: 20%}}
                  e: {gauge: g, slack: 3.5, direction: either, min_exposure: 20}
                  f: {promql: "max(x{v=\\"{{version}}\\"})"}
                  g: {counter: x, bad: {a: b}, floor: 1%, tolerance: 50%, judge: threshold}
                """
            ).replacing("    b:", with: "  b:"))
        let named = Dictionary(uniqueKeysWithValues: policy.signals.map { ($0.name, $0) })
        #expect(policy.signals.map(\.name) == ["errors", "b", "c", "d", "e", "f", "g"])
        let b = try #require(named["b"])
        #expect(b.source == .per(counter: "x", exposure: "y"))
        #expect(b.isSecurity && b.proof == .any && b.hardLimit == 1.5)
        #expect(b.exclude == [LabelMatcher("client", .matches, "(?:a)|(?:b.*)")])
        let c = try #require(named["c"])
        #expect(c.source == .rate(counter: "x"))
        #expect(c.floor == 0.1 && c.assureFloor == 0.1 && c.hardLimit == 1 && c.direction == .decrease)
        let d = try #require(named["d"])
        #expect(d.source == .latency(histogram: "h", quantile: 0.99))
        #expect(d.hardLimit == 1.5 && d.slack == 0.01 && d.floor == 0 && d.assureFloor == 0 && d.assureTolerance == 0.2)
        let e = try #require(named["e"])
        #expect(e.source == .gauge(metric: "g") && e.slack == 3.5 && e.minExposure == 20 && !e.isReportOnly)
        let f = try #require(named["f"])
        #expect(f.source == .expression("max(x{v=\"2.0.0\"})") && f.isReportOnly && f.minExposure == 10)
        let g = try #require(named["g"])
        #expect(
            g.floor == 0.01 && g.assureFloor == 0.01 && g.tolerance == 0.5 && g.assureTolerance == 0.5 && g.judge == .threshold)
    }

    @Test func limitsOfTheDatabaseAreInTheirSignalsUnit() throws {
        let policy = try policy(
            adding(
                """
                postgres:
                  url_cred: database
                  replicas: [{url_file: /etc/replica}, {url_env: REPLICA}]
                  replication_lag: {max: 1.5s, for: 30s}
                  replication_lag_bytes: {max: 100MB}
                  slot_retained: {max: 1GiB}
                  connection_saturation: {max: 90%}
                  deadlocks: {max: 0}
                  blocked_sessions: {max_ratio: 2.5}
                """
            ).replacing("    ", with: "  "))
        let postgres = try #require(policy.postgres)
        #expect(postgres.primary == .credential("database"))
        #expect(postgres.replicas == [.file("/etc/replica"), .environment("REPLICA")])
        #expect(
            postgres.limits == [
                DatabaseLimit(signal: .blockedSessions, max: nil, maxRatio: 2.5),
                DatabaseLimit(signal: .connectionSaturation, max: 0.9),
                DatabaseLimit(signal: .deadlocks, max: 0),
                DatabaseLimit(signal: .replicationLag, max: 1.5, lasting: .seconds(30)),
                DatabaseLimit(signal: .replicationLagBytes, max: 100_000_000),
                DatabaseLimit(signal: .slotRetained, max: 1_073_741_824),
            ])
    }

    @Test func actionsKeepTheirPlaceholders() throws {
        let policy = try #require(read(try packageFile("policies/annotated.yaml")).policy)
        #expect(policy.deploy?.deadline == .minutes(10))
        guard case .run(let arguments)? = policy.deploy?.call else {
            Issue.record("deploy is no program")
            return
        }
        #expect(arguments.last == "{{version}}")
        guard case .http(let method, let endpoint, let body)? = policy.rollback?.call else {
            Issue.record("rollback is no request")
            return
        }
        #expect(method == "POST" && body?.contains("{{previous}}") == true)
        #expect(endpoint.authentication == .bearer(.credential("deploy-token")))
        #expect(policy.rollback?.deadline == .minutes(5))
        guard case .http("GET", _, nil)? = policy.rollback?.check else {
            Issue.record("the check is no GET")
            return
        }
        #expect(
            policy.prometheus.endpoint.authentication
                == .basic(username: "serin", password: .file("/etc/serin/prometheus.password")))
        #expect(policy.alerts?.match.first == LabelMatcher("service", .equal, "checkout"))
    }

    @Test func anActionNamesTheVariablesThatItsProgramIsGiven() throws {
        let policy = try policy(adding("deploy: {run: [x], env: [KUBECONFIG, DEPLOY_TOKEN, KUBECONFIG]}"))
        #expect(policy.deploy?.environment == ["KUBECONFIG", "DEPLOY_TOKEN"])
    }

    @Test func placeholdersOfActionsLoseTheirSpaces() throws {
        let policy = try policy(adding("deploy: {run: [x, \"--to={{ version }}\", \"{{previous }}\"]}"))
        #expect(policy.deploy?.call == .run(["x", "--to={{version}}", "{{previous}}"]))
    }

    @Test func aDemonstrationMayBakeShortly() throws {
        #expect(
            try policy(changed("service: checkout", "service: checkout\nenvironment: demo\nbake: 2m")).timing.bake == .minutes(2))
    }

    @Test func theSameTextGivesTheSamePolicyInAnyOrderOfKeys() throws {
        let lines = minimal.split(separator: "\n").map(String.init)
        let reordered = (lines.dropFirst(2) + lines.prefix(2)).joined(separator: "\n") + "\n"
        #expect(try policy(reordered) == policy(minimal))
    }
}
