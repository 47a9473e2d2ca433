/// A number with so many decimal places, rounded half away from zero, trailing zeros kept: `1.30`. Infinite is `∞`.
func decimal(_ value: Double, places: Int) -> String {
    guard value.isFinite else { return value.isNaN ? "?" : value < 0 ? "-∞" : "∞" }
    var scale = 1.0
    for _ in 0..<places { scale *= 10 }
    let scaled = (value.magnitude * scale).rounded()
    guard scaled < 9e15 else { return "\(value)" }
    let whole = Int64(scaled)
    let unit = Int64(scale)
    var rest = "\(whole % unit)"
    while rest.utf8.count < places { rest = "0" + rest }
    let sign = value < 0 && whole > 0 ? "-" : ""
    return places == 0 ? "\(sign)\(whole)" : "\(sign)\(whole / unit).\(rest)"
}
