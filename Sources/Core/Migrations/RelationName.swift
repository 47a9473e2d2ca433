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
