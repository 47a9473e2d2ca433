internal import SerinController
internal import SerinModel
internal import SerinRollouts

/// The end of the decision log, newest first; new lines are put on top while the page is open.
struct LogSection {
    let decisions: ArraySlice<LoggedDecision>

    var markup: Markup {
        Tag.section(Attribute(.ariaLabelledBy, "log-title")) {
            Tag.h2(.id("log-title"), text: "Log")
            Tag.ol(.id("log"), .class("log"), Attribute(.role, "log"), .label("Decisions, newest first")) {
                for decision in decisions.reversed() { Self.line(decision) }
            }
            if decisions.isEmpty { Tag.p(.class("quiet"), text: "No decision yet.") }
        }
    }

    /// One line.
    static func line(_ logged: LoggedDecision) -> Markup {
        Tag.li(.id("entry-\(logged.sequence)"), .class("topic-\(topic(logged.decision))")) {
            moment(logged.at)
            " "
            Tag.span(.class("topic"), text: logged.decision.topic)
            " "
            Tag.span(text: logged.decision.text)
        }
    }

    /// The topic as a class of the stylesheet; nothing but letters, whatever the journal holds.
    private static func topic(_ decision: Decision) -> String {
        String(decision.topic.unicodeScalars.filter { ("a"..."z").contains($0) }.map(Character.init))
    }
}
