public import SerinModel
internal import SerinRollouts
public import SerinTrials

/// The JSON documents of policies that were tried.
public enum TrialDocuments {
    /// What simulated rollouts came to.
    public static func encode(_ summary: SimulationSummary, _ load: SimulatedLoad, seed: UInt64) -> JSONValue {
        .object([
            "schema": .string("serin.dev/simulation/v1"), "seed": .integer(seed), "runs": .integer(summary.runs),
            "traffic": .object([
                "requests_per_second": Notation.json(load.requestsPerSecond), "errors": Notation.json(load.errors),
                "canary": Notation.json(load.canary), "scenario": .string(load.scenario.rawValue),
                "controls": .integer(load.controls), "signal": load.signal.map { .string($0) } ?? .null,
            ]),
            "promoted": .integer(summary.count(.promoted)), "rolled_back": .integer(summary.count(.rolledBack)),
            "undecided": .integer(summary.count(.undecided)), "seconds_to_decision": encode(summary.seconds),
            "canary_requests": encode(summary.requests), "canary_faults": encode(summary.faults),
            "rolled_back_for": .array(
                summary.failing.map { .object(["signal": .string($0.signal), "runs": .integer($0.runs)]) }),
        ])
    }

    private static func encode(_ spread: SimulationSummary.Spread?) -> JSONValue {
        guard let spread else { return .null }
        return .object(["median": Notation.json(spread.median), "p95": Notation.json(spread.p95)])
    }

    /// What a backtest came to.
    public static func encode(_ backtest: Backtest, hash: String) -> JSONValue {
        .object([
            "schema": .string("serin.dev/backtest/v1"), "rollout": .string(backtest.charter.id.description),
            "version": .string(backtest.charter.version), "previous": .string(backtest.charter.previous),
            "policy_hash": .string(hash), "polls": .integer(backtest.polls),
            "then": backtest.end.map { encode($0) } ?? .null, "ended_at": .string(Notation.text(backtest.endedAt)),
            "difference": backtest.difference.map(encode) ?? .null,
            "known_after": .bool(backtest.difference == nil), "kept": texts(backtest.kept),
            "missing_signals": texts(backtest.missing),
            "stretches": .array(backtest.verdicts.stretches.map(encode)), "truncated": .bool(backtest.verdicts.isCut),
        ])
    }

    /// What a backtest of a range came to.
    public static func encode(
        _ backtest: RangeBacktest, from: Instant, to: Instant, hash: String, warnings: [String]
    ) -> JSONValue {
        .object([
            "schema": .string("serin.dev/range-backtest/v1"), "from": .string(Notation.text(from)),
            "to": .string(Notation.text(to)), "policy_hash": .string(hash), "polls": .integer(backtest.polls),
            "signals": .array(backtest.signals.map(SignalDocument.encode)),
            "stretches": .array(backtest.verdicts.stretches.map(encode)), "truncated": .bool(backtest.verdicts.isCut),
            "warnings": texts(warnings),
        ])
    }

    private static func texts(_ texts: [String]) -> JSONValue { .array(texts.map { .string($0) }) }

    private static func encode(_ standing: Backtest.Standing) -> JSONValue {
        .object([
            "state": .string(standing.state), "cause": .string(standing.cause),
            "ending": standing.ending.map { .string($0.rawValue) } ?? .null,
        ])
    }

    private static func encode(_ difference: Backtest.Difference) -> JSONValue {
        .object([
            "sequence": .integer(difference.sequence), "poll": .integer(difference.poll),
            "at": .string(Notation.text(difference.at)), "step": .integer(difference.step),
            "weight": .string(Notation.text(difference.weight)), "then": encode(difference.then),
            "now": encode(difference.now),
        ])
    }

    private static func encode(_ stretch: VerdictCourse.Stretch) -> JSONValue {
        .object([
            "first_poll": .integer(stretch.first), "last_poll": .integer(stretch.last),
            "from": .string(Notation.text(stretch.from)), "to": .string(Notation.text(stretch.to)),
            "weight": stretch.weight.map { .string(Notation.text($0)) } ?? .null,
            "then": stretch.then.map { .string($0.rawValue) } ?? .null,
            "now": .string(stretch.now.rawValue), "failing": texts(stretch.failing),
        ])
    }
}
