internal import SerinController
internal import SerinModel
internal import SerinRollouts
internal import SerinVerdicts

/// The page of one rollout, in the order in which it is read at night: is it safe, why is it so, what is the evidence, what happened,
/// how it is taken back, who has to agree, the log, and the evidence to check.
public struct RolloutPage: Sendable {
    let view: RolloutView
    let visit: Visit

    /// A page for a reader.
    public init(_ view: RolloutView, visit: Visit) {
        self.view = view
        self.visit = visit
    }

    /// A part that is replaced while the page is open.
    public enum Part: String, Sendable, Hashable, CaseIterable {
        case standing, why, approvals, signals, timeline, wayBack = "way-back", evidence
    }

    private var status: RolloutStatus { view.status }

    /// The whole page.
    public var markup: Markup {
        let title = "\(status.isRollbackIncomplete ? "ROLLBACK INCOMPLETE" : status.state): \(status.service) \(status.version)"
        let last = view.history.decisions.last?.sequence ?? 0
        return PageFrame(
            title: title, place: .services, visit: visit,
            stream: status.isFinal
                ? nil : Link("rollouts", status.id.description, "live", query: [(name: "after", value: "\(last)")])
        ).page {
            Tag.section(.class("banner"), .label("Standing")) {
                part(.standing)
                if !status.isFinal { RolloutForms(status: status, visit: visit).halt }
            }
            part(.why)
            if !status.isFinal { RolloutForms(status: status, visit: visit).others }
            part(.approvals)
            part(.signals)
            part(.timeline)
            part(.wayBack)
            LogSection(decisions: view.history.decisions.suffix(200)).markup
            part(.evidence)
        }
    }

    /// One part in the element that is replaced.
    public func part(_ part: Part) -> Markup {
        Tag.div(.id(part.rawValue), .class("part"), Attribute(.dataPart, part.rawValue)) { content(part) }
    }

    private func content(_ part: Part) -> Markup {
        switch part {
        case .standing: Standing(view: view, visit: visit).markup
        case .why: why
        case .approvals: RolloutForms(status: status, visit: visit).approval
        case .signals: SignalSection(view: view, visit: visit).markup
        case .timeline: timeline
        case .wayBack: WayBackSection(view: view, visit: visit).markup
        case .evidence: EvidenceSection(view: view).markup
        }
    }

    private var why: Markup {
        Tag.section(.class("why"), Attribute(.ariaLabelledBy, "why-title")) {
            Tag.div {
                Tag.h2(.id("why-title"), text: "Why")
                Tag.p(text: status.cause.isEmpty ? "nothing happened yet" : status.cause)
            }
            Tag.div {
                Tag.h2(text: "What happens next")
                Tag.p(text: status.next)
            }
        }
    }

    private var timeline: Markup {
        let timeline = Timeline(view.history, status: status, now: visit.now)
        return Tag.section(Attribute(.ariaLabelledBy, "timeline-heading")) {
            Tag.h2(.id("timeline-heading"), text: "Timeline")
            Tag.div(
                .class("scroll"), Attribute(.role, "region"), Attribute(.tabindex, "0"), .label("Timeline, scrolls sideways")
            ) {
                timeline.markup
            }
            Tag.p(.class("key")) {
                for verdict in [(Verdict.pass, "pass"), (.fail, "FAIL"), (.inconclusive, "inconclusive"), (.nodata, "no data")] {
                    Tag.span {
                        VerdictMark.icon(verdict.0)
                        verdict.1
                    }
                }
                for source in RolloutHistory.Mark.Source.allCases {
                    Tag.span {
                        MarkSymbol.icon(source)
                        source.word
                    }
                }
                Tag.span { "solid: read back, dashed: wanted" }
            }
            if !view.history.marks.isEmpty {
                Tag.details {
                    Tag.summary(text: "Who asked for what (\(view.history.marks.count))")
                    Tag.ul(.class("plain-list")) {
                        for mark in view.history.marks.suffix(50).reversed() {
                            Tag.li {
                                moment(mark.at)
                                " \(mark.source.word): \(mark.text)"
                            }
                        }
                    }
                }
            }
        }
    }
}
