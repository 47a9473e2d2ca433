import SerinModel
import SerinPolicies
import Testing

@Suite struct OverrideTests {
    private func apply(_ overrides: [(key: String, value: String)], to text: String = minimal) throws -> OverriddenPolicy {
        try #require(read(text).policy).applying(overrides: overrides)
    }

    @Test func aShorterBakeNeedsApproval() throws {
        let result = try apply([("bake", "40s"), ("poll", "1s"), ("warmup", "2s")])
        #expect(result.policy.timing.bake == .seconds(40))
        #expect(result.policy.effectiveStepFor == .milliseconds(13_333))
        #expect(result.policy.timing.effectiveMaxBake == .seconds(160))
        #expect(result.policy.prometheus.timeout == .milliseconds(500))
        #expect(result.weakened == ["bake", "warmup"])
        #expect(result.needsApproval)
    }

    @Test func aDemonstrationNeedsNoApproval() throws {
        let result = try apply([("bake", "40s")], to: changed("service: checkout", "service: checkout\nenvironment: demo"))
        #expect(result.weakened == ["bake"] && !result.needsApproval)
    }

    @Test func whatProtectsMoreNeedsNoApproval() throws {
        let result = try apply([("bake", "2h"), ("watchdog_after", "20s"), ("loss_for", "5m"), ("hold_for", "1h")])
        #expect(result.weakened == [] && !result.needsApproval)
    }

    @Test(arguments: [
        ("poll", "1m"), ("watchdog_after", "5m"), ("loss_for", "1h"), ("halt_deadline", "1m"), ("max_bake", "10h"),
        ("step_for", "1m"), ("watch", "1m"), ("min_evidence", "10s"),
    ])
    func whatProtectsLessNeedsApproval(key: String, value: String) throws {
        #expect(try apply([(key, value)]).weakened == [key])
    }

    @Test func noOverridesChangeNothing() throws {
        let policy = try #require(read(minimal).policy)
        let result = try policy.applying(overrides: [])
        #expect(result.policy == policy && result.weakened == [] && !result.needsApproval)
    }

    @Test(
        arguments: [
            ([("bak", "40s")], "'bak' cannot be overridden\n  hint: did you mean 'bake'?"),
            ([("tolerance", "90%")], "'tolerance' cannot be overridden"),
            ([("bake", "40")], "bake: expected a time with a unit"),
            ([("bake", "")], "bake: expected a time with a unit"),
            ([("bake", "1h"), ("bake", "2h")], "--override:2:1: 'bake' is overridden twice"),
            ([("poll", "2m"), ("bake", "3m")], "--override:2:1: bake: 3m is less than two polls of 2m"),
            ([("max_bake", "1m")], "max_bake: 1m is less than the bake of 30m"),
        ] as [([(String, String)], String)])
    func anImpossibleOverrideIsRefused(overrides: [(String, String)], expected: String) throws {
        let policy = try #require(read(minimal).policy)
        let error = #expect(throws: PolicyError.self) {
            try policy.applying(overrides: overrides.map { (key: $0.0, value: $0.1) })
        }
        #expect(error?.description.contains(expected) == true, "\(error?.description ?? "")")
    }
}
