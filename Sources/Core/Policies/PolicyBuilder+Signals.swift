internal import SerinModel

extension PolicyBuilder {
    /// The signals in the order of the policy; one whose parts are missing is left out, which was complained about.
    mutating func signals(from root: ReadSection) -> [SignalPolicy] {
        var signals: [SignalPolicy] = []
        for entry in root.map("signals") {
            guard case .section(let section) = entry.value else { continue }
            if let signal = signal(entry.key, from: section) { signals.append(signal) }
        }
        return signals
    }

    private mutating func signal(_ name: String, from section: ReadSection) -> SignalPolicy? {
        let path = "signals.\(name)"
        guard let source = source(of: section, path: path) else { return nil }
        var signal = SignalPolicy(name: name, source: source)
        signal.exclude = matchers(section.map("exclude"), path: "\(path).exclude").sorted()
        signal.direction = word(section, "direction") ?? .increase
        signal.tolerance = section.number("tolerance") ?? signal.tolerance
        signal.isSecurity = section.flag("security")
        signal.isReportOnly = section.flag("report_only")
        signal.proof = word(section, "proof") ?? (signal.isSecurity ? .any : .beyond)
        signal.judge = word(section, "judge") ?? .sequential
        signal.minExposure = section.number("min_exposure") ?? signal.minExposure
        signal.hardLimit = section.duration("hard_limit")?.seconds ?? section.number("hard_limit")
        signal.slack = section.duration("slack")?.seconds ?? section.number("slack") ?? 0
        signal.floor = section.number("floor") ?? 0
        let assurance = section.section("assurance")
        signal.assureTolerance = assurance?.number("tolerance") ?? signal.tolerance
        switch source {
        case .ratio, .per, .rate: signal.assureFloor = assurance?.number("floor") ?? max(1e-3, signal.floor)
        case .latency, .gauge, .expression: signal.assureFloor = 0
        }
        return signal
    }

    private mutating func source(of section: ReadSection, path: String) -> SignalPolicy.Source? {
        if let counter = section.text("counter") {
            if section["bad"] != nil {
                return .ratio(counter: counter, bad: matchers(section.map("bad"), path: "\(path).bad").sorted())
            }
            return section.text("per").map { .per(counter: counter, exposure: $0) } ?? .rate(counter: counter)
        }
        if let histogram = section.text("histogram"), let quantile = section.number("quantile") {
            return .latency(histogram: histogram, quantile: quantile)
        }
        if let gauge = section.text("gauge") { return .gauge(metric: gauge) }
        guard let expression = section.scalar("promql") else { return nil }
        check(placeholdersIn: expression.text, at: expression.mark, path: "\(path).promql")
        return .expression(placeholders.fill(expression.text))
    }
}
