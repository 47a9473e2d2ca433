internal import SerinModel

/// JSON Schemas (2020-12) as the OpenAPI document needs them.
enum Schema {
    /// An object with these members, all of them there unless they are named as optional.
    ///
    /// - Parameter isClosed: Whether no other member may be there: for what is read, not for what is answered.
    static func object(
        _ members: KeyValuePairs<String, JSONValue>, optional: Set<String> = [], isClosed: Bool = false
    ) -> JSONValue {
        var parts = [
            JSONValue.Member("type", .string("object")),
            JSONValue.Member("properties", .sortedObject(members.map { JSONValue.Member($0.key, $0.value) })),
        ]
        let required = members.map(\.key).filter { !optional.contains($0) }
        if !required.isEmpty { parts.append(JSONValue.Member("required", .array(required.map { .string($0) }))) }
        if isClosed { parts.append(JSONValue.Member("additionalProperties", .bool(false))) }
        return .sortedObject(parts)
    }

    /// A text.
    ///
    /// - Parameters:
    ///   - limit: How many characters at most.
    ///   - pattern: A regular expression of ECMA-262.
    static func text(limit: Int? = nil, pattern: String? = nil) -> JSONValue {
        var parts = [JSONValue.Member("type", .string("string"))]
        if let limit { parts.append(JSONValue.Member("maxLength", .integer(limit))) }
        if let pattern { parts.append(JSONValue.Member("pattern", .string(pattern))) }
        return .sortedObject(parts)
    }

    /// A plain name, as services and rollouts have.
    static func name(limit: Int) -> JSONValue { text(pattern: "^[A-Za-z0-9][A-Za-z0-9._-]{0,\(limit - 1)}$") }

    /// A time, RFC 3339 in UTC.
    static var time: JSONValue { .object(["type": .string("string"), "format": .string("date-time")]) }

    /// A whole number within bounds.
    static func whole(_ least: Int64, _ most: Int) -> JSONValue {
        .object(["type": .string("integer"), "minimum": .integer(least), "maximum": .integer(most)])
    }

    /// A number within bounds.
    static func number(in range: ClosedRange<Double>) -> JSONValue {
        .object([
            "type": .string("number"), "minimum": Notation.json(range.lowerBound), "maximum": Notation.json(range.upperBound),
        ])
    }

    /// Any whole number.
    static var integer: JSONValue { .object(["type": .string("integer")]) }

    /// A number, or one of the words by which JSON does without those that are none.
    static var number: JSONValue {
        .object(["type": .array([.string("number"), .string("string")])])
    }

    /// True or false.
    static var flag: JSONValue { .object(["type": .string("boolean")]) }

    /// One of these words.
    static func oneOf(_ words: [String]) -> JSONValue {
        .object(["type": .string("string"), "enum": .array(words.map { .string($0) })])
    }

    /// A list.
    static func list(_ item: JSONValue, most: Int? = nil) -> JSONValue {
        var parts = [JSONValue.Member("type", .string("array")), JSONValue.Member("items", item)]
        if let most { parts.append(JSONValue.Member("maxItems", .integer(most))) }
        return .sortedObject(parts)
    }

    /// The same, or null.
    static func nullable(_ schema: JSONValue) -> JSONValue {
        .object(["anyOf": .array([schema, .object(["type": .string("null")])])])
    }

    /// One of the document's components.
    static func reference(_ name: String) -> JSONValue { .object(["$ref": .string("#/components/schemas/\(name)")]) }

    /// An object of whatever form.
    static var anything: JSONValue { .object(["type": .string("object")]) }
}
