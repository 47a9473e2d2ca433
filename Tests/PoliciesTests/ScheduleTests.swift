import SerinModel
import SerinPolicies
import Testing

private let unknown: ZoneOffsets = { _, _ in nil }

/// Central Europe in 2026: summer time from 29 March 01:00 UTC to 25 October 01:00 UTC.
private let berlin: ZoneOffsets = { zone, time in
    guard zone == "Europe/Berlin" else { return nil }
    let summer = moment("2026-03-29T01:00")...(moment("2026-10-25T01:00") - .milliseconds(1))
    return .hours(summer.contains(time) ? 2 : 1)
}

/// A moment written `2026-03-29T01:00`, in UTC.
private func moment(_ text: String) -> Instant {
    let parts = text.split(separator: "T")
    let time = (parts.last ?? "").split(separator: ":").compactMap { Int64($0) }
    return Instant(dayNumber: CivilDate(String(parts.first ?? ""))?.dayNumber ?? 0) + .minutes(time[0] * 60 + time[1])
}

private func text(_ time: Instant?) -> String { time.map { String("\($0)".prefix(16)) } ?? "never" }

@Suite struct ScheduleTests {
    @Test(arguments: [
        ("0 2 * * *", "2026-01-31T02:00", "2026-02-01T02:00"),
        ("0 2 * * *", "2026-01-31T01:59", "2026-01-31T02:00"),
        ("*/15 8-9 * * mon-fri", "2026-11-20T09:45", "2026-11-23T08:00"),
        ("0 2,8,14,20 * * *", "2026-11-21T08:00", "2026-11-21T14:00"),
        ("30 4 1,15 * *", "2026-11-15T04:30", "2026-12-01T04:30"),
        ("0 0 29 2 *", "2026-01-01T00:00", "2028-02-29T00:00"),
        ("0 0 13 * fri", "2026-11-21T00:00", "2026-11-27T00:00"),
        ("0 0 13 * fri", "2026-12-11T00:00", "2026-12-13T00:00"),
        ("0 0 */10 * *", "2026-11-21T00:00", "2026-12-01T00:00"),
        ("5 4 * jan,jul sun", "2026-11-21T00:00", "2027-01-03T04:05"),
        ("0 0 * * 7", "2026-11-21T00:00", "2026-11-22T00:00"),
        ("0 10 1 1,4,7,10 *", "2026-11-21T00:00", "2027-01-01T10:00"),
        ("first sun 10:00", "2026-11-21T00:00", "2026-12-06T10:00"),
        ("First Sun 10:00", "2026-11-01T09:59", "2026-11-01T10:00"),
        ("last fri 23:30", "2026-11-21T00:00", "2026-11-27T23:30"),
        ("third monday 06:00", "2026-11-21T00:00", "2026-12-21T06:00"),
        ("0 0 31 * *", "2026-04-01T00:00", "2026-05-31T00:00"),
    ])
    func theNextTimeIsThatOfTheCalendar(cron: String, after: String, next: String) throws {
        let trigger = BackupTrigger.cron(try CronExpression(cron))
        #expect(text(trigger.next(after: moment(after), zone: "UTC", offsets: unknown)) == next)
    }

    @Test(arguments: [
        "", "* * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 13 *", "* * * * 8", "5-1 * * * *",
        "*/0 * * * *", "a * * * *", "1,,2 * * * *", "* * 31 2 *", "0 0 30,31 feb *", "fifth sun 10:00", "first day 10:00",
        "first sun 24:00", "first sun 10", "1-2-3 * * * *", "1/2/3 * * * *", "+1 * * * *",
    ])
    func whatIsNoExpressionIsRefused(cron: String) { #expect(throws: ScheduleError.self) { try CronExpression(cron) } }

    @Test(arguments: [
        ("30 2 * * *", "2026-03-28T12:00", "2026-03-29T01:30"),  // 02:30 is skipped: 03:30 on the new clock
        ("30 2 * * *", "2026-03-29T02:00", "2026-03-30T00:30"),
        ("30 2 * * *", "2026-10-24T12:00", "2026-10-25T00:30"),  // 02:30 comes twice: the first
        ("30 2 * * *", "2026-10-25T00:30", "2026-10-26T01:30"),
        ("0 12 * * *", "2026-06-01T00:00", "2026-06-01T10:00"),
        ("0 12 * * *", "2026-12-01T00:00", "2026-12-01T11:00"),
        ("0 0 1 * *", "2026-06-30T12:00", "2026-06-30T22:00"),
    ])
    func summerTimeNeitherLosesNorRepeatsARun(cron: String, after: String, next: String) throws {
        let trigger = BackupTrigger.cron(try CronExpression(cron))
        #expect(text(trigger.next(after: moment(after), zone: "Europe/Berlin", offsets: berlin)) == next)
    }

    @Test func fixedZonesNeedNoDatabase() throws {
        let trigger = BackupTrigger.cron(try CronExpression("0 2 * * *"))
        #expect(text(trigger.next(after: moment("2026-11-21T00:00"), zone: "-05:30", offsets: unknown)) == "2026-11-21T07:30")
        #expect(fixedZoneOffset("+15:00") == nil)
        #expect(fixedZoneOffset("Europe/Berlin") == nil)
    }

    @Test func intervalsAreCountedFromTheEpochSoThatRestartsDoNotMoveThem() {
        let trigger = BackupTrigger.every(.hours(6))
        var time = moment("2026-11-21T03:17")
        var times: [String] = []
        for _ in 0..<3 {
            time = trigger.next(after: time, zone: "UTC", offsets: unknown) ?? time
            times.append(String(text(time).suffix(5)))
        }
        #expect(times == ["06:00", "12:00", "18:00"])
        #expect(BackupTrigger.before(.rollout).next(after: time, zone: "UTC", offsets: unknown) == nil)
    }

    func run(
        _ schedule: BackupSchedule, after: String, now: String, windows: BackupWindows = BackupWindows(), chance: Double = 0
    ) -> ScheduledRun {
        schedule.run(after: moment(after), now: moment(now), windows: windows, chance: chance, offsets: unknown)
    }

    @Test func runsThatWereMissedAreMadeUpForByOne() throws {
        let schedule = BackupSchedule(.cron(try CronExpression("0 2 * * *")), kind: .logical)
        #expect(run(schedule, after: "2026-11-20T02:00", now: "2026-11-20T12:00") == .at(moment("2026-11-21T02:00")))
        let due = ScheduledRun.due(since: moment("2026-11-21T02:00"), missed: 0)
        #expect(run(schedule, after: "2026-11-20T02:00", now: "2026-11-21T02:00") == due)
        let late = ScheduledRun.due(since: moment("2026-11-21T02:00"), missed: 3)
        #expect(run(schedule, after: "2026-11-17T02:00", now: "2026-11-21T09:13") == late)
        #expect(run(schedule, after: "2026-11-21T02:00", now: "2026-11-21T09:13") == .at(moment("2026-11-22T02:00")))
        #expect(
            run(BackupSchedule(.before(.rollout), kind: .logical), after: "2026-11-17T02:00", now: "2026-11-21T09:13") == .never)
    }

    @Test func jitterDelaysAndDoesNotAddUp() throws {
        let schedule = BackupSchedule(.cron(try CronExpression("0 2 * * *")), kind: .logical, jitter: .minutes(10))
        #expect(run(schedule, after: "2026-11-20T02:00", now: "2026-11-21T02:00", chance: 0.5) == .at(moment("2026-11-21T02:05")))
        let due = ScheduledRun.due(since: moment("2026-11-21T02:00"), missed: 0)
        #expect(run(schedule, after: "2026-11-20T02:00", now: "2026-11-21T02:05", chance: 0.5) == due)
    }

    @Test func blackoutsAndEnforcedWindowsDelayARun() throws {
        let schedule = BackupSchedule(.cron(try CronExpression("0 6 * * *")), kind: .logical)
        let night = try DayWindow("02:00-05:00")
        let enforced = BackupWindows(allowed: [night], mode: .enforce)
        #expect(
            run(schedule, after: "2026-11-20T06:00", now: "2026-11-21T06:00", windows: enforced)
                == .at(moment("2026-11-22T02:00")))
        let advised = BackupWindows(allowed: [night], mode: .warn)
        #expect(
            run(schedule, after: "2026-11-20T06:00", now: "2026-11-21T06:00", windows: advised)
                == .due(since: moment("2026-11-21T06:00"), missed: 0))
        let closed = BackupWindows(blackouts: [try Blackout("2026-11-21..2026-11-22")])
        #expect(
            run(schedule, after: "2026-11-20T06:00", now: "2026-11-21T06:00", windows: closed) == .at(moment("2026-11-23T00:00")))
        #expect(
            run(schedule, after: "2026-11-20T06:00", now: "2026-11-23T00:00", windows: closed)
                == .due(since: moment("2026-11-22T06:00"), missed: 1))
    }

    @Test func windowsMayRunPastMidnightAndHaveDays() throws {
        let window = try DayWindow("fri-sun 22:00-04:00")
        for (time, inside) in [
            ("2026-11-20T22:00", true), ("2026-11-21T03:59", true), ("2026-11-21T04:00", false), ("2026-11-23T03:00", true),
            ("2026-11-23T23:00", false), ("2026-11-20T03:00", false),
        ] { #expect(window.contains(moment(time)) == inside, "\(time)") }
        for wrong in ["", "02:00", "2:00-5:00", "02:00-25:00", "xyz 02:00-05:00", "02:00-02:00", "24:00-02:00"] {
            #expect(throws: ScheduleError.self) { try DayWindow(wrong) }
        }
        for wrong in ["2026-02-30", "2026-12-26..2026-12-24", "christmas"] {
            #expect(throws: ScheduleError.self) { try Blackout(wrong) }
        }
    }

    @Test func theCalendarCountsDaysAsTheGregorianOneDoes() {
        var day = CivilDate(year: 1900, month: 1, day: 1)
        var number = day.dayNumber
        #expect(number == -25_567)
        while day.year < 2101 {
            #expect(CivilDate(dayNumber: number) == day)
            let isLeap = day.year % 4 == 0 && (day.year % 100 != 0 || day.year % 400 == 0)
            let lengths: [Int64] = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
            day = CivilDate(year: day.year, month: day.month, day: day.day + 1)
            if day.day > lengths[Int(day.month) - 1] { day = CivilDate(year: day.year, month: day.month + 1, day: 1) }
            if day.month > 12 { day = CivilDate(year: day.year + 1, month: 1, day: 1) }
            number += 1
        }
        #expect(CivilDate(year: 2026, month: 11, day: 21).weekday == 6)
    }
}
