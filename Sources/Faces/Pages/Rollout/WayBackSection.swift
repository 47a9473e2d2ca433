internal import SerinModel
internal import SerinPolicies
internal import SerinRecords
internal import SerinRollouts

/// How the rollout is taken back: database, backup, schema, and the exact commands that would run.
struct WayBackSection {
    let view: RolloutView
    let visit: Visit

    private var status: RolloutStatus { view.status }

    @MarkupBuilder var markup: Markup {
        Tag.section(Attribute(.ariaLabelledBy, "way-back-title")) {
            Tag.h2(.id("way-back-title"), text: "Way back: code, schema, data")
            Tag.dl(.class("facts wide")) {
                fact("Restore point") {
                    if let backup = status.restorePoint {
                        Tag.span(text: backup.words)
                        " "
                        ago(backup.at, visit.now)
                    } else {
                        Tag.span(.class("quiet"), text: backupWords)
                    }
                }
                fact("Schema") { schema }
            }
            if !status.wayBack.isEmpty {
                Tag.h3(text: "Decided for schema and data")
                lines(status.wayBack)
            }
            if !view.plan.wayBack.isEmpty {
                Tag.h3(text: status.isFinal ? "What the way back was" : "What would be done")
                Tag.ol(.class("stages")) {
                    for stage in view.plan.wayBack { Tag.li { Tag.code(text: stage) } }
                }
            }
            if !status.isFinal { command("serin rollback \(status.id)\(folder)") }
        }
    }

    private var folder: String { view.stateFolder.isEmpty ? "" : " --state \(view.stateFolder)" }

    private var backupWords: String {
        guard let policy = view.history.charter?.policy else { return "none" }
        return policy.backup == nil ? "none: the policy asks for no backup" : "none yet"
    }

    @MarkupBuilder var schema: Markup {
        if let plan = view.history.migrations, !plan.pending.isEmpty {
            Tag.span(
                text:
                    "from \(plan.from?.description ?? "before the first revision") to \(plan.target?.description ?? "the same"), \(plan.pending.count) pending"
            )
            Tag.ul {
                for revision in plan.pending {
                    Tag.li {
                        Tag.code(text: revision.id.description)
                        " \(revision.name) "
                        Tag.span(
                            .class("quiet"),
                            text: "\(revision.kind.rawValue), \(revision.hasDown ? "has a way back" : "no way back")")
                    }
                }
            }
        } else if view.history.charter?.policy.migrations != nil {
            Tag.span(text: "nothing is to be migrated")
        } else {
            Tag.span(.class("quiet"), text: "this rollout moves no schema")
        }
    }

    private func lines(_ texts: [String]) -> Markup {
        Tag.ul(.class("plain-list")) { for text in texts { Tag.li(text: text) } }
    }

    private func fact(_ name: String, @MarkupBuilder value: () -> Markup) -> Markup {
        Tag.div {
            Tag.dt(text: name)
            Tag.dd { value() }
        }
    }
}
