internal import SerinModel

/// A moment written by RFC 3339 in UTC (`2026-11-20T23:00:00.000Z`), to the second; nil when it is written otherwise.
func instant(rfc3339 text: String) -> Instant? {
    let bytes = Array(text.utf8)
    guard bytes.count >= 20, bytes[10] == 0x54, bytes.last == 0x5A || text.hasSuffix("+00:00"), bytes[13] == 0x3A,
        bytes[16] == 0x3A,
        let date = CivilDate(String(decoding: bytes[..<10], as: UTF8.self))
    else { return nil }
    func two(_ start: Int, below limit: Int64) -> Int64? {
        let digits = bytes[start..<start + 2]
        guard digits.allSatisfy({ (0x30...0x39).contains($0) }), let value = Int64(String(decoding: digits, as: UTF8.self)),
            value < limit
        else { return nil }
        return value
    }
    guard let hour = two(11, below: 24), let minute = two(14, below: 60), let second = two(17, below: 61) else { return nil }
    let seconds = date.dayNumber * 86_400 + hour * 3600 + minute * 60 + second
    return Instant(millisecondsSince1970: seconds * 1000)
}
