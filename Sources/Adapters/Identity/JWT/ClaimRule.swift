internal import SerinModel

/// What tokens give that meet all conditions.
public struct ClaimRule: Sendable, Hashable {
    /// What one claim must be.
    public struct Condition: Sendable, Hashable {
        /// The claim: `repository`, `ref`, `environment`, `project_path`, `groups`.
        public var claim: String
        /// The patterns, one of which its text must fit as a whole; of a list, one of its texts. `*` stands for any characters but `/`
        /// and `:`, so that `acme/*` is no repository of a name that begins so elsewhere; `**` stands for any characters that
        /// are no control characters.
        public var patterns: [String]

        /// A condition.
        public init(_ claim: String, _ patterns: String...) {
            self.claim = claim
            self.patterns = patterns
        }

        /// A condition with any number of patterns.
        public init(_ claim: String, anyOf patterns: [String]) {
            self.claim = claim
            self.patterns = patterns
        }

        /// Whether no pattern fits everything: each begins with something.
        var isSelective: Bool { patterns.allSatisfy { $0.first.map { $0 != "*" } ?? false } }
    }

    /// All that must hold.
    public var conditions: [Condition]
    /// What it gives.
    public var grant: Grant

    /// A rule.
    public init(_ conditions: [Condition], gives grant: Grant) {
        self.conditions = conditions
        self.grant = grant
    }

    /// What is wrong with it; nil when nothing is.
    var defect: String? {
        if conditions.isEmpty { return "has no conditions, so every token would meet it" }
        if conditions.contains(where: { $0.claim.isEmpty || $0.patterns.isEmpty || $0.patterns.contains("") }) {
            return "has a condition without a claim or a pattern"
        }
        return grant.roles.isEmpty && grant.scopes.isEmpty ? "gives no role and no scope" : nil
    }

    /// Whether claims meet all conditions.
    func isMet(by claims: JSONValue) -> Bool {
        conditions.allSatisfy { condition in
            Self.texts(of: claims[condition.claim]).contains { text in
                condition.patterns.contains { Self.fits(Array(text.utf8), Array($0.utf8)) }
            }
        }
    }

    /// The texts of a claim: its own, or those of its list. Booleans as `true` and `false`, as some issuers write them in quotes.
    private static func texts(of value: JSONValue?) -> [String] {
        switch value {
        case .string(let text): [text]
        case .number(let text): [text]
        case .bool(let value): [value ? "true" : "false"]
        case .array(let items): items.compactMap(\.text)
        case .null, .object, nil: []
        }
    }

    /// Whether a text fits a pattern as a whole. Takes at most the product of their lengths in steps.
    static func fits(_ text: [UInt8], _ pattern: [UInt8]) -> Bool {
        // What of the pattern may stand before the present place of the text, as in Thompson's construction.
        var places: Set<Int> = closure(of: [0], pattern)
        for byte in text {
            var next: Set<Int> = []
            for place in places where place < pattern.count {
                guard pattern[place] == 0x2A else {
                    if pattern[place] == byte { next.insert(place + 1) }
                    continue
                }
                let isDouble = place + 1 < pattern.count && pattern[place + 1] == 0x2A
                let isControl = byte < 0x20 || byte == 0x7F
                if !isControl, isDouble || (byte != 0x2F && byte != 0x3A) { next.insert(place) }
            }
            places = closure(of: next, pattern)
            if places.isEmpty { return false }
        }
        return places.contains(pattern.count)
    }

    /// The places, and those behind stars that stand for nothing.
    private static func closure(of places: Set<Int>, _ pattern: [UInt8]) -> Set<Int> {
        var all = places
        var open = Array(places)
        while let place = open.popLast() {
            guard place < pattern.count, pattern[place] == 0x2A else { continue }
            let width = place + 1 < pattern.count && pattern[place + 1] == 0x2A ? 2 : 1
            if all.insert(place + width).inserted { open.append(place + width) }
        }
        return all
    }
}
