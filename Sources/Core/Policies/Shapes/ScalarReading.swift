public import SerinModel

extension ScalarForm {
    /// Reads a text that has this form; nil when it has not. `type` is what JSON's rules make of it.
    func read(_ text: String, type: PlainType, mark: Mark) -> ReadScalar? {
        var scalar = ReadScalar(text: text, mark: mark)
        switch self {
        case .flag:
            guard type == .flag else { return nil }
            scalar.flag = text == "true"
            return scalar
        case .integer(let range):
            guard type == .number, let value = Int(text), range.contains(value) else { return nil }
            scalar.number = Double(value)
            return scalar
        case .number(let least, let isExclusive):
            guard type == .number, let value = Double(text), value.isFinite, value > least || (value == least && !isExclusive)
            else { return nil }
            scalar.number = value
            return scalar
        case .quantile:
            guard type == .number, let value = Double(text), value > 0, value < 1 else { return nil }
            scalar.number = value
            return scalar
        case .weight(let granularity):
            guard let points = basisPoints(text, type: type), points > 0, points <= 10_000, points % granularity == 0 else {
                return nil
            }
            scalar.number = Double(points)
            return scalar
        case .text, .anyText, .name, .signalName, .metric, .labelName, .url, .path, .address, .environmentName, .credentialName,
            .jsonPointer,
            .word:
            return type == .text && isText(text) ? scalar : nil
        case .duration(let range):
            guard type == .text, let value = Duration(policyText: text), range.contains(value) else { return nil }
            scalar.duration = value
            return scalar
        case .share(let most, let canBeZero):
            guard type == .text, let value = quantity(text, units: [("%", 1)]).map({ Double($0.text + "e-2") ?? .nan }),
                value <= most, value > 0 || (value == 0 && canBeZero)
            else { return nil }
            scalar.number = value
            return scalar
        case .perSecond:
            guard type == .text, let read = quantity(text, units: [("/s", 1), ("/m", 60), ("/h", 3600)]) else { return nil }
            scalar.number = (Double(read.text) ?? .nan) / Double(read.factor)
            return scalar
        case .bytes:
            guard type == .text, let count = byteCount(policyText: text) else { return nil }
            scalar.number = Double(count)
            return scalar
        case .backup(let form): return form.read(text, type: type, mark: mark)
        }
    }

    /// Whether a text has the form of texts of this kind.
    func isText(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        switch self {
        case .text: return !bytes.isEmpty
        case .anyText: return true
        case .word(let words): return words.contains(text)
        case .name: return isWord(bytes, limit: 63, firstCanBeDigit: true, others: [0x2E, 0x5F, 0x2D], firstOthers: [])
        case .credentialName:
            return isWord(bytes, limit: 255, firstCanBeDigit: true, others: [0x2E, 0x5F, 0x2D], firstOthers: [0x5F])
        case .signalName: return isWord(bytes, limit: 63, firstCanBeDigit: false, others: [0x5F], firstOthers: [0x5F])
        case .labelName, .environmentName:
            return isWord(bytes, limit: 255, firstCanBeDigit: false, others: [0x5F], firstOthers: [0x5F])
        case .metric: return isWord(bytes, limit: 255, firstCanBeDigit: false, others: [0x5F, 0x3A], firstOthers: [0x5F, 0x3A])
        case .path: return bytes.first == 0x2F && bytes.count > 1 && bytes.allSatisfy { $0 >= 0x20 && $0 != 0x7F }
        case .url: return isAddress(bytes)
        case .address: return hostAndPort(text) != nil
        case .jsonPointer: return isPointer(bytes)
        case .flag, .integer, .number, .quantile, .duration, .share, .weight, .perSecond, .bytes, .backup: return false
        }
    }
}

/// Units of data: decimal as in Postgres' documentation of disks, binary with an `i`.
let byteUnits: [(unit: String, factor: Int)] = [
    ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40),
    ("kB", 1000), ("MB", 1_000_000), ("GB", 1_000_000_000), ("TB", 1_000_000_000_000), ("B", 1),
]

/// An amount of data as policies have it, in bytes: `512MiB`, `1.5GB`. Nil without a unit or beyond nine digits.
public func byteCount(policyText text: String) -> Int64? {
    guard let read = quantity(text, units: byteUnits) else { return nil }
    return Int64(exactly: ((Double(read.text) ?? .nan) * Double(read.factor)).rounded())
}

extension Duration {
    /// A time as policies have it: `250ms`, `90s`, `2.5s`, `30m`, `24h`, `7d`. Nil without a unit or beyond nine digits.
    public init?(policyText text: String) {
        if let read = quantity(text, units: [("ms", 1)]) {
            guard let value = Int64(read.text) else { return nil }
            self.init(milliseconds: value)
            return
        }
        guard let read = quantity(text, units: [("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)]) else {
            return nil
        }
        let parts = read.text.split(separator: ".", omittingEmptySubsequences: false)
        guard let whole = Int64(parts[0]) else { return nil }
        var thousandths: Int64 = 0
        if parts.count > 1 {
            guard parts[1].utf8.count <= 3,
                let fraction = Int64(parts[1] + String(repeating: "0", count: 3 - parts[1].utf8.count))
            else { return nil }
            thousandths = fraction
        }
        self.init(milliseconds: whole * Int64(read.factor) + thousandths * Int64(read.factor) / 1000)
    }
}

/// Splits `2.5s` into its number (one to nine digits, then at most six after a point) and the factor of its unit.
private func quantity(_ text: String, units: [(unit: String, factor: Int)]) -> (text: String, factor: Int)? {
    func isDigits(_ text: Substring) -> Bool { !text.isEmpty && text.utf8.allSatisfy { (0x30...0x39).contains($0) } }
    for (unit, factor) in units where text.utf8.count > unit.utf8.count && text.hasSuffix(unit) {
        let number = text.dropLast(unit.count)
        let parts = number.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.allSatisfy(isDigits), parts[0].utf8.count <= 9, parts.count == 1 || parts[1].utf8.count <= 6 else { continue }
        return (String(number), factor)
    }
    return nil
}

/// Hundredths of a per cent from `5`, `2.5` or `5%`.
private func basisPoints(_ text: String, type: ScalarForm.PlainType) -> Int? {
    let number: String
    switch type {
    case .number: number = text
    case .text:
        guard let read = quantity(text, units: [("%", 1)]) else { return nil }
        number = read.text
    case .null, .flag: return nil
    }
    guard let value = Double(number), value >= 0, value <= 100 else { return nil }
    let points = (value * 100).rounded()
    return abs(value * 100 - points) < 1e-9 ? Int(points) : nil
}

private func isWord(_ bytes: [UInt8], limit: Int, firstCanBeDigit: Bool, others: [UInt8], firstOthers: [UInt8]) -> Bool {
    func isLetter(_ byte: UInt8) -> Bool { (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) }
    func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }
    guard let first = bytes.first, bytes.count <= limit else { return false }
    guard isLetter(first) || (firstCanBeDigit && isDigit(first)) || firstOthers.contains(first) else { return false }
    return bytes.allSatisfy { isLetter($0) || isDigit($0) || others.contains($0) }
}

/// `http` or `https`, a host without `@`, and printable ASCII.
private func isAddress(_ bytes: [UInt8]) -> Bool {
    let schemes = [Array("http://".utf8), Array("https://".utf8)]
    guard let scheme = schemes.first(where: { bytes.starts(with: $0) }) else { return false }
    let rest = bytes.dropFirst(scheme.count)
    let host = rest.prefix { ![0x2F, 0x3F, 0x23].contains($0) }
    return !host.isEmpty && !host.contains(0x40) && rest.allSatisfy { (0x21...0x7E).contains($0) }
}

/// Empty, or `/`-separated tokens in which `~` is followed by 0 or 1.
private func isPointer(_ bytes: [UInt8]) -> Bool {
    guard bytes.isEmpty || bytes.first == 0x2F else { return false }
    for (index, byte) in bytes.enumerated() where byte == 0x7E {
        guard index + 1 < bytes.count, bytes[index + 1] == 0x30 || bytes[index + 1] == 0x31 else { return false }
    }
    return true
}
