public import SerinModel

extension Instant {
    /// Reads Postgres' notation in UTC, `2026-11-21 13:27:38.123456+00` or with `UTC` or nothing behind, cut to milliseconds.
    public init?(postgres text: some StringProtocol) {
        let halves = text.split(maxSplits: 1) { $0 == " " || $0 == "T" }
        guard halves.count == 2, let date = CivilDate(String(halves[0])) else { return nil }
        let words = halves[1].split(separator: " ")
        guard let time = words.first, words.count == 1 || (words.count == 2 && words[1] == "UTC") else { return nil }
        let clock = time.hasSuffix("+00") ? time.dropLast(3) : time
        let parts = clock.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 3, let hour = Int64(parts[0]), (0..<24).contains(hour),
            let minute = Int64(parts[1]), (0..<60).contains(minute)
        else { return nil }
        let seconds = parts[2].split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(seconds.count), let second = Int64(seconds[0]), (0...60).contains(second) else { return nil }
        var fraction = Int64(0)
        if seconds.count == 2 {
            guard seconds[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let value = Int64((seconds[1] + "000").prefix(3))
            else { return nil }
            fraction = value
        }
        self.init(
            millisecondsSince1970: ((date.dayNumber * 24 + hour) * 60 + minute) * 60_000 + second * 1000 + fraction)
    }

    /// Postgres' notation in UTC with milliseconds: `2026-11-21 13:27:38.123+00`.
    public var postgresText: String {
        let milliseconds = millisecondsSince1970 - (millisecondsSince1970 / 1000) * 1000
        let digits = "\(1000 + max(0, milliseconds))".dropFirst()
        return "\(date) \(timeOfDay.dropLast()).\(digits)+00"
    }
}
