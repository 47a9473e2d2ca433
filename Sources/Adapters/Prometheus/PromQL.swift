internal import SerinModel

/// Builds PromQL text from checked parts. Nothing from a policy is pasted, except an `expression`, which is a query by intent.
enum PromQL {
    /// The query that reads a shape's values; with a cohort's labels, for that cohort alone.
    static func values(_ query: SeriesQuery, of cohort: [Label] = []) throws(Failure) -> String {
        switch query.kind {
        case .counter: return "sum by (\(try names(query.groupedBy))) (\(try selector(query, "", of: cohort)))"
        case .gauge: return "avg by (\(try names(query.groupedBy))) (\(try selector(query, "", of: cohort)))"
        case .histogram:
            return "sum by (\(try names((query.groupedBy + ["le"]).sorted()))) (\(try selector(query, "_bucket", of: cohort)))"
        case .expression: return query.metric
        }
    }

    /// The query that reads the oldest sample time behind each value; nil for an expression, whose samples are not known.
    ///
    /// The value's own timestamp would be the evaluation time, whatever the age of the sample.
    static func ages(_ query: SeriesQuery, of cohort: [Label] = []) throws(Failure) -> String? {
        guard let selector = try oneSeriesSelector(query, of: cohort) else { return nil }
        return "min by (\(try names(query.groupedBy))) (timestamp(\(selector)))"
    }

    /// The query that counts resets over a time before the evaluation; nil for gauges and expressions, which may fall.
    static func resets(_ query: SeriesQuery, over window: Duration) throws(Failure) -> String? {
        guard query.kind == .counter || query.kind == .histogram, let selector = try oneSeriesSelector(query, of: []) else {
            return nil
        }
        let seconds = max(1, (window.milliseconds + 999) / 1000)
        return "sum by (\(try names(query.groupedBy))) (resets(\(selector)[\(seconds)s]))"
    }

    /// The query that lists the targets behind a shape's series; nil for an expression.
    static func targets(_ query: SeriesQuery, instanceLabel: String, of cohort: [Label]) throws(Failure) -> String? {
        guard let selector = try oneSeriesSelector(query, of: cohort) else { return nil }
        return "count by (\(try names(["job", instanceLabel].sorted()))) (\(selector))"
    }

    /// The lowest `up` of each instance's targets.
    static func up(instanceLabel: String) throws(Failure) -> String { "min by (\(try names([instanceLabel]))) (up)" }

    /// When each instance's process started; the latest of several.
    static func starts(instanceLabel: String) throws(Failure) -> String {
        "max by (\(try names([instanceLabel]))) (process_start_time_seconds)"
    }

    /// The alerts that fire and meet the conditions.
    static func firing(_ matchers: [LabelMatcher]) throws(Failure) -> String {
        "ALERTS{\(try conditions([LabelMatcher("alertstate", .equal, "firing")] + matchers))}"
    }

    /// The selector of one series for each source of a shape: of a histogram, the `+Inf` bucket.
    private static func oneSeriesSelector(_ query: SeriesQuery, of cohort: [Label]) throws(Failure) -> String? {
        switch query.kind {
        case .counter, .gauge: return try selector(query, "", of: cohort)
        case .histogram:
            var copy = query
            copy.matchers.append(LabelMatcher("le", .equal, "+Inf"))
            return try selector(copy, "_bucket", of: cohort)
        case .expression: return nil
        }
    }

    private static func selector(_ query: SeriesQuery, _ suffix: String, of cohort: [Label]) throws(Failure) -> String {
        let metric = query.metric + suffix
        let isName = isIdentifier(metric, allowsColon: true)
        var matchers = query.matchers + cohort.map { LabelMatcher($0.name, .equal, $0.value) }
        // Any other name is still a value of the label that holds names.
        if !isName { matchers.insert(LabelMatcher("__name__", .equal, metric), at: 0) }
        return "\(isName ? metric : ""){\(try conditions(matchers))}"
    }

    /// Conditions as they stand between braces. PromQL anchors regular expressions at both ends by itself.
    static func conditions(_ matchers: [LabelMatcher]) throws(Failure) -> String {
        var parts: [String] = []
        for matcher in matchers {
            let sign =
                switch matcher.comparison {
                case .equal: "="
                case .notEqual: "!="
                case .matches: "=~"
                case .notMatches: "!~"
                }
            parts.append("\(try names([matcher.name]))\(sign)\(quoted(matcher.value))")
        }
        return parts.joined(separator: ",")
    }

    /// A string literal in double quotes, as PromQL and Alertmanager read it (Go's escapes).
    static func quoted(_ text: String) -> String {
        let hexadecimal = Array("0123456789abcdef")
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            default:
                if scalar.value < 0x20 || scalar.value == 0x7F {
                    result += "\\x\(hexadecimal[Int(scalar.value >> 4)])\(hexadecimal[Int(scalar.value & 15)])"
                } else {
                    result.unicodeScalars.append(scalar)
                }
            }
        }
        return result + "\""
    }

    /// A regular expression (RE2) that matches exactly one of the texts.
    static func alternatives(_ texts: [String]) -> String {
        texts.map { $0.rewriting { "\\.+*?()|[]{}^$".has($0) ? "\\\($0)" : nil } }.joined(separator: "|")
    }

    private static func names(_ names: [String]) throws(Failure) -> String {
        for name in names where !isIdentifier(name, allowsColon: false) {
            throw Failure(
                .invalid, "cannot ask Prometheus for the label \(quoted(name)): it is no label name",
                hint: "label names are letters, digits and '_', and do not start with a digit")
        }
        return names.joined(separator: ", ")
    }

    private static func isIdentifier(_ text: String, allowsColon: Bool) -> Bool {
        guard let first = text.utf8.first, !(0x30...0x39).contains(first) else { return false }
        return text.utf8.allSatisfy {
            (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0) || $0 == 0x5F
                || (allowsColon && $0 == 0x3A)
        }
    }
}
