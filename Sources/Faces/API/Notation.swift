public import SerinModel

/// How times, weights and numbers are written in documents, and read from them and from the command line.
public enum Notation {
    /// RFC 3339 in UTC, with milliseconds when there are any: `2026-03-01T00:42:15Z`, `2026-03-01T00:42:15.250Z`.
    public static func text(_ instant: Instant) -> String {
        let rest = ((instant.millisecondsSince1970 % 1000) + 1000) % 1000
        guard rest != 0 else { return instant.description }
        let digits = "\(rest)"
        return instant.description.dropLast() + "." + String(repeating: "0", count: 3 - digits.count) + digits + "Z"
    }

    /// A moment written by `text`; nil when the text is something else.
    public static func instant(_ text: String) -> Instant? {
        let bytes = Array(text.utf8)
        guard bytes.count >= 20, bytes.last == 0x5A, bytes[4] == 0x2D, bytes[7] == 0x2D, bytes[10] == 0x54, bytes[13] == 0x3A,
            bytes[16] == 0x3A, let year = number(bytes[0..<4]), let month = number(bytes[5..<7]),
            let day = number(bytes[8..<10]), let hour = number(bytes[11..<13]), let minute = number(bytes[14..<16]),
            let second = number(bytes[17..<19]), (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60,
            second < 60
        else { return nil }
        var milliseconds: Int64 = 0
        if bytes.count != 20 {
            guard bytes.count == 24, bytes[19] == 0x2E, let fraction = number(bytes[20..<23]) else { return nil }
            milliseconds = fraction
        }
        // Days since 1970 of a Gregorian date, with years that begin in March so that the leap day comes last.
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let days = era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
        let seconds = days * 86_400 + hour * 3600 + minute * 60 + second
        return Instant(millisecondsSince1970: seconds * 1000 + milliseconds)
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int64? {
        guard digits.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int64(String(decoding: digits, as: UTF8.self))
    }

    /// A weight in per cent as a decimal string without the sign: `25`, `2.5`.
    public static func text(_ weight: Weight) -> String { String(weight.description.dropLast()) }

    /// A weight written by `text`; nil when the text is something else.
    public static func weight(_ text: String) -> Weight? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count <= 2, let whole = parts.first, (1...3).contains(whole.utf8.count) else { return nil }
        let fraction = parts.count == 2 ? parts[1] : "0"
        guard (1...2).contains(fraction.utf8.count), let units = number(ArraySlice(whole.utf8)),
            let rest = number(ArraySlice(fraction.utf8))
        else { return nil }
        return Weight(basisPoints: Int(units) * 100 + Int(rest) * (fraction.utf8.count == 1 ? 10 : 1))
    }

    /// A number; text where JSON has no number for it.
    static func json(_ value: Double) -> JSONValue {
        if value.isNaN { return .string("NaN") }
        if value.isInfinite { return .string(value > 0 ? "Infinity" : "-Infinity") }
        if value == value.rounded(), abs(value) < 9e15, value.sign == .plus || value != 0 { return .integer(Int64(value)) }
        return .number("\(value)")
    }

    /// A number written by `json`.
    static func double(_ value: JSONValue) -> Double? {
        switch value {
        case .string("NaN"): .nan
        case .string("Infinity"): .infinity
        case .string("-Infinity"): -.infinity
        case .number: value.double
        case .null, .bool, .string, .array, .object: nil
        }
    }
}
