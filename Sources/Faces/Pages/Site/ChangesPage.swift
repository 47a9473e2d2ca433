public import SerinModel

/// What waits for a second person: a change of what is critical, and tokens; and the changes that were agreed to.
public struct ChangesPage: Sendable {
    /// The most changes of the past on one page.
    static let limit = 50

    let document: JSONValue
    let mayAgree: Bool
    let visit: Visit

    /// A page.
    ///
    /// - Parameters:
    ///   - document: How things stand, as `GET /v1/configuration` has it.
    ///   - mayAgree: Whether the reader may agree to anything.
    public init(_ document: JSONValue, mayAgree: Bool, visit: Visit) {
        self.document = document
        self.mayAgree = mayAgree
        self.visit = visit
    }

    /// The page.
    public var markup: Markup {
        PageFrame(title: "Changes", place: .changes, visit: visit).page {
            Tag.h1(text: "Changes")
            if document["two_people"] != .bool(true) {
                Tag.p(text: "Nobody has to agree to a change: fewer than two people are known by name.")
            }
            if let complaint = document["complaint"]?.text {
                Tag.p(.class("safety tone-warn"), Attribute(.role, "status")) {
                    Tone.warn.icon
                    sentenceCase(complaint)
                }
            }
            proposal
            tokens
            past
        }
    }

    @MarkupBuilder private var proposal: Markup {
        Tag.section {
            Tag.h2(text: "Proposed")
            if let proposal = document["proposal"], proposal != .null {
                let plan = word(proposal, "plan")
                Tag.p {
                    "By \(word(proposal, "by")) at \(word(proposal, "at")), until \(word(proposal, "ends_at"))"
                    word(proposal, "reason").isEmpty ? "" : ": \(word(proposal, "reason"))"
                }
                difference(proposal)
                Tag.p {
                    "Plan "
                    Tag.code(.class("hash"), text: plan)
                }
                if mayAgree {
                    agreement(Link("changes", "agree"), "Agree to this change") {
                        Tag.input(Attribute(.type, "hidden"), Attribute(.name, "plan"), Attribute(.value, plan))
                    }
                } else {
                    Tag.p(.class("quiet"), text: "Another person with the role approver or admin agrees.")
                }
            } else {
                Tag.p(text: "No change waits for a second person.")
                if let unapproved = document["unapproved"], unapproved != .null {
                    Tag.p(text: "What the files on the controller's host say and nobody proposed:")
                    difference(unapproved)
                }
            }
        }
    }

    @MarkupBuilder private var tokens: Markup {
        let waiting = document["tokens"]?.items ?? []
        if !waiting.isEmpty {
            Tag.section {
                Tag.h2(text: "Tokens that wait for a second person")
                for token in waiting {
                    Tag.p(
                        text: "\(word(token, "name")) (\(word(token, "id"))) of \(word(token, "owner")), made by "
                            + word(token, "created_by"))
                    if mayAgree {
                        agreement(Link("changes", "tokens", word(token, "id")), "Agree to \(word(token, "name"))") {
                            Markup.empty
                        }
                    }
                }
            }
        }
    }

    @MarkupBuilder private var past: Markup {
        let changes = document["changes"]?.items ?? []
        if !changes.isEmpty {
            Tag.section {
                Tag.h2(text: "Agreed to")
                for change in changes.prefix(Self.limit) {
                    let proposer = change["proposed_by"]?.text.map { "proposed by \($0), agreed to by " } ?? "found by "
                    let isSigned = change["signed"] == .bool(true)
                    Tag.details {
                        Tag.summary(
                            text: "\(word(change, "at")): \(proposer)\(word(change, "by")), "
                                + (isSigned ? "signed" : "NOT signed as it stands there"))
                        difference(change)
                    }
                }
            }
        }
    }

    private func difference(_ change: JSONValue) -> Markup {
        Tag.ul(.class("plain-list")) {
            for line in change["removed"]?.items ?? [] { Tag.li { Tag.code(text: "- \(line.text ?? "")") } }
            for line in change["added"]?.items ?? [] { Tag.li { Tag.code(text: "+ \(line.text ?? "")") } }
        }
    }

    private func agreement(_ place: Link, _ words: String, @MarkupBuilder _ others: () -> Markup) -> Markup {
        let fields = others()
        return Tag.form(Attribute(.method, "post"), .action(place)) {
            formToken(visit)
            fields
            Tag.button(Attribute(.type, "submit"), text: words)
        }
    }

    private func word(_ value: JSONValue, _ key: String) -> String { value[key]?.text ?? "" }
}
