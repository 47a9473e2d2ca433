internal import SerinModel
internal import SerinRollouts

/// The forms by which a reader asks something of a rollout.
struct RolloutForms {
    let status: RolloutStatus
    let visit: Visit

    private func link(_ word: String) -> Link { Link("rollouts", status.id.description, word) }

    /// The halt: one press, with or without a reason. It stays in place while the parts around it change.
    @MarkupBuilder var halt: Markup {
        if visit.verbs.contains(.halt) {
            Tag.form(.class("halt"), .id("halt"), Attribute(.method, "post"), .action(link("halt"))) {
                formToken(visit)
                Tag.button(.class("danger big"), Attribute(.type, "submit"), text: "Halt")
                Tag.p(.class("quiet"), text: "Weight 0 at once. Final for this rollout.")
                reason("halt-reason", "Reason (optional)")
                Tag.label(.class("choice")) {
                    Tag.input(Attribute(.type, "checkbox"), Attribute(.name, "security"), Attribute(.value, "yes"))
                    " for security: the next release then needs more people"
                }
            }
        } else {
            Tag.div(.class("halt")) {
                Tag.p(.class("quiet"), text: "You may not halt here. From a terminal on the controller's host:")
                command("serin halt \(status.id)")
            }
        }
    }

    /// Everything else that may be asked, folded away.
    @MarkupBuilder var others: Markup {
        let offered: [(Command.Verb, String)] = [
            (.hold, "Hold"), (.resume, "Resume"), (.promote, "Promote"), (.rollback, "Roll back"),
        ].filter { visit.verbs.contains($0.0) && mayHelp($0.0) }
        if !offered.isEmpty {
            Tag.details(.class("others")) {
                Tag.summary(text: "Other actions: \(offered.map { $0.1.lowercased() }.joined(separator: ", "))")
                Tag.form(Attribute(.method, "post"), .action(link("hold"))) {
                    formToken(visit)
                    reason("other-reason", "Reason")
                    Tag.div(.class("buttons")) {
                        for (verb, word) in offered {
                            Tag.button(Attribute(.type, "submit"), .formAction(link(verb.rawValue)), text: word)
                        }
                    }
                }
            }
        }
    }

    /// Whether a verb may still change something. While everything is taken back, nothing is left to freeze or to give to everyone; to
    /// try again, or to say that it is done, is for a way back that stopped, and to keep the schema as it is for one that asks.
    private func mayHelp(_ verb: Command.Verb) -> Bool {
        guard status.ending.map({ $0 != .promoted }) ?? false else { return true }
        switch verb {
        case .resume: return status.isRollbackIncomplete || status.awaitedApproval != nil
        case .rollback: return status.isRollbackIncomplete
        case .hold, .promote, .halt, .haltForSecurity, .approve: return false
        }
    }

    /// What waits for people.
    @MarkupBuilder var approval: Markup {
        if let awaited = status.awaitedApproval {
            Tag.section(.class("approval tone-warn"), Attribute(.ariaLabelledBy, "approval-title")) {
                Tag.h2(.id("approval-title")) {
                    Tone.warn.icon
                    "Waits for approval"
                }
                Tag.p(text: awaited)
                if !status.approvalLines.isEmpty {
                    Tag.ul { for line in status.approvalLines { Tag.li(text: line) } }
                }
                if visit.verbs.contains(.approve) {
                    Tag.form(Attribute(.method, "post"), .action(link("approve"))) {
                        formToken(visit)
                        if let plan = status.approvalPlan {
                            Tag.input(Attribute(.type, "hidden"), Attribute(.name, "plan"), Attribute(.value, plan))
                        }
                        reason("approve-reason", "Reason")
                        Tag.button(
                            Attribute(.type, "submit"), text: status.approvalPlan.map { "Approve plan \($0)" } ?? "Approve")
                    }
                }
                let plan = status.approvalPlan.map { " --plan \($0)" } ?? ""
                command("serin approve \(status.id)\(plan)")
            }
        }
    }

    private func reason(_ id: String, _ words: String) -> Markup {
        Tag.div(.class("field")) {
            Tag.label(Attribute(.for, id), text: words)
            Tag.input(
                .id(id), Attribute(.type, "text"), Attribute(.name, "reason"), Attribute(.maxlength, "1000"),
                Attribute(.autocomplete, "off"))
        }
    }
}
