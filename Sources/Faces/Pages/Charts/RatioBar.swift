internal import SerinRollouts
internal import SerinVerdicts

/// A signal's ratio with its interval against the band of the tolerance, as a small drawing.
struct RatioBar {
    /// The ratio, canary over control.
    var ratio: Double
    /// Its interval.
    var interval: Interval?
    /// The ratio beyond which a fail is proven.
    var boundary: Double

    private static let width = 168.0
    private static let height = 26.0

    var markup: Markup {
        let scale = RatioScale(start: 6, length: Self.width - 12)
        let band = RatioScale.band(boundary)
        let middle = Self.height / 2
        return Tag.svg(
            .class("ratio"), Attribute(.viewBox, "0 0 168 26"), Attribute(.width, Self.width), Attribute(.height, Self.height),
            Attribute(.role, "img"), .label(words)
        ) {
            Tag.line(
                .class("axis"), Attribute(.x1, 6), Attribute(.x2, Self.width - 6), Attribute(.y1, middle), Attribute(.y2, middle))
            Tag.rect(
                .class("band"), Attribute(.x, scale.place(band.low)), Attribute(.y, 3),
                Attribute(.width, scale.place(band.high) - scale.place(band.low)), Attribute(.height, Self.height - 6))
            upright("one", scale.place(1), from: 3, to: Self.height - 3)
            upright("boundary", scale.place(boundary), from: 1, to: Self.height - 1)
            if let interval { range(interval, scale, middle) }
            Tag.circle(
                .class("estimate"), Attribute(.cx, scale.place(ratio)), Attribute(.cy, middle), Attribute(.r, 3.5))
        }
    }

    /// The same in words, for those who do not see it.
    var words: String {
        "ratio \(EvidenceNumbers.ratio(ratio, interval)), tolerance up to \(Numbers.fixed(boundary, decimals: 2))"
    }

    @MarkupBuilder private func range(_ interval: Interval, _ scale: RatioScale, _ middle: Double) -> Markup {
        let low = scale.place(interval.low)
        let high = scale.place(interval.high)
        Tag.line(
            .class("interval"), Attribute(.x1, low), Attribute(.x2, high), Attribute(.y1, middle), Attribute(.y2, middle))
        edge(low, isBeyond: scale.isBeyond(interval.low), pointing: -1, middle)
        edge(high, isBeyond: scale.isBeyond(interval.high), pointing: 1, middle)
    }

    /// The end of the interval: a bar, or an arrow where it goes on beyond the scale.
    private func edge(_ place: Double, isBeyond: Bool, pointing way: Double, _ middle: Double) -> Markup {
        guard isBeyond else { return upright("interval", place, from: middle - 5, to: middle + 5) }
        let tip = coordinate(place + 4 * way)
        let back = coordinate(place - 3 * way)
        return Tag.path(
            .class("arrow"),
            Attribute(
                .d, "M\(back) \(coordinate(middle - 4))L\(tip) \(coordinate(middle))L\(back) \(coordinate(middle + 4))Z"))
    }

    private func upright(_ name: String, _ place: Double, from top: Double, to bottom: Double) -> Markup {
        Tag.line(.class(name), Attribute(.x1, place), Attribute(.x2, place), Attribute(.y1, top), Attribute(.y2, bottom))
    }
}
