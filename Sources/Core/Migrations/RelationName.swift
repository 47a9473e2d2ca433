internal import SerinModel

/// The name of a table, index, view or the like, with its schema when the SQL says it.
public struct RelationName: Sendable, Hashable, CustomStringConvertible {
    /// The schema; nil when the search path decides.
    public var schema: String?
    /// The name without quotes.
    public var name: String

    /// A name.
    public init(schema: String? = nil, _ name: String) {
        self.schema = schema
        self.name = name
    }

    /// The same name with a schema: without one it is taken to be in `public`, where the search path starts for most.
    var full: RelationName { RelationName(schema: schema ?? "public", name) }

    /// A name as SQL writes it, such as `app."Orders"`; without its schema when none is written.
    public init(parsing text: String) {
        var words = [""]
        var isQuoted = false
        var last: Character?
        for character in text {
            switch character {
            case "\"":
                // Two of them are one that is meant.
                if !isQuoted, last == "\"" { words[words.count - 1].append(character) }
                isQuoted.toggle()
            case "." where !isQuoted: words.append("")
            default: words[words.count - 1].append(character)
            }
            last = character
        }
        self.init(schema: words.count > 1 ? words[words.count - 2] : nil, words.last ?? "")
    }

    /// Whether the two may be the same: one without schema may be in any.
    public func mayBe(_ other: RelationName) -> Bool {
        name == other.name && (schema == nil || other.schema == nil || schema == other.schema)
    }

    /// As it would be written in SQL, with quotes where they are needed.
    public var description: String { (schema.map { quoted($0) + "." } ?? "") + quoted(name) }
}

/// An identifier as SQL writes it: in quotes unless it is lower case letters, digits and underscores.
public func quoted(_ identifier: String) -> String {
    let isPlain =
        identifier.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x5F }
        && identifier.utf8.first.map { !(0x30...0x39).contains($0) } == true
    if isPlain { return identifier }
    return identifier.doubling("\"")
}
