/// The beginning of a text from outside, on one line.
func excerpt(_ text: String, limit: Int) -> String {
    let line = text.unicodeScalars.prefix(limit).map { $0.value < 0x20 || $0.value == 0x7F ? " " : Character($0) }
    let words = String(line).split(separator: " ").joined(separator: " ")
    return text.unicodeScalars.count > limit ? words + "…" : words
}
