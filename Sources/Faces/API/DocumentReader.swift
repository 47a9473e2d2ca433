internal import SerinModel
internal import SerinPolicies

/// Why a document is not what was expected.
public struct DocumentError: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is wrong and where.
    public var description: String
}

/// Reads the members of one JSON object by name.
struct DocumentReader {
    let value: JSONValue
    let name: String

    /// A reader of an object; it fails on anything else.
    init(_ value: JSONValue, name: String) throws(DocumentError) {
        guard case .object = value else { throw DocumentError(description: "\(name) is not an object") }
        self.value = value
        self.name = name
    }

    func wrong(_ key: String, _ expected: String) -> DocumentError {
        DocumentError(description: "'\(key)' of \(name) is not \(expected)")
    }

    /// Fails on a member that is not among these.
    func allowOnly(_ keys: [String]) throws(DocumentError) {
        guard case .object(let members) = value else { return }
        if let stranger = members.first(where: { !keys.contains($0.key) }) {
            throw DocumentError(description: "\(name) has no '\(stranger.key)'; it knows \(keys.joined(separator: ", "))")
        }
    }

    /// The member's value; nil when it is missing or null.
    func present(_ key: String) -> JSONValue? {
        guard let member = value[key], member != .null else { return nil }
        return member
    }

    func get<Result>(_ key: String, _ expected: String, _ read: (JSONValue) -> Result?) throws(DocumentError) -> Result {
        guard let member = present(key), let result = read(member) else { throw wrong(key, expected) }
        return result
    }

    func optional<Result>(_ key: String, _ expected: String, _ read: (JSONValue) -> Result?) throws(DocumentError) -> Result? {
        guard let member = present(key) else { return nil }
        guard let result = read(member) else { throw wrong(key, expected) }
        return result
    }

    func text(_ key: String) throws(DocumentError) -> String { try get(key, "a text") { $0.text } }

    func flag(_ key: String) throws(DocumentError) -> Bool {
        try get(key, "true or false") { if case .bool(let value) = $0 { value } else { nil } }
    }

    func whole(_ key: String) throws(DocumentError) -> Int {
        try get(key, "a whole number") { $0.integer.flatMap(Int.init(exactly:)) }
    }

    func double(_ key: String) throws(DocumentError) -> Double { try get(key, "a number", Notation.double) }

    func duration(_ key: String) throws(DocumentError) -> Duration {
        try get(key, "a length of time") { $0.text.flatMap { Duration(policyText: $0) } }
    }

    func instant(_ key: String) throws(DocumentError) -> Instant {
        try get(key, "a time (RFC 3339 in UTC)") { $0.text.flatMap(Notation.instant) }
    }
}
