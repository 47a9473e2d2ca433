/// A moment on the controller's clock, in milliseconds since 1970 UTC.
///
/// The clock is anchored to wall time when a process starts, never before the last journaled moment, and then advances with
/// monotonic time only: setting the computer's clock moves no deadline and counts no bake time.
///
/// Arithmetic saturates as that of `Duration` does. A moment that a server tells is taken only within `plausible`.
public struct Instant: Sendable, Hashable, Comparable, Codable, CustomStringConvertible {
    /// The moments that a server may tell: the years 1970 to 9999. Whoever reads one from outside treats any other as malformed.
    public static let plausible = Instant(millisecondsSince1970: 0)...Instant(millisecondsSince1970: 253_402_300_799_999)

    /// Milliseconds since 1970-01-01T00:00:00Z.
    public var millisecondsSince1970: Int64

    /// The moment so many milliseconds after 1970.
    public init(millisecondsSince1970: Int64) { self.millisecondsSince1970 = millisecondsSince1970 }

    /// The moment so many seconds after 1970, and so many milliseconds more.
    public init(secondsSince1970 seconds: Int64, milliseconds: Int64 = 0) {
        millisecondsSince1970 = (Duration.seconds(seconds) + .milliseconds(milliseconds)).milliseconds
    }

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
        Instant(millisecondsSince1970: saturating(left.millisecondsSince1970, plus: right.milliseconds))
    }
    /// The moment so much earlier.
    public static func - (left: Instant, right: Duration) -> Instant {
        Instant(millisecondsSince1970: saturating(left.millisecondsSince1970, minus: right.milliseconds))
    }
    /// The time between two moments; negative when the left one is earlier.
    public static func - (left: Instant, right: Instant) -> Duration {
        Duration(milliseconds: saturating(left.millisecondsSince1970, minus: right.millisecondsSince1970))
    }

    /// RFC 3339 in UTC with seconds: `2026-03-01T00:42:15Z`.
    public var description: String { "\(date)T\(timeOfDay)" }

    /// The time of day in UTC with seconds: `00:42:15Z`.
    public var timeOfDay: String {
        let seconds = floorDivide(millisecondsSince1970, 1000)
        let inDay = seconds - floorDivide(seconds, 86_400) * 86_400
        func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return "\(two(inDay / 3600)):\(two(inDay / 60 % 60)):\(two(inDay % 60))Z"
    }
}
