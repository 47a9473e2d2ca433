public import SerinCatalogue

/// A file of Postgres' write-ahead log by its name: eight hexadecimal digits each for the timeline and the two parts of its number
/// (PostgreSQL documentation, "WAL Internals").
public struct LogSegment: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The usual size of a file, 16 MiB.
    public static let usualSize: UInt64 = 16 << 20

    /// Whether a server can have files of this size: a power of two from 1 MiB to 1 GiB.
    static func isSize(_ bytes: UInt64) -> Bool { (1 << 20...1 << 30).contains(bytes) && bytes & (bytes - 1) == 0 }

    /// The timeline.
    public var timeline: Int
    /// Its number, counted from 0.
    public var number: UInt64
    /// Bytes of each file.
    public var size: UInt64

    /// The file that holds a position.
    public init(timeline: Int, holding position: LogPosition, size: UInt64 = usualSize) {
        self.timeline = timeline
        self.size = size
        number = position.bytes / size
    }

    /// Reads a name; nil when it is none, such as that of a `.partial`, `.history` or `.backup` file.
    public init?(_ name: some StringProtocol, size: UInt64 = usualSize) {
        let digits = Array(name.utf8)
        guard digits.count == 24, digits.allSatisfy({ (0x30...0x39).contains($0) || (0x41...0x46).contains($0) }),
            let timeline = Int(name.prefix(8), radix: 16), let high = UInt64(name.dropFirst(8).prefix(8), radix: 16),
            let low = UInt64(name.suffix(8), radix: 16), timeline > 0, low < (1 << 32) / size
        else { return nil }
        self.timeline = timeline
        self.size = size
        number = high * ((1 << 32) / size) + low
    }

    /// Where it begins.
    public var start: LogPosition { LogPosition(bytes: number * size) }
    /// Where the next one begins.
    public var end: LogPosition {
        let (bytes, overflows) = (number + 1).multipliedReportingOverflow(by: size)
        return LogPosition(bytes: overflows ? .max : bytes)
    }

    /// The file behind it on the same timeline.
    public var next: LogSegment {
        var next = self
        next.number += 1
        return next
    }

    /// `000000010000000000000002`
    public var description: String {
        let perHigh = (1 << 32) / size
        return hexadecimal(UInt64(timeline)) + hexadecimal(number / perHigh) + hexadecimal(number % perHigh)
    }

    /// In the order of timelines, then of the log.
    public static func < (left: LogSegment, right: LogSegment) -> Bool {
        (left.timeline, left.number) < (right.timeline, right.number)
    }
}

private func hexadecimal(_ value: UInt64) -> String {
    let digits = String(value, radix: 16, uppercase: true)
    return String(repeating: "0", count: max(0, 8 - digits.count)) + digits
}
