internal import SerinModel
internal import SerinRollouts
internal import SerinVerdicts

/// Every signal: verdict, both cohorts, the ratio with its interval against the band, its trend, how fresh it is, and why.
struct SignalSection {
    let view: RolloutView
    let visit: Visit

    var markup: Markup {
        Tag.section(Attribute(.ariaLabelledBy, "signals-title")) {
            Tag.h2(.id("signals-title"), text: "Signals")
            if view.status.signals.isEmpty {
                Tag.p(.class("quiet"), text: view.status.isFinal ? "Nothing was compared." : "Nothing is compared yet.")
            } else {
                Tag.table(.class("signals"), Attribute(.role, "table")) {
                    Tag.thead(Attribute(.role, "rowgroup")) {
                        Tag.tr(Attribute(.role, "row")) {
                            for name in [
                                "Signal", "Verdict", "Canary", "Control", "Ratio", "Against tolerance", "Trend", "Fresh",
                            ] {
                                Tag.th(Attribute(.scope, "col"), Attribute(.role, "columnheader"), text: name)
                            }
                        }
                    }
                    Tag.tbody(Attribute(.role, "rowgroup")) {
                        for signal in ordered { row(signal) }
                    }
                }
            }
        }
    }

    /// What decides comes first: fails, then what lacks data, then the rest in the policy's order.
    private var ordered: [SignalAssessment] {
        func rank(_ signal: SignalAssessment) -> Int {
            if signal.isReportOnly { return 3 }
            switch signal.verdict {
            case .fail: return 0
            case .nodata: return 1
            case .inconclusive, .pass: return 2
            }
        }
        return view.status.signals.enumerated().sorted { (rank($0.element), $0.offset) < (rank($1.element), $1.offset) }
            .map(\.element)
    }

    @MarkupBuilder private func row(_ signal: SignalAssessment) -> Markup {
        let counts = signal.counts
        // One that was computed before there were events tells nothing.
        let computed = view.status.interval(of: signal.name).flatMap { $0.ratio == nil ? nil : $0 }
        Tag.tr(Attribute(.role, "row"), .class("verdict-\(signal.verdict.rawValue)")) {
            Tag.th(Attribute(.scope, "row"), Attribute(.role, "rowheader"), text: signal.name)
            cell("verdict") {
                VerdictMark.icon(signal.verdict)
                Tag.strong(text: VerdictMark.word(signal.verdict))
            }
            cell("number") {
                label("canary")
                EvidenceNumbers.share(counts.canaryEvents, of: counts.canaryExposure)
            }
            cell("number") {
                label("control")
                EvidenceNumbers.share(counts.controlEvents, of: counts.controlExposure)
            }
            cell("number") {
                label("ratio")
                ratio(signal, computed)
            }
            cell("drawing") {
                if let ratio = computed.map(\.ratio) ?? signal.ratio {
                    RatioBar(ratio: ratio, interval: computed?.interval ?? signal.interval, boundary: signal.boundary).markup
                } else {
                    "-"
                }
            }
            cell("drawing trend") {
                Sparkline(points: view.history.evidence.filter { $0.signal.name == signal.name }).markup ?? Markup("-")
            }
            cell("fresh") { freshness(signal) }
        }
        Tag.tr(Attribute(.role, "row"), .class("reason")) {
            Tag.td(Attribute(.role, "cell"), Attribute(.colspan, "8"), text: EvidenceNumbers.why(signal))
        }
    }

    /// The ratio of the counts beside it, and below it the interval with what it was computed from, when that is older.
    @MarkupBuilder private func ratio(_ signal: SignalAssessment, _ computed: ComputedInterval?) -> Markup {
        if let computed, !computed.isOf(signal) {
            EvidenceNumbers.ratio(signal.ratio, nil)
            Tag.span(.class("base quiet")) {
                "\(EvidenceNumbers.ratio(computed.ratio, computed.interval)) \(computed.base), "
                ago(computed.at, visit.now)
            }
        } else {
            EvidenceNumbers.ratio(signal.ratio, computed?.interval ?? signal.interval)
        }
    }

    private func cell(_ name: String, @MarkupBuilder content: () -> Markup) -> Markup {
        Tag.td(.class(name), Attribute(.role, "cell"), content: content)
    }

    /// What a cell is, where a narrow screen has no columns.
    private func label(_ name: String) -> Markup { Tag.span(.class("narrow"), text: name + " ") }

    @MarkupBuilder private func freshness(_ signal: SignalAssessment) -> Markup {
        if let absence = signal.absence {
            Tag.span(.class("differs"), text: absence.words)
        } else if let at = view.history.polledAt {
            ago(at, visit.now)
        } else {
            "-"
        }
        if let link = SignalQuery(signal.name, in: view.history)?.link {
            " "
            Tag.a(.href(link), Attribute(.rel, "noreferrer"), .label("\(signal.name) in Prometheus"), text: "query")
        }
    }
}
