public import SerinController
public import SerinModel
internal import SerinRollouts
internal import SerinVerdicts

/// The JSON document of one line of the decision log, with the evidence it rests on.
public enum DecisionDocument {
    /// What the document's `schema` says.
    public static let schema = "serin.dev/decision/v1"

    /// The document of a decision.
    public static func encode(_ logged: LoggedDecision) -> JSONValue {
        .object([
            "schema": .string(schema),
            "sequence": .integer(logged.sequence),
            "at": .string(Notation.text(logged.at)),
            "topic": .string(logged.decision.topic),
            "text": .string(logged.decision.text),
            "signals": .array(logged.decision.signals.map(SignalDocument.encode)),
        ])
    }

    /// The document of several, with the number to ask from next.
    public static func encode(_ decisions: [LoggedDecision], after sequence: Int64) -> JSONValue {
        .object([
            "schema": .string("serin.dev/log/v1"), "decisions": .array(decisions.map(encode)),
            "next": .integer(decisions.last?.sequence ?? sequence),
        ])
    }

    /// The decision in a document.
    public static func decode(_ value: JSONValue) throws(DocumentError) -> LoggedDecision {
        let reader = try DocumentReader(value, name: "decision")
        var signals: [SignalAssessment] = []
        for item in try reader.get("signals", "a list", { $0.items }) { signals.append(try SignalDocument.decode(item)) }
        return LoggedDecision(
            sequence: try reader.get("sequence", "a whole number") { $0.integer }, at: try reader.instant("at"),
            decision: Decision(topic: try reader.text("topic"), text: try reader.text("text"), signals: signals))
    }

    /// The decisions in a document of several.
    public static func decodeList(_ value: JSONValue) throws(DocumentError) -> [LoggedDecision] {
        let reader = try DocumentReader(value, name: "log")
        var decisions: [LoggedDecision] = []
        for item in try reader.get("decisions", "a list", { $0.items }) { decisions.append(try decode(item)) }
        return decisions
    }
}
