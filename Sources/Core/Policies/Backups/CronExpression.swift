/// Times of the calendar in cron's notation, with the n-th weekday of a month as an addition.
///
///     0 2 * * *            at 02:00 each day
///     */15 8-18 * * mon-fri
///     0 3 1,15 jan-jun *
///     first sun 10:00      of each month; also second, third, fourth, last
///
/// As in cron, a day fits when the day of the month or the day of the week does, if both are restricted.
public struct CronExpression: Sendable, Hashable, Codable, CustomStringConvertible {
    /// Which weekday of a month.
    public struct Ordinal: Sendable, Hashable, Codable {
        /// 1…4 from the month's beginning, 5 for the last.
        public var number: Int
        /// The weekday.
        public var day: Weekday
    }

    /// The text as it was written.
    public let description: String
    /// Minutes, sorted, 0…59.
    public let minutes: [Int]
    /// Hours, sorted, 0…23.
    public let hours: [Int]
    /// Days of the month, sorted, 1…31.
    public let days: [Int]
    /// Months, sorted, 1…12.
    public let months: [Int]
    /// Days of the week, sorted, 0 (Sunday)…6.
    public let weekdays: [Int]
    /// Whether any day of the month fits, because the field begins with `*`.
    public let anyDay: Bool
    /// Whether any day of the week fits, because the field begins with `*`.
    public let anyWeekday: Bool
    /// The n-th weekday of the month, in place of days and weekdays.
    public let ordinal: Ordinal?

    /// Reads an expression, or says what is wrong with it.
    public init(_ text: String) throws(ScheduleError) {
        description = text
        let fields = text.split(separator: " ").map { $0.lowercased() }
        if fields.count == 3 {
            let (number, day, time) = try CronExpression.ordinal(fields)
            ordinal = Ordinal(number: number, day: day)
            minutes = [time.minute]
            hours = [time.hour]
            (days, months, weekdays) = (Array(1...31), Array(1...12), Array(0...6))
            (anyDay, anyWeekday) = (true, true)
            return
        }
        guard fields.count == 5 else {
            throw ScheduleError(
                "expected five fields (minute hour day month weekday) or 'first sun 10:00', found \(fields.count)")
        }
        ordinal = nil
        minutes = try CronField.minute.values(fields[0])
        hours = try CronField.hour.values(fields[1])
        days = try CronField.day.values(fields[2])
        months = try CronField.month.values(fields[3])
        weekdays = Set(try CronField.weekday.values(fields[4]).map { $0 % 7 }).sorted()
        anyDay = fields[2].hasPrefix("*")
        anyWeekday = fields[4].hasPrefix("*")
        // 31 April never comes, and a plan that waits for it never runs.
        let longest = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        if anyWeekday, let first = days.first, months.allSatisfy({ longest[$0 - 1] < first }) {
            throw ScheduleError("no such day: day \(first) is in none of the months")
        }
    }

    /// Reads the text.
    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        do {
            self = try CronExpression(text)
        } catch {
            throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: error.description))
        }
    }

    /// Writes the text.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    /// `first sun 10:00`
    private static func ordinal(
        _ fields: [String]
    ) throws(ScheduleError) -> (number: Int, day: Weekday, time: (hour: Int, minute: Int)) {
        let numbers = ["first", "second", "third", "fourth", "last"]
        guard let number = numbers.firstIndex(of: fields[0]) else {
            throw ScheduleError("expected \(numbers.joined(separator: ", ")), found '\(shown(fields[0]))'")
        }
        guard let day = Weekday(fields[1]) else {
            throw ScheduleError("expected a weekday like sun, found '\(shown(fields[1]))'")
        }
        guard let minute = minuteOfDay(fields[2]), minute < 1440 else {
            throw ScheduleError("expected a time of day like 10:00, found '\(shown(fields[2]))'")
        }
        return (number + 1, day, (minute / 60, minute % 60))
    }
}

/// What is wrong with a schedule's text; lower case.
public struct ScheduleError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong and what was expected.
    public var description: String

    /// An error.
    public init(_ description: String) { self.description = description }
}

/// One field of an expression.
private struct CronField {
    let name: String
    let range: ClosedRange<Int>
    let words: [String]

    static let minute = CronField(name: "minute", range: 0...59, words: [])
    static let hour = CronField(name: "hour", range: 0...23, words: [])
    static let day = CronField(name: "day", range: 1...31, words: [])
    static let month = CronField(
        name: "month", range: 1...12,
        words: ["", "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"])
    /// 7 is Sunday as well, as in cron.
    static let weekday = CronField(name: "weekday", range: 0...7, words: Weekday.allCases.map(\.word))

    /// The values of `*`, `*/15`, `1-5`, `1-10/3`, `1,15` and names, sorted.
    func values(_ text: String) throws(ScheduleError) -> [Int] {
        var values: Set<Int> = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let pieces = part.split(separator: "/", omittingEmptySubsequences: false)
            guard pieces.count <= 2, let body = pieces.first else { throw wrong(text) }
            var step = 1
            if pieces.count == 2 {
                guard let given = Int(pieces[1]), (1...range.upperBound).contains(given) else { throw wrong(text) }
                step = given
            }
            let bounds = try self.bounds(body, isStepped: pieces.count == 2, whole: text)
            values.formUnion(stride(from: bounds.lowerBound, through: bounds.upperBound, by: step))
        }
        return values.sorted()
    }

    private func bounds(_ text: Substring, isStepped: Bool, whole: String) throws(ScheduleError) -> ClosedRange<Int> {
        // Seven days of the week, although two numbers stand for Sunday.
        if text == "*" { return range.lowerBound...(self.name == "weekday" ? 6 : range.upperBound) }
        let ends = text.split(separator: "-", omittingEmptySubsequences: false)
        guard ends.count <= 2, let first = ends.first.flatMap(value) else { throw wrong(whole) }
        guard ends.count == 2 else { return first...(isStepped ? range.upperBound : first) }
        guard let last = value(ends[1]), first <= last else { throw wrong(whole) }
        return first...last
    }

    private func value(_ text: Substring) -> Int? {
        if !text.isEmpty, let place = words.firstIndex(of: String(text)) { return place }
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let number = Int(text), range.contains(number)
        else { return nil }
        return number
    }

    private func wrong(_ text: String) -> ScheduleError {
        ScheduleError(
            "\(name): expected numbers from \(range.lowerBound) to \(range.upperBound), such as *, */2, 1-5 or 1,3, found '\(shown(text))'"
        )
    }
}

/// Minutes after midnight from `02:30`; `24:00` is 1440.
func minuteOfDay(_ text: some StringProtocol) -> Int? {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count == 2, parts[0].utf8.count == 2, parts[1].utf8.count == 2,
        parts.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }), let hour = Int(parts[0]),
        let minute = Int(parts[1]), minute < 60, hour < 24 || (hour == 24 && minute == 0)
    else { return nil }
    return hour * 60 + minute
}
