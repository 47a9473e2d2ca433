/// The elements that pages use, of HTML and of SVG. Calling one makes it: `Tag.p(.class("why")) { status.cause }`.
public enum Tag: String, Sendable, Hashable, CaseIterable {
    case html, head, body, title, meta, link, style, script, noscript
    case header, nav, main, footer, section, article, h1, h2, h3, p, div, span, strong, em, small, code, pre, a, br, time
    case ul, ol, li, dl, dt, dd, details, summary
    case table, caption, thead, tbody, tr, th, td
    case form, input, button, label, select, option, textarea, fieldset, legend, progress
    case svg, g, path, line, polyline, rect, circle, text, desc

    /// Whether it has no content and no end tag.
    var isVoid: Bool {
        switch self {
        case .meta, .link, .br, .input: true
        case .html, .head, .body, .title, .style, .script, .noscript, .header, .nav, .main, .footer, .section, .article, .h1,
            .h2, .h3, .p, .div, .span, .strong, .em, .small, .code, .pre, .a, .time, .ul, .ol, .li, .dl, .dt, .dd, .details,
            .summary, .table, .caption, .thead, .tbody, .tr, .th, .td, .form, .button, .label, .select, .option, .textarea,
            .fieldset, .legend, .progress, .svg, .g, .path, .line, .polyline, .rect, .circle, .text, .desc:
            false
        }
    }

    /// The element with what the closure builds.
    func callAsFunction(_ attributes: Attribute..., @MarkupBuilder content: () -> Markup = { .empty }) -> Markup {
        Markup(self, attributes, content())
    }

    /// The element with text.
    func callAsFunction(_ attributes: Attribute..., text: String) -> Markup { Markup(self, attributes, Markup(text)) }
}
