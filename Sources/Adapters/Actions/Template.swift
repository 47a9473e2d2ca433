internal import SerinPorts
internal import SerinTransport

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
        case .url: return percentEncoded(value)
        case .json: return value.unicodeScalars.map(escaped).joined()
        }
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
