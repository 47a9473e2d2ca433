/// Finds what looks like a secret, in one pass over a text.
struct SecretScanner {
    private let text: [UInt8]
    private var index = 0
    private var result: [UInt8] = []

    init(_ text: [UInt8]) { self.text = text }

    mutating func run() -> [UInt8] {
        result.reserveCapacity(text.count)
        while index < text.count {
            if takeAddress() || takeCredential() || takeAssignment() || takeKey() { continue }
            result.append(text[index])
            index += 1
        }
        return result
    }

    private func lower(_ position: Int) -> UInt8 {
        let byte = text[position]
        return (0x41...0x5A).contains(byte) ? byte + 0x20 : byte
    }

    private func matches(_ word: StaticString, at position: Int) -> Bool {
        word.withUTF8Buffer { word in
            position + word.count <= text.count && word.indices.allSatisfy { lower(position + $0) == word[$0] }
        }
    }

    private func isWord(_ position: Int) -> Bool {
        guard position >= 0, position < text.count else { return false }
        let byte = lower(position)
        return (0x61...0x7A).contains(byte) || (0x30...0x39).contains(byte)
    }

    private mutating func keep(to end: Int) {
        result += text[index..<end]
        index = end
    }

    private mutating func redact(to end: Int) {
        result += Redaction.mark.utf8
        index = end
    }

    /// `://user:password@`: the password may hold anything but a space, a slash or a quote; the last `@` ends it.
    private mutating func takeAddress() -> Bool {
        guard matches("://", at: index) else { return false }
        var colon: Int?
        var at: Int?
        var position = index + 3
        while position < text.count, !isSpace(text[position]), !"/\"'<>".utf8.contains(text[position]) {
            if text[position] == 0x3A, colon == nil { colon = position }
            if text[position] == 0x40 { at = position }
            position += 1
        }
        guard let colon, let at, colon < at else { return false }
        keep(to: colon + 1)
        redact(to: at)
        return true
    }

    /// `Bearer …` and `Basic …` after `authorization`.
    private mutating func takeCredential() -> Bool {
        guard !isWord(index - 1) else { return false }
        let length = matches("bearer ", at: index) ? 7 : matches("basic ", at: index) ? 6 : 0
        guard length > 0 else { return false }
        let end = endOfValue(from: index + length, stops: " \t\r\n\"',;")
        // A short word after "basic" is prose.
        guard end - index - length >= 8 else { return false }
        keep(to: index + length)
        redact(to: end)
        return true
    }

    /// `…password=value`, `"api_key": "value"`.
    private mutating func takeAssignment() -> Bool {
        let words: [StaticString] = [
            "password", "passwd", "pwd", "secret", "token", "api_key", "api-key", "apikey", "access_key", "private_key",
        ]
        guard let word = words.first(where: { matches($0, at: index) }) else { return false }
        var position = index + word.utf8CodeUnitCount
        // The rest of the name, as in `SECRET_ACCESS_KEY` or `token_id`.
        while position < text.count, isWord(position) || text[position] == 0x5F || text[position] == 0x2D { position += 1 }
        if position < text.count, text[position] == 0x22 || text[position] == 0x27 { position += 1 }
        while position < text.count, text[position] == 0x20 { position += 1 }
        guard position < text.count, text[position] == 0x3D || text[position] == 0x3A else { return false }
        position += 1
        while position < text.count, text[position] == 0x20 { position += 1 }
        var stops = " \t\r\n&;,\"'"
        if position < text.count, text[position] == 0x22 || text[position] == 0x27 {
            stops = text[position] == 0x22 ? "\"\n" : "'\n"
            position += 1
        }
        let end = endOfValue(from: position, stops: stops)
        guard end > position else { return false }
        keep(to: position)
        // `Authorization: Bearer` style values are two words; the credential's own rule takes the second.
        redact(to: end)
        return true
    }

    /// A private key in PEM, up to its end or the end of the text.
    private mutating func takeKey() -> Bool {
        guard matches("-----begin ", at: index) else { return false }
        var position = index
        let firstLine = endOfValue(from: index, stops: "\n")
        guard (index..<firstLine).contains(where: { matches("private key", at: $0) }) else { return false }
        while position < text.count, !matches("-----end ", at: position) { position += 1 }
        redact(to: endOfValue(from: position, stops: "\n"))
        return true
    }

    private func endOfValue(from start: Int, stops: String) -> Int {
        var position = start
        while position < text.count, !stops.utf8.contains(text[position]) { position += 1 }
        return position
    }
}
