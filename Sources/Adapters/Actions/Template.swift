internal import SerinPorts

/// Replaces `{{version}}` and `{{previous}}`.
struct Template {
    /// Where the text goes, which decides how a value is written into it.
    enum Place {
        /// One argument of a program: as it is.
        case argument
        /// A URL: percent-encoded, RFC 3986 section 2.
        case url
        /// A JSON document: escaped, RFC 8259 section 7.
        case json
    }

    private let values: [(name: String, value: String)]

    init(_ context: ActionContext) {
        values = [("{{version}}", context.version), ("{{previous}}", context.previous)]
    }

    /// The text with values. What a value itself contains is not replaced again.
    func fill(_ text: String, in place: Place) -> String {
        var result = ""
        var rest = text[...]
        while let brace = rest.firstIndex(of: "{") {
            result += rest[..<brace]
            rest = rest[brace...]
            if let (name, value) = values.first(where: { rest.hasPrefix($0.name) }) {
                result += encoded(value, for: place)
                rest = rest.dropFirst(name.count)
            } else {
                result.append(rest.removeFirst())
            }
        }
        return result + rest
    }

    private func encoded(_ value: String, for place: Place) -> String {
        switch place {
        case .argument: return value
        case .url: return value.utf8.map(percentEncoded).joined()
        case .json: return value.unicodeScalars.map(escaped).joined()
        }
    }

    private func percentEncoded(_ byte: UInt8) -> String {
        let isUnreserved =
            (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
            || "-._~".utf8.contains(byte)
        let hexadecimal = String(byte, radix: 16, uppercase: true)
        return isUnreserved ? String(UnicodeScalar(byte)) : "%" + (byte < 16 ? "0" : "") + hexadecimal
    }

    private func escaped(_ scalar: UnicodeScalar) -> String {
        switch scalar {
        case "\"": return "\\\""
        case "\\": return "\\\\"
        case _ where scalar.value < 0x20:
            let hexadecimal = String(scalar.value, radix: 16)
            return "\\u" + String(repeating: "0", count: 4 - hexadecimal.count) + hexadecimal
        case _: return String(scalar)
        }
    }
}
