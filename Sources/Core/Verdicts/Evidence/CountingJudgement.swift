internal import SerinModel

extension CountingEvidence {
    /// The blocks with the boundary at which they are judged; none while a latency edge is not chosen.
    func judgedBlocks(_ rule: Rule) -> [Block] {
        guard let tails else { return blocks }
        guard let boundary = tails.boundary(tolerance: rule.tolerance, slack: signal.slack) else { return [] }
        return blocks.map { $0.at(boundary) }
    }

    /// The overdispersion of the blocks so far.
    func phi(_ blocks: [Block]) -> Double {
        guard let noise else { return calibration?.base ?? 2 }
        if let calibration { return noise.phi(calibration, canaryInstances: canaryInstances) }
        return noise.uncalibratedPhi(blocks, canaryInstances: canaryInstances)
    }

    /// Where the overdispersion comes from.
    func noiseWords(_ phi: Double) -> String {
        guard calibration != nil, let past else {
            return "noise of this run, for want of history: \(decimal(phi, places: 1))"
        }
        return "noise measured on \(past.words): \(decimal(phi, places: 1))"
    }

    /// The verdict by the anytime-valid test.
    func judgement(_ blocks: [Block], rule: Rule, phi: Double) -> Judgement {
        var supporting: [Block]?
        if degraded.contains(true) { supporting = zip(blocks, degraded).filter { !$0.1 }.map(\.0) }
        // What a pass must exclude may be wider than what is allowed.
        if let assurance = tails?.boundary(tolerance: rule.assureTolerance, slack: signal.slack) {
            supporting = (supporting ?? blocks).map { $0.at(assurance) }
        }
        return Judgement(of: blocks, rule: rule, phi: phi, usesOwnBoundaries: tails != nil, passBlocks: supporting)
    }

    /// When the regression most likely began.
    func onset(_ blocks: [Block], rule: Rule, phi: Double) -> Instant? {
        var usable = zip(blocks, times).filter { $0.0.isUsable }.map { (block: $0.0, at: $0.1) }
        var boundary = tails != nil ? nil : 1 + rule.tolerance
        let isFall = rule.direction == .decrease || rule.direction == .either && (mantelHaenszel(blocks) ?? 1) < 1
        if isFall {
            let swapped = 1 / (1 - rule.tolerance)
            boundary = swapped
            usable = usable.map { ($0.block.swapped(swapped), $0.at) }
        }
        if rule.proof == .any { boundary = 1 }
        let found = EValue.onset(
            usable.map(\.block), floor: rule.floor, phi: phi, boundary: boundary, onset: rule.onset)
        return found.block < usable.count ? usable[found.block].at : nil
    }

    /// Whether a cohort was beyond the hard limit in the last minute, with at least five events.
    func isBeyondLimit(_ cohort: Cohort) -> Bool {
        guard let limit = signal.hardLimit else { return false }
        let sum = recent.sum(cohort)
        guard sum.exposure > 0 else { return false }
        if let tails {
            // Beyond the last finite edge a histogram does not tell how slow a request was.
            guard sum.counts.count == tails.edges.count, let last = tails.edges.last, limit <= last else { return false }
            let tail = LatencyTail(
                edges: tails.edges, above: sum.counts.map { max(0, sum.exposure - $0) }, total: sum.exposure)
            let share = tail.survival(limit)
            return share > 1 - tails.quantile && share * sum.exposure >= 5
        }
        if signal.rule.direction == .decrease {
            return sum.events < limit * sum.exposure && limit * sum.exposure >= 5
        }
        return sum.events > limit * sum.exposure && sum.events >= 5
    }

    /// What makes a signal undecidable for want of traffic rather than of readings.
    var scarcity: CohortAbsences {
        let unusable = blocks.count { !$0.isUsable }
        var scarce = CohortAbsences()
        if 2 * emptyBlocks.canary >= unusable { scarce.canary = .tooFewRequests }
        if emptyBlocks.control > emptyBlocks.canary { scarce = CohortAbsences(control: .tooFewRequests) }
        return scarce
    }
}
