public import SerinPolicies

/// U+FEFF in UTF-8.
let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

/// What is wrong with a document before it is read as YAML: its size, its encoding, its characters. Nil when nothing is.
public func complaint(aboutTextOf bytes: [UInt8], file: String, limits: YAMLLimits = YAMLLimits()) -> Diagnostic? {
    let start = Mark(line: 1, column: 1)
    if bytes.count > limits.bytes {
        return Diagnostic(
            file: file, mark: start, message: "is longer than \(limits.bytes) bytes, the most that is read",
            hint: "a policy is about a page of text: is this the right file?")
    }
    if let encoding = otherEncoding(of: bytes) {
        return Diagnostic(
            file: file, mark: start, message: "is encoded as \(encoding); expected UTF-8",
            hint: "save it as UTF-8, or convert it: iconv -f \(encoding) -t UTF-8")
    }
    return complaint(aboutCharactersOf: bytes, file: file)
}

/// The name of an encoding other than UTF-8, by its byte order mark or by where the zero bytes of the first character stand.
private func otherEncoding(of bytes: [UInt8]) -> String? {
    let first = Array(bytes.prefix(4))
    if first.starts(with: [0x00, 0x00, 0xFE, 0xFF]) || first.starts(with: [0xFF, 0xFE, 0x00, 0x00]) { return "UTF-32" }
    if first.starts(with: [0xFE, 0xFF]) || first.starts(with: [0xFF, 0xFE]) { return "UTF-16" }
    guard first.count == 4 else { return nil }
    switch (first[0] == 0, first[1] == 0, first[2] == 0, first[3] == 0) {
    case (true, true, true, false): return "UTF-32BE"
    case (false, true, true, true): return "UTF-32LE"
    case (true, false, true, false): return "UTF-16BE"
    case (false, true, false, true): return "UTF-16LE"
    default: return nil
    }
}

private func complaint(aboutCharactersOf bytes: [UInt8], file: String) -> Diagnostic? {
    var mark = Mark(line: 1, column: 1)
    var iterator = bytes.makeIterator()
    if bytes.starts(with: byteOrderMark) { for _ in byteOrderMark { _ = iterator.next() } }
    var parser = Unicode.UTF8.ForwardParser()
    while true {
        switch parser.parseScalar(from: &iterator) {
        case .emptyInput: return nil
        case .error:
            return Diagnostic(
                file: file, mark: mark, message: "holds bytes that are not UTF-8", hint: "save the file as UTF-8")
        case .valid(let encoded):
            let scalar = Unicode.UTF8.decode(encoded)
            if scalar == "\0" {
                return Diagnostic(
                    file: file, mark: mark, message: "holds a NUL byte; expected text", hint: "is this the right file?")
            }
            if isForbidden(scalar) {
                return Diagnostic(
                    file: file, mark: mark,
                    message: "holds the control character U+\(hexadecimal(scalar.value)); expected printable text",
                    hint: "remove it, or write it as an escape inside double quotes")
            }
            // A CRLF counts once, at its line feed.
            if scalar == "\n" { mark = Mark(line: mark.line + 1, column: 1) } else { mark.column += 1 }
        }
    }
}

/// Characters that YAML 1.1 does not let stand unescaped (section 5.1, `c-printable`).
private func isForbidden(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x09, 0x0A, 0x0D, 0x85: false
    case 0x00..<0x20, 0x7F..<0xA0, 0xFEFF, 0xFFFE, 0xFFFF: true
    default: false
    }
}

private func hexadecimal(_ value: UInt32) -> String {
    let digits = String(value, radix: 16, uppercase: true)
    return String(repeating: "0", count: max(0, 4 - digits.count)) + digits
}
