internal import SerinModel
internal import SerinPolicies
internal import SerinVerdicts

/// Writes verdicts into the decision log: when one changes, and all of them once a minute.
struct VerdictLog: Sendable, Hashable {
    /// How often unchanged verdicts are written.
    static let interval = Duration.seconds(60)

    private let sources: [SignalPolicy]
    private var latest: [Verdict?]
    private var writtenAt: Instant?

    init(signals: [SignalPolicy]) {
        sources = signals
        latest = Array(repeating: nil, count: signals.count)
    }

    /// Whether a poll adds decisions. While a rollout is held no verdict but a failure has consequences, and only that is no news
    /// to wait for.
    func isDue(_ assessment: Assessment, isHeld: Bool, at now: Instant) -> Bool {
        isMinuteOver(at: now)
            || assessment.signals.contains { signal in
                guard !isHeld || signal.verdict == .fail else { return false }
                return sources.firstIndex { $0.name == signal.name }.map { latest[$0] != signal.verdict } ?? false
            }
    }

    private func isMinuteOver(at now: Instant) -> Bool { writtenAt.map { now - $0 >= Self.interval } ?? true }

    /// The decisions that one poll adds.
    mutating func record(_ assessment: Assessment, weight: Weight, next: String, at now: Instant) -> [Effect] {
        let isDue = isMinuteOver(at: now)
        var effects: [Effect] = []
        for signal in assessment.signals {
            guard let index = sources.firstIndex(where: { $0.name == signal.name }) else { continue }
            guard isDue || latest[index] != signal.verdict else { continue }
            latest[index] = signal.verdict
            let own = signal.isReportOnly ? "reported only" : next
            let sentence = VerdictSentence(weight: weight, signal: signal, source: sources[index].source, next: own)
            effects.append(.record(Decision(topic: "verdict", text: sentence.text, signals: [signal])))
        }
        if isDue { writtenAt = now }
        return effects
    }
}
