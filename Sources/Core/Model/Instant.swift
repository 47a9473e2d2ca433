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
    public var description: String { "\(date)T\(timeOfDay)" }

    /// The time of day in UTC with seconds: `00:42:15Z`.
    public var timeOfDay: String {
        let seconds = floorDivide(millisecondsSince1970, 1000)
        let inDay = seconds - floorDivide(seconds, 86_400) * 86_400
        func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        return "\(two(inDay / 3600)):\(two(inDay / 60 % 60)):\(two(inDay % 60))Z"
    }
}
