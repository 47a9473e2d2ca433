internal import SerinModel

/// Writes a JSON value as YAML. Every text that could be read as something else is in double quotes with JSON's escapes.
enum YAMLText {
    /// The document, ending in a line break.
    static func text(_ value: JSONValue) -> String {
        var lines: [String] = []
        switch value {
        case .object(let members) where !members.isEmpty: write(members, indent: 0, to: &lines)
        case .array(let items) where !items.isEmpty: write(items, indent: 0, to: &lines)
        case .null, .bool, .number, .string, .array, .object: lines.append(scalar(value))
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func write(_ members: [JSONValue.Member], indent: Int, to lines: inout [String]) {
        let space = String(repeating: " ", count: indent)
        for member in members {
            let key = space + scalar(.string(member.key)) + ":"
            switch member.value {
            case .object(let inner) where !inner.isEmpty:
                lines.append(key)
                write(inner, indent: indent + 2, to: &lines)
            case .array(let items) where !items.isEmpty:
                lines.append(key)
                write(items, indent: indent + 2, to: &lines)
            case .null, .bool, .number, .string, .array, .object: lines.append(key + " " + scalar(member.value))
            }
        }
    }

    private static func write(_ items: [JSONValue], indent: Int, to lines: inout [String]) {
        let space = String(repeating: " ", count: indent)
        for item in items {
            var inner: [String] = []
            switch item {
            case .object(let members) where !members.isEmpty: write(members, indent: indent + 2, to: &inner)
            case .array(let items) where !items.isEmpty: write(items, indent: indent + 2, to: &inner)
            case .null, .bool, .number, .string, .array, .object: inner = [space + "  " + scalar(item)]
            }
            // The dash takes the place of the first line's indentation.
            inner[0] = space + "- " + inner[0].dropFirst(indent + 2)
            lines += inner
        }
    }

    private static func scalar(_ value: JSONValue) -> String {
        guard case .string(let text) = value else { return value.canonicalText }
        if isPlain(text) { return text }
        var result = ""
        for scalar in value.canonicalText.unicodeScalars {
            // What YAML does not count as printable must be escaped; JSON's writer leaves it.
            switch scalar.value {
            case 0x7F..<0xA0, 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF:
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private static let reserved: Set<String> = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"]

    private static func isPlain(_ text: String) -> Bool {
        guard let first = text.utf8.first, isLetter(first), text.utf8.count <= 60, !reserved.contains(text.lowercased()) else {
            return false
        }
        return text.utf8.allSatisfy {
            isLetter($0) || (0x30...0x39).contains($0) || $0 == 0x5F || $0 == 0x2D || $0 == 0x2E || $0 == 0x2F
        }
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) }
}
