internal import SerinModel
internal import SerinPolicies
internal import SerinRecords
public import SerinRollouts

/// What a rollout was asked to be: its frozen policy, the deviations from it, and the plan that follows from both.
public struct PolicyPage: Sendable {
    let charter: Charter
    let plan: PlanWords
    let visit: Visit

    /// A page of a charter.
    public init(_ charter: Charter, plan: PlanWords, visit: Visit) {
        self.charter = charter
        self.plan = plan
        self.visit = visit
    }

    /// The page.
    public var markup: Markup {
        PageFrame(title: "Policy of \(charter.id)", place: .services, visit: visit).page {
            Tag.h1(text: "Policy and plan")
            Tag.p {
                Tag.a(.href(Link("rollouts", charter.id.description)), text: charter.id.description)
                ": \(charter.policy.service) \(charter.previous) → \(charter.version), started by \(charter.author). "
                "Frozen at the start; editing the file changes nothing here."
            }
            Tag.p {
                "SHA-256 of the file "
                Tag.code(.class("hash"), text: charter.policyHash)
            }
            overrides
            stages("What is done", plan.stages)
            if let earliest = plan.earliest {
                Tag.p(text: "Earliest promotion \(Numbers.time(earliest)) after the first raise.")
            }
            stages("Way back", plan.wayBack)
            signals
            policy
        }
    }

    @MarkupBuilder private var overrides: Markup {
        if !charter.overrides.isEmpty {
            Tag.section {
                Tag.h2 {
                    Tone.warn.icon
                    "Deviations from the policy"
                }
                Tag.ul { for one in charter.overrides { Tag.li(text: "\(one.key) = \(one.value): \(one.reason)") } }
            }
        }
    }

    @MarkupBuilder private func stages(_ title: String, _ texts: [String]) -> Markup {
        if !texts.isEmpty {
            Tag.section {
                Tag.h2(text: title)
                Tag.ol(.class("stages")) { for text in texts { Tag.li(text: text) } }
            }
        }
    }

    private var signals: Markup {
        Tag.section {
            Tag.h2(text: "Signals")
            Tag.div(.class("scroll"), Attribute(.role, "region"), Attribute(.tabindex, "0"), .label("Signals of the policy")) {
                Tag.table {
                    Tag.thead {
                        Tag.tr {
                            for name in ["Signal", "Counts", "Tolerance", "Worse", "Judged", "Hard limit", ""] {
                                Tag.th(Attribute(.scope, "col"), text: name)
                            }
                        }
                    }
                    Tag.tbody { for signal in charter.policy.signals { row(signal) } }
                }
            }
        }
    }

    private func row(_ signal: SignalPolicy) -> Markup {
        Tag.tr {
            Tag.th(Attribute(.scope, "row"), text: signal.name)
            Tag.td { Tag.code(text: words(signal.source)) }
            Tag.td(text: Numbers.percent(signal.tolerance))
            Tag.td(text: signal.direction.rawValue)
            Tag.td(text: signal.judge.rawValue)
            Tag.td(text: signal.hardLimit.map(Numbers.short) ?? "-")
            Tag.td(
                text: [signal.isSecurity ? "security" : nil, signal.isReportOnly ? "report only" : nil].compactMap { $0 }
                    .joined(separator: ", "))
        }
    }

    private func words(_ source: SignalPolicy.Source) -> String {
        switch source {
        case .ratio(let counter, let bad): "\(counter), bad: \(bad.map { "\($0.name) \($0.value)" }.joined(separator: ", "))"
        case .per(let counter, let exposure): "\(counter) per \(exposure)"
        case .rate(let counter): "\(counter) per second"
        case .latency(let histogram, let quantile): "\(histogram) at \(quantile)"
        case .gauge(let metric): metric
        case .expression(let text): text
        }
    }

    @MarkupBuilder private var policy: Markup {
        // A policy that cannot be written as a document is shown without one.
        if let document = try? CanonicalEncoder.encode(charter.policy) {
            Tag.details {
                Tag.summary(text: "The whole policy, with its defaults (JSON)")
                Tag.p { Tag.code(text: document.canonicalText) }
            }
        }
    }
}
