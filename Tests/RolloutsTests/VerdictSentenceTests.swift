import SerinModel
import SerinVerdicts
import Testing

@testable import SerinRollouts

/// What a verdict's line says of the ratio.
@Suite struct VerdictSentenceTests {
    private func clause(high: Double) -> String {
        var signal = SignalAssessment(name: "latency_p95")
        signal.verdict = .pass
        signal.reason = "regression beyond the assurance boundary excluded"
        signal.absence = nil
        signal.ratio = 1
        signal.boundary = 1.22
        signal.interval = Interval(low: 0.7, high: high)
        return VerdictSentence(weight: .zero, signal: signal, source: nil, next: "promotion").clause
    }

    @Test func anAlertThatTakesItBackIsNamed() throws {
        var scene = try Scene()
        scene.toBake()
        let long = String(repeating: "x", count: 500)
        let alert = AlertReading(source: "prometheus", labels: [Label("alertname", "Errors"), Label("service", "checkout")])
        scene.poll(.pass, alerts: [alert, AlertReading(source: "alertmanager", labels: [Label("alertname", long)])])
        let cause = scene.status.cause
        #expect(
            cause.hasPrefix("an alert that matches the policy fires: Errors at prometheus (service=checkout); xxx"), "\(cause)")
        #expect(cause.hasSuffix("x…") && cause.count < 320, "\(cause)")
    }

    @Test func withoutDataTheReasonComesFirst() {
        var signal = SignalAssessment(name: "errors")
        signal.verdict = .nodata
        signal.absence = nil
        signal.reason = "too many gaps"
        signal.ratio = 0.89
        signal.interval = Interval(low: 0.02, high: 5.86)
        let clause = VerdictSentence(weight: .zero, signal: signal, source: nil, next: "step goes on").clause
        #expect(clause == "too many gaps, canary nothing yet, control nothing yet")
    }

    @Test func aPassIsWithinTheBoundaryOnlyWhenItsIntervalIs() {
        #expect(clause(high: 1.2).hasSuffix("ratio 1.00 [0.70–1.20] within 1.22"))
        #expect(clause(high: 1.4).hasSuffix("ratio 1.00 [0.70–1.40], regression beyond the assurance boundary excluded"))
    }
}
