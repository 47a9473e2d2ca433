public import SerinModel

/// Who asked for what, of all services, with a search.
public struct AuditPage: Sendable {
    /// One thing that someone asked for, or that befell a controller.
    public struct Line: Sendable, Hashable {
        /// When.
        public var at: Instant
        /// The service.
        public var service: String
        /// The rollout; nil for what concerns the service alone.
        public var rollout: String?
        /// Where it came from.
        public var source: RolloutHistory.Mark.Source
        /// What, for people.
        public var text: String

        /// A line.
        public init(
            at: Instant, service: String, rollout: String?, source: RolloutHistory.Mark.Source, text: String
        ) {
            self.at = at
            self.service = service
            self.rollout = rollout
            self.source = source
            self.text = text
        }
    }

    /// How many entries of each journal are looked at when nobody asks for more.
    public static let reach: Int64 = 2000

    /// The most lines of one page.
    static let limit = 500

    let lines: [Line]
    let unread: String?
    let search: String
    let reach: Int64?
    let visit: Visit

    /// A page of these lines, in any order, that hold every word searched for; and what is missing because it could not be read.
    ///
    /// - Parameter reach: Of how many of the newest entries of each journal; nil when that is all of them.
    public init(_ lines: [Line], unread: String?, search: String, reach: Int64? = nil, visit: Visit) {
        self.reach = reach
        self.unread = unread
        let words = search.lowercased().split(separator: " ")
        self.lines = lines.filter { line in
            let text = "\(line.service) \(line.rollout ?? "") \(line.source.word) \(line.text)".lowercased()
            return words.allSatisfy { text.contains($0) }
        }.sorted { $0.at > $1.at }
        self.search = search
        self.visit = visit
    }

    /// The page.
    public var markup: Markup {
        PageFrame(title: "Audit", place: .audit, visit: visit).page {
            Tag.h1(text: "Audit")
            Tag.form(Attribute(.method, "get"), .action(Link("audit")), Attribute(.role, "search")) {
                Tag.div(.class("field")) {
                    Tag.label(Attribute(.for, "audit-search"), text: "Search for a service, a rollout, a person, a word")
                    Tag.input(
                        .id("audit-search"), Attribute(.type, "search"), Attribute(.name, "q"), Attribute(.value, search))
                }
                Tag.button(Attribute(.type, "submit"), text: "Search")
            }
            if let unread { Tag.p(.class("safety tone-bad"), Attribute(.role, "alert"), text: unread) }
            Tag.p(
                .class("quiet"),
                text: "\(lines.count) found\(lines.count > Self.limit ? ", the newest \(Self.limit) shown" : "").")
            if let reach {
                Tag.p(.class("quiet")) {
                    "Among the newest \(reach) entries of each journal. "
                    Tag.a(
                        .href(Link("audit", query: [(name: "q", value: search), (name: "entries", value: "\(reach * 10)")])),
                        text: "Look further back")
                }
            }
            Tag.div(.class("scroll"), Attribute(.role, "region"), Attribute(.tabindex, "0"), .label("Audit")) {
                Tag.table {
                    Tag.thead {
                        Tag.tr {
                            for name in ["When", "Service", "What", "From", "Rollout"] {
                                Tag.th(Attribute(.scope, "col"), text: name)
                            }
                        }
                    }
                    Tag.tbody { for line in lines.prefix(Self.limit) { row(line) } }
                }
            }
        }
    }

    private func row(_ line: Line) -> Markup {
        Tag.tr {
            Tag.td { moment(line.at, withDate: true) }
            Tag.td(text: line.service)
            Tag.td(text: line.text)
            Tag.td {
                MarkSymbol.icon(line.source)
                line.source.word
            }
            Tag.td {
                if let rollout = line.rollout { Tag.a(.href(Link("rollouts", rollout)), text: rollout) }
            }
        }
    }
}
