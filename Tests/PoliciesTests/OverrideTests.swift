import SerinModel
import SerinPolicies
import Testing

@Suite struct OverrideTests {
    @Test func whatFollowsFromAnOverriddenTimeFollowsTheNewOne() throws {
        let policy = try #require(read(minimal).policy)
        let result = try policy.applying(overrides: [("bake", "40s"), ("poll", "1s"), ("warmup", "2s")])
        #expect(result.timing.bake == .seconds(40))
        #expect(result.effectiveStepFor == .milliseconds(13_334))
        #expect(result.effectiveMaxBake == .seconds(160))
        #expect(result.prometheus.timeout == .milliseconds(500))
    }

    @Test func noOverridesChangeNothing() throws {
        let policy = try #require(read(minimal).policy)
        #expect(try policy.applying(overrides: []) == policy)
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
