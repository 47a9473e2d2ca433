extension String {
    /// Text from outside made harmless for terminals, logs, build systems and pages: one line, and nothing that a terminal would obey.
    ///
    /// Control characters (C0, DEL, C1), line and paragraph separators and the marks that reorder text are shown as `\u{…}`; a line
    /// break or a tabulator becomes a space.
    public var madePlain: String {
        guard unicodeScalars.contains(where: isUnsafe) else { return self }
        var result = ""
        for scalar in unicodeScalars {
            if scalar == "\n" || scalar == "\r" || scalar == "\t" {
                result += " "
            } else if isUnsafe(scalar) {
                result += "\\u{\(String(scalar.value, radix: 16))}"
            } else {
                result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}

private func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x20, 0x7F..<0xA0, 0x200E...0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF: true
    default: false
    }
}
