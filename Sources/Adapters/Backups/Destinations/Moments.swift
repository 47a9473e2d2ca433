internal import SerinModel

/// The moment of a timestamp of RFC 3339 in UTC (`2026-03-01T00:42:15.000Z`), parts of a second dropped; nil when it is none.
func moment(rfc3339 text: String) -> Instant? {
    let bytes = Array(text.utf8)
    guard bytes.count >= 20, bytes.last == 0x5A, bytes[4] == 0x2D, bytes[7] == 0x2D, bytes[10] == 0x54, bytes[13] == 0x3A else {
        return nil
    }
    func number(_ start: Int, _ count: Int) -> Int64? { Int64(String(decoding: bytes[start..<start + count], as: UTF8.self)) }
    guard let year = number(0, 4), let month = number(5, 2), let day = number(8, 2), let hour = number(11, 2),
        let minute = number(14, 2), let second = number(17, 2)
    else { return nil }
    return moment(year: year, month: month, day: day, seconds: hour * 3600 + minute * 60 + second)
}

/// The moment of a date of HTTP (RFC 9110, section 5.6.7: `Sun, 01 Mar 2026 00:42:15 GMT`); nil when it is none.
func moment(http text: String) -> Instant? {
    let words = text.split(separator: " ")
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    guard words.count == 6, words[5] == "GMT", let day = Int64(words[1]), let month = months.firstIndex(of: String(words[2])),
        let year = Int64(words[3])
    else { return nil }
    let time = words[4].split(separator: ":").compactMap { Int64($0) }
    guard time.count == 3, time.allSatisfy({ (0...60).contains($0) }) else { return nil }
    return moment(year: year, month: Int64(month) + 1, day: day, seconds: time[0] * 3600 + time[1] * 60 + time[2])
}

/// `Sun, 01 Mar 2026 00:42:15 GMT`
func httpDate(_ moment: Instant) -> String {
    let text = moment.description
    let days = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    let parts = text.split { $0 == "-" || $0 == "T" || $0 == "Z" }
    let dayNumber = Int(moment.millisecondsSince1970 / 86_400_000)
    let month = months[((Int(parts[1]) ?? 1) - 1) % 12]
    return "\(days[dayNumber % 7]), \(parts[2]) \(month) \(parts[0]) \(parts[3]) GMT"
}

/// From a Gregorian date, by counting days of 400-year eras that begin on 1 March.
private func moment(year: Int64, month: Int64, day: Int64, seconds: Int64) -> Instant? {
    guard (1970...9999).contains(year), (1...12).contains(month), (1...31).contains(day), (0...86_400).contains(seconds) else {
        return nil
    }
    let shifted = month <= 2 ? year - 1 : year
    let era = shifted / 400
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
    let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
    return Instant(millisecondsSince1970: ((era * 146_097 + dayOfEra - 719_468) * 86_400 + seconds) * 1000)
}
