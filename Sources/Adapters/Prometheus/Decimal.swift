internal import SerinModel

/// Reads a decimal number, correctly rounded; nil unless the whole range is one: `-12.5e+3`.
///
/// The usual case is exact by Clinger's argument: an integer below 2^53 times or over a power of ten up to 10^22 needs one rounding.
/// (W. Clinger, "How to Read Floating Point Numbers Accurately", 1990.) The rest is left to the standard library.
@inline(__always) func decimal(_ bytes: [UInt8], _ range: Range<Int>) -> Double? {
    var index = range.lowerBound
    let end = range.upperBound
    var isNegative = false
    if index < end, bytes[index] == 0x2D || bytes[index] == 0x2B {
        isNegative = bytes[index] == 0x2D
        index += 1
    }
    var mantissa: UInt64 = 0
    var exponent = 0
    var digits = 0
    let start = index
    while index < end, bytes[index] &- 0x30 < 10 {
        if digits < 18 { mantissa = mantissa &* 10 &+ UInt64(bytes[index] &- 0x30) }
        if mantissa > 0 { digits += 1 }
        index += 1
    }
    guard index > start else { return nil }
    if index < end, bytes[index] == 0x2E {
        index += 1
        let fraction = index
        while index < end, bytes[index] &- 0x30 < 10 {
            if digits < 18 {
                mantissa = mantissa &* 10 &+ UInt64(bytes[index] &- 0x30)
                exponent -= 1
            }
            if mantissa > 0 { digits += 1 }
            index += 1
        }
        guard index > fraction else { return nil }
    }
    if index < end {
        guard let written = writtenExponent(bytes, index..<end) else { return nil }
        exponent += written
    }
    guard digits <= 18, mantissa < 1 << 53, (-22...22).contains(exponent) else {
        return Double(String(decoding: bytes[range], as: UTF8.self))
    }
    let value = exponent < 0 ? Double(mantissa) / powersOfTen[-exponent] : Double(mantissa) * powersOfTen[exponent]
    return isNegative ? -value : value
}

private func writtenExponent(_ bytes: [UInt8], _ range: Range<Int>) -> Int? {
    var index = range.lowerBound
    guard bytes[index] | 0x20 == 0x65 else { return nil }
    index += 1
    var isNegative = false
    if index < range.upperBound, bytes[index] == 0x2D || bytes[index] == 0x2B {
        isNegative = bytes[index] == 0x2D
        index += 1
    }
    guard index < range.upperBound else { return nil }
    var value = 0
    while index < range.upperBound {
        guard bytes[index] &- 0x30 < 10 else { return nil }
        value = min(value * 10 + Int(bytes[index] - 0x30), 100_000)
        index += 1
    }
    return isNegative ? -value : value
}

private let powersOfTen: [Double] = [
    1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
]

/// Reads a time in seconds as Prometheus writes it, to the millisecond; nil unless it is a plausible moment.
@inline(__always) func seconds(_ bytes: [UInt8], _ range: Range<Int>) -> Instant? {
    var index = range.lowerBound
    let end = range.upperBound
    var milliseconds: Int64 = 0
    var places = -1
    while index < end, index - range.lowerBound < 15 {
        let digit = bytes[index] &- 0x30
        if digit < 10, places < 3 {
            milliseconds = milliseconds * 10 + Int64(digit)
            if places >= 0 { places += 1 }
        } else if bytes[index] == 0x2E, places < 0, index > range.lowerBound, index + 1 < end {
            places = 0
        } else {
            break
        }
        index += 1
    }
    if index == end, index > range.lowerBound {
        let scale: [Int64] = [1000, 100, 10, 1]
        let instant = Instant(millisecondsSince1970: milliseconds * scale[max(0, places)])
        return Instant.plausible.contains(instant) ? instant : nil
    }
    return decimal(bytes, range).flatMap { instant(seconds: $0) }
}

/// The moment so many seconds after 1970, to the nearest millisecond; nil for NaN and what is no plausible moment.
///
/// Written without `rounded()`, which would need the C mathematics library.
func instant(seconds: Double) -> Instant? {
    guard seconds >= 0, seconds < 1e12 else { return nil }
    let instant = Instant(millisecondsSince1970: Int64(seconds * 1000 + 0.5))
    return Instant.plausible.contains(instant) ? instant : nil
}
