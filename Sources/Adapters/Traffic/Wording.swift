/// The beginning of a text from outside, on one line.
func excerpt(_ text: String, limit: Int) -> String {
    let line = text.unicodeScalars.prefix(limit).map { $0.value < 0x20 || $0.value == 0x7F ? " " : Character($0) }
    let words = String(line).split(separator: " ").joined(separator: " ")
    return text.unicodeScalars.count > limit ? words + "…" : words
}

/// Every occurrence of a text replaced by another.
func replacing(_ text: String, in whole: String, with replacement: String) -> String {
    guard !text.isEmpty, whole.contains(text) else { return whole }
    let sought = Array(text.utf8)
    let bytes = Array(whole.utf8)
    var result: [UInt8] = []
    var index = 0
    while index < bytes.count {
        if bytes.count - index >= sought.count, bytes[index..<index + sought.count].elementsEqual(sought) {
            result += replacement.utf8
            index += sought.count
        } else {
            result.append(bytes[index])
            index += 1
        }
    }
    return String(decoding: result, as: UTF8.self)
}
