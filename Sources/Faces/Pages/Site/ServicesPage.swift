internal import SerinAPI
internal import SerinModel
public import SerinRollouts

/// Every service with its live or last rollout, what needs somebody first.
public struct ServicesPage: Sendable {
    let statuses: [RolloutStatus]
    let checks: [HealthPage.Check]
    let visit: Visit

    /// A page of these rollouts.
    ///
    /// - Parameter checks: How Serin itself is; what is not as it should be stands above the rollouts.
    public init(_ statuses: [RolloutStatus], checks: [HealthPage.Check] = [], visit: Visit) {
        self.statuses = statuses
        self.checks = checks.filter { $0.tone != .good }
        self.visit = visit
    }

    /// The page.
    public var markup: Markup {
        PageFrame(title: "Services", place: .services, visit: visit, stream: Link("live")).page {
            Tag.h1(text: "Services")
            part
        }
    }

    /// The table, which is replaced while the page is open.
    public var part: Markup {
        Tag.div(.id("services"), .class("part"), Attribute(.dataPart, "services")) {
            for check in checks {
                Tag.p(.class("notice tone-\(check.tone.rawValue)"), Attribute(.role, "alert")) {
                    check.tone.icon
                    Tag.strong(text: sentenceCase(check.name))
                    ": \(check.detail)"
                }
            }
            if statuses.isEmpty {
                Tag.p(.class("notice")) {
                    "No rollout yet. One starts with "
                    Tag.code(text: "serin run policy.yaml --version V --previous P")
                    "."
                }
            } else {
                table
            }
        }
    }

    private var table: Markup {
        Tag.table(.class("services"), Attribute(.role, "table")) {
            Tag.thead(Attribute(.role, "rowgroup")) {
                Tag.tr(Attribute(.role, "row")) {
                    for name in ["Service", "State", "Safe now?", "Weight", "Bake", "Since"] {
                        Tag.th(Attribute(.scope, "col"), Attribute(.role, "columnheader"), text: name)
                    }
                }
            }
            Tag.tbody(Attribute(.role, "rowgroup")) { for status in ordered { row(status) } }
        }
    }

    /// What is worst first, then what is live, then by name.
    private var ordered: [RolloutStatus] {
        func rank(_ status: RolloutStatus) -> Int {
            if status.isFinal { return 4 }
            if status.tone == .bad { return 0 }
            switch status.safetyTone {
            case .bad: return 0
            case .warn: return 1
            case .busy, .good: return status.awaitedApproval == nil ? 3 : 2
            }
        }
        return statuses.sorted { (rank($0), $0.service, $0.id) < (rank($1), $1.service, $1.id) }
    }

    @MarkupBuilder private func row(_ status: RolloutStatus) -> Markup {
        Tag.tr(Attribute(.role, "row")) {
            Tag.th(Attribute(.scope, "row"), Attribute(.role, "rowheader")) {
                Tag.a(.href(Link("rollouts", status.id.description)), text: status.service.description)
                " \(status.version)"
            }
            cell("tone-\(status.tone.rawValue)") {
                status.tone.icon
                Tag.strong(text: status.stateNow)
                if status.step > 0, !status.isFinal { " step \(status.step)/\(status.steps)" }
            }
            cell("tone-\(status.safetyTone.rawValue)") {
                status.safetyTone.icon
                Explanation.safety(status)
            }
            cell("number") {
                Tag.span(.class("narrow"), text: "weight ")
                status.observedWeight?.description ?? "unknown"
            }
            cell("") {
                Tag.span(.class("narrow"), text: "bake ")
                "\(Numbers.time(status.baked)) of \(Numbers.time(status.bake))"
            }
            cell("") {
                moment(status.since)
                " "
                ago(status.since, visit.now)
            }
        }
        Tag.tr(Attribute(.role, "row"), .class("reason")) {
            Tag.td(Attribute(.role, "cell"), Attribute(.colspan, "6")) {
                status.cause
                if let awaited = status.awaitedApproval { Tag.strong(text: " Waits for approval: \(awaited)") }
            }
        }
    }

    private func cell(_ name: String, @MarkupBuilder content: () -> Markup) -> Markup {
        Tag.td(.class(name), Attribute(.role, "cell"), content: content)
    }
}
