/// How much SQL is read.
public struct SQLLimits: Sendable, Hashable {
    /// The most of one text, in bytes.
    public var bytes = 32 << 20
    /// The most of one statement, in bytes.
    public var statement = 1 << 20
    /// The most of one text that is also read as a whole, to hold it against its statements one by one, in bytes.
    public var whole = 8 << 20
    /// The most of the parser's answer about one statement, in bytes.
    public var tree = 24 << 20
    /// How deep the parser's answer may be nested; an operator or a parenthesis takes about three levels.
    public var depth = 2000
    /// The room for the parser, which goes down once for every operator of a long chain: a statement of the largest size, all
    /// operators, needs less.
    var stack = 512 << 20

    /// The usual limits.
    public init() {}
}
