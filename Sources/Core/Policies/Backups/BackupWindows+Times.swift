public import SerinModel

extension DayWindow {
    /// Whether a moment lies in it.
    public func contains(_ moment: Instant) -> Bool {
        let day = moment.dayNumber
        let minute = Int((moment - Instant(dayNumber: day)).milliseconds / 60_000)
        if start < end { return isOn(day) && (start..<end).contains(minute) }
        return (isOn(day) && minute >= start) || (isOn(day - 1) && minute < end)
    }

    private func isOn(_ day: Int64) -> Bool { days.contains { $0.rawValue == CivilDate.weekday(ofDayNumber: day) } }

    /// `sat,sun 22:00-04:00`, or a reason why a text is no window.
    public init(_ text: String) throws(ScheduleError) {
        let parts = text.lowercased().split(separator: " ")
        guard let hours = parts.last, parts.count <= 2 else { throw DayWindow.wrong(text) }
        var days: [Weekday] = []
        if parts.count == 2 {
            for word in parts[0].split(separator: ",", omittingEmptySubsequences: false) {
                let ends = word.split(separator: "-", omittingEmptySubsequences: false).map { Weekday(String($0)) }
                guard let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2 else {
                    throw DayWindow.wrong(text)
                }
                var day = first
                while true {
                    days.append(day)
                    guard day != last, let next = Weekday(rawValue: (day.rawValue + 1) % 7) else { break }
                    day = next
                }
            }
        }
        let times = hours.split(separator: "-", omittingEmptySubsequences: false)
        guard times.count == 2, let start = minuteOfDay(times[0]), let end = minuteOfDay(times[1]), start < 1440, start != end
        else { throw DayWindow.wrong(text) }
        let all = Weekday.allCases.filter { days.isEmpty || days.contains($0) }
        self.init(days: all, start: start, end: end)
    }

    private static func wrong(_ text: String) -> ScheduleError {
        ScheduleError("expected hours like 02:00-05:00 or sat,sun 22:00-04:00, found '\(shown(text))'")
    }
}

extension Blackout {
    /// Whether a moment lies in it.
    public func contains(_ moment: Instant) -> Bool {
        switch self {
        case .weekly(let window): window.contains(moment)
        case .days(let first, let last): (first...max(first, last)).contains(moment.dayNumber)
        }
    }

    /// `2026-12-24`, `2026-12-24..2026-12-26` or hours of the week, or a reason why a text is none.
    public init(_ text: String) throws(ScheduleError) {
        let ends = text.split(separator: ".", omittingEmptySubsequences: true).map { CivilDate(String($0)) }
        if let first = ends.first ?? nil, let last = ends.last ?? nil, ends.count <= 2, first <= last {
            self = .days(first: first.dayNumber, last: last.dayNumber)
            return
        }
        guard let window = try? DayWindow(text) else {  // The error below names this form's own examples.
            throw ScheduleError("expected days like 2026-12-24..2026-12-26 or hours like sat 00:00-24:00, found '\(shown(text))'")
        }
        self = .weekly(window)
    }
}

extension BackupWindows {
    /// Whether a scheduled backup may begin at a moment: in no blackout, and in a window when those are enforced.
    public func allows(_ moment: Instant) -> Bool {
        if blackouts.contains(where: { $0.contains(moment) }) { return false }
        return mode == .warn || isInWindow(moment)
    }

    /// Whether a moment lies in a window, or there is none.
    public func isInWindow(_ moment: Instant) -> Bool { allowed.isEmpty || allowed.contains { $0.contains(moment) } }

    /// The first moment from this one on at which a backup may begin, to the minute; nil when there is none within ten weeks.
    public func firstAllowed(from moment: Instant) -> Instant? {
        if allows(moment) { return moment }
        let minute: Int64 = 60_000
        var time = Instant(millisecondsSince1970: (moment.millisecondsSince1970 / minute + 1) * minute)
        let end = moment + .hours(24 * 70)
        while time < end {
            if allows(time) { return time }
            time = time + .minutes(1)
        }
        return nil
    }
}
