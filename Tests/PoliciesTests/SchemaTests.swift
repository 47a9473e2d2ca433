import SerinModel
import SerinPolicies
import SerinYAML
import Testing

@Suite struct SchemaTests {
    let schema = MiniSchema(schema: policySchema(drivers: drivers))

    private func violations(_ text: String) throws -> [String] {
        let node = try #require(readYAML(Array(text.utf8), file: "p.yaml").node)
        return try schema.violations(of: node.json)
    }

    @Test(arguments: ["policies/minimal.yaml", "policies/annotated.yaml"])
    func examplesAreValidUnderTheSchema(path: String) throws {
        #expect(try violations(try packageFile(path)) == [])
    }

    /// Each is refused by the parser and by the schema: what one lets through the other would otherwise have to catch.
    @Test(arguments: [
        (#"service: checkout"#, #"sevice: checkout"#),
        (#"version: 1"#, #"version: 2"#),
        (#"version: 1"#, #"version: "1""#),
        (#"service: checkout"#, #"service: "check out""#),
        (#"service: checkout"#, "service: checkout\nbake: 30"),
        (#"service: checkout"#, "service: checkout\nbake: 30 m"),
        (#"service: checkout"#, "service: checkout\nbackup: {}"),
        (#"service: checkout"#, "service: checkout\nenvironment: prod"),
        (#"service: checkout"#, "service: checkout\non_failure: promote"),
        (#"  envoy: {"#, "  haproxy: {socket: /a, map: /b, key: c}\n  envoy: {"),
        (#"  envoy: {"#, "  nginx: {"),
        (#"admin: "http"#, #"admin: "ftp"#),
        (#", control: control}"#, #"}"#),
        (#"[5, 25, 50]"#, #"[]"#),
        (#"[5, 25, 50]"#, #"[0, 50]"#),
        (#"[5, 25, 50]"#, #"[5, 101]"#),
        (#"[5, 25, 50]"#, #"["5", 50]"#),
        (#"[5, 25, 50]"#, #"[{weight: 5, aproval: true}]"#),
        (#"[5, 25, 50]"#, #"[{weight: 5, approval: "true"}]"#),
        (#"[5, 25, 50]"#, #"50"#),
        (#"canary: {version"#, #"canary: {"ver sion""#),
        (#""{{version}}""#, #"1.10"#),
        (#"url: http://127.0.0.1:9090"#, #"url: http://serin:hunter2@127.0.0.1:9090"#),
        (#"url: http://127.0.0.1:9090"#, "url: http://127.0.0.1:9090\n  bearer_env: A\n  bearer_file: /b"),
        (#"url: http://127.0.0.1:9090"#, "url: http://127.0.0.1:9090\n  basic: {username: a, password: b}"),
        (#"url: http://127.0.0.1:9090"#, "url: http://127.0.0.1:9090\n  basic: {username: a}"),
        (#"{counter: http_requests_total, bad: {code: "5.."}}"#, #"{counter: http_requests_total, bad: {code: 500}}"#),
        (#"{counter: http_requests_total, bad: {code: "5.."}}"#, #"{counter: http_requests_total, bad: {}}"#),
        (#"{counter: http_requests_total, bad: {code: "5.."}}"#, #"{counter: http_requests_total, bad: {code: "5.."}, per: x}"#),
        (#"{counter: http_requests_total, bad: {code: "5.."}}"#, #"{histogram: x, quantile: 95}"#),
        (#"{counter: http_requests_total, bad: {code: "5.."}}"#, #"{histogram: x, quantile: 0.5, hard_limit: 2}"#),
        (#"{counter: http_requests_total, bad: {code: "5.."}}"#, #"{histogram: x}"#),
        (#"{counter: http_requests_total, bad: {code: "5.."}}"#, #"{counter: x, hard_limit: 5%}"#),
        (#"{counter: http_requests_total, bad: {code: "5.."}}"#, #"{tolerance: 10%}"#),
        (#"{counter: http_requests_total, bad: {code: "5.."}}"#, #"{counter: x, tolerance: 0.1}"#),
        (#"{counter: http_requests_total, bad: {code: "5.."}}"#, #"{counter: x, tolerance: ten%}"#),
        (#"errors: {"#, #""er rors": {"#),
        (#"signals:"#, "postgres: {url: x}\nsignals:"),
        (#"signals:"#, "postgres: {url_env: A, url_file: /a, deadlocks: {max: 0}}\nsignals:"),
        (#"signals:"#, "postgres: {url_env: A, replication_lag: {max: 10}}\nsignals:"),
        (#"signals:"#, "postgres: {url_env: A, replication_lag: {for: 10s}}\nsignals:"),
        (#"signals:"#, "postgres: {url_env: A, replication_lag_bytes: {max: 10s}}\nsignals:"),
        (#"signals:"#, "postgres: {url_env: A, lag: {max: 10s}}\nsignals:"),
        (#"signals:"#, "deploy: {run: x}\nsignals:"),
        (#"signals:"#, "deploy: {run: []}\nsignals:"),
        (#"signals:"#, "deploy: {run: [x], http: {url: \"http://a\"}}\nsignals:"),
        (#"signals:"#, "deploy: {deadline: 5m}\nsignals:"),
        (#"signals:"#, "deploy: {http: {url: \"http://a\", method: FETCH}}\nsignals:"),
        (#"signals:"#, "alerts: {alertmanager: {url: \"http://a\"}}\nsignals:"),
        (#"signals:"#, "alerts:\nsignals:"),
    ])
    func aMistakeIsRefusedByParserAndSchema(old: String, new: String) throws {
        let text = changed(old, new)
        #expect(read(text).policy == nil)
        #expect(try violations(text) != [])
    }

    @Test func theMinimalPolicyIsValidUnderBoth() throws {
        #expect(read(minimal).diagnostics.map(\.description) == [])
        #expect(try violations(minimal) == [])
    }

    /// Random texts: what a form reads, its pattern matches; and what the pattern matches is at most out of range.
    @Test func patternsAgreeWithTheParser() throws {
        var random = SplitMix(seed: 20_261_121)
        print("seed 20261121")
        let pieces = [
            "1", "30", "0", "2.5", ".", "m", "ms", "s", "h", "d", "%", "MB", "KiB", "kB", "B", "/s", "/m", "http://", "https://",
            "a", "Z", "_",
            "-", "/", "~0", "~", ":", "@", " ", "é", "\n", "#", "?", "x.y", "999999999", "\"",
        ]
        var accepted = 0
        for _ in 0..<1000 {
            let text = (0..<Int.random(in: 0...4, using: &random)).map { _ in
                pieces[Int.random(in: 0..<pieces.count, using: &random)]
            }
            .joined()
            for probe in FormProbe.all {
                let (reads, matches) = try probe.judge(text)
                if reads {
                    accepted += 1
                    #expect(matches, "\(probe) reads '\(text)', its pattern does not match")
                } else if matches, !probe.hasRange {
                    Issue.record("\(probe) refuses '\(text)', its pattern matches")
                }
            }
        }
        #expect(accepted > 500)
    }
}

/// A small generator with a seed (Steele, Lea and Flood's SplitMix64).
struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
