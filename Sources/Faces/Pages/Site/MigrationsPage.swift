internal import SerinController
internal import SerinModel
internal import SerinRollouts

/// What the last rollouts did to schemas, and which way back there is.
public struct MigrationsPage: Sendable {
    let views: [RolloutView]
    let visit: Visit

    /// A page of the services' last rollouts.
    public init(_ views: [RolloutView], visit: Visit) {
        self.views = views
        self.visit = visit
    }

    /// The page.
    public var markup: Markup {
        PageFrame(title: "Migrations", place: .migrations, visit: visit).page {
            Tag.h1(text: "Migrations")
            if views.allSatisfy({ $0.history.migrations == nil }) {
                Tag.p(.class("notice")) {
                    "No rollout has looked at migrations. Where a schema is: "
                    Tag.code(text: "serin migrate status policy.yaml")
                    "."
                }
            }
            for view in views where view.history.migrations != nil { section(view) }
        }
    }

    private func section(_ view: RolloutView) -> Markup {
        let schema = view.history.decisions.filter { $0.decision.topic == "schema" }
        return Tag.section {
            Tag.h2 {
                Tag.a(.href(Link("rollouts", view.status.id.description)), text: view.status.service.description)
                " \(view.status.version), \(view.status.state)"
            }
            WayBackSection(view: view, visit: visit).schema
            if !view.status.wayBack.isEmpty {
                Tag.h3(text: "Way back")
                Tag.ul(.class("plain-list")) { for line in view.status.wayBack { Tag.li(text: line) } }
            }
            if !schema.isEmpty {
                Tag.h3(text: "What happened")
                Tag.ol(.class("log")) { for decision in schema.reversed() { LogSection.line(decision) } }
            }
        }
    }
}
