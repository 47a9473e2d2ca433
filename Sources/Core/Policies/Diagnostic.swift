/// A place in a document, counted from one.
public struct Mark: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The line, from 1.
    public var line: Int
    /// The column in characters, from 1.
    public var column: Int

    /// A place.
    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    /// `line:column`.
    public var description: String { "\(line):\(column)" }

    /// Earlier in the document first.
    public static func < (left: Mark, right: Mark) -> Bool { (left.line, left.column) < (right.line, right.column) }
}

/// One complaint about a document.
public struct Diagnostic: Error, Sendable, Hashable, CustomStringConvertible {
    /// The file's name as the person gave it.
    public var file: String
    /// Where.
    public var mark: Mark
    /// What is wrong and what was expected; lower case.
    public var message: String
    /// What to do.
    public var hint: String?

    /// A complaint.
    public init(file: String, mark: Mark, message: String, hint: String? = nil) {
        self.file = file
        self.mark = mark
        self.message = message
        self.hint = hint
    }

    /// `file:line:column: message`, then the hint on a line of its own.
    public var description: String {
        "\(file):\(mark): \(message)" + (hint.map { "\n  hint: \($0)" } ?? "")
    }
}

/// A document as a tree in which every value knows where it stands.
public indirect enum MarkedNode: Sendable {
    /// One pair of a mapping.
    public struct Pair: Sendable {
        /// The key.
        public var key: String
        /// Where the key stands.
        public var keyMark: Mark
        /// The value.
        public var value: MarkedNode

        /// A pair.
        public init(key: String, keyMark: Mark, value: MarkedNode) {
            self.key = key
            self.keyMark = keyMark
            self.value = value
        }
    }

    /// A plain or quoted text.
    case scalar(String, quoted: Bool, Mark)
    /// A list.
    case sequence([MarkedNode], Mark)
    /// A mapping, in the order of the document.
    case mapping([Pair], Mark)

    /// Where it stands.
    public var mark: Mark {
        switch self {
        case .scalar(_, _, let mark), .sequence(_, let mark), .mapping(_, let mark): mark
        }
    }
}
