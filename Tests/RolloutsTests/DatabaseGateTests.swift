import SerinModel
import SerinPolicies
import Testing

@testable import SerinRollouts

struct DatabaseGateTests {
    @Test func aLimitThatIsPassedWheneverItCanBeReadIsBeyondThoughReadingsAreMissingInBetween() {
        var gate = gate(max: 5, lasting: .seconds(30))
        var verdicts: [PollFindings.Database] = []
        for poll in 0..<5 {
            verdicts.append(gate.judge(reading(poll.isMultiple(of: 2) ? 50 : nil), at: start + .seconds(15) * Int64(poll)))
        }
        #expect(verdicts == [.unsure, .unsure, .beyond, .unsure, .beyond])
    }

    @Test func aValueWithinItsLimitBeginsTheCountAnew() {
        var gate = gate(max: 5, lasting: .seconds(30))
        var verdicts: [PollFindings.Database] = []
        for (poll, value) in [50.0, 1, nil, 50, nil, 50].enumerated() {
            verdicts.append(gate.judge(reading(value), at: start + .seconds(15) * Int64(poll)))
        }
        #expect(verdicts == [.unsure, .within, .unsure, .unsure, .unsure, .beyond])
    }

    @Test func aValueThatIsNoNumberIsUnknown() {
        var gate = gate(max: 5, lasting: .zero)
        #expect(gate.judge(reading(.nan), at: start) == .unsure)
        #expect(gate.judge(reading(.nan), at: start + .seconds(60)) == .beyond)
        #expect(!gate.begin(reading(.nan)).isEmpty)
    }

    private let start = Instant(millisecondsSince1970: 1_700_000_000_000)

    private func gate(max: Double, lasting: Duration) -> DatabaseGate {
        var policy = PostgresPolicy(primary: .environment("DATABASE_URL"), replicas: [], limits: [])
        policy.limits = [DatabaseLimit(signal: .blockedSessions, max: max, maxRatio: nil, lasting: lasting)]
        return DatabaseGate(policy: policy)
    }

    private func reading(_ value: Double?) -> DatabaseReading {
        DatabaseReading(values: [DatabaseValue(.blockedSessions, value)], failures: [])
    }
}
