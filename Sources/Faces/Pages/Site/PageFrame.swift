internal import SerinModel

/// What stands around every page: the head with its style and script, the way to the other pages, and who is signed in.
struct PageFrame {
    /// The parts of the site, for the navigation.
    enum Place: String, Sendable, Hashable, CaseIterable {
        case services = "Services"
        case backups = "Backups"
        case migrations = "Migrations"
        case changes = "Changes"
        case audit = "Audit"
        case health = "Health"

        var link: Link {
            switch self {
            case .services: Link("")
            case .backups: Link("backups")
            case .migrations: Link("migrations")
            case .changes: Link("changes")
            case .audit: Link("audit")
            case .health: Link("health")
            }
        }
    }

    /// What the window is called.
    var title: String
    /// Where in the site it belongs; nil outside of it.
    var place: Place?
    /// Its reader.
    var visit: Visit
    /// Where the page's changes come from while it is open; nil for a page that does not change by itself.
    var stream: Link?
    /// Where it leads by itself; nil for a page that stays.
    var next: Link?

    /// A whole page around its content.
    func page(@MarkupBuilder content: () -> Markup) -> Markup {
        let main = content()
        return Markup(
            documentIn: "en",
            Markup(joining: [
                Tag.head { head },
                Tag.body(stream.map { Attribute(.dataStream, $0.text) } ?? .none) {
                    Tag.a(.class("skip"), .href(Link(fragment: "main")), text: "Skip to the content")
                    header
                    Tag.main(.id("main"), Attribute(.tabindex, "-1")) { main }
                    Tag.footer {
                        Tag.p(.class("quiet")) {
                            "All times are UTC. Drawn at "
                            moment(visit.now)
                            Tag.span(.id("live"), .class("live"), Attribute(.role, "status"), text: "")
                        }
                    }
                },
            ]))
    }

    @MarkupBuilder private var head: Markup {
        Tag.meta(Attribute(.charset, "utf-8"))
        Tag.meta(Attribute(.name, "viewport"), Attribute(.content, "width=device-width, initial-scale=1"))
        Tag.meta(Attribute(.name, "color-scheme"), Attribute(.content, "light dark"))
        if stream != nil {
            Tag.noscript { Tag.meta(Attribute(.httpEquiv, "refresh"), Attribute(.content, "30")) }
        }
        if let next { Tag.meta(Attribute(.httpEquiv, "refresh"), Attribute(.content, "0;url=\(next.text)")) }
        Tag.title(text: "\(title) · Serin")
        Tag.link(Attribute(.rel, "icon"), .href(.noIcon))
        Tag.style(Attribute(.nonce, visit.nonce)) { Markup(constant: stylesheet) }
        Tag.script(Attribute(.nonce, visit.nonce)) { Markup(constant: pageScript) }
    }

    private var header: Markup {
        Tag.header(.class("top")) {
            Tag.a(.class("brand"), .href(Link("")), text: "Serin")
            if visit.reader != nil {
                Tag.nav(.label("Site")) {
                    Tag.ul {
                        for other in Place.allCases {
                            Tag.li {
                                Tag.a(
                                    .href(other.link), other == place ? Attribute(.ariaCurrent, "page") : .none,
                                    text: other.rawValue)
                            }
                        }
                    }
                }
            }
            if let reader = visit.reader { account(reader) }
        }
    }

    private func account(_ reader: String) -> Markup {
        Tag.form(.class("account"), Attribute(.method, "post"), .action(Link("sign-out"))) {
            Tag.span(.class("quiet"), text: reader)
            if visit.hasSession {
                formToken(visit)
                Tag.button(.class("plain"), Attribute(.type, "submit"), text: "Sign out")
            }
        }
    }
}

/// The hidden field by which a form is known as one of these pages' own.
func formToken(_ visit: Visit) -> Markup {
    Tag.input(Attribute(.type, "hidden"), Attribute(.name, "form_token"), Attribute(.value, visit.formToken))
}

/// A moment: its time of day, with the whole of it for machines; the script adds local time as a tooltip.
func moment(_ instant: Instant, withDate: Bool = false) -> Markup {
    Tag.time(
        Attribute(.datetime, instant.description), Attribute(.dataTime, "\(instant.millisecondsSince1970)"),
        text: withDate ? instant.description : instant.timeOfDay)
}

/// How long ago a moment was; the script keeps it going.
func ago(_ instant: Instant, _ now: Instant) -> Markup {
    Tag.span(.class("ago"), Attribute(.dataTime, "\(instant.millisecondsSince1970)"), text: "\(elapsed(instant, now)) ago")
}

private func elapsed(_ instant: Instant, _ now: Instant) -> String {
    let seconds = max(0, (now - instant).milliseconds / 1000)
    switch seconds {
    case ..<60: return "\(seconds)s"
    case ..<3600: return "\(seconds / 60)m \(seconds % 60)s"
    case ..<86_400: return "\(seconds / 3600)h \(seconds / 60 % 60)m"
    default: return "\(seconds / 86_400)d \(seconds / 3600 % 24)h"
    }
}

/// A command to be copied.
func command(_ text: String) -> Markup {
    Tag.p(.class("command")) {
        Tag.code(text: text)
        Tag.button(
            .class("plain copy"), Attribute(.type, "button"), Attribute(.dataCopy, text), .on(.hidden), text: "Copy")
    }
}
