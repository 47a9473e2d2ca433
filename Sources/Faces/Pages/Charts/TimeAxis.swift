internal import SerinModel

/// Moments along a drawing.
struct TimeAxis {
    var begin: Instant
    var end: Instant
    var left: Double
    var right: Double

    /// An axis over a span of a minute at least.
    init(from begin: Instant, to end: Instant, left: Double, right: Double) {
        self.begin = begin
        self.end = max(end, begin + .minutes(1))
        self.left = left
        self.right = right
    }

    /// Where a moment lies, within the drawing.
    func place(_ moment: Instant) -> Double {
        let share = Double((moment - begin).milliseconds) / Double((end - begin).milliseconds)
        return left + (right - left) * min(1, max(0, share))
    }

    /// Round moments, eight at most.
    var ticks: [Instant] {
        let minutes: [Int64] = [1, 2, 5, 10, 15, 30, 60, 120, 240, 360, 720, 1440]
        let span = (end - begin).milliseconds
        let step = (minutes.first { span / ($0 * 60_000) <= 8 } ?? 2880) * 60_000
        var tick = (begin.millisecondsSince1970 / step + 1) * step
        var ticks: [Instant] = []
        while tick < end.millisecondsSince1970, ticks.count < 60 {
            ticks.append(Instant(millisecondsSince1970: tick))
            tick += step
        }
        return ticks
    }
}
