public import SerinModel

/// The distance of a zone's clocks from UTC at a moment, east of Greenwich positive; nil for a zone that is not known.
/// Passed in, because the time zone database is outside the core.
public typealias ZoneOffsets = @Sendable (_ zone: String, _ moment: Instant) -> Duration?

/// The zones that need no database: `UTC` and fixed distances.
public func fixedZoneOffset(_ zone: String) -> Duration? {
    if zone == "UTC" || zone == "Z" { return .zero }
    guard let sign = zone.utf8.first, sign == 0x2B || sign == 0x2D, let minutes = minuteOfDay(zone.dropFirst()),
        minutes <= 14 * 60
    else { return nil }
    return .minutes(Int64(sign == 0x2D ? -minutes : minutes))
}

/// One zone's clocks.
struct ZoneClock {
    let zone: String
    let offsets: ZoneOffsets

    private func offset(at moment: Instant) -> Duration { fixedZoneOffset(zone) ?? offsets(zone, moment) ?? .zero }

    /// What the clocks show, as if it were UTC.
    func local(_ moment: Instant) -> Instant { moment + offset(at: moment) }

    /// When the clocks show a time.
    ///
    /// A time that they show twice counts once, at its first. One that they skip counts as if they had not been moved yet: 02:30 in
    /// an hour that is left out is 03:30 on the new clock.
    func moment(ofLocal local: Instant) -> Instant {
        let before = offset(at: local - .hours(26))
        let after = offset(at: local + .hours(26))
        let early = local - before
        if before == after || offset(at: early) == before { return early }
        let late = local - after
        return offset(at: late) == after ? late : early
    }
}
