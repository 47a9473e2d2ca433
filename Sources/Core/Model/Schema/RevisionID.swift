/// The name of one revision of a schema, as its tool writes it: Alembic's identifier, the number or time stamp of a file.
public struct RevisionID: Sendable, Hashable, Comparable, Codable, CustomStringConvertible {
    /// The name itself.
    public let description: String

    /// A revision; nil unless it has 1…200 bytes of visible ASCII.
    public init?(_ text: String) {
        let bytes = text.utf8
        guard (1...200).contains(bytes.count), bytes.allSatisfy({ (0x21...0x7E).contains($0) }) else { return nil }
        description = text
    }

    /// Reads the name, refusing one that is not allowed.
    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let revision = RevisionID(text) else {
            throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: "not a revision"))
        }
        self = revision
    }

    /// Writes the name.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    /// In the order of the bytes, which is not the order in which they are applied.
    public static func < (left: RevisionID, right: RevisionID) -> Bool { left.description < right.description }
}
