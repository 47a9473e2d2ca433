/// Text as other programs read it: by Unicode scalars, and so by bytes.
///
/// Swift compares Characters. A quote with U+0301 behind it or U+0600 before it is one Character, as CR and LF are, and none of these
/// is equal to the mark alone; the program that reads the text sees the mark all the same. Whatever quotes or takes apart text that
/// comes from outside does it with these.
extension StringProtocol {
    /// This text with some scalars written in another way; nil leaves one as it is.
    public func rewriting(_ change: (Unicode.Scalar) -> String?) -> String {
        var text = String.UnicodeScalarView()
        for scalar in unicodeScalars {
            if let other = change(scalar) { text.append(contentsOf: other.unicodeScalars) } else { text.append(scalar) }
        }
        return String(text)
    }

    /// This text with another in the place of a part, wherever its bytes stand.
    public func rewriting(_ part: String, as other: String) -> String {
        let (bytes, wanted) = (Array(utf8), Array(part.utf8))
        guard let first = wanted.first else { return String(self) }
        var text: [UInt8] = []
        var index = 0
        while index < bytes.count {
            if bytes[index] == first, bytes[index...].starts(with: wanted) {
                text += other.utf8
                index += wanted.count
            } else {
                text.append(bytes[index])
                index += 1
            }
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// This text between two marks, each mark in it written twice, as SQL and YAML quote.
    public func doubling(_ mark: Unicode.Scalar) -> String { "\(mark)" + rewriting("\(mark)", as: "\(mark)\(mark)") + "\(mark)" }

    /// Whether the mark stands anywhere in it.
    public func has(_ mark: Unicode.Scalar) -> Bool { unicodeScalars.contains(mark) }

    /// Whether these bytes stand anywhere in it.
    public func holds(_ part: some StringProtocol) -> Bool {
        let (bytes, wanted) = (Array(utf8), Array(part.utf8))
        return bytes.indices.contains { bytes[$0...].starts(with: wanted) }
    }

    /// The pieces between the marks, as `split` gives them.
    public func parts(at mark: Unicode.Scalar, most: Int = .max, keepingEmpty: Bool = false) -> [Substring] {
        String(self).unicodeScalars.split(separator: mark, maxSplits: most - 1, omittingEmptySubsequences: !keepingEmpty)
            .map { Substring($0) }
    }

    /// The lines without their ends, LF or CR LF, as programs print them. No other character ends a line.
    public func textLines(keepingEmpty: Bool = false) -> [Substring] {
        var lines = parts(at: "\n", keepingEmpty: true).map { line in
            line.unicodeScalars.last == "\r" ? Substring(line.unicodeScalars.dropLast()) : line
        }
        if !keepingEmpty { lines.removeAll(where: \.isEmpty) }
        return lines
    }

    /// Whether it is the other text, byte for byte: `==` takes different spellings of one accent for the same.
    public func isExactly(_ other: some StringProtocol) -> Bool { utf8.elementsEqual(other.utf8) }

    /// Whether it begins with these bytes.
    public func begins(with start: some StringProtocol) -> Bool { utf8.starts(with: start.utf8) }
}
