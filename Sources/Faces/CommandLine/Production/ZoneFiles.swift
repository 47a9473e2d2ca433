internal import FoundationEssentials
internal import SerinModel

/// The computer's time zone database, in the form TZif (RFC 8536), of which the 64-bit part is read.
enum ZoneFiles {
    static let folder = "/usr/share/zoneinfo"

    /// The distance of a zone's clocks from UTC at a moment; nil for a zone that is not there.
    @Sendable static func offset(of zone: String, at moment: Instant) -> Duration? {
        guard !zone.isEmpty, !zone.begins(with: "/"), !zone.parts(at: "/").contains("..") else { return nil }
        // A zone that cannot be read is one that is not known.
        guard let data = try? Data(contentsOf: URL(filePath: "\(folder)/\(zone)")) else { return nil }
        return offset(in: [UInt8](data), at: moment)
    }

    /// The same from a file's bytes. Behind the last change that the file names, what it led to stays.
    static func offset(in bytes: [UInt8], at moment: Instant) -> Duration? {
        guard bytes.starts(with: Array("TZif".utf8)), bytes.count >= 44, bytes[4] >= 0x32 else { return nil }
        let first = counts(bytes, at: 0)
        let skipped =
            44 + first.times * 5 + first.types * 6 + first.characters + first.leaps * 8 + first.standard + first.universal
        guard bytes.count >= skipped + 44 else { return nil }
        let header = counts(bytes, at: skipped)
        let times = skipped + 44
        let indices = times + header.times * 8
        let types = indices + header.times
        guard bytes.count >= types + header.types * 6, header.types > 0 else { return nil }
        let second = (moment.millisecondsSince1970 - (moment.millisecondsSince1970 < 0 ? 999 : 0)) / 1000
        var type = 0
        for index in 0..<header.times {
            guard number(bytes, times + index * 8, 8) <= second else { break }
            type = Int(bytes[indices + index])
        }
        guard type < header.types else { return nil }
        return .seconds(Int64(Int32(truncatingIfNeeded: number(bytes, types + type * 6, 4))))
    }

    private typealias Counts = (universal: Int, standard: Int, leaps: Int, times: Int, types: Int, characters: Int)

    private static func counts(_ bytes: [UInt8], at start: Int) -> Counts {
        func count(_ place: Int) -> Int { Int(number(bytes, start + 20 + place * 4, 4) & 0xFF_FFFF) }
        return (count(0), count(1), count(2), count(3), count(4), count(5))
    }

    private static func number(_ bytes: [UInt8], _ start: Int, _ count: Int) -> Int64 {
        Int64(truncatingIfNeeded: bytes[start..<start + count].reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    }
}
