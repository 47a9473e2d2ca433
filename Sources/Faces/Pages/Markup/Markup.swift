internal import SerinModel

/// HTML that is well formed and escaped by construction: text only comes in through `init(_:)`, which escapes it, and elements,
/// attributes and addresses only through types that take no outside text as a name or a scheme.
public struct Markup: Sendable, Hashable {
    /// No markup.
    public static let empty = Markup(trusted: "")

    /// The HTML.
    public let html: String

    private init(trusted html: String) { self.html = html }

    /// Text. Characters with a meaning in HTML are escaped; those that reorder or hide text are shown as `\u{…}`.
    public init(_ text: String) { html = Markup.escaped(text) }

    /// A constant of this program's own, as it is: a stylesheet, a script.
    init(constant: StaticString) { html = constant.description }

    /// One after the other.
    init(joining parts: [Markup]) { html = parts.map(\.html).joined() }

    /// An element.
    init(_ tag: Tag, _ attributes: [Attribute], _ content: Markup) {
        let open = "<" + tag.rawValue + attributes.map(\.html).joined() + ">"
        html = tag.isVoid ? open : open + content.html + "</" + tag.rawValue + ">"
    }

    /// A whole document.
    init(documentIn language: String, _ content: Markup) {
        html = "<!DOCTYPE html>\n" + Markup(.html, [Attribute(.lang, language)], content).html + "\n"
    }

    /// Text as it stands between tags and in quoted values.
    static func escaped(_ text: String) -> String {
        let plain = text.madePlain
        guard plain.utf8.contains(where: { [0x26, 0x3C, 0x3E, 0x22, 0x27].contains($0) }) else { return plain }
        return plain.unicodeScalars.reduce(into: "") { result, scalar in
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "'": result += "&#39;"
            default: result.unicodeScalars.append(scalar)
            }
        }
    }
}

/// Builds markup from texts, which are escaped, and elements.
@resultBuilder public enum MarkupBuilder {
    /// A text becomes escaped text.
    public static func buildExpression(_ text: String) -> Markup { Markup(text) }
    /// Markup is taken as it is.
    public static func buildExpression(_ markup: Markup) -> Markup { markup }
    /// Nothing, or markup.
    public static func buildExpression(_ markup: Markup?) -> Markup { markup ?? .empty }
    /// One after the other.
    public static func buildExpression(_ parts: [Markup]) -> Markup { Markup(joining: parts) }
    /// One after the other.
    public static func buildBlock(_ parts: Markup...) -> Markup { Markup(joining: parts) }
    /// Nothing, or markup.
    public static func buildOptional(_ part: Markup?) -> Markup { part ?? .empty }
    /// One of two.
    public static func buildEither(first part: Markup) -> Markup { part }
    /// One of two.
    public static func buildEither(second part: Markup) -> Markup { part }
    /// One for each.
    public static func buildArray(_ parts: [Markup]) -> Markup { Markup(joining: parts) }
}
