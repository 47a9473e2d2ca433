/// Times of the calendar in cron's notation, with the n-th weekday of a month as an addition.
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
}
