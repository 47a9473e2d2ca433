/// How Serin itself is: its own parts and what it depends on.
public struct HealthPage: Sendable {
    /// One thing that was looked at.
    public struct Check: Sendable, Hashable {
        /// What was looked at.
        public var name: String
        /// How it is.
        public var tone: Tone
        /// The same in words.
        public var detail: String

        /// A check.
        public init(_ name: String, _ tone: Tone, _ detail: String) {
            self.name = name
            self.tone = tone
            self.detail = detail
        }
    }

    let checks: [Check]
    let visit: Visit

    /// A page of these checks.
    public init(_ checks: [Check], visit: Visit) {
        self.checks = checks
        self.visit = visit
    }

    /// The page.
    public var markup: Markup {
        let worst: Tone = checks.contains { $0.tone == .bad } ? .bad : checks.contains { $0.tone == .warn } ? .warn : .good
        return PageFrame(title: "Health", place: .health, visit: visit).page {
            Tag.h1(text: "Serin's own health")
            Tag.p(.class("safety tone-\(worst.rawValue)")) {
                worst.icon
                worst == .good
                    ? "Everything that was looked at is as it should be." : "Something needs a look: see below."
            }
            Tag.table {
                Tag.thead {
                    Tag.tr { for name in ["What", "How it is"] { Tag.th(Attribute(.scope, "col"), text: name) } }
                }
                Tag.tbody {
                    for check in checks {
                        Tag.tr {
                            Tag.th(Attribute(.scope, "row"), text: check.name)
                            Tag.td(.class("tone-\(check.tone.rawValue)")) {
                                check.tone.icon
                                check.detail
                            }
                        }
                    }
                }
            }
            Tag.ul(.class("links")) {
                Tag.li { Tag.a(.href(Link("healthz")), text: "whether the process answers") }
            }
        }
    }
}
