public import SerinModel

/// When a schedule's next run is.
public enum ScheduledRun: Sendable, Hashable {
    /// Now: it was due at this moment, and so many before it were missed and are made up for by this one.
    case due(since: Instant, missed: Int)
    /// At this moment.
    case at(Instant)
    /// Never: something else sets it going.
    case never
}

extension BackupTrigger {
    /// The first time after a moment; nil for one that no clock sets going.
    public func next(after moment: Instant, zone: String, offsets: @escaping ZoneOffsets) -> Instant? {
        switch self {
        case .before: return nil
        case .every(let length):
            let length = max(1, length.milliseconds)
            let time = moment.millisecondsSince1970
            let passed = time >= 0 ? time / length : (time - length + 1) / length
            return Instant(millisecondsSince1970: (passed + 1) * length)
        case .cron(let expression): return expression.next(after: moment, in: ZoneClock(zone: zone, offsets: offsets))
        }
    }
}

extension BackupSchedule {
    /// The first time after a moment at which a run may begin, windows and blackouts observed; nil for a schedule that no clock sets
    /// going.
    public func next(after moment: Instant, windows: BackupWindows, offsets: @escaping ZoneOffsets) -> Instant? {
        trigger.next(after: moment, zone: zone, offsets: offsets).flatMap { windows.firstAllowed(from: $0) }
    }

    /// What the schedule wants now.
    ///
    /// Runs that were missed, because nothing ran or the hour was not allowed, are made up for by one.
    ///
    /// - Parameters:
    ///   - lastRun: The moment for which the last run was due (`since`), not the one at which it began, so that jitter does not add up;
    ///     for a schedule that has never run, when it became known.
    ///   - now: The moment.
    ///   - windows: The hours in which it may begin.
    ///   - chance: A number from 0 up to 1 that stays the same for this run: its share of the jitter.
    ///   - offsets: The time zones.
    public func run(
        after lastRun: Instant, now: Instant, windows: BackupWindows, chance: Double, offsets: @escaping ZoneOffsets
    ) -> ScheduledRun {
        guard var due = trigger.next(after: lastRun, zone: zone, offsets: offsets) else { return .never }
        var missed = 0
        while missed < 10_000, let next = trigger.next(after: due, zone: zone, offsets: offsets), next <= now {
            due = next
            missed += 1
        }
        let delay = Duration(milliseconds: Int64(Double(jitter.milliseconds) * min(max(chance, 0), 1)))
        guard let begin = windows.firstAllowed(from: max(due + delay, missed > 0 ? now : due)) else { return .never }
        if now < begin { return .at(begin) }
        guard let allowed = windows.firstAllowed(from: now) else { return .never }
        return allowed == now ? .due(since: due, missed: missed) : .at(allowed)
    }
}

extension CronExpression {
    /// The first time after a moment. Nil when there is none within nine years, which no expression that was read gives.
    func next(after moment: Instant, in clock: ZoneClock) -> Instant? {
        let first = clock.local(moment).dayNumber - 1
        for day in first..<(first + 3300) where fits(day: day) {
            var best: Instant?
            for hour in hours {
                for minute in minutes {
                    let local = Instant(dayNumber: day) + .minutes(Int64(hour * 60 + minute))
                    let time = clock.moment(ofLocal: local)
                    if time > moment { best = smaller(best, time) }
                }
            }
            if let best { return best }
        }
        return nil
    }

    private func fits(day number: Int64) -> Bool {
        let date = CivilDate(dayNumber: number)
        guard months.contains(Int(date.month)) else { return false }
        if let ordinal {
            guard date.weekday == ordinal.day.rawValue else { return false }
            if ordinal.number == 5 { return CivilDate(dayNumber: number + 7).month != date.month }
            return Int(date.day - 1) / 7 + 1 == ordinal.number
        }
        let fitsDay = days.contains(Int(date.day))
        let fitsWeekday = weekdays.contains(date.weekday)
        return anyDay || anyWeekday ? fitsDay && fitsWeekday : fitsDay || fitsWeekday
    }
}

extension BackupPlan {
    /// What the plan says of backups before rollouts; nil when it says nothing.
    public var rolloutSchedule: BackupSchedule? {
        schedules.first { if case .before = $0.trigger { true } else { false } }
    }

    /// Of which kind the backup before a rollout is.
    public var rolloutKind: BackupKind { rolloutSchedule?.kind ?? source.defaultKind }

    /// The oldest that the newest good backup of a kind may be: the shortest that a schedule of the kind asks for, else the plan's
    /// when a schedule makes the kind.
    public func maximumAge(of kind: BackupKind) -> Duration? {
        let own = schedules.filter { $0.kind == kind }
        guard !own.isEmpty || kind == source.defaultKind else { return nil }
        return own.compactMap(\.maximumAge).min() ?? maximumAge
    }
}
