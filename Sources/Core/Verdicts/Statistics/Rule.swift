/// How one signal is judged: boundaries, risks and the least evidence.
public struct Rule: Sendable, Hashable, Codable {
    /// Which way is worse.
    public enum Direction: String, Sendable, Hashable, Codable, CaseIterable {
        /// More is worse.
        case increase
        /// Less is worse.
        case decrease
        /// Any difference beyond the tolerance is.
        case either
    }

    /// What a fail must prove.
    public enum Proof: String, Sendable, Hashable, Codable, CaseIterable {
        /// More than the tolerance.
        case beyond
        /// Any regression, with an estimate beyond the tolerance.
        case any
    }

    /// Which way is worse.
    public var direction = Direction.increase
    /// The fail boundary's relative part.
    public var tolerance = 0.10
    /// The fail boundary's absolute part, in events per unit of exposure.
    public var floor = 1e-4
    /// The pass boundary's relative part.
    public var assureTolerance = 0.10
    /// The pass boundary's absolute part.
    public var assureFloor = 1e-3
    /// What a fail must prove.
    public var proof = Proof.beyond
    /// This signal's share of the risk of a false rollback.
    public var alpha = 0.01
    /// The risk of passing a canary that is at the pass boundary.
    public var beta = 0.05
    /// Usable blocks before any verdict.
    public var minBlocks = 3
    /// Events on the worse side before a fail.
    public var minEvents = 5.0
    /// Canary exposure before a pass.
    public var minExposure = 100.0
    /// Elapsed blocks before a pass.
    public var minBakeBlocks = 30
    /// The share of elapsed blocks that must be usable for a pass.
    public var minCoverage = 0.8
    /// The fail side's e-value from which a pass is withheld.
    public var suspicion = 10.0
    /// When a regression may begin.
    public var onset = OnsetPrior()

    /// The defaults, for blocks of one minute.
    public init() {}

    /// The rule with its counts of blocks derived from times: at least two blocks and `minEvidence` before a fail.
    ///
    /// - Parameters:
    ///   - block: The length of a block, in seconds.
    ///   - minEvidence: The least evidence before a fail, in seconds.
    ///   - bake: The bake, in seconds.
    ///   - onsetMean: The mean time until a regression that begins later, in seconds.
    public func timed(block: Double, minEvidence: Double = 30, bake: Double = 1800, onsetMean: Double = 3600) -> Rule {
        var rule = self
        rule.minBlocks = max(2, Int((minEvidence / block).rounded(.up)))
        rule.minBakeBlocks = Int((bake / block).rounded(.up))
        rule.onset.mean = onsetMean / block
        return rule
    }
}
