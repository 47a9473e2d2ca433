internal import SerinModel
internal import SerinRecords
internal import SerinRollouts

/// What proves all that: the journal's head to keep, the command that checks it, and the raw evidence.
struct EvidenceSection {
    let view: RolloutView

    var markup: Markup {
        let status = view.status
        let folder = view.stateFolder.isEmpty ? "" : " --state \(view.stateFolder)"
        return Tag.section(Attribute(.ariaLabelledBy, "evidence-title")) {
            Tag.h2(.id("evidence-title"), text: "Check it")
            if let head = view.history.head {
                Tag.p {
                    "Journal of \(status.service.description) up to entry \(head.size), head "
                    Tag.code(.class("hash"), text: head.description)
                }
                command("serin verify \(status.service) --head \(head)\(folder)")
            } else {
                command("serin verify \(status.id)\(folder)")
            }
            Tag.ul(.class("links")) {
                Tag.li {
                    Tag.a(
                        .href(Link("v1", "rollouts", status.id.description, "log", query: [(name: "format", value: "jsonl")])),
                        text: "decisions with their evidence (JSON lines)")
                }
                Tag.li {
                    Tag.a(.href(Link("v1", "rollouts", status.id.description)), text: "this status (JSON)")
                }
                Tag.li {
                    Tag.a(
                        .href(Link("v1", "services", status.service.description, "journal")),
                        text: "the journal as it is stored (JSON)")
                }
                Tag.li { Tag.a(.href(Link("rollouts", "\(status.id).txt")), text: "this page as text") }
                Tag.li { Tag.a(.href(Link("rollouts", status.id.description, "policy")), text: "policy and plan") }
            }
        }
    }
}
