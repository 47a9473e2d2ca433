internal import SerinModel

/// The canary's share of two relative amounts, to the nearest basis point.
///
/// Nil when they mean no share: one negative or no number, or both zero. A share above 0 is never reported as 0 and a share below
/// 1 never as 1, because those two words mean "nothing" and "everything" to whoever acts on them.
func share(canary: Double, control: Double) -> Weight? {
    guard canary.isFinite, control.isFinite, canary >= 0, control >= 0 else { return nil }
    let all = canary + control
    guard all > 0, all.isFinite else { return nil }
    let points = (canary / all * 10_000).rounded()
    let lowest = canary > 0 ? 1 : 0
    let highest = control > 0 ? 9_999 : 10_000
    return Weight(basisPoints: min(max(Int(points), lowest), highest))
}

/// Two parts in the smallest whole numbers: 9500 and 500 are 19 and 1, 10000 and 0 are 1 and 0.
func reduced(_ weight: Weight) -> (canary: Int, control: Int) {
    let canary = weight.basisPoints
    let control = 10_000 - canary
    var (divisor, rest) = (canary, control)
    while rest != 0 { (divisor, rest) = (rest, divisor % rest) }
    return (canary / divisor, control / divisor)
}
