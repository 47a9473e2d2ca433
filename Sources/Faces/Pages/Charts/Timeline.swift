internal import SerinModel
internal import SerinPolicies
internal import SerinRollouts
internal import SerinVerdicts

/// A rollout's course: the staircase of the weight, each signal's verdicts below it, and marks for what people and machines asked for.
struct Timeline {
    let history: RolloutHistory
    let axis: TimeAxis
    /// Up to when anything is known: a short course does not reach the end of its axis.
    private let until: Instant
    let signals: [String]
    private let steps: [Weight]
    private let top: Weight

    static let width = 960.0
    private static let left = 96.0
    private static let ceiling = 30.0
    private static let floor = 170.0
    private static let laneHeight = 18.0
    /// How far names have to be from each other to be read.
    private static let nameHeight = 13.0

    /// The course of a rollout up to a moment.
    init(_ history: RolloutHistory, status: RolloutStatus, now: Instant) {
        self.history = history
        until = status.isFinal ? status.since + .seconds(30) : now
        axis = TimeAxis(
            from: history.createdAt ?? status.startedAt, to: until, left: Self.left, right: Self.width - 24)
        signals = status.signals.isEmpty ? Self.names(history) : status.signals.map(\.name)
        steps = history.charter?.policy.traffic.steps.map(\.weight) ?? []
        let seen = (history.wanted + history.observed).map(\.weight) + steps + [status.wantedWeight]
        top = seen.max().flatMap { $0 == .zero ? nil : $0 } ?? .all
    }

    private static func names(_ history: RolloutHistory) -> [String] {
        history.evidence.reduce(into: []) { if !$0.contains($1.signal.name) { $0.append($1.signal.name) } }
    }

    private var height: Double { Self.floor + 26 + Self.laneHeight * Double(signals.count) + 8 }

    /// The drawing.
    var markup: Markup {
        Tag.svg(
            .class("timeline"), Attribute(.viewBox, "0 0 960 \(coordinate(height))"), Attribute(.role, "img"),
            Attribute(.ariaLabelledBy, "timeline-title timeline-words")
        ) {
            Tag.title(.id("timeline-title"), text: "Weight of the canary over time")
            Tag.desc(.id("timeline-words"), text: words)
            grid
            staircase(history.wanted, "wanted")
            staircase(history.observed, "observed")
            for (index, name) in signals.enumerated() { lane(name, Self.floor + 40 + Self.laneHeight * Double(index)) }
            for mark in shownMarks { symbol(mark) }
        }
    }

    /// The course in a sentence.
    var words: String {
        let weights = history.observed.map { "\($0.weight) from \($0.at.timeOfDay)" }
        let unread = history.unreadSince.map { "; none could be read since \($0.timeOfDay)" } ?? ""
        return (weights.isEmpty ? "no weight was read yet" : "weight read back: " + weights.suffix(12).joined(separator: ", "))
            + unread
    }

    private func height(_ weight: Weight) -> Double {
        Self.floor - (Self.floor - Self.ceiling) * weight.fraction / top.fraction
    }

    @MarkupBuilder private var grid: Markup {
        for weight in Set(steps + [.zero, top]).sorted() {
            Tag.line(
                .class("grid"), Attribute(.x1, axis.left), Attribute(.x2, axis.right), Attribute(.y1, height(weight)),
                Attribute(.y2, height(weight)))
            if named.contains(weight) {
                Tag.text(
                    .class("tick"), Attribute(.x, axis.left - 8), Attribute(.y, height(weight) + 4),
                    Attribute(.textAnchor, "end"), text: weight.description)
            }
        }
        for tick in axis.ticks {
            Tag.line(
                .class("grid"), Attribute(.x1, axis.place(tick)), Attribute(.x2, axis.place(tick)), Attribute(.y1, Self.ceiling),
                Attribute(.y2, Self.floor))
            Tag.text(
                .class("tick"), Attribute(.x, axis.place(tick)), Attribute(.y, Self.floor + 17),
                Attribute(.textAnchor, "middle"), text: String(tick.timeOfDay.prefix(5)))
        }
    }

    /// The weights that are named at their lines: 0, the top, and from there down those whose names do not lie on each other.
    private var named: [Weight] {
        var named = [Weight.zero, top]
        for weight in Set(steps).sorted(by: >) where named.allSatisfy({ abs(height($0) - height(weight)) >= Self.nameHeight }) {
            named.append(weight)
        }
        return named
    }

    /// The path of a weight: level until the next change, then straight up or down.
    private func staircase(_ points: [RolloutHistory.WeightPoint], _ name: String) -> Markup? {
        guard let first = points.first else { return nil }
        var path = "M\(coordinate(axis.place(first.at))) \(coordinate(height(first.weight)))"
        for point in points.dropFirst() {
            path += "H\(coordinate(axis.place(point.at)))V\(coordinate(height(point.weight)))"
        }
        // What is wanted is known up to now; what was read back, up to the first poll that could not read it.
        let end = name == "observed" ? min(until, history.unreadSince ?? until) : until
        path += "H\(coordinate(axis.place(end)))"
        guard name == "observed", let last = points.last else { return Tag.path(.class(name), Attribute(.d, path)) }
        let area = path + "V\(coordinate(Self.floor))H\(coordinate(axis.place(first.at)))Z"
        let isRead = history.unreadSince == nil
        return Markup(joining: [
            Tag.path(.class("area"), Attribute(.d, area)), Tag.path(.class(name), Attribute(.d, path)),
            Tag.circle(
                .class(isRead ? "now" : "now lost"), Attribute(.cx, axis.place(end)), Attribute(.cy, height(last.weight)),
                Attribute(.r, 4)),
        ])
    }

    /// The verdicts of one signal along a line.
    @MarkupBuilder private func lane(_ name: String, _ y: Double) -> Markup {
        Tag.text(
            .class("tick"), Attribute(.x, axis.left - 8), Attribute(.y, y + 4), Attribute(.textAnchor, "end"),
            text: name.count > 13 ? name.prefix(12) + "…" : name)
        Tag.line(
            .class("grid"), Attribute(.x1, axis.left), Attribute(.x2, axis.right), Attribute(.y1, y), Attribute(.y2, y))
        for point in shown(name) {
            Tag.g(Attribute(.transform, "translate(\(coordinate(axis.place(point.at))) \(coordinate(y)))")) {
                Tag.title {
                    "\(point.at.timeOfDay) \(name) \(point.signal.verdict.rawValue) "
                    EvidenceNumbers.ratio(point.signal.ratio, point.signal.interval)
                }
                VerdictMark.shape(point.signal.verdict)
            }
        }
    }

    /// As many verdicts as there is room for, and every change of verdict.
    private func shown(_ name: String) -> [RolloutHistory.EvidencePoint] {
        var last: (place: Double, verdict: Verdict)?
        return history.evidence.filter { point in
            guard point.signal.name == name else { return false }
            let place = axis.place(point.at)
            if let last, last.verdict == point.signal.verdict, place - last.place < 9 { return false }
            last = (place, point.signal.verdict)
            return true
        }
    }

    private var shownMarks: [RolloutHistory.Mark] { Array(history.marks.suffix(60)) }

    /// A letter in a shape at the top, and a line down to the axis.
    private func symbol(_ mark: RolloutHistory.Mark) -> Markup {
        let x = axis.place(mark.at)
        return Tag.g(.class("mark \(mark.source.rawValue)")) {
            Tag.title(text: "\(mark.at.timeOfDay) \(mark.text)")
            Tag.line(Attribute(.x1, x), Attribute(.x2, x), Attribute(.y1, 22), Attribute(.y2, Self.floor))
            MarkSymbol.shape(mark.source, x: x, y: 12)
        }
    }
}
