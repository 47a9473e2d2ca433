import SerinModel
import SerinPolicies

/// A validator for the keywords that the policy's schema uses. A keyword it does not know is a mistake, so that none is overlooked.
struct MiniSchema {
    let schema: JSONValue

    private static let annotations: Set<String> = ["$schema", "title", "description", "default", "examples"]
    private static let known: Set<String> = [
        "type", "additionalProperties", "properties", "required", "allOf", "anyOf", "oneOf", "not", "propertyNames", "pattern",
        "minItems", "minProperties", "items", "enum", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    ]

    /// The paths and keywords that a value does not meet; empty when it is valid.
    func violations(of value: JSONValue) throws -> [String] { try check(value, schema, "") }

    private func check(_ value: JSONValue, _ schema: JSONValue, _ path: String) throws -> [String] {
        if case .bool(let allowed) = schema { return allowed ? [] : ["\(path): not allowed"] }
        guard case .object(let members) = schema else { return ["\(path): malformed schema"] }
        var found: [String] = []
        for member in members where !MiniSchema.annotations.contains(member.key) {
            if !MiniSchema.known.contains(member.key) { found.append("\(path): unknown keyword \(member.key)") }
            if !(try meets(value, member.key, member.value, schema, path, &found)) { found.append("\(path): \(member.key)") }
        }
        return found
    }

    private func holds(_ value: JSONValue, _ schema: JSONValue) throws -> Bool { try check(value, schema, "").isEmpty }

    private func meets(
        _ value: JSONValue, _ keyword: String, _ rule: JSONValue, _ schema: JSONValue, _ path: String, _ found: inout [String]
    ) throws -> Bool {
        switch keyword {
        case "type": return type(of: value, is: rule.text ?? "")
        case "enum": return rule.items?.contains(value) ?? false
        case "allOf": return try (rule.items ?? []).allSatisfy { try holds(value, $0) }
        case "anyOf": return try (rule.items ?? []).contains { try holds(value, $0) }
        case "oneOf": return try (rule.items ?? []).filter { try holds(value, $0) }.count == 1
        case "not": return try !holds(value, rule)
        case "pattern": return try value.text.map { try matches($0, rule.text ?? "") } ?? true
        case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum":
            guard let number = value.double, let bound = rule.double else { return true }
            switch keyword {
            case "minimum": return number >= bound
            case "maximum": return number <= bound
            case "exclusiveMinimum": return number > bound
            default: return number < bound
            }
        case "minItems": return value.items.map { $0.count >= Int(rule.integer ?? 0) } ?? true
        case "items":
            for (index, item) in (value.items ?? []).enumerated() { found += try check(item, rule, "\(path)[\(index)]") }
            return true
        default: return try meets(object: value, keyword, rule, schema, path, &found)
        }
    }

    private func meets(
        object value: JSONValue, _ keyword: String, _ rule: JSONValue, _ schema: JSONValue, _ path: String,
        _ found: inout [String]
    ) throws -> Bool {
        guard case .object(let members) = value else { return true }
        switch keyword {
        case "required": return (rule.items ?? []).allSatisfy { key in members.contains { $0.key == key.text } }
        case "minProperties": return members.count >= Int(rule.integer ?? 0)
        case "propertyNames": return try members.allSatisfy { try holds(.string($0.key), rule) }
        case "properties":
            for member in members {
                if let inner = rule[member.key] { found += try check(member.value, inner, "\(path).\(member.key)") }
            }
            return true
        case "additionalProperties":
            for member in members where schema["properties"]?[member.key] == nil {
                found += try check(member.value, rule, "\(path).\(member.key)")
            }
            return true
        default: return true
        }
    }

    private func type(of value: JSONValue, is name: String) -> Bool {
        switch value {
        case .null: name == "null"
        case .bool: name == "boolean"
        case .number: name == "number" || (name == "integer" && value.integer != nil)
        case .string: name == "string"
        case .array: name == "array"
        case .object: name == "object"
        }
    }
}

/// Whether a text matches a pattern of the schema.
func matches(_ text: String, _ pattern: String) throws -> Bool {
    try text.contains(Regex(pattern).matchingSemantics(.unicodeScalar))
}

extension MarkedNode {
    /// The document as JSON, with the types that JSON's rules give plain texts.
    var json: JSONValue {
        switch self {
        case .mapping(let pairs, _): return .sortedObject(pairs.map { .init($0.key, $0.value.json) })
        case .sequence(let items, _): return .array(items.map(\.json))
        case .scalar(let text, let quoted, _):
            if quoted { return .string(text) }
            switch text {
            case "", "null", "~", "Null", "NULL": return .null
            case "true", "false": return .bool(text == "true")
            default: return (try? JSONValue(parsing: Array(text.utf8))) ?? .string(text)
            }
        }
    }
}
