/// The page on which one signs in.
public struct SignInPage: Sendable {
    let target: Link
    let issuers: [String]
    let complaint: String?
    let visit: Visit

    /// A page that leads to a place of this site after the sign-in, with a token or at one of these issuers.
    public init(target: Link, issuers: [String] = [], complaint: String?, visit: Visit) {
        self.target = target
        self.issuers = issuers
        self.complaint = complaint
        self.visit = visit
    }

    /// The page.
    public var markup: Markup {
        PageFrame(title: "Sign in", place: nil, visit: visit).page {
            Tag.section(.class("sign-in")) {
                Tag.h1(text: "Sign in")
                if let complaint {
                    Tag.p(.class("safety tone-bad"), Attribute(.role, "alert")) {
                        Tone.bad.icon
                        complaint
                    }
                }
                for issuer in issuers {
                    Tag.p {
                        Tag.a(
                            .href(Link("sign-in", issuer, query: [(name: "to", value: target.text)])),
                            text: "Sign in with \(issuer)")
                    }
                }
                Tag.form(Attribute(.method, "post"), .action(Link("sign-in"))) {
                    formToken(visit)
                    Tag.input(Attribute(.type, "hidden"), Attribute(.name, "to"), Attribute(.value, target.text))
                    Tag.div(.class("field")) {
                        Tag.label(Attribute(.for, "token"), text: "Token")
                        Tag.input(
                            .id("token"), Attribute(.type, "password"), Attribute(.name, "token"),
                            Attribute(.autocomplete, "current-password"), .on(.required))
                    }
                    Tag.button(Attribute(.type, "submit"), text: "Sign in")
                }
                Tag.p(.class("quiet")) {
                    "No token? On the controller's host: "
                    Tag.code(text: "serin token create")
                    ". Halting works without any of this: "
                    Tag.code(text: "serin halt SERVICE")
                }
            }
        }
    }
}

/// A page that says one thing: that something is not there, not allowed, or did not work.
public struct NoticePage: Sendable {
    let title: String
    let text: String
    let hint: String?
    let visit: Visit
    let next: Link?

    /// A notice; with a place to go on to, it leads there by itself.
    public init(title: String, text: String, hint: String?, visit: Visit, next: Link? = nil) {
        self.next = next
        self.title = title
        self.text = text
        self.hint = hint
        self.visit = visit
    }

    /// The page.
    public var markup: Markup {
        PageFrame(title: title, place: nil, visit: visit, next: next).page {
            Tag.h1 {
                next == nil ? Tone.warn.icon : Tone.good.icon
                title
            }
            Tag.p(.class("notice"), Attribute(.role, "alert"), text: text)
            if let hint { Tag.p(text: hint) }
            Tag.p { Tag.a(.href(next ?? Link("")), text: next == nil ? "To the services" : "Go on") }
        }
    }
}
