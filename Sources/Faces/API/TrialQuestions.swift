internal import SerinModel
public import SerinTrials

/// A policy that is to be tried on drawn traffic.
public struct SimulationQuestion: Sendable, Hashable {
    /// How many rollouts may be asked for.
    public static let runRange = 1...1000
    /// The seeds that JSON's numbers hold exactly.
    public static let seedRange = 0...9_007_199_254_740_991

    /// The policy's text.
    public var text: String
    /// Its name, for messages.
    public var file: String
    /// The traffic.
    public var load: SimulatedLoad
    /// How many rollouts; nil is as many as are usual.
    public var runs: Int?
    /// What everything is drawn from.
    public var seed: UInt64

    /// The question in a document; unknown members are refused.
    static func decode(_ value: JSONValue) throws(DocumentError) -> SimulationQuestion {
        let reader = try DocumentReader(value, name: "request")
        try reader.allowOnly([
            "policy", "requests_per_second", "errors", "canary", "scenario", "controls", "signal", "runs", "seed",
        ])
        let policy = try PolicyText(value)
        func number(_ key: String, in range: ClosedRange<Double>) throws(DocumentError) -> Double? {
            try reader.optional(key, "a number from \(range.lowerBound) to \(range.upperBound)") { value in
                value.double.flatMap { range.contains($0) ? $0 : nil }
            }
        }
        func whole(_ key: String, in range: ClosedRange<Int>) throws(DocumentError) -> Int? {
            try reader.optional(key, "a whole number from \(range.lowerBound) to \(range.upperBound)") { value in
                value.integer.flatMap(Int.init(exactly:)).flatMap { range.contains($0) ? $0 : nil }
            }
        }
        let range = SimulatedLoad.requestRange
        guard let requests = try number("requests_per_second", in: range) else {
            throw reader.wrong("requests_per_second", "a number from \(range.lowerBound) to \(range.upperBound)")
        }
        var load = SimulatedLoad(requestsPerSecond: requests)
        load.errors = try number("errors", in: SimulatedLoad.errorRange) ?? load.errors
        load.canary = try number("canary", in: SimulatedLoad.canaryRange) ?? load.canary
        load.controls = try whole("controls", in: SimulatedLoad.controlRange) ?? load.controls
        let scenarios = TrafficScenario.allCases.map(\.rawValue).joined(separator: ", ")
        load.scenario =
            try reader.optional("scenario", "one of \(scenarios)") { $0.text.flatMap(TrafficScenario.init) } ?? load.scenario
        load.signal = try reader.optional("signal", "a text") { $0.text }
        return SimulationQuestion(
            text: policy.text, file: policy.file, load: load, runs: try whole("runs", in: runRange),
            seed: UInt64(try whole("seed", in: seedRange) ?? 1))
    }
}

/// A policy that is to be tried on what a rollout read.
public struct BacktestQuestion: Sendable, Hashable {
    /// The policy's text.
    public var text: String
    /// Its name, for messages.
    public var file: String
    /// The rollout, or a service for its last one.
    public var rollout: String

    /// The question in a document; unknown members are refused.
    static func decode(_ value: JSONValue) throws(DocumentError) -> BacktestQuestion {
        let reader = try DocumentReader(value, name: "request")
        try reader.allowOnly(["policy", "rollout"])
        let policy = try PolicyText(value)
        return BacktestQuestion(text: policy.text, file: policy.file, rollout: try reader.text("rollout"))
    }
}

/// The member `policy` of a question: its text, and what it is called.
struct PolicyText {
    var text: String
    var file: String

    init(_ question: JSONValue) throws(DocumentError) {
        let reader = try DocumentReader(question["policy"] ?? .null, name: "policy")
        try reader.allowOnly(["file", "text"])
        text = try reader.text("text")
        file = try reader.optional("file", "a text") { $0.text } ?? "policy"
    }
}
