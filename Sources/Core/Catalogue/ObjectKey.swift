/// The name of an object within a destination.
public struct ObjectKey: Sendable, Hashable, Comparable, Codable, CustomStringConvertible {
    /// The key itself.
    public let description: String

    /// A key; nil when it is empty, absolute, longer than 900 bytes, or has an empty, `.` or `..` part or a control character.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard (1...900).contains(text.utf8.count), parts.allSatisfy({ !$0.isEmpty && $0 != "." && $0 != ".." }),
            text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F && $0 != 0x5C })
        else { return nil }
        description = text
    }

    /// Reads the key, refusing one that is not allowed.
    public init(from decoder: any Decoder) throws {
        guard let key = ObjectKey(try decoder.singleValueContainer().decode(String.self)) else {
            throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: "not an object's key"))
        }
        self = key
    }

    /// Writes the key.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    /// In the order of the alphabet.
    public static func < (left: ObjectKey, right: ObjectKey) -> Bool { left.description < right.description }
}
