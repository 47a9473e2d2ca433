internal import SerinModel
internal import SerinRollouts
internal import SerinVerdicts

/// How a signal's ratio has moved, as a line against the band of the tolerance.
struct Sparkline {
    /// What was written down, oldest first.
    var points: [RolloutHistory.EvidencePoint]

    private static let width = 84.0
    private static let height = 26.0

    /// The drawing; nothing with fewer than two ratios.
    var markup: Markup? {
        let ratios = points.compactMap { point in point.signal.ratio.map { (point.at, $0) } }
        guard ratios.count > 1, let first = ratios.first, let last = ratios.last, last.0 > first.0 else { return nil }
        let scale = RatioScale(start: Self.height - 3, length: 6 - Self.height)
        let span = Double((last.0 - first.0).milliseconds)
        // No more points than the drawing has room for; the newest is always one of them.
        let stride = max(1, ratios.count / 80)
        let shown = ratios.enumerated().filter { $0.offset % stride == 0 || $0.offset == ratios.count - 1 }.map(\.element)
        let corners = shown.map { at, ratio in
            let x = 3 + (Self.width - 6) * Double((at - first.0).milliseconds) / span
            return "\(coordinate(x)),\(coordinate(scale.place(ratio)))"
        }
        let band = RatioScale.band(points.last?.signal.boundary ?? 1)
        return Tag.svg(
            .class("spark"), Attribute(.viewBox, "0 0 84 26"), Attribute(.width, Self.width), Attribute(.height, Self.height),
            Attribute(.role, "img"),
            .label(
                "ratio from \(Numbers.fixed(first.1, decimals: 2)) at \(first.0.timeOfDay) to \(Numbers.fixed(last.1, decimals: 2))"
            )
        ) {
            Tag.rect(
                .class("band"), Attribute(.x, 0), Attribute(.y, scale.place(band.high)), Attribute(.width, Self.width),
                Attribute(.height, scale.place(band.low) - scale.place(band.high)))
            Tag.polyline(.class("trend"), Attribute(.points, corners.joined(separator: " ")))
            Tag.circle(
                .class("estimate"), Attribute(.cx, Self.width - 3), Attribute(.cy, scale.place(last.1)), Attribute(.r, 2.5))
        }
    }
}
