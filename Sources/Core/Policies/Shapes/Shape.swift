/// What a part of a policy may look like. Declared once; the parser, the JSON Schema and the reference in docs/policy.md follow it.
indirect enum Shape: Sendable {
    /// One value.
    case scalar(ScalarForm)
    /// A mapping with known keys.
    case section(Section)
    /// A list.
    case list(Shape, least: Int)
    /// A mapping whose keys the author chooses.
    case map(keys: ScalarForm, Shape, least: Int)
    /// One of several shapes, told apart by the kind of node or by the keys that are there.
    case either([Variant])

    /// One of several shapes.
    struct Variant: Sendable {
        /// What it is called in messages and in the reference.
        var title: String
        /// The keys whose presence chooses it, when it is a section; none: it is chosen when no other is.
        var decidedBy: [String]
        /// The shape.
        var shape: Shape

        init(_ title: String, decidedBy: [String] = [], _ shape: Shape) {
            self.title = title
            self.decidedBy = decidedBy
            self.shape = shape
        }
    }
}

/// A mapping with known keys.
struct Section: Sendable {
    /// The keys, in the order of the reference.
    var fields: [Field]
    /// Groups of keys of which exactly one must be there.
    var exactlyOne: [[String]] = []
    /// Groups of keys of which at most one may be there.
    var atMostOne: [[String]] = []
    /// Groups of keys of which at least one must be there.
    var atLeastOne: [[String]] = []
    /// Keys that are planned and refused until then.
    var planned: [String] = []

    /// The field of a key.
    subscript(key: String) -> Field? { fields.first { $0.key == key } }
}

/// One key of a section.
struct Field: Sendable {
    /// Whether a key must be given, and what holds when it is not.
    enum Presence: Sendable, Hashable {
        /// It must be given.
        case required
        /// Without it the thing is not there.
        case optional
        /// Without it this text holds, read like a text of the policy.
        case fallback(String)
        /// Without it a value holds that follows from others; in words.
        case derived(String)
    }

    /// The key.
    var key: String
    /// What its value may look like.
    var shape: Shape
    /// Whether it must be given.
    var presence: Presence
    /// What it means, for the schema and the reference: lower case, no final full stop.
    var help: String
    init(_ key: String, _ shape: Shape, _ presence: Presence, _ help: String) {
        self.key = key
        self.shape = shape
        self.presence = presence
        self.help = help
    }

    init(_ key: String, _ form: ScalarForm, _ presence: Presence, _ help: String) {
        self.init(key, .scalar(form), presence, help)
    }
}
