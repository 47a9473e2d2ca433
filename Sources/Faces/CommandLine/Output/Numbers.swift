internal import SerinModel
internal import SerinVerdicts

/// How numbers are written for people. No locale: a log reads the same everywhere.
enum Numbers {
    /// With a fixed number of digits after the point, rounded half away from zero.
    static func fixed(_ value: Double, _ digits: Int) -> String {
        guard value.isFinite else { return value.isNaN ? "?" : (value > 0 ? "∞" : "-∞") }
        let scale = (0..<digits).reduce(1.0) { product, _ in product * 10 }
        let scaled = (abs(value) * scale).rounded()
        guard scaled < 9e15 else { return "\(value)" }
        let units = Int64(scaled)
        let whole = grouped(units / Int64(scale))
        let rest = "\(units % Int64(scale))"
        let sign = value < 0 && units != 0 ? "-" : ""
        return digits == 0 ? sign + whole : sign + whole + "." + String(repeating: "0", count: digits - rest.count) + rest
    }

    /// A whole number with commas between thousands.
    static func grouped(_ value: Int64) -> String {
        let digits = Array("\(value.magnitude)")
        var result = value < 0 ? "-" : ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { result += "," }
            result.append(digit)
        }
        return result
    }

    /// A count, which may be a fraction of an event.
    static func count(_ value: Double) -> String { fixed(value, value == value.rounded() || abs(value) >= 100 ? 0 : 1) }

    /// At most two digits after the point, without zeros at the end: `1.5`, `50`, `0.25`.
    static func short(_ value: Double) -> String {
        var text = fixed(value, 2)
        guard text.contains(".") else { return text }
        while text.last == "0" { text.removeLast() }
        if text.last == "." { text.removeLast() }
        return text
    }

    /// A share of events with its counts: `2.10% (84/4,003)`; `-` without exposure.
    static func share(_ events: Double, of exposure: Double) -> String {
        guard exposure > 0 else { return "-" }
        let rate = events / exposure
        let shown = rate <= 1 ? fixed(rate * 100, 2) + "%" : fixed(rate, 2)
        return "\(shown) (\(count(events))/\(count(exposure)))"
    }

    /// A ratio with its interval: `2.06 [1.56–2.72]`; `-` without.
    static func ratio(_ ratio: Double?, _ interval: Interval?) -> String {
        guard let ratio else { return "-" }
        return fixed(ratio, 2) + (interval.map { " [\(fixed($0.low, 2))–\(fixed($0.high, 2))]" } ?? "")
    }

    /// A length of time in its two largest units: `12m 5s`, `1h 30m`, `250ms`.
    static func span(_ duration: Duration) -> String {
        let total = duration.milliseconds
        guard total >= 1000 else { return total == 0 ? "0s" : "\(max(0, total))ms" }
        let units: [(Int64, String)] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s")]
        var parts: [String] = []
        var rest = total
        for (unit, word) in units {
            if rest >= unit { parts.append("\(rest / unit)\(word)") } else if !parts.isEmpty { break }
            rest %= unit
            if parts.count == 2 { break }
        }
        return parts.joined(separator: " ")
    }
}
