/// A moment on the controller's clock, in milliseconds since 1970 UTC.
///
/// The clock is anchored to wall time when a process starts, never before the last journaled moment, and then advances with
/// monotonic time only: setting the computer's clock moves no deadline and counts no bake time.
public struct Instant: Sendable, Hashable, Comparable, Codable, CustomStringConvertible {
    /// Milliseconds since 1970-01-01T00:00:00Z.
    public var millisecondsSince1970: Int64

    /// The moment so many milliseconds after 1970.
    public init(millisecondsSince1970: Int64) { self.millisecondsSince1970 = millisecondsSince1970 }

    /// Reads the milliseconds since 1970.
    public init(from decoder: any Decoder) throws {
        millisecondsSince1970 = try decoder.singleValueContainer().decode(Int64.self)
    }

    /// Writes the milliseconds since 1970.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(millisecondsSince1970)
    }

    /// Earlier first.
    public static func < (left: Instant, right: Instant) -> Bool {
        left.millisecondsSince1970 < right.millisecondsSince1970
    }
    /// The moment so much later.
    public static func + (left: Instant, right: Duration) -> Instant {
        Instant(millisecondsSince1970: left.millisecondsSince1970 + right.milliseconds)
    }
    /// The moment so much earlier.
    public static func - (left: Instant, right: Duration) -> Instant {
        Instant(millisecondsSince1970: left.millisecondsSince1970 - right.milliseconds)
    }
    /// The time between two moments; negative when the left one is earlier.
    public static func - (left: Instant, right: Instant) -> Duration {
        Duration(milliseconds: left.millisecondsSince1970 - right.millisecondsSince1970)
    }

    /// RFC 3339 in UTC with seconds: `2026-03-01T00:42:15Z`.
    public var description: String {
        let parts = civil
        func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let year = (0...999).contains(parts.year) ? "\(parts.year + 10_000)".dropFirst() : "\(parts.year)"
        return "\(year)-\(two(parts.month))-\(two(parts.day))T\(timeOfDay)"
    }

    /// The time of day in UTC with seconds: `00:42:15Z`.
    public var timeOfDay: String {
        let seconds = floorDivide(millisecondsSince1970, 1000)
        let inDay = seconds - floorDivide(seconds, 86_400) * 86_400
        func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return "\(two(inDay / 3600)):\(two(inDay / 60 % 60)):\(two(inDay % 60))Z"
    }

    /// Gregorian date from the day number, by counting days of 400-year eras that begin on 1 March.
    private var civil: (year: Int64, month: Int64, day: Int64) {
        let days = floorDivide(millisecondsSince1970, 86_400_000) + 719_468
        let era = floorDivide(days, 146_097)
        let dayOfEra = days - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shifted + 2) / 5 + 1)
    }
}

private func floorDivide(_ value: Int64, _ divisor: Int64) -> Int64 {
    let quotient = value / divisor
    return value % divisor < 0 ? quotient - 1 : quotient
}
