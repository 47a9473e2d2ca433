import SerinModel
import SerinPostgres
import Testbed
import Testing

/// Signals about sessions, provoked on one real server.
@Suite(.serialized) struct SessionSignalsTests {
    @Test func aHealthyClusterHasAValueForEverySignal() async throws {
        try await withCluster { cluster in
            let reading = await (try cluster.health()).read(deadline: .seconds(5))
            #expect(reading.failures == [])
            #expect(reading.values.map(\.signal) == DatabaseSignal.allCases.sorted())
            for value in reading.values { #expect(value.value != nil, "\(value)") }
            #expect(reading.value(.blockedSessions) == 0)
            #expect(reading.value(.longestLockWait) == 0)
            #expect(reading.value(.ungrantedLocks) == 0)
            #expect(reading.value(.deadlocks) == 0)
        }
    }
}
