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
