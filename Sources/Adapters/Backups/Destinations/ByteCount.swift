/// A number of bytes in the notation of settings: a whole number with `KiB`, `MiB`, `GiB`, `TiB`, `KB`, `MB`, `GB`, `TB` or `B`.
func byteCount(parsing text: String) -> Int64? {
    let digits = text.prefix { ("0"..."9").contains($0) }
    let units: [(String, Int64)] = [
        ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40), ("KB", 1000), ("MB", 1_000_000),
        ("GB", 1_000_000_000), ("TB", 1_000_000_000_000), ("B", 1),
    ]
    let unit = text.dropFirst(digits.count).drop { $0 == " " }
    guard let count = Int64(digits), let factor = units.first(where: { $0.0 == unit })?.1 else { return nil }
    let (product, overflow) = count.multipliedReportingOverflow(by: factor)
    return overflow || product <= 0 ? nil : product
}
