/// A length of time in whole milliseconds, never negative in a policy. (The standard library's type is `Swift.Duration`.)
///
/// Arithmetic saturates: what would not fit is the longest or the most negative length there is. Lengths are made from numbers that
/// others sent, and no such number may end the process.
public struct Duration: Sendable, Hashable, Comparable, Codable, CustomStringConvertible {
    /// No time at all.
    public static let zero = Duration(milliseconds: 0)

    /// The length in milliseconds.
    public var milliseconds: Int64

    /// A length of so many milliseconds.
    public init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// Reads the number of milliseconds.
    public init(from decoder: any Decoder) throws {
        milliseconds = try decoder.singleValueContainer().decode(Int64.self)
    }

    /// Writes the number of milliseconds.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(milliseconds)
    }

    /// So many milliseconds.
    public static func milliseconds(_ count: Int64) -> Duration { Duration(milliseconds: count) }
    /// So many seconds.
    public static func seconds(_ count: Int64) -> Duration { milliseconds(1000) * count }
    /// So many minutes.
    public static func minutes(_ count: Int64) -> Duration { milliseconds(60_000) * count }
    /// So many hours.
    public static func hours(_ count: Int64) -> Duration { milliseconds(3_600_000) * count }

    /// The length in seconds.
    public var seconds: Double { Double(milliseconds) / 1000 }

    /// In the notation of policies, in the largest unit that divides it: `250ms`, `90s`, `30m`, `24h`.
    public var description: String {
        if milliseconds == 0 { return "0s" }
        if milliseconds % 3_600_000 == 0 { return "\(milliseconds / 3_600_000)h" }
        if milliseconds % 60_000 == 0 { return "\(milliseconds / 60_000)m" }
        if milliseconds % 1000 == 0 { return "\(milliseconds / 1000)s" }
        return "\(milliseconds)ms"
    }

    /// Shorter first.
    public static func < (left: Duration, right: Duration) -> Bool { left.milliseconds < right.milliseconds }
    /// The sum.
    public static func + (left: Duration, right: Duration) -> Duration {
        Duration(milliseconds: saturating(left.milliseconds, plus: right.milliseconds))
    }
    /// The difference.
    public static func - (left: Duration, right: Duration) -> Duration {
        Duration(milliseconds: saturating(left.milliseconds, minus: right.milliseconds))
    }
    /// A multiple.
    public static func * (left: Duration, right: Int64) -> Duration {
        let (product, overflows) = left.milliseconds.multipliedReportingOverflow(by: right)
        guard overflows else { return Duration(milliseconds: product) }
        return Duration(milliseconds: (left.milliseconds < 0) == (right < 0) ? .max : .min)
    }
}

/// The sum, or the nearest number that fits.
func saturating(_ value: Int64, plus other: Int64) -> Int64 {
    let (sum, overflows) = value.addingReportingOverflow(other)
    return overflows ? (other < 0 ? .min : .max) : sum
}

/// The sum of numbers that others sent, or the nearest number that fits.
public func saturatingSum(_ values: some Sequence<Int64>) -> Int64 { values.reduce(0) { saturating($0, plus: $1) } }

/// The difference, or the nearest number that fits.
func saturating(_ value: Int64, minus other: Int64) -> Int64 {
    let (difference, overflows) = value.subtractingReportingOverflow(other)
    return overflows ? (other < 0 ? .max : .min) : difference
}
