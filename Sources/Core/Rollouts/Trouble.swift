internal import SerinModel

/// What a poll could not read, or what makes its evidence doubtful, in words for people; empty where nothing is wrong.
struct Trouble: Sendable, Hashable {
    /// Why telemetry did not answer.
    var telemetry = ""
    /// What telemetry warned of.
    var warnings = ""
    /// Why the weight is not known.
    var weight = ""

    /// None.
    init() {}

    /// The trouble of a poll.
    init(_ observation: Observation) {
        note(observation.traffic)
        guard let reading = observation.telemetry else { return }
        let failures = reading.series.compactMap(\.failure) + reading.failures
        telemetry = Self.joined(failures.map { $0.message + ($0.hint.map { " (hint: \($0))" } ?? "") })
        warnings = Self.joined(reading.series.flatMap(\.warnings))
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
