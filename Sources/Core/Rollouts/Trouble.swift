internal import SerinModel

/// What a poll could not read, what makes its evidence doubtful, and what fires, in words for people; empty where nothing is wrong.
struct Trouble: Sendable, Hashable {
    /// Why telemetry did not answer.
    var telemetry = ""
    /// What telemetry warned of.
    var warnings = ""
    /// Why the weight is not known.
    var weight = ""
    /// The matching alerts that fire.
    var alerts = ""

    /// None.
    init() {}

    /// The trouble of a poll.
    init(_ observation: Observation) {
        note(observation.traffic)
        guard let reading = observation.telemetry else { return }
        let failures = reading.series.compactMap(\.failure) + reading.failures
        telemetry = Self.joined(failures.map { $0.message + ($0.hint.map { " (hint: \($0))" } ?? "") })
        warnings = Self.joined(reading.series.flatMap(\.warnings))
        alerts = Self.joined((reading.alerts ?? []).map(Self.words))
    }

    /// An alert by its name and its other labels, cut short: a label may have any length.
    private static func words(of alert: AlertReading) -> String {
        let name = alert.labels.first { $0.name == "alertname" }?.value ?? "one without a name"
        let others = alert.labels.filter { $0.name != "alertname" }.map { "\($0.name)=\($0.value)" }.joined(separator: ", ")
        let words = "\(name) at \(alert.source)" + (others.isEmpty ? "" : " (\(others))")
        return words.count > 200 ? words.prefix(200) + "…" : words
    }

    /// Takes note of why the weight is not known.
    mutating func note(_ traffic: TrafficReading) {
        weight = traffic.reading?.weight == nil ? traffic.failure?.message ?? traffic.reading?.raw ?? "" : ""
    }

    /// The first three different ones.
    private static func joined(_ texts: [String]) -> String {
        var different: [String] = []
        for text in texts where !different.contains(text) { different.append(text) }
        let others = different.count - 3
        return different.prefix(3).joined(separator: "; ") + (others > 0 ? "; and \(others) more" : "")
    }
}
