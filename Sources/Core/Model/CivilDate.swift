/// A day of the Gregorian calendar, without a time zone.
public struct CivilDate: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The year; year 0 is 1 BC.
    public var year: Int64
    /// The month, 1…12.
    public var month: Int64
    /// The day of the month, 1…31.
    public var day: Int64

    /// A day of valid parts.
    public init(year: Int64, month: Int64, day: Int64) {
        self.year = year
        self.month = month
        self.day = day
    }

    /// The day so many days after 1970-01-01, by counting days of 400-year eras that begin on 1 March.
    public init(dayNumber: Int64) {
        let days = dayNumber + 719_468
        let era = floorDivide(days, 146_097)
        let dayOfEra = days - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * dayOfYear + 2) / 153
        month = shifted < 10 ? shifted + 3 : shifted - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        day = dayOfYear - (153 * shifted + 2) / 5 + 1
    }

    /// A day written `2026-03-01`; nil when it is written otherwise or does not exist.
    public init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.map(\.utf8.count) == [4, 2, 2], parts.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }),
            let year = Int64(parts[0]), let month = Int64(parts[1]), let day = Int64(parts[2])
        else { return nil }
        let date = CivilDate(year: year, month: month, day: day)
        guard (1...12).contains(month), (1...31).contains(day), CivilDate(dayNumber: date.dayNumber) == date else { return nil }
        self = date
    }

    /// Days after 1970-01-01.
    public var dayNumber: Int64 {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = floorDivide(shiftedYear, 400)
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    /// The day of the week, 0 for Sunday … 6.
    public var weekday: Int { CivilDate.weekday(ofDayNumber: dayNumber) }

    /// The day of the week of a day so many days after 1970-01-01, 0 for Sunday … 6.
    public static func weekday(ofDayNumber number: Int64) -> Int { Int(number + 4 - floorDivide(number + 4, 7) * 7) }

    /// `2026-03-01`
    public var description: String {
        func two(_ value: Int64) -> String { value < 10 ? "0\(value)" : "\(value)" }
        let text = (0...999).contains(year) ? "\(year + 10_000)".dropFirst() : "\(year)"
        return "\(text)-\(two(month))-\(two(day))"
    }

    /// Earlier first.
    public static func < (left: CivilDate, right: CivilDate) -> Bool {
        (left.year, left.month, left.day) < (right.year, right.month, right.day)
    }
}

extension Instant {
    /// Whole days since 1970-01-01 in UTC.
    public var dayNumber: Int64 { floorDivide(millisecondsSince1970, 86_400_000) }

    /// The first moment of the day so many days after 1970-01-01, in UTC.
    public init(dayNumber: Int64) { self.init(millisecondsSince1970: (Duration.hours(24) * dayNumber).milliseconds) }

    /// The day in UTC.
    public var date: CivilDate { CivilDate(dayNumber: dayNumber) }
}

/// The quotient rounded towards minus infinity.
func floorDivide(_ value: Int64, _ divisor: Int64) -> Int64 {
    let quotient = value / divisor
    return value % divisor < 0 ? quotient - 1 : quotient
}
