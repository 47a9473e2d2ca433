internal import SerinAPI
internal import SerinModel
internal import SerinRollouts

/// The top of a rollout's page: what state it is in, whether users are safe, and the few numbers that go with that.
struct Standing {
    let view: RolloutView
    let visit: Visit

    private var status: RolloutStatus { view.status }

    @MarkupBuilder var markup: Markup {
        Tag.div(.class("state tone-\(status.tone.rawValue)")) {
            Tag.h1 {
                status.tone.icon
                Tag.span(text: status.isRollbackIncomplete ? "ROLLBACK INCOMPLETE" : sentenceCase(status.stateNow))
                if status.step > 0, !status.isFinal { Tag.small(text: "step \(status.step) of \(status.steps)") }
            }
            Tag.p(.class("release")) {
                Tag.strong(text: status.service.description)
                " \(status.version) "
                if !status.previous.isEmpty { Tag.span(.class("quiet"), text: "was \(status.previous)") }
            }
        }
        Tag.p(.class("safety tone-\(status.safetyTone.rawValue)"), Attribute(.role, "status")) {
            status.safetyTone.icon
            Tag.strong(text: "Safe now?")
            Tag.span(text: " " + Explanation.safety(status))
        }
        Tag.dl(.class("facts")) {
            fact("Weight") {
                Tag.span(.class("number"), text: status.wantedWeight.description)
                " wanted, "
                Tag.span(
                    .class(status.observedWeight == status.wantedWeight ? "number" : "number differs"),
                    text: status.observedWeight?.description ?? "unknown")
                " observed"
            }
            fact("Bake") {
                Tag.span(text: "\(Numbers.time(status.baked)) of \(Numbers.time(status.bake))")
                Tag.progress(
                    Attribute(.max, "\(max(1, status.bake.milliseconds))"),
                    Attribute(.value, "\(min(status.baked, status.bake).milliseconds)"), .label("Bake"))
            }
            fact("Since") {
                moment(status.since)
                " "
                ago(status.since, visit.now)
            }
            if status.ending == .halted, let halt = view.history.halt {
                fact("Halted by") {
                    Tag.strong(text: "\(halt.by)")
                    " (\(halt.source.word)) at "
                    moment(halt.at)
                    " "
                    ago(halt.at, visit.now)
                }
            } else {
                fact("Decided by") { view.history.decidedBy }
            }
            if let charter = view.history.charter { fact("Started by") { charter.author.description } }
        }
    }

    private func fact(_ name: String, @MarkupBuilder value: () -> Markup) -> Markup {
        Tag.div {
            Tag.dt(text: name)
            Tag.dd { value() }
        }
    }
}

/// A word or two with a capital at the beginning.
func sentenceCase(_ text: String) -> String { text.prefix(1).uppercased() + text.dropFirst() }
