internal import SerinModel
internal import SerinPolicies
internal import SerinRollouts

/// A signal's two cohorts as graphs of Prometheus' own page, at the time of the last poll. For people: verdicts rest on raw counters.
struct SignalQuery {
    private let signal: SignalPolicy
    private let policy: PrometheusPolicy
    private let end: Instant?

    /// The query of a signal; nil while its policy is not known.
    init?(_ name: String, in history: RolloutHistory) {
        guard let charter = history.charter, let signal = charter.policy.signals.first(where: { $0.name == name }) else {
            return nil
        }
        self.signal = signal
        policy = charter.policy.prometheus
        end = history.polledAt
    }

    /// Where Prometheus shows it.
    var link: Link? {
        var query: [(name: String, value: String)] = []
        for (index, cohort) in [policy.canary, policy.control].enumerated() {
            query.append((name: "g\(index).expr", value: expression(cohort)))
            query.append((name: "g\(index).tab", value: "0"))
            query.append((name: "g\(index).range_input", value: "30m"))
            if let end {
                let time = "\(end.description.prefix(10)) \(end.timeOfDay.prefix(8))"
                query.append((name: "g\(index).end_input", value: time))
            }
        }
        return Link(web: policy.endpoint.url + "/graph", query: query)
    }

    /// The expression of a cohort.
    func expression(_ cohort: [Label]) -> String {
        let matchers = cohort.map { LabelMatcher($0.name, .equal, $0.value) } + signal.conditions
        func rate(_ metric: String, _ more: [LabelMatcher] = []) -> String {
            "sum(rate(\(selector(metric, matchers + more))[5m]))"
        }
        switch signal.source {
        case .ratio(let counter, let bad): return "\(rate(counter, bad)) / \(rate(counter))"
        case .per(let counter, let exposure): return "\(rate(counter)) / \(rate(exposure))"
        case .rate(let counter): return rate(counter)
        case .latency(let histogram, let quantile):
            return
                "histogram_quantile(\(quantile), sum by (le) (rate(\(selector(histogram + "_bucket", matchers))[5m])))"
        case .gauge(let metric): return selector(metric, matchers)
        case .expression(let text): return text
        }
    }

    private func selector(_ metric: String, _ matchers: [LabelMatcher]) -> String {
        let conditions = matchers.map { matcher in
            let sign =
                switch matcher.comparison {
                case .equal: "="
                case .notEqual: "!="
                case .matches: "=~"
                case .notMatches: "!~"
                }
            let value = matcher.value.rewriting { scalar in
                switch scalar {
                case "\\": "\\\\"
                case "\"": "\\\""
                case "\n": "\\n"
                default: nil
                }
            }
            return "\(matcher.name)\(sign)\"\(value)\""
        }
        return "\(metric){\(conditions.joined(separator: ","))}"
    }
}
