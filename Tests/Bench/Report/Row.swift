/// One measured number.
struct Row: Sendable {
    /// What the number should be; nothing is asserted.
    enum Aim: Sendable {
        case below(Double)
        case atLeast(Double)
    }

    /// What was measured.
    var name: String
    var value: Double
    var unit: String
    var aim: Aim?
    /// How it was measured, in a clause.
    var note = ""

    /// Whether the aim is met; nil without one.
    var isMet: Bool? {
        switch aim {
        case .below(let limit): value <= limit
        case .atLeast(let limit): value >= limit
        case nil: nil
        }
    }
}

/// Part of the bench: some rows, and a table of decisions where there is one.
struct Section: Sendable {
    var rows: [Row] = []
    var quality: QualityTable?
}

extension Row {
    /// Three significant digits, or all digits of large numbers: `0.0421`, `42.1`, `4210`.
    static func text(_ value: Double) -> String {
        guard value.isFinite else { return value.isNaN ? "?" : "∞" }
        let size = value.magnitude
        let places = size == 0 || size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : size >= 0.1 ? 3 : 4
        return fixed(value, places: places)
    }

    /// A number with so many decimal places.
    static func fixed(_ value: Double, places: Int) -> String {
        var scale = 1.0
        for _ in 0..<places { scale *= 10 }
        let scaled = (value.magnitude * scale).rounded()
        let whole = Int(scaled)
        let unit = Int(scale)
        let sign = value < 0 && whole > 0 ? "-" : ""
        guard places > 0 else { return "\(sign)\(whole)" }
        let rest = "\(whole % unit)"
        return "\(sign)\(whole / unit)." + String(repeating: "0", count: places - rest.utf8.count) + rest
    }
}
