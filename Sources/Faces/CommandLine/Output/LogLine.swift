internal import SerinModel

/// A line of the log as a JSON document, for programs that collect logs.
enum LogLine {
    /// The documents of a text that people would read: one a line, without colours, with the time and how urgent it is.
    ///
    /// - Parameter isKept: Whether it is something that must not get lost, which makes it a warning.
    static func documents(of text: String, isKept: Bool) -> String {
        var result = ""
        for line in text.split(whereSeparator: \.isNewline) {
            let plainLine = withoutColours(line)
            let isError = plainLine.hasPrefix("serin: ")
            let message = isError ? String(plainLine.dropFirst(7)) : plainLine
            let level = message.contains("ACT NOW") ? "critical" : isKept || isError ? "warning" : "info"
            result +=
                JSONValue.object([
                    "time": .string("\(SystemClock().now())"), "level": .string(level), "message": .string(message),
                ]).canonicalText + "\n"
        }
        return result
    }

    /// Takes out what changes a terminal's colours: ESC [ … m.
    private static func withoutColours(_ line: Substring) -> String {
        var result = ""
        var rest = line[...]
        while let escape = rest.firstIndex(of: "\u{1B}") {
            result += rest[..<escape]
            rest = rest[escape...].drop { $0 != "m" }.dropFirst()
        }
        return result + rest
    }
}
