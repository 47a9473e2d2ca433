/// A comment, without its marks.
public struct SQLComment: Sendable, Hashable {
    /// The line in the text, from 1.
    public var line: Int
    /// The column in characters, from 1.
    public var column: Int
    /// What it says, trimmed.
    public var text: String

    /// A comment.
    public init(line: Int, column: Int, text: String) {
        self.line = line
        self.column = column
        self.text = text
    }
}

/// One statement of a text, with what it does.
public struct SQLStatement: Sendable, Hashable {
    /// The line in the text on which it starts, from 1.
    public var line: Int
    /// The column in characters, from 1.
    public var column: Int
    /// The statement without leading comments, cut after a few hundred characters.
    public var text: String
    /// What it does: one thing, or several when data is changed inside a `WITH`. Empty for what does nothing.
    public var actions: [StatementAction]
    /// The comments before it, in it, and behind it on its last line.
    public var comments: [SQLComment]

    /// A statement.
    public init(line: Int, column: Int, text: String, actions: [StatementAction], comments: [SQLComment] = []) {
        self.line = line
        self.column = column
        self.text = text
        self.actions = actions
        self.comments = comments
    }
}

/// The statements of one text.
public struct StatementList: Sendable, Hashable {
    /// In order.
    public var statements: [SQLStatement]
    /// Comments that belong to no statement.
    public var comments: [SQLComment]

    /// Statements and the comments that belong to none.
    public init(statements: [SQLStatement], comments: [SQLComment] = []) {
        self.statements = statements
        self.comments = comments
    }
}

/// What kind of thing a name means.
public enum ObjectKind: String, Sendable, Hashable, CaseIterable {
    /// A table.
    case table
    /// A foreign table.
    case foreignTable = "foreign table"
    /// An index.
    case index
    /// A view.
    case view
    /// A materialized view.
    case materializedView = "materialized view"
    /// A sequence.
    case sequence
    /// A schema.
    case schema
    /// A type or domain.
    case type
    /// A function, procedure or aggregate.
    case function
    /// A trigger.
    case trigger
    /// A policy of row level security.
    case policy
    /// A rule.
    case rule
    /// A constraint.
    case constraint
    /// A column.
    case column
    /// An extension.
    case `extension`
    /// Anything else.
    case other = "object"
}

extension StatementList {
    /// The columns of the indexes that the statements make, by table.
    var indexes: [RelationName: [[String?]]] {
        var found: [RelationName: [[String?]]] = [:]
        for statement in statements {
            for case .createIndex(let index) in statement.actions { found[index.table.full, default: []].append(index.columns) }
        }
        return found
    }
}
