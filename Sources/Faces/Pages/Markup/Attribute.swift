/// An attribute of an element. There is none that holds a program or a style, and addresses come as `Link`.
public struct Attribute: Sendable, Hashable {
    /// The attributes with a value that is text.
    enum Name: String, Sendable, Hashable, CaseIterable {
        case `class`, id, lang, name, content, charset, type, value, method, title, role, scope, datetime, placeholder, rel, nonce
        case `for`, colspan, max, maxlength, pattern, autocomplete, tabindex, rows
        case httpEquiv = "http-equiv"
        case ariaLabel = "aria-label"
        case ariaLabelledBy = "aria-labelledby"
        case ariaLive = "aria-live"
        case ariaHidden = "aria-hidden"
        case ariaCurrent = "aria-current"
        case dataStream = "data-stream"
        case dataCopy = "data-copy"
        case dataPart = "data-part"
        case dataTime = "data-time"
        case viewBox, d, x, y, x1, y1, x2, y2, cx, cy, r, width, height, points, transform
        case textAnchor = "text-anchor"
        case preserveAspectRatio
    }

    /// The attributes that are there or not.
    enum Switch: String, Sendable, Hashable, CaseIterable {
        case required, disabled, checked, selected, open, `defer`, hidden
    }

    /// What stands in the tag, with the space before it.
    let html: String

    /// An attribute with text.
    init(_ name: Name, _ value: String) { html = " \(name.rawValue)=\"\(Markup.escaped(value))\"" }

    /// A coordinate or length of a drawing, to hundredths.
    init(_ name: Name, _ value: Double) { self.init(name, coordinate(value)) }

    private init(html: String) { self.html = html }

    /// An attribute without a value.
    static func on(_ name: Switch) -> Attribute { Attribute(html: " \(name.rawValue)") }
    /// No attribute.
    static let none = Attribute(html: "")
    /// The classes.
    static func `class`(_ names: String) -> Attribute { Attribute(.class, names) }
    /// The identifier within the page.
    static func id(_ id: String) -> Attribute { Attribute(.id, id) }
    /// Where a link leads.
    static func href(_ link: Link) -> Attribute { Attribute(html: " href=\"\(Markup.escaped(link.text))\"") }
    /// Where a form is sent.
    static func action(_ link: Link) -> Attribute { Attribute(html: " action=\"\(Markup.escaped(link.text))\"") }
    /// Where a form is sent by this button.
    static func formAction(_ link: Link) -> Attribute { Attribute(html: " formaction=\"\(Markup.escaped(link.text))\"") }
    /// What an element is called where it has no text.
    static func label(_ text: String) -> Attribute { Attribute(.ariaLabel, text) }
}

/// A number of a drawing: at most two decimals, none that say nothing.
func coordinate(_ value: Double) -> String {
    guard value.isFinite, abs(value) < 1e9 else { return "0" }
    let hundredths = Int64((value * 100).rounded())
    let sign = hundredths < 0 ? "-" : ""
    let (whole, rest) = hundredths.magnitude.quotientAndRemainder(dividingBy: 100)
    if rest == 0 { return sign + "\(whole)" }
    return sign + (rest % 10 == 0 ? "\(whole).\(rest / 10)" : rest < 10 ? "\(whole).0\(rest)" : "\(whole).\(rest)")
}
