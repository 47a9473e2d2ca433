internal import SerinVerdicts

/// Places ratios on a logarithmic scale from a half to four, in which twice as much and half as much lie equally far from 1.
struct RatioScale {
    /// The ends of the scale.
    static let ends = (low: 0.5, high: 4.0)

    /// Where the scale begins.
    var start: Double
    /// How long it is; negative where more lies the other way.
    var length: Double

    /// The place of a ratio, at an end when it lies beyond.
    func place(_ ratio: Double) -> Double {
        guard ratio > Self.ends.low else { return start }
        guard ratio < Self.ends.high else { return start + length }
        return start + length * (binaryLogarithm(ratio) + 1) / 3
    }

    /// Whether a ratio lies beyond the scale.
    func isBeyond(_ ratio: Double) -> Bool { ratio < Self.ends.low || ratio > Self.ends.high || !ratio.isFinite }

    /// The tolerance as a band around 1: `0.91…1.10`.
    static func band(_ boundary: Double) -> (low: Double, high: Double) {
        guard boundary > 0 else { return (1, 1) }
        return boundary > 1 ? (1 / boundary, boundary) : (boundary, 1 / boundary)
    }
}

/// The binary logarithm of a number from a half to four, to four digits: enough for a drawing, and the same on every machine.
func binaryLogarithm(_ value: Double) -> Double {
    var rest = value
    var result = 0.0
    while rest >= 2 {
        rest /= 2
        result += 1
    }
    while rest < 1 {
        rest *= 2
        result -= 1
    }
    var part = 0.5
    while part > 1e-5 {
        rest *= rest
        if rest >= 2 {
            rest /= 2
            result += part
        }
        part /= 2
    }
    return result
}
