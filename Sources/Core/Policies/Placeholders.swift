/// What `{{version}}` and `{{previous}}` stand for.
struct Placeholders: Sendable {
    /// The version to release; nil when it is not known yet.
    var version: String?
    /// The version to go back to; nil when it is not known yet.
    var previous: String?

    /// Leaves placeholders for later, without the spaces that they may be written with.
    static let kept = Placeholders(version: "{{version}}", previous: "{{previous}}")

    /// The text with known values put in. They are not looked at again: a value is never a placeholder itself.
    func fill(_ text: String) -> String {
        var result = ""
        var rest = Substring(text)
        while let place = nextPlaceholder(in: rest) {
            result += rest[..<place.range.lowerBound]
            let value: String? =
                switch place.name {
                case "version": version
                case "previous": previous
                default: nil
                }
            result += value ?? String(rest[place.range])
            rest = rest[place.range.upperBound...]
        }
        return result + rest
    }

    /// The names of placeholders that mean nothing, in the order of the text; an unclosed one counts as its rest.
    static func unknownNames(in text: String) -> [String] {
        var names: [String] = []
        var rest = Substring(text)
        while let place = nextPlaceholder(in: rest) {
            if place.name != "version", place.name != "previous" { names.append(place.name) }
            rest = rest[place.range.upperBound...]
        }
        return names
    }

    /// The versions that a document needs and that are not known, each where it is first needed. Promote and rollback actions are
    /// told both versions, whether or not their words name them.
    func missing(in document: MarkedNode, file: String) -> [Diagnostic] {
        var missing: [Diagnostic] = []
        for (name, value) in [("version", version), ("previous", previous)] where value == nil {
            let message: String
            let mark: Mark
            if let use = Placeholders.firstUse(of: name, in: document) {
                (message, mark) = ("the policy uses {{\(name)}}, and no \(name) version was given", use)
            } else if let action = Placeholders.actionMark(in: document) {
                (message, mark) = ("the action is told the \(name) version, and none was given", action)
            } else {
                continue
            }
            missing.append(Diagnostic(file: file, mark: mark, message: message, hint: "give --\(name) VERSION"))
        }
        return missing
    }

    private static func firstUse(of name: String, in node: MarkedNode) -> Mark? {
        switch node {
        case .scalar(let text, _, let mark):
            var rest = Substring(text)
            while let place = nextPlaceholder(in: rest) {
                if place.name == name { return mark }
                rest = rest[place.range.upperBound...]
            }
            return nil
        case .sequence(let nodes, _):
            for node in nodes { if let mark = firstUse(of: name, in: node) { return mark } }
            return nil
        case .mapping(let pairs, _):
            for pair in pairs { if let mark = firstUse(of: name, in: pair.value) { return mark } }
            return nil
        }
    }

    private static func actionMark(in document: MarkedNode) -> Mark? {
        guard case .mapping(let pairs, _) = document else { return nil }
        return pairs.first { $0.key == "promote" || $0.key == "rollback" }?.keyMark
    }

    /// Why a version given on the command line cannot be used; nil when it can. Its characters are safe in a label, an argument,
    /// an address and a JSON text.
    static func complaint(about version: String) -> String? {
        let bytes = Array(version.utf8)
        let isPlain = bytes.allSatisfy {
            (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
                || Array("._+:@/-".utf8).contains($0)
        }
        if bytes.isEmpty { return "is empty" }
        if bytes.count > 200 { return "is longer than 200 characters" }
        if !isPlain || bytes[0] == 0x2D { return "may hold only letters, digits and '. _ + : @ / -', and not begin with '-'" }
        return nil
    }

    private static func nextPlaceholder(in text: Substring) -> (name: String, range: Range<Substring.Index>)? {
        var index = text.startIndex
        while index < text.endIndex {
            if text[index...].hasPrefix("{{") {
                var end = text.index(index, offsetBy: 2)
                let nameStart = end
                while end < text.endIndex, !text[end...].hasPrefix("}}") { end = text.index(after: end) }
                let name = text[nameStart..<end].filter { $0 != " " }
                let upper = end < text.endIndex ? text.index(end, offsetBy: 2) : end
                return (String(name), index..<upper)
            }
            index = text.index(after: index)
        }
        return nil
    }

    private func nextPlaceholder(in text: Substring) -> (name: String, range: Range<Substring.Index>)? {
        Placeholders.nextPlaceholder(in: text)
    }
}
