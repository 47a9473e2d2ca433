internal import CSerinMath

/// Natural logarithm, by the C library.
func logarithm(_ x: Double) -> Double { serin_log(x) }

/// Exponential function, by the C library.
func exponential(_ x: Double) -> Double { serin_exp(x) }

/// Square root.
func squareRoot(_ x: Double) -> Double { serin_sqrt(x) }

/// log(exp x + exp y) without overflow.
func logAddExp(_ x: Double, _ y: Double) -> Double {
    if x == -.infinity { return y }
    if y == -.infinity { return x }
    let high = max(x, y)
    return high + logarithm(exponential(x - high) + exponential(y - high))
}

/// log(Σ exp x) without overflow, summed in the order given; −∞ for nothing.
func logSumExp(_ xs: [Double]) -> Double {
    var high = -Double.infinity
    for x in xs { high = max(high, x) }
    if high == -.infinity { return high }
    var sum = 0.0
    for x in xs { sum += exponential(x - high) }
    return high + logarithm(sum)
}

/// The sum in the order given.
func total(_ xs: some Sequence<Double>) -> Double {
    var sum = 0.0
    for x in xs { sum += x }
    return sum
}

/// The chance that a standard normal variable exceeds `z`, to 8e-8 (Abramowitz & Stegun 26.2.17).
func normalTail(_ z: Double) -> Double {
    if z < 0 { return 1 - normalTail(-z) }
    if z > 38 { return 0 }
    let t = 1 / (1 + 0.2316419 * z)
    let polynomial = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    return 0.3989422804014327 * exponential(-z * z / 2) * polynomial
}
