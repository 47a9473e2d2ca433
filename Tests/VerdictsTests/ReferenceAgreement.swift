import FoundationEssentials
import SerinModel
import SerinProcesses
import Testing

/// The same random blocks through the reference implementation and through this one.
@Suite struct ReferenceAgreement {
    /// `SERIN_SEED` repeats a run.
    private static var seed: UInt64 {
        let environment = ProcessInfo.processInfo.environment
        return environment["SERIN_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 0..<(1 << 32))
    }

    @Test func randomCasesAgreeWithTheReference() async throws {
        let seed = ReferenceAgreement.seed
        print("ReferenceAgreement: SERIN_SEED=\(seed)")
        var cases = RandomCases(seed: seed)
        let program = Program(
            "python3", ["-B", VectorFile.folder + "/expect.py"], input: cases.document().canonicalBytes,
            deadline: .minutes(3), outputLimit: 64 << 20)
        let completion = try await program.run()
        #expect(completion.termination == .exited(0), "\(completion.text.suffix(2000)) (seed \(seed))")
        let root = try JSONValue(parsing: completion.output)
        var comparison = Comparison()
        try RunVectors(root: root).compare(&comparison)
        try CalibrationVectors(root: root).compare(&comparison)
        #expect(comparison.count > 500, "seed \(seed)")
        print("ReferenceAgreement: \(comparison.count) values compared with the reference")
    }
}
