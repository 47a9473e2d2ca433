public import SerinModel

/// Numbers as people read them, without a formatting library: the same text on every machine.
public enum Numbers {
    /// A whole number with thousands separated: `11,980`.
    public static func whole(_ value: Double) -> String {
        guard value.isFinite, value.magnitude < 9e15 else { return value.isNaN ? "–" : value > 0 ? "∞" : "−∞" }
        return grouped(Int64(value.rounded()))
    }

    /// A number with so many decimals, thousands separated: `1,234.50`.
    public static func fixed(_ value: Double, decimals: Int) -> String {
        guard value.isFinite, value.magnitude < 9e12 else { return whole(value) }
        var scale: Int64 = 1
        for _ in 0..<decimals { scale *= 10 }
        let scaled = Int64((value.magnitude * Double(scale)).rounded())
        let sign = value < 0 && scaled > 0 ? "-" : ""
        guard decimals > 0 else { return sign + grouped(scaled) }
        let rest = String(scaled % scale)
        return sign + grouped(scaled / scale) + "." + String(repeating: "0", count: decimals - rest.count) + rest
    }

    /// A share as per cent: `2.10%`.
    public static func percent(_ fraction: Double) -> String {
        fraction.isFinite ? fixed(fraction * 100, decimals: 2) + "%" : "–"
    }

    /// As few decimals as tell something: none from 100 or for whole numbers, one from 10, two below.
    public static func short(_ value: Double) -> String {
        guard value.isFinite else { return whole(value) }
        if value == value.rounded() || value.magnitude >= 100 { return whole(value) }
        if value.magnitude >= 10 { return fixed(value, decimals: 1) }
        return value.magnitude >= 0.01 ? fixed(value, decimals: 2) : fixed(value, decimals: 5)
    }

    /// A length of time in its two largest units: `7m 30s`, `24h`, `250ms`.
    public static func time(_ duration: Duration) -> String {
        let milliseconds = max(0, duration.milliseconds)
        guard milliseconds >= 1000 else { return milliseconds == 0 ? "0s" : "\(milliseconds)ms" }
        let seconds = (milliseconds + 500) / 1000
        let units: [(Int64, String)] = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")]
        for (index, unit) in units.enumerated() where seconds >= unit.0 {
            let rest = index + 1 < units.count ? seconds % unit.0 / units[index + 1].0 : 0
            return "\(seconds / unit.0)\(unit.1)" + (rest == 0 ? "" : " \(rest)\(units[index + 1].1)")
        }
        return "0s"
    }

    private static func grouped(_ value: Int64) -> String {
        let digits = Array(String(value.magnitude))
        var text = ""
        for (index, digit) in digits.enumerated() {
            if index > 0, (digits.count - index) % 3 == 0 { text.append(",") }
            text.append(digit)
        }
        return value < 0 ? "-" + text : text
    }
}
