/// The name of an object within a destination: parts of printable ASCII joined by `/`, such as `postgres/daily/2026-03-01.dump`.
///
/// It becomes a path of a folder and a key of a bucket alike, so nothing that either reads in its own way is allowed: no empty part,
/// no part that begins with a dot (so neither `..` nor a temporary file), no backslash, no control character, not absolute.
public struct ObjectKey: Sendable, Hashable, Comparable, Codable, CustomStringConvertible {
    /// The longest key, in bytes; what S3 allows.
    public static let limit = 1024
    /// The longest part, in bytes; what file systems allow, with room for the name of a temporary file.
    public static let partLimit = 200

    /// The key itself.
    public let description: String

    /// A key; nil when `defect(in:)` finds something.
    public init?(_ text: String) {
        guard Self.defect(in: text) == nil else { return nil }
        description = text
    }

    /// What keeps a text from being a key, in words that follow the text; nil when nothing does.
    public static func defect(in text: String) -> String? {
        let bytes = Array(text.utf8)
        if bytes.isEmpty { return "is empty" }
        if bytes.count > limit { return "is longer than \(limit) bytes" }
        if !bytes.allSatisfy({ (0x20...0x7E).contains($0) && $0 != 0x5C }) {
            return "holds a backslash or something that is no printable ASCII"
        }
        for part in bytes.split(separator: 0x2F, omittingEmptySubsequences: false) {
            guard let first = part.first else { return "begins or ends with '/' or holds '//'" }
            if first == 0x2E { return "has a part that begins with '.'" }
            if part.count > partLimit { return "has a part longer than \(partLimit) bytes" }
        }
        return nil
    }

    /// The parts between the slashes; at least one.
    public var parts: [String] { description.split(separator: "/").map(String.init) }

    /// The key of something that belongs to this object; nil when that would be too long.
    public func appending(_ suffix: String) -> ObjectKey? { ObjectKey(description + suffix) }

    /// Reads the key, refusing one that is not allowed.
    public init(from decoder: any Decoder) throws {
        let text = try decoder.singleValueContainer().decode(String.self)
        guard let key = ObjectKey(text) else {
            throw DecodingError.dataCorrupted(.init(codingPath: decoder.codingPath, debugDescription: "not an object key"))
        }
        self = key
    }

    /// Writes the key.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    /// In the order of their bytes.
    public static func < (left: ObjectKey, right: ObjectKey) -> Bool {
        left.description.utf8.lexicographicallyPrecedes(right.description.utf8)
    }
}
